//! Whether the daemon can do its work.

use std::sync::Arc;
use std::time::Duration;

use super::Backend;
use super::cached::Cached;
use super::errors::{ApiError, store_words};

/// How long the store may take to answer a probe.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers `/readyz`.
pub(super) struct Probe<B> {
    backend: Arc<B>,
    writable: Cached<Result<(), &'static str>>,
}

impl<B: Backend> Probe<B> {
    pub(super) fn new(backend: Arc<B>) -> Self {
        Self {
            backend,
            writable: Cached::new(),
        }
    }

    /// Fine, or what stands in the way.
    pub(super) async fn check(&self) -> Result<(), ApiError> {
        let writable = self.writable.get(self.look()).await;
        writable.map_err(|words| ApiError::NotReady {
            code: "store_unavailable",
            message: words.into(),
        })?;
        match self.backend.agent_refusal() {
            None => Ok(()),
            Some(refusal) => Err(ApiError::NotReady {
                code: "agent_refused",
                message: refusal.into(),
            }),
        }
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
