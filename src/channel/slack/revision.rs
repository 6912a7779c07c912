//! What people do to a message after they wrote it: they change it or take it back.
//!
//! Slack tells of both by `message` events of a subtype of their own. `message_changed` also comes when a bot updates
//! its post, when a link is unfurled and when Slack has found out a text's language: only a change by the writer
//! counts, and only of the text.

use serde_json::Value;

use crate::domain::act::{Edit, Withdrawal};
use crate::domain::identity::{Identifier, Strength};
use crate::domain::message::{Arrival, Opens};
use crate::domain::{DedupKey, Time};

use super::envelope::{Envelope, Reason, text};
use super::message::{is_direct, millis};
use super::words;

/// The subtype that a message with replies gets when it is deleted: it stays as a stone above them.
const TOMBSTONE: &str = "tombstone";

/// Reads such an event; none if it is another one. `rooted`: whether messages at the top level of a direct message are
/// roots of threads.
pub(super) fn read(
    envelope: &Envelope,
    rooted: bool,
    is_bot: impl Fn(&str) -> bool,
) -> Option<Result<Arrival, Reason>> {
    let event = envelope.event;
    match text(event, "subtype")? {
        "message_changed" => Some(changed(envelope, rooted, is_bot)),
        "message_deleted" => Some(deleted(envelope, rooted, is_bot)),
        _ => None,
    }
}

fn changed(envelope: &Envelope, rooted: bool, is_bot: impl Fn(&str) -> bool) -> Result<Arrival, Reason> {
    const LEFT: Reason = "message_changed";
    let event = envelope.event;
    let message = event.get("message").ok_or(LEFT)?;
    if text(message, "subtype") == Some(TOMBSTONE) {
        return deleted(envelope, rooted, is_bot);
    }
    let before = event.get("previous_message").unwrap_or(&Value::Null);
    let user = text(message, "user").ok_or(LEFT)?;
    let edited = message
        .get("edited")
        .filter(|edited| edited.is_object())
        .ok_or(LEFT)?;
    let by_another = text(edited, "user").is_some_and(|by| by != user);
    let by_bot = ["bot_id", "bot_profile"]
        .iter()
        .any(|key| message.get(key).is_some_and(|value| !value.is_null()));
    let new = text(message, "text").unwrap_or_default();
    if by_another || by_bot || is_bot(user) || text(before, "text") == Some(new) {
        return Err(LEFT);
    }
    let (old, words) = (
        text(before, "text").map(|text| words::read(text, &is_bot)),
        words::read(new, &is_bot),
    );
    let place = Place::of(envelope, message, text(message, "ts").ok_or(LEFT)?, rooted).ok_or(LEFT)?;
    // Talk at the top level of a channel was never for us.
    let for_us = place.direct || !place.is_root || words.mentions_bot;
    if !for_us && old.is_some_and(|old| !old.mentions_bot) {
        return Err(LEFT);
    }
    // The event's own time tells two changes within a second apart; Slack gives `edited` to the second.
    let when = text(event, "event_ts").or_else(|| text(edited, "ts"));
    let edited_at = when.and_then(millis).map(Time::from_millis).ok_or(LEFT)?;
    Ok(place.edit(envelope, words.text, edited_at))
}

fn deleted(envelope: &Envelope, rooted: bool, is_bot: impl Fn(&str) -> bool) -> Result<Arrival, Reason> {
    const LEFT: Reason = "message_deleted";
    let event = envelope.event;
    let before = event.get("previous_message").unwrap_or(&Value::Null);
    let ts = text(event, "deleted_ts")
        .or_else(|| text(before, "ts"))
        .ok_or(LEFT)?;
    let place = Place::of(envelope, before, ts, rooted).ok_or(LEFT)?;
    let mentioned = text(before, "text").map(|text| words::read(text, &is_bot).mentions_bot);
    if !place.direct && place.is_root && mentioned == Some(false) {
        return Err(LEFT);
    }
    if text(before, "user").is_some_and(&is_bot) || before.get("bot_id").is_some_and(|id| !id.is_null()) {
        return Err(LEFT);
    }
    Ok(place.withdraw(envelope, mentioned == Some(true)))
}

/// The change that an edited mention tells of: it also comes where the app hears of nothing but mentions.
pub(super) fn of_mention(envelope: &Envelope, ts: &str, text_now: &str) -> Option<Arrival> {
    let edited = envelope.event.get("edited")?;
    let edited_at = text(edited, "ts").and_then(millis).map(Time::from_millis)?;
    let place = Place::of(envelope, envelope.event, ts, false)?;
    Some(place.edit(envelope, text_now.to_owned(), edited_at))
}

/// Where the message stood.
struct Place {
    direct: bool,
    /// Whether it is, or could be, the root of a thread.
    is_root: bool,
    name: Identifier,
    key: String,
    ts: String,
}

impl Place {
    fn of(envelope: &Envelope, message: &Value, ts: &str, rooted: bool) -> Option<Self> {
        let channel = text(envelope.event, "channel")?;
        let direct = is_direct(envelope.event, channel);
        // A root that has replies names itself.
        let root = text(message, "thread_ts").filter(|root| *root != ts);
        let parts = match (root, direct && !rooted) {
            (Some(root), _) => vec![channel, root],
            (None, true) => vec![channel],
            (None, false) => vec![channel, ts],
        };
        Some(Self {
            direct,
            is_root: root.is_none(),
            name: Identifier {
                alias: envelope.account.alias(&parts)?,
                strength: Strength::Root,
            },
            key: format!("{channel}:{ts}"),
            ts: ts.to_owned(),
        })
    }

    /// A change; one that leaves no words is a withdrawal.
    fn edit(self, envelope: &Envelope, text: String, edited_at: Time) -> Arrival {
        if text.is_empty() {
            return Arrival::Withdraw(Withdrawal {
                account: envelope.account.clone(),
                keys: Vec::new(),
                identifiers: vec![self.name],
                opens: Opens::Nothing,
                platform_id: self.ts,
            });
        }
        Arrival::Edit(Edit {
            account: envelope.account.clone(),
            identifiers: vec![self.name],
            platform_id: self.ts,
            text,
            edited_at,
        })
    }

    fn withdraw(self, envelope: &Envelope, mentioned: bool) -> Arrival {
        let opens = if self.direct || mentioned {
            Opens::Thread
        } else {
            Opens::Nothing
        };
        Arrival::Withdraw(Withdrawal {
            account: envelope.account.clone(),
            keys: vec![DedupKey::new(&envelope.account, "ts", &self.key)],
            identifiers: vec![self.name],
            opens,
            platform_id: self.ts,
        })
    }
}
