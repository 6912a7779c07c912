//! The outside of what Slack's Events API posts: which installation it is for, and what it wraps.
//!
//! Everything is read leniently from a [`Value`]: Slack tells apps to expect fields that are new and fields that are
//! absent, so that neither may ever fail.

use serde_json::Value;

use crate::domain::{AccountKey, Time};

use super::NAME;

/// Why something is dropped: a short fixed word.
pub(super) type Reason = &'static str;

/// What was posted.
pub(super) enum Posted<'a> {
    /// Slack asks whether we live here; the challenge is the answer.
    Challenge(&'a str),
    /// Something happened.
    Event(Envelope<'a>),
}

/// An event, and for whom it is.
pub(super) struct Envelope<'a> {
    /// What happened.
    pub(super) event: &'a Value,
    /// The event's id: the same in every redelivery.
    pub(super) event_id: Option<&'a str>,
    /// The installation.
    pub(super) account: AccountKey,
    /// The organisation to which the workspace belongs, as an installation.
    pub(super) organisation: Option<AccountKey>,
    /// The workspace of the installation; none if a whole organisation installed the app.
    pub(super) team: Option<&'a str>,
    /// The bot's user id, as the installation names it.
    pub(super) bot_user: Option<&'a str>,
    /// When it happened, to the second.
    pub(super) at: Option<Time>,
    /// Whether the conversation is shared with another organisation.
    pub(super) shared: bool,
}

/// A field that is text.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// Reads what was posted.
pub(super) fn read(body: &Value) -> Result<Posted<'_>, Reason> {
    if !body.is_object() {
        return Err("not_an_object");
    }
    match text(body, "type") {
        Some("url_verification") => text(body, "challenge")
            .map(Posted::Challenge)
            .ok_or("challenge_missing"),
        Some("event_callback") => event(body).map(Posted::Event),
        Some("app_rate_limited") => {
            let minute = body.get("minute_rate_limited").and_then(Value::as_i64);
            tracing::warn!(
                team = text(body, "team_id"),
                minute,
                "Slack withholds events of this workspace for a minute: more than 30,000 came in an hour"
            );
            Err("app_rate_limited")
        }
        _ => Err("unknown_type"),
    }
}

fn event(body: &Value) -> Result<Envelope<'_>, Reason> {
    let event = body
        .get("event")
        .filter(|event| event.is_object())
        .ok_or("malformed_event")?;
    // In channels shared between workspaces the top-level team may be one where the app is not installed.
    let install = body.pointer("/authorizations/0").unwrap_or(&Value::Null);
    let flag = |key: &str| install.get(key).and_then(Value::as_bool) == Some(true);
    let team = text(install, "team_id").or_else(|| text(body, "team_id"));
    let organisation = text(install, "enterprise_id").filter(|_| flag("is_enterprise_install"));
    let account = organisation
        .or(team)
        .and_then(|id| AccountKey::new(NAME, id))
        .ok_or("malformed_event")?;
    Ok(Envelope {
        event,
        event_id: text(body, "event_id"),
        account,
        organisation: text(body, "enterprise_id").and_then(|id| AccountKey::new(NAME, id)),
        team: team.filter(|_| organisation.is_none()),
        bot_user: text(install, "user_id").filter(|_| flag("is_bot")),
        at: body
            .get("event_time")
            .and_then(Value::as_i64)
            .map(Time::from_secs),
        shared: body.get("is_ext_shared_channel").and_then(Value::as_bool) == Some(true),
    })
}
