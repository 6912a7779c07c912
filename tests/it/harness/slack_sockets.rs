//! Slack's end of Socket Mode, as docs.slack.dev describes it: a greeting, envelopes, acknowledgements, goodbyes.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_util::sync::CancellationToken;

use super::web::runtime;
use super::{DEADLINE, SlackEvent, SlackStub};

/// The app-level token that Slack knows.
pub(crate) const APP_TOKEN: &str = "xapp-1-A1-test-token";

/// What a test lets Slack do on a connection.
enum Order {
    Say(Message),
    /// Reads and writes nothing more, and keeps the line open.
    Freeze,
    /// Hangs up without a goodbye.
    HangUp,
}

/// A connection as Slack sees it.
struct Line {
    orders: UnboundedSender<Order>,
    open: bool,
    /// The daemon said goodbye.
    farewell: bool,
    pings: usize,
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    /// Which envelope was acknowledged on which connection.
    acks: Vec<(usize, String)>,
    /// What came that is no acknowledgement.
    odd: Vec<String>,
    tickets: HashSet<String>,
    /// How long Slack says that a connection lasts, in seconds.
    lasts: u64,
    /// What the next connections hear in place of a greeting.
    instead: VecDeque<String>,
    next: usize,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Slack's sockets. They are gone when dropped.
pub(crate) struct Sockets {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An envelope around this, under a fresh id.
pub(crate) fn envelope(kind: &str, payload: Value) -> Value {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = format!("57d6a792-4d35-4d0b-{:012}", NEXT.fetch_add(1, Ordering::SeqCst));
    json!({"type": kind, "envelope_id": id, "payload": payload, "accepts_response_payload": kind != "events_api",
        "retry_attempt": 0, "retry_reason": ""})
}

/// An envelope around an event.
pub(crate) fn enveloped(event: &SlackEvent) -> Value {
    envelope("events_api", event.0.clone())
}

/// The same envelope as it is delivered again.
pub(crate) fn again(envelope: &Value) -> Value {
    let mut again = envelope.clone();
    again["retry_attempt"] = json!(envelope["retry_attempt"].as_u64().unwrap() + 1);
    again["retry_reason"] = json!("timeout");
    again
}

fn id(envelope: &Value) -> &str {
    envelope["envelope_id"].as_str().unwrap()
}

impl Sockets {
    /// Lets this Slack give out addresses of sockets that stand here.
    pub(crate) fn of(slack: &SlackStub) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                lasts: 18060,
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        let stop = CancellationToken::new();
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        slack.brain(|slack| slack.sockets = Some(format!("ws://{address}")));
        runtime().spawn(stop.clone().run_until_cancelled_owned(listen(
            listener,
            shared.clone(),
            stop.clone(),
        )));
        Self { shared, stop }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// From now on Slack says that a connection lasts so many seconds.
    pub(crate) fn lasts(&self, seconds: u64) {
        self.lock().lasts = seconds;
    }

