//! Traces: the way of one question, from the webhook to the delivery of its answer, as OpenTelemetry tells it.
//!
//! A trace is a turn: its id is made of the thread and the moment at which the turn's first message was accepted. Both are
//! in the store, so that every process and every later start adds to the same trace. The root span is as long as the
//! person waited. A message that joined a burst belongs to the trace of the first.
//!
//! Nothing is recorded unless `telemetry.otlp_endpoint` is set. Spans hold ids, codes and times: no text, no number.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::names::SPANS_DROPPED;
use crate::domain::{ThreadId, Time};

/// So many spans wait for the collector at most; what comes then is dropped and counted.
const QUEUE: usize = 4096;
/// So many accepted messages are remembered at most, until their turns begin.
const REMEMBERED: usize = 4096;

static TRACER: OnceLock<mpsc::Sender<Span>> = OnceLock::new();
static ACCEPTED: Mutex<Option<HashMap<String, Stored>>> = Mutex::new(None);

tokio::task_local! {
    static CURRENT: Context;
}

/// Where a span belongs: its trace, and its own id in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
}

impl Context {
    /// The root of the trace of a turn.
    pub fn of_turn(thread: ThreadId, accepted_at: Time) -> Self {
        let digest = Sha256::digest(format!("{thread}/{}", accepted_at.millis()));
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&digest[..16]);
        span.copy_from_slice(&digest[16..24]);
        Self { trace, span }
    }

    /// As the header `traceparent` has it (W3C Trace Context, version 00): sampled.
    pub fn header(&self) -> String {
        format!("00-{}-{}-01", hex(&self.trace), hex(&self.span))
    }
}

/// Bytes as lower-case digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What kind of work a span is, by OpenTelemetry's numbers (`SpanKind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Our own.
    Internal = 1,
    /// A request that came to us.
    Server = 2,
    /// A request that we made.
    Client = 3,
}

/// A piece of work.
#[derive(Debug)]
pub struct Span {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) context: Context,
    pub(super) parent: Option<[u8; 8]>,
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
    pub(super) attributes: Vec<(&'static str, String)>,
    pub(super) failed: bool,
}

impl Span {
    /// Begins a piece of work below another; none where nobody traces.
    pub fn below(parent: Context, name: &'static str, kind: Kind) -> Option<Self> {
        TRACER.get()?;
        let now = SystemTime::now();
        Some(Self {
            name,
            kind,
            context: Context {
                trace: parent.trace,
                span: rand::random(),
            },
            parent: Some(parent.span),
            began: now,
            ended: now,
            attributes: Vec::new(),
            failed: false,
        })
    }

    /// Begins a piece of work below the one that the caller stands in.
    pub fn within(name: &'static str, kind: Kind) -> Option<Self> {
        Self::below(current()?, name, kind)
    }

    /// Where it stands.
    pub fn context(&self) -> Context {
        self.context
    }

    /// Says something about it: an id or a code.
    #[must_use]
    pub fn note(mut self, name: &'static str, value: &dyn Display) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// It is over.
    pub fn end(mut self, ok: bool) {
        self.ended = SystemTime::now();
        self.failed = !ok;
        self.record();
    }

    fn record(self) {
        if TRACER.get().is_some_and(|queue| queue.try_send(self).is_err()) {
            metrics::counter!(SPANS_DROPPED).increment(1);
        }
    }
}

/// Ends a span, if there is one.
pub fn end(span: Option<Span>, outcome: &'static str, ok: bool) {
    if let Some(span) = span {
        span.note("chatbridge.outcome", &outcome).end(ok);
    }
}

/// The whole time that a person waited; the end of a trace.
pub fn root(context: Context, channel: &str, accepted_at: Time, ok: bool) {
    if TRACER.get().is_none() {
        return;
    }
    let span = Span {
        name: "question",
        kind: Kind::Server,
        context,
        parent: None,
        began: moment(accepted_at),
        ended: SystemTime::now(),
        attributes: vec![("chatbridge.channel", channel.to_owned())],
        failed: !ok,
    };
    span.record();
}

fn moment(time: Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(time.millis()).unwrap_or(0))
}

/// Does something as part of a span: calls that it makes belong to it.
pub async fn scoped<T>(span: Option<&Span>, work: impl Future<Output = T>) -> T {
    match span {
        Some(span) => CURRENT.scope(span.context, work).await,
        None => work.await,
    }
}

/// The span that the caller stands in.
pub fn current() -> Option<Context> {
    CURRENT.try_with(|context| *context).ok()
}

/// Starts to trace; what is recorded comes out of the other end. None if it was started before.
pub fn start() -> Option<mpsc::Receiver<Span>> {
    let (queue, spans) = mpsc::channel(QUEUE);
    TRACER.set(queue).ok()?;
    Some(spans)
}

/// When a webhook's messages were stored, from the first moment to the commit.
#[derive(Debug, Clone, Copy)]
struct Stored {
    began: SystemTime,
    ended: SystemTime,
}

/// A webhook whose messages are being stored.
#[derive(Debug)]
pub struct Webhook {
    began: SystemTime,
    messages: Vec<String>,
}

impl Webhook {
    /// It begins; none where nobody traces. The messages' names are those by which [`accepted`] asks for them.
    pub fn begin(messages: impl FnOnce() -> Vec<String>) -> Option<Self> {
        TRACER.get().map(|_| Self {
            began: SystemTime::now(),
            messages: messages(),
        })
    }

    /// Its messages are on the disk. They are remembered until the turn that asks them, which knows their trace; a start
    /// in between forgets them.
    pub fn done(self) {
        let mut remembered = ACCEPTED.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = remembered.get_or_insert_default();
        if remembered.len() > REMEMBERED {
            remembered.clear();
        }
        let stored = Stored {
            began: self.began,
            ended: SystemTime::now(),
        };
        remembered.extend(self.messages.into_iter().map(|name| (name, stored)));
    }
}

/// Tells of the webhook that brought a message, in the trace of the turn that asks it.
pub fn accepted(context: Context, message: &str, channel: &str) {
    let mut remembered = ACCEPTED.lock().unwrap_or_else(PoisonError::into_inner);
    let found = remembered
        .as_mut()
        .and_then(|remembered| remembered.remove(message));
    drop(remembered);
    if let (Some(webhook), Some(mut span)) = (found, Span::below(context, "webhook", Kind::Server)) {
        span.began = webhook.began;
        span.ended = webhook.ended;
        span.note("chatbridge.channel", &channel).record();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_the_same_wherever_it_is_told_of() {
        let (thread, at) = (ThreadId::new(), Time::from_secs(1));
        let context = Context::of_turn(thread, at);
        assert_eq!(context, Context::of_turn(thread, at));
        assert_ne!(context, Context::of_turn(thread, Time::from_secs(2)));
        let header = context.header();
        assert!(
            header.starts_with("00-") && header.ends_with("-01") && header.len() == 55,
            "{header}"
        );
    }
}
