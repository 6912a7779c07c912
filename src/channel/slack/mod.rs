//! Slack: the Events API in, the Web API out.
//!
//! In: `verify` (who may speak to us), `envelope` (for which installation), `event` (what is answered, followed or
//! left), `policy` (where and to whom), `message` (keys, thread and time), `words` (the text as a person reads it),
//! `revision` (what was changed or taken back), `commands` and `actions` (commands and buttons, which come as `form`).
//! Out: `render` (the answer as Slack's text), `buttons` (what stands below it), `pace` (how fast), `deliver` (sending
//! and looking), `respond` (answers to a command), `client` (the calls), `errors` (what refusals mean). Both: `installation` (where the app is installed, and as whom it speaks there).

mod actions;
mod buttons;
mod client;
mod commands;
mod deliver;
mod envelope;
mod errors;
mod event;
mod form;
mod installation;
mod message;
mod pace;
mod policy;
mod render;
mod respond;
mod revision;
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
    Acknowledgement, Channel, Endpoint, LookUp, Received, Rejection, Scope, SendDisposition, SendError, Sent,
    UnknownPolicy, WebhookRequest,
};
use crate::domain::Clock;
use crate::domain::delivery::SendClaim;
use crate::domain::message::Arrival;
use crate::domain::texts::Texts;
use client::Trouble;
use deliver::Target;
use envelope::Posted;
use form::Form;
use respond::Responder;

/// The channel's name.
const NAME: &str = "slack";

/// What LiveChatAI calls it (its `integrationType`).
const INTEGRATION_TYPE: &str = "SLACK";

/// Where Slack posts its events.
const EVENTS: &str = "/slack/events";

/// Where Slack posts commands.
const COMMANDS: &str = "/slack/commands";

/// Where Slack posts what people do with buttons.
const INTERACTIVITY: &str = "/slack/interactivity";

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
    commands: commands::Commands,
    actions: actions::Actions,
    buttons: Option<buttons::Buttons>,
    pace: pace::Pace,
    responder: respond::Responder,
    client: client::Client,
    turn_wait: Option<Duration>,
    clock: Arc<dyn Clock>,
}

impl Slack {
    fn new(settings: Settings, texts: &Texts, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let notice = |text: &str| {
            Some(text.trim())
                .filter(|text| !text.is_empty())
                .map(render::escape)
        };
        Ok(Self {
            reader: event::Reader {
                policy: policy::Policy::new(&settings),
                follow_threads: settings.follow_threads,
                only_text: notice(&texts.only_text),
                file_not_read: notice(&texts.file_not_read),
            },
            commands: commands::Commands::new(&settings.command, texts),
            actions: actions::Actions::new(texts, settings.alert_channel),
            buttons: settings.feedback.then(|| buttons::Buttons::new(texts)),
            pace: pace::Pace::new(settings.pace),
            responder: respond::Responder::new(&settings.api_base)?,
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
            Arrival::Message(inbound) => !self.installations.unknown(&inbound.account),
            Arrival::Act(act) => !self.installations.unknown(&act.account),
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

    /// What a pressed button that Slack signed brings.
    fn action(&self, form: &Form) -> Result<Received, Rejection> {
        let payload = form.get("payload").unwrap_or_default();
        let payload = serde_json::from_str(payload).map_err(|_| Rejection::Malformed {
            code: "not_json",
            message: "the form's field payload is not JSON",
        })?;
        let (arrivals, dropped) = self.actions.read(&payload, &self.reader.policy, self.clock.now());
        Ok(Received {
            arrivals,
            dropped,
            ..Received::default()
        })
    }

    /// Posts a part in its channel, when it is its turn.
    async fn post(&self, claim: &SendClaim) -> Result<Sent, SendError> {
        let account = &claim.thread.account;
        let target = Target::from_route(&claim.thread.route).ok_or_else(deliver::unreadable)?;
        let token = self.installations.token(account)?;
        let now = self.clock.now();
        if let Some(after) = self.pace.limited(account, deliver::POST, now) {
            let why = "Slack wanted a pause for this workspace";
            return Err(pace::pause("ratelimited", why, Scope::Account, after));
        }
        self.pace.admit(account, &target.channel, claim.delivery, now)?;
        let sent = deliver::send(&self.client, token, &target, claim, self.buttons.as_ref()).await;
        if let Err(SendError {
            disposition:
                SendDisposition::Pause {
                    scope: Scope::Account,
                    after,
                },
            ..
        }) = &sent
        {
            let until = self.clock.now().plus(*after);
            self.pace.limit(account, deliver::POST, until);
        }
        sent
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
        match Responder::address(&claim.thread.route) {
            Some(address) => self.responder.send(address, claim).await,
            None => self.post(claim).await,
        }
    }

    async fn look_up(&self, claim: &SendClaim) -> LookUp {
        if Responder::address(&claim.thread.route).is_some() {
            return Responder::look_up();
        }
        let account = &claim.thread.account;
        let Some(target) = Target::from_route(&claim.thread.route) else {
            return LookUp::Unknowable(UnknownPolicy::Resend);
        };
        let (method, now) = (target.read_method(), self.clock.now());
        if let Some(after) = self.pace.limited(account, method, now) {
            return deliver::verdict(Trouble::Limited(after), deliver::waited(claim, now));
        }
        let limited = |after| {
            let until = self.clock.now().plus(after);
            self.pace.limit(account, method, until);
        };
        match self.installations.token(account) {
            Ok(token) => deliver::look_up(&self.client, token, &target, claim, now, limited).await,
            // Without a token nothing can be sent again either: there is time.
            Err(_) => LookUp::Later(LOOK_AGAIN),
        }
    }

    async fn run(&self, cancel: CancellationToken) {
        self.installations.run(&self.client, cancel).await;
    }
}
