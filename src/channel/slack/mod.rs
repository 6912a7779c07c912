//! Slack: the Events API in, the Web API out.
//!
//! In: `verify` (who may speak to us), `envelope` (for which installation), `event` (what is answered, followed or
//! left), `policy` (where and to whom), `message` (keys, thread and time), `words` (the text as a person reads it),
//! `revision` (what was changed or taken back), `commands` and `actions` (commands and buttons, which come as `form`).
//! Out: `render` (the answer as Slack's text), `buttons` (what stands below it), `pace` (how fast), `deliver` (sending
//! and looking), `respond` (answers to a command), `client` (the calls), `errors` (what refusals mean). Both:
//! `installations` (where the app is installed, and as whom it speaks there): `installation` (by the static token),
//! `visiting`, `oauth` and `state` (at our own door), `grant` and `granted` (what Slack granted, and how it is renewed),
//! `holds` (where Slack refuses us). `surface` and `opening`: what people see of the bot at work, and what they do there.
//! `manifest` says what of all that Slack must allow. Where nobody can reach us, `socket` fetches what comes in.

mod actions;
mod buttons;
mod client;
mod commands;
mod deliver;
mod envelope;
mod errors;
mod event;
mod form;
mod grant;
mod granted;
mod holds;
mod installation;
mod installations;
pub mod manifest;
mod message;
mod oauth;
mod opening;
mod pace;
mod policy;
mod posting;
pub mod probe;
mod render;
mod respond;
mod revision;
mod settings;
mod socket;
mod state;
mod surface;
#[cfg(test)]
mod tests;
mod verify;
mod visiting;
mod words;

pub use settings::{AgentView, Connect, MOST_PROMPTS, Settings};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::listen::Sink;
use super::registry::Needs;
use super::visit::{Page, Visit};
use super::{
    Acknowledgement, Aside, Channel, Endpoint, Farewell, LookUp, Received, Rejection, SendError, Sent,
    WebhookRequest,
};
use crate::domain::delivery::SendClaim;
use crate::domain::installation::{InstallationStore, KeepError};
use crate::domain::message::Arrival;
use crate::domain::turn::TurnClaim;
use crate::domain::{AccountKey, Clock};
use envelope::Posted;
use form::Form;
use respond::Responder;

/// The channel's name.
const NAME: &str = "slack";

/// What LiveChatAI calls it (its `integrationType`).
pub const INTEGRATION_TYPE: &str = "SLACK";

/// Where Slack posts its events.
const EVENTS: &str = "/slack/events";

/// Where Slack posts commands.
const COMMANDS: &str = "/slack/commands";

/// Where Slack posts what people do with buttons.
const INTERACTIVITY: &str = "/slack/interactivity";
/// Where people set out to install the app.
const INSTALL: &str = "/slack/install";

/// Where Slack sends them back.
const CALLBACK: &str = "/slack/oauth/callback";

/// When to look again for a part while there is no token to look with.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Builds the channel.
pub fn channel(settings: Settings, needs: &Needs) -> Result<Arc<dyn Channel>, reqwest::Error> {
    Ok(Arc::new(Slack::new(settings, needs)?))
}

/// The channel.
struct Slack {
    verifier: verify::Verifier,
    socket: Option<socket::SocketMode>,
    reader: event::Reader,
    installations: installations::Installations,
    oauth: Option<oauth::OAuth>,
    store: Arc<dyn InstallationStore>,
    commands: commands::Commands,
    actions: actions::Actions,
    buttons: Option<buttons::Buttons>,
    pace: pace::Pace,
    surface: surface::Surface,
    responder: respond::Responder,
    client: client::Client,
    turn_wait: Option<Duration>,
    clock: Arc<dyn Clock>,
}

