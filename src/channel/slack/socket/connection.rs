//! The life of one connection: envelopes in, acknowledgements out, and an end that loses nothing.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use crate::channel::Rejection;
use crate::channel::listen::{Sink, Unusable};
use crate::channel::signature::Verified;

use super::Reader;
use super::door::Link;
use super::frame::{self, Envelope, Frame, Goodbye};

/// How often we ask whether the other side lives. Slack asks us too, in its own rhythm.
const PING_EVERY: Duration = Duration::from_secs(5);

/// After so much silence, with pings unanswered, the connection is dead.
const SILENCE: Duration = Duration::from_secs(15);

/// How long an acknowledgement may take to leave.
const WRITE_WAIT: Duration = Duration::from_secs(10);

/// How long a connection that was replaced still takes what Slack has sent to it.
const LINGER: Duration = Duration::from_secs(10);

/// How long Slack may take to answer our goodbye.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// How many envelopes of a connection may be under way to the store at once. Beyond them the next is not read yet.
const MOST_UNDER_WAY: usize = 256;

/// What every connection has in common.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// Who understands what comes.
    pub(super) reader: &'a dyn Reader,
    /// Where it goes.
    pub(super) sink: &'a dyn Sink,
    /// Take nothing new, finish, and end.
    pub(super) stop: &'a CancellationToken,
}

/// A connection that stands.
pub(super) struct Connection {
    pub(super) link: Link,
    /// When to have it replaced, before Slack ends it.
    pub(super) due: Option<Instant>,
    /// Another stands in its place.
    pub(super) replaced: CancellationToken,
    /// Tells once why another is needed.
    pub(super) report: oneshot::Sender<Why>,
}

/// Why another connection is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Why {
    /// The label of the metric.
    pub(super) label: &'static str,
    /// How long to wait at least before it is opened.
    pub(super) pause: Duration,
}

impl Why {
    /// It has lasted as long as Slack means to keep it.
    const DUE: Self = Self::plain("due");
    /// The other side closed it or it broke.
    pub(super) const LOST: Self = Self::plain("lost");
    /// Nothing was heard for too long.
    const SILENT: Self = Self::plain("silent");
    /// Something came that is larger than is taken: what follows cannot be read.
    const TOO_LARGE: Self = Self::plain("too_large");
    /// We end it.
    const OURS: Self = Self::plain("ours");

    const fn plain(label: &'static str) -> Self {
        Self {
            label,
            pause: Duration::ZERO,
        }
    }

    fn of(goodbye: &Goodbye) -> Self {
        Self {
            label: goodbye.reason,
            pause: goodbye.pause,
        }
    }

    /// Whether what is under way can still be acknowledged.
    fn can_write(self) -> bool {
        self != Self::LOST && self != Self::SILENT
    }
}

/// What happens next on a connection.
enum Step {
    Stop,
    Replaced,
    Left,
    Due,
    Stored(Option<String>),
    Ping,
    Message(Option<Result<Message, Error>>),
}

