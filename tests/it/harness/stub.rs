//! A server that plays another service: it answers right by default, keeps a log of every call, and misbehaves where
//! a test tells it to.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::DEADLINE;
use super::web::runtime;
use super::wire::listen;

/// One call that the stub got.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// What was called, in the service's own words.
    pub(crate) kind: String,
    /// The method.
    pub(crate) method: String,
    /// The path.
    pub(crate) path: String,
    /// The query string.
    pub(crate) query: String,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// The body as JSON; null if it is none.
    pub(crate) json: Value,
    /// When it arrived.
    pub(crate) at: Instant,
    /// What the service did and answered; none while it has not acted, or never did.
    pub(crate) reply: Option<Answer>,
    /// The body of the reply as JSON; null while there is none.
    pub(crate) said: Value,
    /// When the answer left.
    pub(crate) done_at: Option<Instant>,
}

impl Call {
    /// The bearer token.
    pub(crate) fn token(&self) -> Option<&str> {
        self.headers
            .get("authorization")?
            .to_str()
            .ok()?
            .strip_prefix("Bearer ")
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn summary(&self) -> String {
        let status = self
            .reply
            .as_ref()
            .map_or("-".to_owned(), |answer| answer.status.to_string());
        let body: String = String::from_utf8_lossy(&self.body).chars().take(240).collect();
        format!(
            "{} {status} {} {}?{} {body}",
            self.kind, self.method, self.path, self.query
        )
    }
}

/// An answer of the service.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Further headers.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self {
            status,
            headers,
            body: body.to_string().into_bytes(),
        }
    }

    /// A page, as a proxy or a login screen sends it.
    pub(crate) fn html(status: u16) -> Self {
        let headers = vec![("content-type", "text/html".to_owned())];
        Self {
            status,
            headers,
            body: b"<!doctype html><html><body>Please log in</body></html>".to_vec(),
        }
    }

    /// The same with a header more.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// The service itself: what a call is, and what it does.
pub(crate) trait Brain: Send + 'static {
    /// What was called, in the service's own words.
    fn kind(&self, call: &Call) -> String;
    /// Acts and answers.
    fn answer(&mut self, call: &Call) -> Answer;
}

/// How the service misbehaves.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Answers this and does nothing.
    Answer(Answer),
    /// Neither acts nor answers.
    Hang,
    /// Acts, and never answers.
    ActThenHang,
    /// Closes the connection without acting.
    Close,
    /// Acts, and closes the connection without an answer.
    ActThenClose,
    /// Acts, sends half of the answer and closes the connection.
    CutOff,
    /// Acts, and sends its answer byte by byte, with this wait before each.
    Drip(Duration),
    /// Acts, and sends so many bytes of nothing as its answer.
    Flood(u64),
    /// Acts and answers after this time.
    Delay(Duration),
    /// Acts and answers once the gate is open.
    Hold(Gate),
}

impl Fault {
    /// A JSON answer instead of acting.
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::Answer(Answer::json(status, &body))
    }
}

