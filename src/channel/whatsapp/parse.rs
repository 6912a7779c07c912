//! The walk through a webhook: every entry, change and item by itself, so that a broken one never costs its
//! neighbours anything. Meta puts up to 1,000 of them into one POST.

use std::time::Duration;

use serde_json::Value;
use tracing::warn;

use super::accounts::Accounts;
use super::apps::Apps;
use super::echoes::Echo;
use super::kinds::Sort;
use super::people::Person;
use super::receipts::Status;
use super::renames::System;
use super::{NAME, contents, echoes, errors, json, kinds, receipts, renames, revisions};
use crate::channel::Received;
use crate::domain::account::is_plain_id;
use crate::domain::message::{Arrival, Inbound, Opens, Treatment};
use crate::domain::{AccountKey, DedupKey, Time};

/// The only `object` whose webhooks are for us.
const OBJECT: &str = "whatsapp_business_account";

/// The longest id of a message that is believed, in bytes; Meta's have fewer than 100.
const LONGEST_MESSAGE_ID: usize = 512;

/// A time before WhatsApp was founded (2009) is none.
const EARLIEST: Time = Time::from_secs(1_230_768_000);

/// Why something is dropped.
mod reasons {
    pub(super) const MALFORMED: &str = "malformed_item";
    pub(super) const OTHER_OBJECT: &str = "other_object";
    pub(super) const OTHER_FIELD: &str = "other_field";
    pub(super) const OTHER_NUMBER: &str = "other_number";
    pub(super) const OTHER_APP: &str = "other_app";
    pub(super) const OTHER_STATUS: &str = "other_status";
    pub(super) const ECHO: &str = "echo";
    pub(super) const STANDBY: &str = "standby";
    pub(super) const GROUP: &str = "group";
    pub(super) const SYSTEM: &str = "system";
    pub(super) const ACCOUNT_ERROR: &str = "account_error";
    pub(super) const EMPTY: &str = "empty_change";
}

/// What reading depends on.
pub(super) struct Context<'a> {
    /// The `phone_number_id`s that are served; empty: all.
    pub numbers: &'a [String],
    /// Which app may speak for which number.
    pub apps: &'a Apps,
    /// Which of their secrets this was signed with.
    pub signer: usize,
    /// What a person is told who sent something other than text, if anything.
    pub only_text: Option<&'a str>,
    /// What a person is told whose words came with a file, if anything.
    pub file_not_read: Option<&'a str>,
    /// For how long the bot is silent where a colleague has written; zero: it is not.
    pub echo_pause: Duration,
    /// Takes note of which numbers stand in which account.
    pub accounts: &'a Accounts,
    /// The present time.
    pub now: Time,
}

/// Reads a webhook. Whatever is in it, it is understood as far as possible: Meta delivers again for a week what is
/// not acknowledged.
pub(super) fn webhook(body: &Value, context: &Context<'_>) -> Received {
    let mut walk = Walk {
        context,
        arrivals: Vec::new(),
        dropped: Vec::new(),
    };
    if json::text(body, "object") == Some(OBJECT) {
        walk.each(body, "entry", |walk, entry| {
            let waba = json::scalar(entry, "id").filter(|id| is_plain_id(id));
            walk.each(entry, "changes", |walk, change| {
                walk.change(change, waba.as_deref());
            });
        });
    } else {
        walk.dropped.push(reasons::OTHER_OBJECT);
    }
    // Meta promises no order; within one POST its times tell it. Those of one second stay as they came.
    walk.arrivals.sort_by_key(|(at, _)| *at);
    let arrivals = walk.arrivals.into_iter().map(|(_, arrival)| arrival).collect();
    Received {
        arrivals,
        dropped: walk.dropped,
        ..Received::default()
    }
}

/// The id of a message or status: printable ASCII, not too long.
pub(super) fn message_id(item: &Value) -> Option<String> {
    plain_message_id(json::text(item, "id")?)
}

/// The same of an id that is at hand.
pub(super) fn plain_message_id(id: &str) -> Option<String> {
    let plain = !id.is_empty() && id.len() <= LONGEST_MESSAGE_ID && id.bytes().all(|b| b.is_ascii_graphic());
    plain.then(|| id.to_owned())
}

