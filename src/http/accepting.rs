//! Storing what came to a channel, counting it, and telling why something was turned away: for webhooks, and for what
//! a channel fetches over a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::Counter;

use super::Backend;
use super::errors::ApiError;
use super::sparing::Sparing;
use crate::channel::listen::{NotStored, Sink, Unusable};
use crate::channel::{Acknowledgement, Channel, Received};
use crate::telemetry::{REJECTED, WEBHOOKS};

/// How often the log tells, for each way in, why something is turned away.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// One way in of one channel.
pub struct Accepting<B> {
    backend: Arc<B>,
    /// The channel.
    pub(super) channel: Arc<dyn Channel>,
    path: &'static str,
    accepted: Counter,
    handshake: Counter,
    ignored: Counter,
    told: Sparing,
}

impl<B: Backend> Accepting<B> {
    /// The way in by this path.
    pub fn new(backend: Arc<B>, channel: Arc<dyn Channel>, path: &'static str) -> Self {
        let counter = |outcome: &'static str| metrics::counter!(WEBHOOKS, "channel" => channel.name(), "outcome" => outcome);
        for outcome in ["unauthenticated", "store_unavailable"] {
            counter(outcome).increment(0);
        }
        Self {
            accepted: counter("accepted"),
            handshake: counter("handshake"),
            ignored: counter("ignored"),
            told: Sparing::every(TELL_EVERY),
            backend,
            channel,
            path,
        }
    }

    /// The same as a sink that takes bodies of this many bytes at most.
    pub fn limited(self, limit: u64) -> Limited<B> {
        Limited {
            accepting: self,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }

    /// Stores what was received and returns what the platform gets for it; or counts why there is nothing to store.
    pub(super) async fn accept(
        &self,
        received: Result<Received, ApiError>,
    ) -> Result<Acknowledgement, ApiError> {
        let stored = match received {
            Ok(received) => self.store(received).await,
            Err(error) => Err(error),
        };
        stored.inspect_err(|error| self.turn_away(error))
    }

    async fn store(&self, received: Received) -> Result<Acknowledgement, ApiError> {
        let counter = self.counter(&received);
        let answer = self.backend.accept(&*self.channel, received).await?;
        counter.increment(1);
        Ok(answer)
    }

    fn counter(&self, received: &Received) -> &Counter {
        match (&received.answer, received.arrivals.is_empty()) {
            (_, false) => &self.accepted,
            (Acknowledgement::Text(_), true) => &self.handshake,
            (Acknowledgement::Empty, true) => &self.ignored,
        }
    }

    fn turn_away(&self, error: &ApiError) {
        metrics::counter!(WEBHOOKS, "channel" => self.channel.name(), "outcome" => error.outcome())
            .increment(1);
        let (channel, code) = (self.channel.name(), error.code());
        metrics::counter!(REJECTED, "channel" => channel, "reason" => code).increment(1);
        if self.told.due() {
            tracing::warn!(channel, path = self.path, code, %error, "a webhook was turned away");
        }
    }
}

/// A way in with a limit of its own: for what a channel fetches itself.
pub struct Limited<B> {
    accepting: Accepting<B>,
    limit: usize,
}

#[async_trait]
impl<B: Backend> Sink for Limited<B> {
    async fn accept(&self, received: Received) -> Result<(), NotStored> {
        let stored = self.accepting.accept(Ok(received)).await;
        stored.map(|_| ()).map_err(|_| NotStored)
    }

    fn turn_away(&self, why: Unusable) {
        self.accepting.turn_away(&match why {
            Unusable::Rejected(rejection) => rejection.into(),
            Unusable::TooLarge => ApiError::TooLarge {
                limit: self.limit as u64,
            },
        });
    }

    fn limit(&self) -> usize {
        self.limit
    }
}
