//! WhatsApp by Meta's Cloud API.
//!
//! `verify` decides who may speak to us, `parse` walks through a webhook and hands each item to the file that
//! knows it: messages to `kinds` and `people`, what people change or take back to `revisions`, changes of names to
//! `renames`, statuses to `receipts`.
//! What colleagues wrote is read in `echoes`, and `contents` puts places, contacts and the like into words.
//! `render` makes the parts of an answer, `window` decides whether a part may still go out as it is, `client` sends
//! one, and `errors` says what Meta's refusals mean.

mod accounts;
mod apps;
mod client;
mod contents;
mod country;
mod echoes;
mod errors;
mod json;
mod kinds;
mod parse;
mod people;
mod receipts;
mod renames;
mod render;
mod revisions;
mod settings;
pub mod setup;
#[cfg(test)]
mod tests;
mod throttles;
mod verify;
mod window;

pub use settings::{Number, Settings};
pub use window::Template;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    Acknowledgement, Channel, Endpoint, LookUp, Received, Rejection, SendError, Sent, WebhookRequest,
};
use crate::domain::delivery::SendClaim;
use crate::domain::family::FamilyStore;
use crate::domain::texts::Texts;
use crate::domain::turn::TurnClaim;
use crate::domain::{AccountKey, Clock};
use accounts::Accounts;
use apps::Apps;
use client::Client;

/// The first part of this channel's addresses and its section of the configuration.
const NAME: &str = "whatsapp";

/// Where questions come from, in the agent's words.
pub const INTEGRATION_TYPE: &str = "WHATSAPP";

/// Where Meta posts webhooks, and makes its handshake.
const WEBHOOK: &str = "/whatsapp/webhook";

/// How long to collect a burst by default: people write in several short messages here.
const TURN_WAIT: Duration = Duration::from_millis(1200);

/// How long until it is shown anew that somebody is typing: Meta stops showing it after 25 seconds.
const TYPING_AGAIN: Duration = Duration::from_secs(20);

/// Builds the channel. It keeps in `families` which numbers stand in which WhatsApp Business Account; without, it learns
/// that anew after each start.
pub fn channel(
    settings: Settings,
    texts: &Texts,
    clock: Arc<dyn Clock>,
    families: Option<Arc<dyn FamilyStore>>,
) -> Result<Arc<dyn Channel>, reqwest::Error> {
    let client = Client::new(&settings)?;
    Ok(Arc::new(WhatsApp {
        apps: Apps::new(&settings),
        settings,
        only_text: notice(&texts.only_text),
        file_not_read: notice(&texts.file_not_read),
        client,
        accounts: Accounts::new(families),
        clock,
    }))
}

/// A text of the bridge as it is sent; none if it is empty.
fn notice(text: &str) -> Option<String> {
    let parts = render::parts(text, &[]);
    parts.into_iter().next().filter(|_| !text.trim().is_empty())
}

/// The channel.
struct WhatsApp {
    settings: Settings,
    apps: Apps,
    /// What a person is told who sent something other than text; none if nothing.
    only_text: Option<String>,
    /// What a person is told whose words came with a file; none if nothing.
    file_not_read: Option<String>,
    client: Client,
    accounts: Accounts,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Channel for WhatsApp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn integration_type(&self) -> &'static str {
        INTEGRATION_TYPE
    }

    fn turn_wait(&self, general: Option<Duration>) -> Duration {
        self.settings.turn_wait.or(general).unwrap_or(TURN_WAIT)
    }

    fn reply_window(&self) -> Option<Duration> {
        Some(window::WINDOW)
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
        let verified = verify::signature(request.sealed, self.apps.secrets())?;
        let body = super::json::read(verified.bytes()).ok_or(Rejection::Malformed {
            code: "not_json",
            message: "the body is signed, but it is not JSON",
        })?;
        let context = parse::Context {
            numbers: &self.settings.phone_number_ids,
            apps: &self.apps,
            signer: verified.signer(),
            only_text: self.only_text.as_deref(),
            file_not_read: self.file_not_read.as_deref(),
            echo_pause: self.settings.echo_pause,
            accounts: &self.accounts,
            now: self.clock.now(),
        };
        Ok(parse::webhook(&body, &context))
    }

    fn render(&self, text: &str, links: &[String]) -> Vec<String> {
        render::parts(text, links)
    }

    /// Meta takes it back by itself when the reply arrives, or after a while.
    async fn working(&self, claim: &TurnClaim, over: CancellationToken) {
        let Some(latest) = claim.messages.last() else {
            return;
        };
        let number = claim.thread.account.account();
        let show = async {
            loop {
                if let Err(why) = self.client.show_typing(number, &latest.platform_id).await {
                    debug!(turn = %claim.turn, why, "it is not shown that an answer is on its way");
                }
                tokio::time::sleep(TYPING_AGAIN).await;
            }
        };
        over.run_until_cancelled(show).await;
    }

    /// The numbers of the same WhatsApp Business Account. As long as a number's is not known, those with its token
    /// stand for it.
    fn family(&self, account: &AccountKey) -> String {
        let waba = self.accounts.of(account);
        waba.map_or_else(|| self.access(account), |waba| format!("{NAME}|account|{waba}"))
    }

    /// The numbers with the same access token.
    fn access(&self, account: &AccountKey) -> String {
        format!("{NAME}|token|{}", self.client.family(account.account()))
    }

    async fn send(&self, claim: &SendClaim) -> Result<Sent, SendError> {
        let template = self.settings.window_template.as_ref();
        let now = self.clock.now();
        let content = window::content(claim, now, template)?;
        self.client.send(claim, &content, now).await
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

    /// Every number is named by its webhooks; which belong together is remembered.
    async fn run(&self, cancel: CancellationToken) {
        self.accounts.run(cancel).await;
    }
}