/// Holds calls until it is opened.
#[derive(Clone)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed gate.
    pub(crate) fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets through all that wait and all that come.
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    pub(super) async fn pass(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

type Matcher = Box<dyn Fn(&Call) -> bool + Send>;

struct Rule {
    matches: Matcher,
    left: usize,
    fault: Fault,
}

struct State<B> {
    brain: B,
    log: Vec<Call>,
    rules: Vec<Rule>,
}

/// What the server and its handle share.
pub(super) struct Shared<B> {
    state: Mutex<State<B>>,
    changed: Condvar,
}

/// A running stub. It is gone when dropped.
pub(crate) struct Stub<B> {
    shared: Arc<Shared<B>>,
    address: SocketAddr,
    stop: CancellationToken,
}

impl<B> Drop for Stub<B> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<B: Brain> Stub<B> {
    /// Starts the service on a free port.
    pub(crate) fn start(brain: B) -> Self {
        let state = Mutex::new(State {
            brain,
            log: Vec::new(),
            rules: Vec::new(),
        });
        let shared = Arc::new(Shared {
            state,
            changed: Condvar::new(),
        });
        let stop = CancellationToken::new();
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime().spawn(stop.clone().run_until_cancelled_owned(listen(
            listener,
            shared.clone(),
            stop.clone(),
        )));
        Self {
            shared,
            address,
            stop,
        }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Misbehaves at the next `times` calls of this kind.
    pub(crate) fn fault(&self, kind: &'static str, times: usize, fault: Fault) {
        self.fault_when(times, fault, move |call| call.kind == kind);
    }

    /// Misbehaves at the next `times` calls that `matches` names. Rules are tried in the order given.
    pub(crate) fn fault_when(
        &self,
        times: usize,
        fault: Fault,
        matches: impl Fn(&Call) -> bool + Send + 'static,
    ) {
        self.lock().rules.push(Rule {
            matches: Box::new(matches),
            left: times,
            fault,
        });
    }

    /// Behaves again.
    pub(crate) fn heal(&self) {
        self.lock().rules.clear();
    }

    /// All calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().log.clone()
    }

    /// Reads the log in place.
    pub(crate) fn log<T>(&self, read: impl FnOnce(&[Call]) -> T) -> T {
        read(&self.lock().log)
    }

    /// How many calls of this kind came.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.lock().log.iter().filter(|call| call.kind == kind).count()
    }

    /// Changes the service itself.
    pub(crate) fn brain<T>(&self, change: impl FnOnce(&mut B) -> T) -> T {
        change(&mut self.lock().brain)
    }

    /// Waits until `found` finds something in the log.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, found: impl Fn(&[Call]) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let mut state = self.lock();
        loop {
            if let Some(result) = found(&state.log) {
                return result;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let calls: Vec<String> = state.log.iter().rev().take(40).map(Call::summary).collect();
                drop(state);
                panic!(
                    "waited {DEADLINE:?} in vain for {what}; the last calls, latest first:\n{}",
                    calls.join("\n")
                );
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits until `count` calls of this kind came.
    #[track_caller]
    pub(crate) fn wait_count(&self, kind: &str, count: usize) {
        self.wait(&format!("{count} calls of {kind}"), |log| {
            (log.iter().filter(|call| call.kind == kind).count() >= count).then_some(())
        });
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.shared.state.lock().unwrap()
    }
}

impl<B: Brain> Shared<B> {
    /// Notes a call down. Returns its place in the log, and how to misbehave.
    pub(super) fn arrived(&self, mut call: Call) -> (usize, Option<Fault>) {
        let mut state = self.state.lock().unwrap();
        call.kind = state.brain.kind(&call);
        let rule = state
            .rules
            .iter_mut()
            .find(|rule| rule.left > 0 && (rule.matches)(&call));
        let fault = rule.map(|rule| {
            rule.left -= 1;
            rule.fault.clone()
        });
        state.log.push(call);
        self.changed.notify_all();
        (state.log.len() - 1, fault)
    }

    /// Lets the service act on a call, and notes down what it answers.
    pub(super) fn act(&self, index: usize) -> Answer {
        let mut state = self.state.lock().unwrap();
        let call = state.log[index].clone();
        let answer = state.brain.answer(&call);
        state.log[index].said = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        state.log[index].reply = Some(answer.clone());
        self.changed.notify_all();
        answer
    }

    /// Notes down that the answer leaves, and which if it is not the service's own.
    pub(super) fn finish(&self, index: usize, instead: Option<Answer>) {
        let mut state = self.state.lock().unwrap();
        let call = &mut state.log[index];
        call.done_at = Some(Instant::now());
        if instead.is_some() {
            call.reply = instead;
        }
        self.changed.notify_all();
    }
}
