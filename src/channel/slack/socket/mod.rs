//! Socket Mode: events, commands and buttons come over connections that we open, where nobody can reach us
//! (docs.slack.dev, "Using Socket Mode").
//!
//! `door` opens connections, `frame` is what Slack says over them, `connection` is the life of one, `refusal` why none
//! comes about, `state` what the operator sees. Here: several stand at once, and each is replaced before it ends.
//!
//! What arrives twice is asked once: the keys of events, commands and buttons are the same as for webhooks. So an
//! envelope that was stored and could not be acknowledged any more does no harm.

mod connection;
pub(super) mod door;
mod frame;
mod refusal;
mod state;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::channel::listen::Sink;
use crate::channel::{Received, Rejection};
use crate::telemetry::RECONNECTS;

use super::form::Form;
use super::{NAME, Settings, Slack};
use connection::{Connection, Way, Why};
use door::Door;
use frame::{Envelope, Kind};
use state::State;

/// The most connections that an app may have at once (docs.slack.dev, "Using multiple connections").
const MOST: usize = 10;

/// The shortest life of a connection that Slack is believed to plan.
const SHORTEST_LIFE: Duration = Duration::from_secs(5);

/// Who understands what is in an envelope.
trait Reader: Send + Sync {
    /// What an envelope brings.
    fn read(&self, envelope: &Envelope) -> Result<Received, Rejection>;
}

impl Reader for Slack {
    fn read(&self, envelope: &Envelope) -> Result<Received, Rejection> {
        let payload = &envelope.payload;
        match envelope.kind {
            Kind::Event => Ok(Slack::read(self, payload)),
            Kind::Command => Ok(self.command(&Form::of_object(payload)?)),
            Kind::Interaction => Ok(self.pressed(payload)),
            Kind::Unknown => Ok(Received {
                dropped: vec!["unknown_envelope"],
                ..Received::default()
            }),
        }
    }
}

/// All connections of an app.
pub(super) struct SocketMode {
    door: Door,
    /// How many are to stand.
    connections: usize,
    /// Those that may stand at once, while some are being replaced.
    places: Semaphore,
    state: State,
}

impl SocketMode {
    /// Socket Mode as configured; none without a token for it.
    pub(super) fn new(settings: &Settings) -> Result<Option<Self>, reqwest::Error> {
        let Some(token) = settings.app_token.clone() else {
            return Ok(None);
        };
        Ok(Some(Self {
            door: Door::new(&settings.api_base, token)?,
            connections: settings.socket_connections.clamp(1, MOST),
            places: Semaphore::new(MOST),
            state: State::default(),
        }))
    }

    /// Why nothing can arrive, if no connection stands.
    pub(super) fn cut_off(&self) -> Option<String> {
        self.state.cut_off()
    }

    /// Keeps the connections standing until cancelled, then lets what is under way finish.
    pub(super) async fn run(&self, reader: &Slack, sink: &dyn Sink, stop: &CancellationToken) {
        let way = Way { reader, sink, stop };
        let mut slots: FuturesUnordered<_> = (0..self.connections).map(|_| self.keep(way)).collect();
        while slots.next().await.is_some() {}
    }

    /// Keeps one connection standing: when it needs to be replaced, another is opened first, if there is a place.
    async fn keep(&self, way: Way<'_>) {
        let mut running = FuturesUnordered::new();
        let mut former = CancellationToken::new();
        loop {
            if self.places.available_permits() == 0 {
                former.cancel();
            }
            let opened = beside(&mut running, way.stop.run_until_cancelled(self.open(way.sink))).await;
            let Some((link, lasts, place)) = opened else { break };
            let began = Instant::now();
            let standing = self.state.stands();
            former.cancel();
            former = CancellationToken::new();
            let (report, reported) = oneshot::channel();
            let connection = Connection {
                link,
                due: lasts.map(|lasts| began + renewal(lasts)),
                replaced: former.clone(),
                report,
            };
            tracing::info!(
                connections = self.state.standing(),
                "connected to Slack by Socket Mode"
            );
            running.push(async move {
                connection.run(way).await;
                drop((standing, place));
            });
            let why = beside(&mut running, reported).await.unwrap_or(Why::LOST);
            if way.stop.is_cancelled() {
                break;
            }
            tracing::info!(reason = why.label, "a connection to Slack is to be replaced");
            metrics::counter!(RECONNECTS, "channel" => NAME, "reason" => why.label).increment(1);
            beside(&mut running, self.door.ended(began.elapsed(), why.pause)).await;
        }
        while running.next().await.is_some() {}
    }

    async fn open(
        &self,
        sink: &dyn Sink,
    ) -> (
        door::Link,
        Option<Duration>,
        Option<tokio::sync::SemaphorePermit<'_>>,
    ) {
        // It fails only once it is closed, and nobody closes it.
        let place = self.places.acquire().await.ok();
        let (link, lasts) = self.door.open(sink.limit(), &self.state).await;
        (link, lasts, place)
    }
}

/// What the future returns, while the running ones go on.
async fn beside<R: Future, T>(running: &mut FuturesUnordered<R>, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            biased;
            out = &mut future => return out,
            Some(_) = running.next() => {}
        }
    }
}

/// How long after its beginning a connection is replaced: some time before Slack ends it, and not all at once.
fn renewal(lasts: Duration) -> Duration {
    lasts.mul_f64(rand::random_range(0.85..0.95)).max(SHORTEST_LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_replaced_before_its_end_and_never_in_a_hurry() {
        for lasts in [60, 3600, 18060] {
            let lasts = Duration::from_secs(lasts);
            let renewal = renewal(lasts);
            assert!(renewal < lasts && renewal > lasts / 2, "{renewal:?} of {lasts:?}");
        }
        assert_eq!(renewal(Duration::ZERO), SHORTEST_LIFE);
    }
}
