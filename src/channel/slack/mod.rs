//! Slack: the Events API in, the Web API out.
//!
//! In: `verify` (who may speak to us), `envelope` (for which installation), `event` (what is answered, followed or
//! left), `policy` (where and to whom), `message` (keys, thread and time), `words` (the text as a person reads it).
//! Out: `render` (the answer as Slack's text), `deliver` (sending and looking), `client` (the calls), `errors` (what
//! refusals mean). Both: `installation` (where the app is installed, and as whom it speaks there).

mod client;
mod deliver;
mod envelope;
mod errors;
mod event;
mod installation;
mod message;
mod policy;
mod render;
mod settings;
#[cfg(test)]
mod tests;
mod verify;
mod words;

pub use settings::{Connect, Settings};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    Acknowledgement, Channel, Endpoint, LookUp, Received, Rejection, SendError, Sent, WebhookRequest,
};
use crate::domain::Clock;
use crate::domain::delivery::SendClaim;
use crate::domain::message::Arrival;
use crate::domain::texts::Texts;
use envelope::Posted;

/// The channel's name.
const NAME: &str = "slack";

/// What LiveChatAI calls it (its `integrationType`).
const INTEGRATION_TYPE: &str = "SLACK";

/// Where Slack posts its events.
const EVENTS: &str = "/slack/events";

/// When to look again for a part while there is no token to look with.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Builds the channel.
pub fn channel(
    settings: Settings,
    texts: &Texts,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, reqwest::Error> {
    Ok(Arc::new(Slack::new(settings, texts, clock)?))
}

/// The channel.
struct Slack {
    verifier: verify::Verifier,
    reader: event::Reader,
    installations: installation::Installations,
    client: client::Client,
    turn_wait: Option<Duration>,
    clock: Arc<dyn Clock>,
}

impl Slack {
    fn new(settings: Settings, texts: &Texts, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        Ok(Self {
            reader: event::Reader {
                policy: policy::Policy::new(&settings),
                follow_threads: settings.follow_threads,
                only_text: Some(texts.only_text.trim())
                    .filter(|text| !text.is_empty())
                    .map(render::escape),
            },
            client: client::Client::new(&settings.api_base)?,
            verifier: verify::Verifier::new(settings.signing_secret),
            installations: installation::Installations::new(settings.bot_token),
            turn_wait: settings.turn_wait,
            clock,
        })
    }

    /// What a body that Slack signed brings.
    fn read(&self, body: &Value) -> Received {
        let mut received = Received::default();
        let outcome = match envelope::read(body) {
            Ok(Posted::Challenge(challenge)) => {
                received.answer = Acknowledgement::Text(challenge.to_owned());
                return received;
            }
            Ok(Posted::Event(envelope)) => self.reader.read(&envelope, &self.installations),
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(inbound) => received.arrivals.push(Arrival::Message(inbound)),
            Err(reason) => received.dropped.push(reason),
        }
        received
    }
}

#[async_trait]
impl Channel for Slack {
    fn name(&self) -> &'static str {
        NAME
    }

    fn integration_type(&self) -> &'static str {
        INTEGRATION_TYPE
    }

    fn turn_wait(&self, general: Option<Duration>) -> Duration {
        self.turn_wait.or(general).unwrap_or_default()
    }

    fn reply_window(&self) -> Option<Duration> {
        None
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint {
            method: Method::POST,
            path: EVENTS,
        }]
    }

    fn receive(&self, request: WebhookRequest) -> Result<Received, Rejection> {
        let body = self.verifier.open(request.sealed, self.clock.now())?;
        let body = serde_json::from_slice(body.bytes()).map_err(|_| Rejection::Malformed {
            code: "not_json",
            message: "the body is not JSON",
        })?;
        Ok(self.read(&body))
    }

    fn render(&self, text: &str, links: &[String]) -> Vec<String> {
        render::parts(text, links)
    }

    async fn send(&self, claim: &SendClaim) -> Result<Sent, SendError> {
        let token = self.installations.token(&claim.thread.account)?;
        deliver::send(&self.client, token, claim).await
    }

    async fn look_up(&self, claim: &SendClaim) -> LookUp {
        match self.installations.token(&claim.thread.account) {
            Ok(token) => deliver::look_up(&self.client, token, claim, self.clock.now()).await,
            // Without a token nothing can be sent again either: there is time.
            Err(_) => LookUp::Later(LOOK_AGAIN),
        }
    }

    async fn run(&self, cancel: CancellationToken) {
        self.installations.run(&self.client, cancel).await;
    }
}