impl Connection {
    /// Serves the connection to its end.
    pub(super) async fn run(self, way: Way<'_>) {
        let Self {
            mut link,
            mut due,
            replaced,
            report,
        } = self;
        let mut report = Some(report);
        let mut tell = |why| {
            let _ = report.take().map(|report: oneshot::Sender<Why>| report.send(why));
        };
        let mut under_way = FuturesUnordered::new();
        let mut leaves: Option<Instant> = None;
        let mut heard = Instant::now();
        let mut pings = interval_at(heard + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let why = loop {
            let full = under_way.len() >= MOST_UNDER_WAY;
            let step = tokio::select! {
                biased;
                () = way.stop.cancelled() => Step::Stop,
                () = replaced.cancelled(), if leaves.is_none() => Step::Replaced,
                () = until(leaves) => Step::Left,
                () = until(due) => Step::Due,
                Some(stored) = under_way.next() => Step::Stored(stored),
                _ = pings.tick() => Step::Ping,
                message = link.next(), if !full => Step::Message(message),
            };
            let written = match step {
                Step::Stop | Step::Left => break Why::OURS,
                Step::Replaced => {
                    leaves = Some(Instant::now() + LINGER);
                    continue;
                }
                Step::Due => {
                    due = None;
                    tell(Why::DUE);
                    continue;
                }
                Step::Stored(None) => continue,
                Step::Stored(Some(id)) => write(&mut link, acknowledgement(&id)).await,
                // While nothing is read, nothing can be heard.
                Step::Ping if !full && heard.elapsed() >= SILENCE => break Why::SILENT,
                Step::Ping => write(&mut link, Message::Ping(Bytes::new())).await,
                Step::Message(message) => {
                    heard = Instant::now();
                    match read(message, way.sink) {
                        Err(why) => break why,
                        Ok(Some(Frame::Envelope(envelope))) => under_way.push(take(way, envelope)),
                        Ok(Some(Frame::Goodbye(goodbye))) if goodbye.lingers => {
                            due = None;
                            tell(Why::of(goodbye));
                        }
                        Ok(Some(Frame::Goodbye(goodbye))) => {
                            let remedy = goodbye.remedy.unwrap_or_default();
                            tracing::error!(reason = goodbye.reason, "Slack ended the connection: {remedy}");
                            break Why::of(goodbye);
                        }
                        Ok(_) => {}
                    }
                    continue;
                }
            };
            if full {
                heard = Instant::now();
            }
            if let Err(why) = written {
                break why;
            }
        };
        tell(why);
        tracing::debug!(reason = why.label, "a connection to Slack ends");
        finish(&mut link, under_way, why.can_write()).await;
    }
}

/// Lets what was taken be stored, acknowledges it as long as that can be, and says goodbye.
async fn finish(
    link: &mut Link,
    mut under_way: FuturesUnordered<impl Future<Output = Option<String>>>,
    mut can_write: bool,
) {
    while let Some(stored) = under_way.next().await {
        if let Some(id) = stored.filter(|_| can_write) {
            can_write = write(link, acknowledgement(&id)).await.is_ok();
        }
    }
    if can_write {
        let _ = timeout(CLOSE_WAIT, close(link)).await;
    }
}

/// Waits for this moment; without one, for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// What a message says; none if it is the protocol's own affair, or cannot be read.
fn read(message: Option<Result<Message, Error>>, sink: &dyn Sink) -> Result<Option<Frame>, Why> {
    let message = match message {
        Some(Ok(message)) => message,
        Some(Err(Error::Capacity(_))) => {
            sink.turn_away(Unusable::TooLarge);
            return Err(Why::TOO_LARGE);
        }
        Some(Err(_)) | None => return Err(Why::LOST),
    };
    match message {
        Message::Close(_) => Err(Why::LOST),
        Message::Text(_) | Message::Binary(_) => {
            let frame = frame::read(&Verified::by_our_connection(message.into_data()));
            if frame.is_none() {
                sink.turn_away(Unusable::Rejected(Rejection::Malformed {
                    code: "not_json",
                    message: "what came over the connection is not JSON",
                }));
            }
            Ok(frame)
        }
        _ => Ok(None),
    }
}

/// Stores what an envelope holds. Returns its id if it is to be acknowledged: it is on the disk, or would not be taken
/// the next time either.
async fn take(way: Way<'_>, envelope: Envelope) -> Option<String> {
    if envelope.attempt > 0 {
        tracing::debug!(attempt = envelope.attempt, "Slack delivers an envelope again");
    }
    match way.reader.read(&envelope) {
        Ok(received) => way.sink.accept(received).await.ok()?,
        Err(rejection) => way.sink.turn_away(Unusable::Rejected(rejection)),
    }
    Some(envelope.id)
}

/// Without a payload, also where Slack would take one: the answer goes its own way later, as durably as any.
fn acknowledgement(id: &str) -> Message {
    Message::text(json!({ "envelope_id": id }).to_string())
}

async fn write(link: &mut Link, message: Message) -> Result<(), Why> {
    match timeout(WRITE_WAIT, link.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Why::LOST),
    }
}

/// Says goodbye and waits for the answer. What still comes is not acknowledged, so that Slack delivers it elsewhere.
async fn close(link: &mut Link) {
    if link.close(None).await.is_ok() {
        while let Some(Ok(message)) = link.next().await {
            if message.is_close() {
                break;
            }
        }
    }
}
