//! A server that plays another service: it answers right by default, keeps a log of every call, and misbehaves where
//! a test tells it to.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::DEADLINE;
use super::web::runtime;

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

    async fn pass(&self) {
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

struct Shared<B> {
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

async fn listen<B: Brain>(listener: TcpListener, shared: Arc<Shared<B>>, stop: CancellationToken) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(serve(stream, shared.clone())),
        );
    }
}

async fn serve<B: Brain>(stream: TcpStream, shared: Arc<Shared<B>>) {
    let service = service_fn(move |request| handle(request, shared.clone()));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An error closes the connection without a word.
async fn handle<B: Brain>(
    request: Request<Incoming>,
    shared: Arc<Shared<B>>,
) -> io::Result<Response<Spoken>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let call = Call {
        kind: String::new(),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        json: serde_json::from_slice(&body).unwrap_or(Value::Null),
        body,
        at: Instant::now(),
        reply: None,
        said: Value::Null,
        done_at: None,
    };
    let (index, fault) = shared.arrived(call);
    match fault {
        None => {}
        Some(Fault::Answer(answer)) => {
            shared.finish(index, Some(answer.clone()));
            return Ok(speak(answer, false));
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::ActThenHang) => {
            shared.act(index);
            return std::future::pending().await;
        }
        Some(Fault::Close) => return Err(io::Error::other("told to close")),
        Some(Fault::ActThenClose) => {
            shared.act(index);
            return Err(io::Error::other("told to close"));
        }
        Some(Fault::CutOff) => return Ok(speak(shared.act(index), true)),
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::Hold(gate)) => gate.pass().await,
    }
    let answer = shared.act(index);
    shared.finish(index, None);
    Ok(speak(answer, false))
}

impl<B: Brain> Shared<B> {
    fn arrived(&self, mut call: Call) -> (usize, Option<Fault>) {
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

    fn act(&self, index: usize) -> Answer {
        let mut state = self.state.lock().unwrap();
        let call = state.log[index].clone();
        let answer = state.brain.answer(&call);
        state.log[index].said = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        state.log[index].reply = Some(answer.clone());
        self.changed.notify_all();
        answer
    }

    fn finish(&self, index: usize, instead: Option<Answer>) {
        let mut state = self.state.lock().unwrap();
        let call = &mut state.log[index];
        call.done_at = Some(Instant::now());
        if instead.is_some() {
            call.reply = instead;
        }
        self.changed.notify_all();
    }
}

fn speak(answer: Answer, cut_off: bool) -> Response<Spoken> {
    let mut response = Response::builder()
        .status(answer.status)
        .header("content-length", answer.body.len());
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let mut body = Bytes::from(answer.body);
    if cut_off {
        body.truncate(body.len() / 2);
    }
    let then = if cut_off { Then::Flush } else { Then::End };
    response
        .body(Spoken {
            body: Some(body),
            then,
        })
        .unwrap()
}

/// A body that can break off.
struct Spoken {
    body: Option<Bytes>,
    then: Then,
}

enum Then {
    End,
    /// Lets what was written leave before the connection breaks.
    Flush,
    Break,
}

impl Body for Spoken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(body) = self.body.take().filter(|body| !body.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        match self.then {
            Then::End => Poll::Ready(None),
            Then::Flush => {
                self.then = Then::Break;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Then::Break => Poll::Ready(Some(Err(io::Error::other("told to break off")))),
        }
    }
}