/// What makes a second delivery of a message recognisable.
pub(super) fn key_of_message(account: &AccountKey, id: &str) -> DedupKey {
    DedupKey::new(account, "message", id)
}

struct Walk<'a> {
    context: &'a Context<'a>,
    arrivals: Vec<(Time, Arrival)>,
    dropped: Vec<&'static str>,
}

impl Walk<'_> {
    /// Visits the items of a list that must be there.
    fn each(&mut self, parent: &Value, name: &str, visit: impl Fn(&mut Self, &Value)) {
        match parent.get(name).and_then(Value::as_array) {
            Some(items) => items.iter().for_each(|item| visit(self, item)),
            None => self.dropped.push(reasons::MALFORMED),
        }
    }

    /// One of `changes`, of this WhatsApp Business Account.
    fn change(&mut self, change: &Value, waba: Option<&str>) {
        let visit: fn(&mut Self, &Value, &AccountKey) = match json::text(change, "field") {
            Some("messages") => Self::value,
            Some("smb_message_echoes") => Self::echoes,
            Some("standby") => return self.dropped.push(reasons::STANDBY),
            Some(_) => return self.dropped.push(reasons::OTHER_FIELD),
            None => return self.dropped.push(reasons::MALFORMED),
        };
        let value = change.get("value").unwrap_or(&Value::Null);
        match account_of(value) {
            Some(account)
                if !self
                    .context
                    .apps
                    .speaks_for(self.context.signer, account.account()) =>
            {
                warn!(
                    number = account.account(),
                    "a webhook for this number was signed by an app that may not speak for it: compare the app_secret of its \
                     [[whatsapp.numbers]] with the app's"
                );
                self.dropped.push(reasons::OTHER_APP);
            }
            Some(account) if self.serves(&account) => {
                if let Some(waba) = waba {
                    self.context.accounts.learn(&account, waba);
                }
                visit(self, value, &account);
            }
            Some(_) => self.dropped.push(reasons::OTHER_NUMBER),
            None => self.dropped.push(reasons::MALFORMED),
        }
    }

    fn serves(&self, account: &AccountKey) -> bool {
        let numbers = self.context.numbers;
        numbers.is_empty() || numbers.iter().any(|number| number == account.account())
    }

    /// The `value` of a change of field `messages`, for one of our numbers.
    fn value(&mut self, value: &Value, account: &AccountKey) {
        let contacts = value
            .get("contacts")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let lists =
            ["messages", "statuses", "errors"].map(|name| value.get(name).filter(|list| !list.is_null()));
        if lists.iter().all(Option::is_none) {
            return self.dropped.push(reasons::EMPTY);
        }
        let [messages, statuses, errors] = lists.map(|list| list.is_some());
        if messages {
            self.each(value, "messages", |walk, message| {
                walk.message(message, contacts, account);
            });
        }
        if statuses {
            self.each(value, "statuses", |walk, status| walk.status(status, account));
        }
        if errors {
            self.each(value, "errors", |walk, error| {
                let code = json::scalar(error, "code").unwrap_or_default();
                let remedy = code.parse().ok().and_then(errors::remedy);
                let said = errors::words(error);
                warn!(
                    number = account.account(),
                    code, remedy, said, "Meta reports a trouble with the number"
                );
                walk.dropped.push(reasons::ACCOUNT_ERROR);
            });
        }
    }

    /// The `value` of a change of field `smb_message_echoes`: what colleagues wrote in the Business app.
    fn echoes(&mut self, value: &Value, account: &AccountKey) {
        self.each(value, "message_echoes", |walk, echo| {
            let at = walk.time_of(echo);
            match echoes::read(echo, account, at, walk.context.echo_pause) {
                Echo::Wrote(take_over) => walk.arrivals.push((at, Arrival::TakeOver(take_over))),
                Echo::Left => walk.dropped.push(reasons::ECHO),
                Echo::Malformed => walk.dropped.push(reasons::MALFORMED),
            }
        });
    }

    /// One of `messages`.
    fn message(&mut self, message: &Value, contacts: &[Value], account: &AccountKey) {
        if message.get("group_id").is_some_and(|id| !id.is_null()) {
            return self.dropped.push(reasons::GROUP);
        }
        let (Some(id), Some(kind)) = (message_id(message), json::text(message, "type")) else {
            return self.dropped.push(reasons::MALFORMED);
        };
        let at = self.time_of(message);
        let kind = kinds::of(kind);
        if kind.sort == Sort::System {
            return match renames::read(message, &id, account, at) {
                System::Renamed(change) => self.arrivals.push((at, Arrival::Identity(change))),
                System::Other => self.dropped.push(reasons::SYSTEM),
                System::Malformed => self.dropped.push(reasons::MALFORMED),
            };
        }
        let writer = Person::writer(message, contacts);
        let arrival = writer.and_then(|writer| match kind.sort {
            Sort::Edit => revisions::edit(message, &writer, account, at),
            Sort::Revoke => revisions::revoke(message, &writer, account),
            Sort::Message | Sort::System => {
                let inbound = self.inbound(message, &writer, account, id, kind);
                inbound.map(Arrival::Message)
            }
        });
        match arrival {
            Some(arrival) => self.arrivals.push((at, arrival)),
            None => self.dropped.push(reasons::MALFORMED),
        }
    }

    /// A message of a person.
    fn inbound(
        &self,
        message: &Value,
        person: &Person,
        account: &AccountKey,
        id: String,
        kind: &kinds::Kind,
    ) -> Option<Inbound> {
        let (text, treatment) = self.treatment(kind, (kind.words)(message))?;
        let text = contents::framed(message, text);
        Some(Inbound {
            account: account.clone(),
            keys: vec![key_of_message(account, &id)],
            identifiers: person.identifiers(account),
            opens: Opens::Thread,
            place: None,
            address: person.address(account)?,
            route: person.route(),
            country: person.country(),
            platform_id: id,
            sent_at: self.time_of(message),
            text,
            quotes: contents::quotes(message),
            treatment,
        })
    }

    /// What to do with these words of a message of this kind; none if it is malformed.
    fn treatment(&self, kind: &kinds::Kind, words: kinds::Words) -> Option<(String, Treatment)> {
        match words {
            kinds::Words::Written(text) if text.is_empty() => Some((
                text,
                Treatment::Ignore {
                    reason: "empty",
                    notice: None,
                },
            )),
            kinds::Words::Written(text) => Some((text, Treatment::Ask)),
            kinds::Words::BelowFile(text) => {
                let notice = self.context.file_not_read.map(str::to_owned);
                Some((text, notice.map_or(Treatment::Ask, Treatment::AskAndTell)))
            }
            kinds::Words::None => {
                let notice = self.context.only_text.filter(|_| kind.told).map(str::to_owned);
                Some((
                    String::new(),
                    Treatment::Ignore {
                        reason: kind.reason,
                        notice,
                    },
                ))
            }
            kinds::Words::Malformed => None,
        }
    }

    /// One of `statuses`.
    fn status(&mut self, status: &Value, account: &AccountKey) {
        let at = self.time_of(status);
        match receipts::read(status, account, at) {
            Status::Told(receipt) => self.arrivals.push((at, Arrival::Receipt(receipt))),
            Status::Other => self.dropped.push(reasons::OTHER_STATUS),
            Status::Malformed => self.dropped.push(reasons::MALFORMED),
        }
    }

    /// When an item happened: `timestamp`, in seconds; now, if that is missing, absurd or still to come.
    fn time_of(&self, item: &Value) -> Time {
        let told = json::scalar(item, "timestamp")
            .and_then(|text| text.trim().parse().ok())
            .map(Time::from_secs);
        told.filter(|at| (EARLIEST..=self.context.now).contains(at))
            .unwrap_or(self.context.now)
    }
}

/// The installation that a change concerns. The id becomes part of a URL, so it is letters and digits only.
fn account_of(value: &Value) -> Option<AccountKey> {
    let id = json::scalar(value.get("metadata")?, "phone_number_id")?;
    id.bytes()
        .all(|b| b.is_ascii_alphanumeric())
        .then(|| AccountKey::new(NAME, &id))?
}
