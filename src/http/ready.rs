//! Whether the daemon can do its work.

use std::sync::Arc;
use std::time::Duration;

use super::Backend;
use super::cached::Cached;
use super::errors::{ApiError, store_words};
use crate::channel::Channel;

/// How long the store may take to answer a probe.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers `/readyz`.
pub(super) struct Probe<B> {
    backend: Arc<B>,
    channels: Vec<Arc<dyn Channel>>,
    writable: Cached<Result<(), &'static str>>,
}

impl<B: Backend> Probe<B> {
    pub(super) fn new(backend: Arc<B>, channels: Vec<Arc<dyn Channel>>) -> Self {
        Self {
            backend,
            channels,
            writable: Cached::new(),
        }
    }

    /// Fine, in words, or what stands in the way.
    pub(super) async fn check(&self) -> Result<String, ApiError> {
        let writable = self.writable.get(self.look()).await;
        writable.map_err(|words| ApiError::NotReady {
            code: "store_unavailable",
            message: words.into(),
        })?;
        match self.backend.agent_refusal() {
            None => self.connected(),
            Some(refusal) => Err(ApiError::NotReady {
                code: "agent_refused",
                message: refusal.into(),
            }),
        }
    }

    /// A channel that waits for a connection is told of. It stands in the way only if nothing can arrive at all:
    /// webhooks of the other channels are welcome meanwhile.
    fn connected(&self) -> Result<String, ApiError> {
        let cut_off: Vec<String> = self
            .channels
            .iter()
            .filter_map(|channel| Some(format!("{}: {}", channel.name(), channel.cut_off()?)))
            .collect();
        if !cut_off.is_empty() && cut_off.len() == self.channels.len() {
            return Err(ApiError::NotReady {
                code: "not_connected",
                message: cut_off.join("; ").into(),
            });
        }
        Ok([vec!["ready".to_owned()], cut_off].concat().join("\n"))
    }

    async fn look(&self) -> Result<(), &'static str> {
        match tokio::time::timeout(PATIENCE, self.backend.check_writable()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(%error, "the store takes no writes");
                Err(store_words(&error))
            }
            Err(_) => Err("the store does not answer"),
        }
    }
}
