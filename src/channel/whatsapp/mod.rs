//! WhatsApp by Meta's Cloud API.
//!
//! `verify` decides who may speak to us, `parse` walks through a webhook and hands each item to the file that
//! knows it: messages to `kinds` and `people`, changes of names to `renames`, statuses to `receipts`.
//! `render` makes the parts of an answer, `client` sends one, and `errors` says what Meta's refusals mean.

mod client;
mod country;
mod errors;
mod json;
mod kinds;
mod parse;
mod people;
mod receipts;
mod renames;
mod render;
mod settings;
pub mod setup;
#[cfg(test)]
mod tests;
mod verify;

pub use settings::{Number, Settings};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::{
    Acknowledgement, Channel, Endpoint, LookUp, Received, Rejection, SendError, Sent, WebhookRequest,
};
use crate::domain::Clock;
use crate::domain::delivery::SendClaim;
use crate::domain::texts::Texts;
use client::Client;

/// The first part of this channel's addresses and its section of the configuration.
const NAME: &str = "whatsapp";

/// Where Meta posts webhooks, and makes its handshake.
const WEBHOOK: &str = "/whatsapp/webhook";

/// How long to collect a burst by default: people write in several short messages here.
const TURN_WAIT: Duration = Duration::from_millis(1200);

/// For how long after a person's last message Meta takes a reply that is no template (the customer service window).
const REPLY_WINDOW: Duration = Duration::from_hours(24);

/// Builds the channel.
pub fn channel(
    mut settings: Settings,
    texts: &Texts,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, reqwest::Error> {
    // A signature under an empty secret can be made by anyone.
    settings
        .app_secret
        .retain(|secret| !secret.expose_secret().is_empty());
    let client = Client::new(&settings)?;
    let only_text = render::parts(&texts.only_text, &[]).into_iter().next();
    let only_text = only_text.filter(|_| !texts.only_text.trim().is_empty());
    Ok(Arc::new(WhatsApp {
        settings,
        only_text,
        client,
        clock,
    }))
}

/// The channel.
struct WhatsApp {
    settings: Settings,
    /// What a person is told who sent something other than text; none if nothing.
    only_text: Option<String>,
    client: Client,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Channel for WhatsApp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn integration_type(&self) -> &'static str {
        "WHATSAPP"
    }

    fn turn_wait(&self, general: Option<Duration>) -> Duration {
        self.settings.turn_wait.or(general).unwrap_or(TURN_WAIT)
    }

    fn reply_window(&self) -> Option<Duration> {
        Some(REPLY_WINDOW)
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        [Method::GET, Method::POST]
            .map(|method| Endpoint {
                method,
                path: WEBHOOK,
            })
            .into()
    }

    fn receive(&self, request: WebhookRequest) -> Result<Received, Rejection> {
        if request.endpoint.method == Method::GET {
            let challenge = verify::handshake(request.query.as_deref(), &self.settings.verify_token)?;
            return Ok(Received {
                answer: Acknowledgement::Text(challenge),
                ..Received::default()
            });
        }
        let verified = verify::signature(request.sealed, &self.settings.app_secret)?;
        let body = json::read(verified.bytes()).ok_or(Rejection::Malformed {
            code: "not_json",
            message: "the body is signed, but it is not JSON",
        })?;
        let context = parse::Context {
            numbers: &self.settings.phone_number_ids,
            only_text: self.only_text.as_deref(),
            now: self.clock.now(),
        };
        Ok(parse::webhook(&body, &context))
    }

    fn render(&self, text: &str, links: &[String]) -> Vec<String> {
        render::parts(text, links)
    }

    async fn send(&self, claim: &SendClaim) -> Result<Sent, SendError> {
        self.client.send(claim).await
    }

    /// Meta cannot be asked what became of a message. Its status webhooks carry our delivery id and settle the
    /// delivery in the store as they come; here is only decided how long to wait for one.
    async fn look_up(&self, claim: &SendClaim) -> LookUp {
        let begun = claim.last_attempt_at.unwrap_or(claim.created_at);
        let waited = self.clock.now().since(begun);
        match self.settings.reconcile_wait.checked_sub(waited) {
            Some(rest) if !rest.is_zero() => LookUp::Later(rest),
            _ => LookUp::Unknowable(self.settings.unknown),
        }
    }

    /// There is nothing to do: every number is named by its webhooks.
    async fn run(&self, cancel: CancellationToken) {
        cancel.cancelled().await;
    }
}