impl Slack {
    fn new(settings: Settings, needs: &Needs) -> Result<Self, reqwest::Error> {
        let oauth = oauth::OAuth::new(&settings, needs.public_url);
        let (texts, clock, store) = (needs.texts, needs.clock.clone(), needs.installations.clone());
        let socket = socket::SocketMode::new(&settings)?;
        let notice = |text: &str| {
            Some(text.trim())
                .filter(|text| !text.is_empty())
                .map(render::escape)
        };
        Ok(Self {
            surface: surface::Surface::new(&settings, texts),
            reader: event::Reader {
                policy: policy::Policy::new(&settings),
                follow_threads: settings.follow_threads,
                rooted: settings.agent_view != AgentView::Off,
                stopped: notice(&texts.stopped),
                only_text: notice(&texts.only_text),
                file_not_read: notice(&texts.file_not_read),
            },
            commands: commands::Commands::new(&settings.command, texts),
            actions: actions::Actions::new(texts, settings.alert_channel),
            buttons: settings.feedback.then(|| buttons::Buttons::new(texts)),
            pace: pace::Pace::new(settings.pace),
            responder: respond::Responder::new(&settings.api_base)?,
            client: client::Client::new(&settings.api_base)?,
            verifier: verify::Verifier::new(settings.signing_secret, socket.is_some()),
            socket,
            installations: installations::Installations::new(
                settings.bot_token,
                oauth.as_ref().map(|oauth| oauth.credentials.clone()),
                store.clone(),
                clock.clone(),
            ),
            oauth,
            store,
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
            Ok(Posted::Event(envelope)) => {
                received.farewells.extend(self.farewell_of(&envelope));
                if self.serves(&envelope.account) {
                    received.asides.extend(self.surface.aside(&envelope));
                }
                self.reader.read(&envelope, &self.installations)
            }
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(arrivals) => received.arrivals = arrivals,
            Err(reason) => received.dropped.push(reason),
        }
        received
    }

    /// What a command that Slack signed brings.
    fn command(&self, form: &Form) -> Received {
        let read = self
            .commands
            .read(form, &self.reader.policy, &self.responder.hosts, self.clock.now());
        let installed = |arrival: &Arrival| match arrival {
            Arrival::Message(inbound) => self.serves(&inbound.account),
            Arrival::Act(act) => self.serves(&act.account),
            _ => true,
        };
        let mut received = Received::default();
        match read {
            Ok(arrival) if installed(&arrival) => received.arrivals.push(arrival),
            Ok(_) => received.dropped.push("not_installed"),
            Err(reason) => received.dropped.push(reason),
        }
        received
    }

    /// What a form with a pressed button that Slack signed brings.
    fn action(&self, form: &Form) -> Result<Received, Rejection> {
        let payload = form.get("payload").unwrap_or_default();
        let payload = super::json::read(payload.as_bytes()).ok_or(Rejection::Malformed {
            code: "not_json",
            message: "the form's field payload is not JSON",
        })?;
        Ok(self.pressed(&payload))
    }

    /// What a pressed button brings.
    fn pressed(&self, payload: &Value) -> Received {
        let (arrivals, dropped) = self.actions.read(payload, &self.reader.policy, self.clock.now());
        Received {
            arrivals,
            dropped,
            ..Received::default()
        }
    }

    /// Which installation has come to an end, if the event tells that. One that was made within the same second is
    /// meant too: nobody installs and removes an app so fast, and Slack tells whole seconds only.
    fn farewell_of(&self, envelope: &envelope::Envelope) -> Option<Farewell> {
        let account = self
            .installations
            .concerned(&envelope.account, envelope.organisation.as_ref());
        let bot = self.installations.bot_user(account);
        event::ends(envelope, bot.as_deref()).then(|| Farewell {
            account: account.clone(),
            before: envelope
                .at
                .unwrap_or_else(|| self.clock.now())
                .plus(Duration::from_secs(1)),
        })
    }

    /// Whether there is, or may be, a token for this account.
    fn serves(&self, account: &AccountKey) -> bool {
        !matches!(self.installations.serve(account), installation::Served::No)
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
        [EVENTS, COMMANDS, INTERACTIVITY]
            .map(|path| Endpoint {
                method: Method::POST,
                path,
            })
            .into()
    }

    fn receive(&self, request: WebhookRequest) -> Result<Received, Rejection> {
        let body = self.verifier.open(request.sealed, self.clock.now())?;
        match request.endpoint.path {
            COMMANDS => return Ok(self.command(&Form::read(body.bytes())?)),
            INTERACTIVITY => return self.action(&Form::read(body.bytes())?),
            _ => {}
        }
        let body = super::json::read(body.bytes()).ok_or(Rejection::Malformed {
            code: "not_json",
            message: "the body is not JSON",
        })?;
        Ok(self.read(&body))
    }

    fn visited(&self) -> Vec<&'static str> {
        if self.oauth.is_some() {
            vec![INSTALL, CALLBACK]
        } else {
            Vec::new()
        }
    }

    async fn visit(&self, visit: Visit) -> Page {
        self.receive_visitor(&visit).await
    }

    async fn farewell(&self, farewell: &Farewell) -> Result<(), KeepError> {
        self.installations.end(farewell).await
    }

    async fn revived(&self) -> AccountKey {
        self.installations.revived().await
    }

    fn render(&self, text: &str, links: &[String]) -> Vec<String> {
        render::parts(text, links)
    }

    async fn working(&self, claim: &TurnClaim, over: CancellationToken) {
        self.show_work(claim, &over).await;
    }

    async fn aside(&self, aside: &Aside) {
        self.attend(aside).await;
    }

    async fn send(&self, claim: &SendClaim) -> Result<Sent, SendError> {
        match Responder::address(&claim.thread.route) {
            Some(address) => self.responder.send(address, claim).await,
            None => self.deliver(claim).await,
        }
    }

    async fn look_up(&self, claim: &SendClaim) -> LookUp {
        if Responder::address(&claim.thread.route).is_some() {
            return Responder::look_up();
        }
        self.look_for(claim).await
    }

    async fn listen(&self, sink: &dyn Sink, cancel: CancellationToken) {
        match &self.socket {
            Some(socket) => socket.run(self, sink, &cancel).await,
            None => cancel.cancelled().await,
        }
    }

    fn cut_off(&self) -> Option<String> {
        self.socket.as_ref()?.cut_off()
    }

    async fn run(&self, cancel: CancellationToken) {
        self.installations.run(&self.client, cancel).await;
    }
}