    /// The next connection hears this in place of a greeting.
    pub(crate) fn instead_of_hello(&self, words: impl Into<String>) {
        self.lock().instead.push_back(words.into());
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, found: impl Fn(&State) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let mut state = self.lock();
        loop {
            if let Some(result) = found(&state) {
                return result;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let open: Vec<bool> = state.lines.iter().map(|line| line.open).collect();
                let (acks, odd) = (state.acks.len(), state.odd.clone());
                drop(state);
                panic!(
                    "waited {DEADLINE:?} in vain for {what}; open: {open:?}, {acks} acknowledgements, odd: {odd:?}"
                );
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// The connections that stand, waiting until there are exactly so many.
    #[track_caller]
    pub(crate) fn wait_open(&self, count: usize) -> Vec<usize> {
        self.wait(&format!("{count} open connections"), |state| {
            let open = state.open();
            (open.len() == count).then_some(open)
        })
    }

    /// Waits until so many connections were opened in all.
    #[track_caller]
    pub(crate) fn wait_opened(&self, count: usize) {
        self.wait(&format!("{count} connections opened"), |state| {
            (state.lines.len() >= count).then_some(())
        });
    }

    /// How many were opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.lock().lines.len()
    }

    /// Whether a connection stands.
    pub(crate) fn is_open(&self, line: usize) -> bool {
        self.lock().lines[line].open
    }

    /// Waits for the end of a connection. True if the daemon said goodbye.
    #[track_caller]
    pub(crate) fn wait_closed(&self, line: usize) -> bool {
        self.wait(&format!("connection {line} to end"), |state| {
            let line = &state.lines[line];
            (!line.open).then_some(line.farewell)
        })
    }

    /// Waits until the daemon asked on this connection whether Slack lives.
    #[track_caller]
    pub(crate) fn wait_ping(&self, line: usize) {
        self.wait("a ping", |state| (state.lines[line].pings > 0).then_some(()));
    }

    /// Says something on a connection. False if it stands no more.
    pub(crate) fn say(&self, line: usize, what: impl Into<Message>) -> bool {
        let state = self.lock();
        state.lines[line].open && state.lines[line].orders.send(Order::Say(what.into())).is_ok()
    }

    /// Says JSON on a connection.
    pub(crate) fn say_json(&self, line: usize, what: &Value) -> bool {
        self.say(line, what.to_string())
    }

    /// Announces the end of a connection.
    pub(crate) fn goodbye(&self, line: usize, reason: &str) {
        assert!(self.try_goodbye(line, reason));
    }

    /// The same on a connection that may be gone already.
    pub(crate) fn try_goodbye(&self, line: usize, reason: &str) -> bool {
        let goodbye =
            json!({"type": "disconnect", "reason": reason, "debug_info": {"host": "wss-111.slack.com"}});
        self.say_json(line, &goodbye)
    }

    /// The connections that stand.
    pub(crate) fn open(&self) -> Vec<usize> {
        self.lock().open()
    }

    /// A connection goes dead without an end.
    pub(crate) fn freeze(&self, line: usize) {
        let _ = self.lock().lines[line].orders.send(Order::Freeze);
    }

    /// A connection breaks.
    pub(crate) fn hang_up(&self, line: usize) {
        let _ = self.lock().lines[line].orders.send(Order::HangUp);
    }

    /// Sends an envelope over any of the connections. False if none stands.
    pub(crate) fn send(&self, envelope: &Value) -> bool {
        let line = {
            let mut state = self.lock();
            let open = state.open();
            if open.is_empty() {
                return false;
            }
            state.next += 1;
            open[state.next % open.len()]
        };
        self.say_json(line, envelope)
    }

    /// An envelope is delivered and acknowledged.
    #[track_caller]
    pub(crate) fn deliver(&self, envelope: &Value) {
        assert!(self.send(envelope), "no connection stands");
        self.wait_ack(envelope);
    }

    /// Waits until an envelope is acknowledged. Returns the connection.
    #[track_caller]
    pub(crate) fn wait_ack(&self, envelope: &Value) -> usize {
        self.wait(&format!("an acknowledgement of {envelope}"), |state| {
            state.ack(id(envelope))
        })
    }

    /// Whether an envelope was acknowledged.
    pub(crate) fn acked(&self, envelope: &Value) -> bool {
        self.lock().ack(id(envelope)).is_some()
    }

    /// Waits until an envelope is acknowledged, or no connection is open that might still bring it.
    pub(crate) fn acked_or_cut_off(&self, envelope: &Value) -> bool {
        self.wait("an acknowledgement or the end", |state| {
            let acked = state.ack(id(envelope)).is_some();
            (acked || state.open().is_empty()).then_some(acked)
        })
    }

    /// What the daemon said that is no acknowledgement.
    pub(crate) fn odd(&self) -> Vec<String> {
        self.lock().odd.clone()
    }
}

impl State {
    fn open(&self) -> Vec<usize> {
        let lines = self.lines.iter().enumerate();
        lines
            .filter(|(_, line)| line.open)
            .map(|(index, _)| index)
            .collect()
    }

    fn ack(&self, id: &str) -> Option<usize> {
        self.acks
            .iter()
            .find(|(_, acked)| acked == id)
            .map(|(line, _)| *line)
    }

    fn hears(&mut self, line: usize, message: &Message) {
        match message {
            Message::Text(said) => {
                let parsed: Value = serde_json::from_str(said).unwrap_or(Value::Null);
                match parsed["envelope_id"].as_str() {
                    Some(id) if parsed == json!({"envelope_id": id}) => self.acks.push((line, id.to_owned())),
                    _ => self.odd.push(said.to_string()),
                }
            }
            Message::Ping(_) => self.lines[line].pings += 1,
            Message::Close(_) => self.lines[line].farewell = true,
            Message::Pong(_) => {}
            other => self.odd.push(format!("{other:?}")),
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(answer(stream, shared.clone())),
        );
    }
}

async fn answer(stream: TcpStream, shared: Arc<Shared>) {
    #[expect(clippy::result_large_err, reason = "the library's type")]
    let admit = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let ticket = request.uri().query().unwrap_or_default().to_owned();
        let fresh = shared.state.lock().unwrap().tickets.insert(ticket);
        if fresh && request.uri().path() == "/link/" {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = http::StatusCode::FORBIDDEN;
        Err(refusal)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, admit).await else {
        return;
    };
    let (orders, taken) = unbounded_channel();
    let (number, hello) = {
        let mut state = shared.state.lock().unwrap();
        state.lines.push(Line {
            orders,
            open: false,
            farewell: false,
            pings: 0,
        });
        let hello = json!({"type": "hello", "num_connections": state.open().len() + 1,
            "connection_info": {"app_id": "A1"}, "debug_info": {"host": "applink-7fc4fdbb64-4x5xq",
            "started": "2026-11-24 10:00:00.000", "build_number": 54, "approximate_connection_time": state.lasts}});
        let instead = state.instead.pop_front();
        (state.lines.len() - 1, instead.ok_or(hello.to_string()))
    };
    let (words, greeted) = match hello {
        Ok(instead) => (instead, false),
        Err(hello) => (hello, true),
    };
    if socket.send(Message::text(words)).await.is_ok() {
        shared.state.lock().unwrap().lines[number].open = greeted;
        shared.changed.notify_all();
        talk(&mut socket, number, &shared, taken).await;
    }
    shared.state.lock().unwrap().lines[number].open = false;
    shared.changed.notify_all();
}

async fn talk(
    socket: &mut WebSocketStream<TcpStream>,
    number: usize,
    shared: &Shared,
    mut orders: UnboundedReceiver<Order>,
) {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Say(message)) => {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                Some(Order::Freeze) => std::future::pending().await,
                Some(Order::HangUp) | None => return,
            },
            message = socket.next() => {
                let Some(Ok(message)) = message else { return };
                shared.state.lock().unwrap().hears(number, &message);
                shared.changed.notify_all();
            }
        }
    }
}
