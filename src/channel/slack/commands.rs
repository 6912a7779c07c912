//! The command: `/ask QUESTION`, `/ask reset`, `/ask help`.
//!
//! A command cannot be given in a thread, and its answer is seen by whoever gave it only: what one person asks in one
//! channel this way is a thread of its own, with the person's id in the place of a root.

use serde_json::json;

use crate::domain::act::{Act, Deed, Whereabouts};
use crate::domain::identity::{Identifier, Strength};
use crate::domain::message::{Arrival, Inbound, Opens, Treatment};
use crate::domain::texts::Texts;
use crate::domain::{AccountKey, AliasKey, DedupKey, Time};

use super::NAME;
use super::envelope::Reason;
use super::form::Form;
use super::policy::Policy;
use super::{render, respond, words};

/// What the command does.
pub(super) struct Commands {
    /// Its name; none if there is none.
    name: Option<String>,
    forgotten: String,
    help: String,
}

/// A command that somebody gave.
struct Given<'f> {
    form: &'f Form,
    account: AccountKey,
    channel: &'f str,
    user: &'f str,
    response_url: &'f str,
    trigger: &'f str,
    at: Time,
}

impl Commands {
    /// The command of this name; an empty one is none.
    pub(super) fn new(name: &str, texts: &Texts) -> Self {
        Self {
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            forgotten: render::escape(texts.forgotten.trim()),
            help: render::escape(&texts.help.trim().replace("{command}", name)),
        }
    }

    /// What a form brings, or why it is left.
    pub(super) fn read(
        &self,
        form: &Form,
        policy: &Policy,
        hosts: &respond::Hosts,
        at: Time,
    ) -> Result<Arrival, Reason> {
        // Slack tries the address from time to time.
        if form.get("ssl_check").is_some() {
            return Err("ssl_check");
        }
        let name = self.name.as_deref().ok_or("no_command")?;
        if form.get("command") != Some(name) {
            return Err("unknown_command");
        }
        let given = Given::read(form, at)?;
        policy.check_ids(given.channel, given.user, given.channel.starts_with('D'))?;
        if !hosts.trust(given.response_url) {
            tracing::warn!(account = %given.account, "a command asks for its answer at a place that is not Slack's");
            return Err("response_url_foreign");
        }
        let asked = words::read(form.get("text").unwrap_or_default(), |_| false).text;
        match asked.to_lowercase().as_str() {
            "" | "help" => given.act(Deed::Explain, &self.help),
            "reset" => given.reset(&self.forgotten),
            _ => given.question(asked),
        }
    }
}

impl<'f> Given<'f> {
    fn read(form: &'f Form, at: Time) -> Result<Self, Reason> {
        let field = |name: &str| form.get(name).ok_or("malformed_command");
        let organisation = form
            .get("enterprise_id")
            .filter(|_| form.get("is_enterprise_install") == Some("true"));
        let installed = organisation.or(form.get("team_id"));
        Ok(Self {
            form,
            account: installed
                .and_then(|id| AccountKey::new(NAME, id))
                .ok_or("malformed_command")?,
            channel: field("channel_id")?,
            user: field("user_id")?,
            response_url: field("response_url")?,
            trigger: field("trigger_id")?,
            at,
        })
    }

    fn address(&self) -> Result<AliasKey, Reason> {
        let address = self.account.alias(&[self.channel, self.user]);
        address.ok_or("malformed_command")
    }

    fn keys(&self) -> Vec<DedupKey> {
        vec![DedupKey::new(&self.account, "command", self.trigger)]
    }

    fn route(&self) -> serde_json::Value {
        json!({ respond::ROUTE: self.response_url })
    }

    fn identifiers(&self) -> Result<Vec<Identifier>, Reason> {
        Ok(vec![Identifier {
            alias: self.address()?,
            strength: Strength::Root,
        }])
    }

    fn question(self, text: String) -> Result<Arrival, Reason> {
        Ok(Arrival::Message(Inbound {
            keys: self.keys(),
            identifiers: self.identifiers()?,
            opens: Opens::Thread,
            place: Some(self.channel.to_owned()),
            address: self.address()?,
            route: self.route(),
            country: None,
            platform_id: self.trigger.to_owned(),
            sent_at: self.at,
            text,
            treatment: Treatment::Ask,
            quotes: None,
            account: self.account,
        }))
    }

    /// In a direct message with the bot, what was said there is forgotten as well.
    fn reset(self, say: &str) -> Result<Arrival, Reason> {
        let directly =
            self.form.get("channel_name") == Some("directmessage") || self.channel.starts_with('D');
        let direct = self.account.alias(&[self.channel]).filter(|_| directly);
        let also = direct.into_iter().collect();
        self.act(Deed::Reset { also }, say)
    }

    fn act(self, deed: Deed, say: &str) -> Result<Arrival, Reason> {
        Ok(Arrival::Act(Act {
            room: None,
            keys: self.keys(),
            on: Whereabouts::Place {
                identifiers: self.identifiers()?,
                address: self.address()?,
                place: Some(self.channel.to_owned()),
                route: self.route(),
            },
            deed,
            say: Some(say.to_owned()),
            alert: None,
            at: self.at,
            account: self.account,
        }))
    }
}
