//! A channel and a backend that tests steer.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderName, Method};
use tokio_util::sync::CancellationToken;

use super::Backend;
use crate::channel::{
    Acknowledgement, Channel, Endpoint, LookUp, Received, Rejection, SendError, Sent, UnknownPolicy,
    WebhookRequest,
};
use crate::domain::Time;
use crate::domain::delivery::SendClaim;
use crate::store::{Backlog, StoreError};

/// The header whose value tells [`FakeChannel`] what to make of a request.
pub(super) const WISH: HeaderName = HeaderName::from_static("x-wish");

/// Obeys [`WISH`].
pub(super) struct FakeChannel;

#[async_trait]
impl Channel for FakeChannel {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn integration_type(&self) -> &'static str {
        "FAKE"
    }

    fn turn_wait(&self, _: Option<Duration>) -> Duration {
        Duration::ZERO
    }

    fn reply_window(&self) -> Option<Duration> {
        None
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        [Method::POST, Method::GET]
            .map(|method| Endpoint {
                method,
                path: "/fake/hook",
            })
            .into()
    }

    fn receive(&self, request: WebhookRequest) -> Result<Received, Rejection> {
        let message = "as wished";
        match request.sealed.header(&WISH) {
            Some("unauthenticated") => Err(Rejection::Unauthenticated {
                code: "signature_invalid",
                message,
            }),
            Some("forbidden") => Err(Rejection::Forbidden {
                code: "token_wrong",
                message,
            }),
            Some("malformed") => Err(Rejection::Malformed {
                code: "no_json",
                message,
            }),
            Some("ignored") => Ok(Received {
                dropped: vec!["other"],
                ..Received::default()
            }),
            Some("handshake") => Ok(Received {
                answer: Acknowledgement::Text(format!(
                    "{}?{}",
                    request.endpoint.method,
                    request.query.unwrap_or_default()
                )),
                ..Received::default()
            }),
            _ => Ok(Received::default()),
        }
    }

    fn render(&self, text: &str, _: &[String]) -> Vec<String> {
        vec![text.to_owned()]
    }

    async fn send(&self, _: &SendClaim) -> Result<Sent, SendError> {
        Ok(Sent { platform_id: None })
    }

    async fn look_up(&self, _: &SendClaim) -> LookUp {
        LookUp::Unknowable(UnknownPolicy::Park)
    }

    async fn run(&self, cancel: CancellationToken) {
        cancel.cancelled().await;
    }
}

/// Stores nothing, and fails as told.
#[derive(Default)]
pub(super) struct FakeBackend {
    /// The error of the next call to the store.
    pub(super) failure: Mutex<Option<StoreError>>,
    /// Why the agent refuses.
    pub(super) refusal: Mutex<Option<String>>,
    /// How many webhooks were accepted.
    pub(super) accepted: Mutex<usize>,
}

impl FakeBackend {
    fn fail(&self) -> Result<(), StoreError> {
        self.failure.lock().unwrap().take().map_or(Ok(()), Err)
    }
}

impl Backend for FakeBackend {
    async fn accept(&self, _: &dyn Channel, received: Received) -> Result<Acknowledgement, StoreError> {
        self.fail()?;
        *self.accepted.lock().unwrap() += 1;
        Ok(received.answer)
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.fail()
    }

    fn agent_refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap().clone()
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.fail()?;
        Ok(Backlog {
            waiting: 3,
            oldest: Some(Time::from_secs(100)),
            unknown: 1,
            dead_messages: 2,
            dead_deliveries: 5,
        })
    }
}
