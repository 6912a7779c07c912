//! Channels that fetch what arrives, where the platform does not call: over a connection of their own.
//!
//! What arrives there goes the same way as a webhook: the channel reads it, the [`Sink`] stores it, and only then does
//! the channel acknowledge it.

use async_trait::async_trait;
use thiserror::Error;

use super::{Received, Rejection};

/// Where a channel puts what it fetched: the same door as for webhooks.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Stores what was received, and counts it. When this returns, it is on the disk and may be acknowledged; on an
    /// error nothing was stored, and the platform must deliver it again.
    async fn accept(&self, received: Received) -> Result<(), NotStored>;

    /// Counts what will never be taken, and now and then tells the operator why.
    fn turn_away(&self, why: Unusable);

    /// The largest body that is taken, in bytes.
    fn limit(&self) -> usize;
}

/// Nothing was stored; the log tells why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it could not be stored")]
pub struct NotStored;

/// Why something that arrived will never be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// It is not what the platform sends.
    Rejected(Rejection),
    /// It is larger than [`Sink::limit`].
    TooLarge,
}
