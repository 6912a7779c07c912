//! Whether a daemon still works, as its supervisor wants to know.

use std::fmt;
use std::sync::Arc;

use super::Live;
use crate::http::Backend;

/// Feels whether a daemon still works.
#[derive(Clone)]
pub struct Pulse(Arc<Live>);

impl Pulse {
    pub(super) fn of(daemon: Arc<Live>) -> Self {
        Self(daemon)
    }

    /// Returns once the store has answered, whatever it said: a full disk gets no better by a new start, but a daemon
    /// that no longer comes back from there does.
    pub async fn beat(&self) {
        if let Err(error) = self.0.check_writable().await {
            tracing::debug!(%error, "the store answers, and takes nothing");
        }
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pulse")
    }
}
