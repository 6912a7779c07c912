//! Sending a part, and looking whether one that may have been sent is there.
//!
//! Slack has no idempotency key. Each part carries its delivery id in the message's `metadata`, which everybody in
//! the channel may read and nobody sees; that is how it is found again.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};

use crate::channel::{LookUp, SendDisposition, SendError, Sent, UnknownPolicy};
use crate::domain::Time;
use crate::domain::delivery::SendClaim;
use crate::domain::message::Route;

use super::buttons::Buttons;
use super::client::{Client, DEFAULT_PAUSE, Trouble};
use super::errors::{self, Class};

/// The `event_type` of the metadata that marks our messages.
pub(super) const EVENT_TYPE: &str = "chatbridge_delivery";

/// The method that posts.
pub(super) const POST: &str = "chat.postMessage";

/// How many messages a page of a look-up holds: the most that docs.slack.dev recommends.
const PAGE: &str = "200";

/// How many pages are read at most. Only what is newer than the delivery is asked for, so that one nearly always does.
const PAGES: usize = 5;

/// How much the clocks of Slack and this machine may differ.
const SKEW: Duration = Duration::from_mins(5);

/// For how long after the attempt a look-up that Slack limits is tried. Apps under its limit of 2025 have one call a
/// minute.
const PATIENCE_LIMITED: Duration = Duration::from_mins(5);

/// The same while Slack cannot be asked at all.
const PATIENCE_DOWN: Duration = Duration::from_hours(1);

/// When to look again while Slack cannot be asked.
const AGAIN: Duration = Duration::from_secs(5);

/// When to look again while Slack refuses the token: sending would not work either.
const AGAIN_REFUSED: Duration = Duration::from_mins(1);

/// Refusals of a token that may send all the same.
const MAY_NOT_READ: [&str; 4] = [
    "missing_scope",
    "no_permission",
    "access_denied",
    "not_allowed_token_type",
];

/// Where a reply goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The conversation.
    pub(super) channel: String,
    /// The thread's root; none at the top level of a direct message.
    pub(super) thread_ts: Option<String>,
}

impl Target {
    /// The method that reads there.
    pub(super) fn read_method(&self) -> &'static str {
        if self.thread_ts.is_some() {
            "conversations.replies"
        } else {
            "conversations.history"
        }
    }

    /// As it is stored.
    pub(super) fn to_route(&self) -> Route {
        match &self.thread_ts {
            Some(thread_ts) => json!({ "channel": self.channel, "thread_ts": thread_ts }),
            None => json!({ "channel": self.channel }),
        }
    }

    /// As it was stored.
    pub(super) fn from_route(route: &Route) -> Option<Self> {
        let text = |key: &str| route.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            channel: text("channel")?,
            thread_ts: text("thread_ts"),
        })
    }
}

/// What it means that a thread's route leads nowhere.
pub(super) fn unreadable() -> SendError {
    SendError {
        code: "route_unreadable".to_owned(),
        message: "the thread's route names no Slack channel; let the person write once more, then replay"
            .to_owned(),
        disposition: SendDisposition::Dead,
    }
}

/// Sends a part, the last of an answer with the buttons below it.
pub(super) async fn send(
    client: &Client,
    token: &SecretString,
    target: &Target,
    claim: &SendClaim,
    buttons: Option<&Buttons>,
) -> Result<Sent, SendError> {
    let mut message = marked(target, claim);
    let blocks = buttons.filter(|_| claim.last);
    if let Some(blocks) = blocks.and_then(|buttons| buttons.blocks(&claim.body, claim.delivery)) {
        message["blocks"] = blocks;
    }
    let outcome = match post(client, token, &message).await {
        Err(Trouble::Refused(code)) if errors::look(&code).0 == Class::Ours => {
            tracing::warn!(delivery = %claim.delivery, code, "Slack does not take the message; trying it bare");
            post(client, token, &bare(target, claim)).await
        }
        outcome => outcome,
    };
    outcome.map_err(errors::send_error)
}

async fn post(client: &Client, token: &SecretString, message: &Value) -> Result<Sent, Trouble> {
    let answer = client.post(POST, token, message).await?;
    Ok(Sent {
        platform_id: answer.get("ts").and_then(Value::as_str).map(str::to_owned),
    })
}

/// The least that says it: for a Slack that objects to the rest. Its text is escaped like any.
fn bare(target: &Target, claim: &SendClaim) -> Value {
    let mut message = json!({
        "channel": target.channel,
        "text": claim.body,
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
    });
    if let Some(thread_ts) = &target.thread_ts {
        message["thread_ts"] = json!(thread_ts);
    }
    message
}

fn marked(target: &Target, claim: &SendClaim) -> Value {
    let mut message = bare(target, claim);
    message["parse"] = json!("none");
    message["link_names"] = json!(false);
    message["metadata"] = json!({
        "event_type": EVENT_TYPE,
        "event_payload": { "delivery": claim.delivery.to_string() },
    });
    message
}

/// Looks for a part that may have been sent.
pub(super) async fn look_up(
    client: &Client,
    token: &SecretString,
    target: &Target,
    claim: &SendClaim,
    now: Time,
    limited: impl FnOnce(Duration),
) -> LookUp {
    match search(client, token, target, claim).await {
        Ok(found) => found,
        Err(trouble) => {
            if let Trouble::Limited(pause) = &trouble {
                limited(*pause);
            }
            verdict(trouble, waited(claim, now))
        }
    }
}

/// How long ago the attempt was.
pub(super) fn waited(claim: &SendClaim, now: Time) -> Duration {
    now.since(claim.last_attempt_at.unwrap_or(claim.created_at))
}

/// Reads the thread, or the top level of a direct message, from when the delivery was made.
async fn search(
    client: &Client,
    token: &SecretString,
    target: &Target,
    claim: &SendClaim,
) -> Result<LookUp, Trouble> {
    let oldest = claim.created_at.minus(SKEW).secs().max(0).to_string();
    let mut cursor = String::new();
    for _ in 0..PAGES {
        let mut arguments = vec![
            ("channel", target.channel.as_str()),
            ("include_all_metadata", "true"),
            ("limit", PAGE),
            ("oldest", &oldest),
        ];
        if !cursor.is_empty() {
            arguments.push(("cursor", &cursor));
        }
        if let Some(thread_ts) = &target.thread_ts {
            arguments.push(("ts", thread_ts));
        }
        let page = client.get(target.read_method(), token, &arguments).await?;
        let messages = page
            .get("messages")
            .and_then(Value::as_array)
            .ok_or(Trouble::Garbled)?;
        if let Some(ours) = messages.iter().find(|message| carries(message, claim)) {
            return Ok(LookUp::Found {
                platform_id: ours.get("ts").and_then(Value::as_str).map(str::to_owned),
            });
        }
        match page
            .pointer("/response_metadata/next_cursor")
            .and_then(Value::as_str)
        {
            Some(next) if !next.is_empty() => next.clone_into(&mut cursor),
            _ => return Ok(LookUp::Absent),
        }
    }
    Ok(LookUp::Unknowable(UnknownPolicy::Resend))
}

/// Whether this message is the claimed part.
fn carries(message: &Value, claim: &SendClaim) -> bool {
    let Some(metadata) = message.get("metadata") else {
        return false;
    };
    metadata.get("event_type").and_then(Value::as_str) == Some(EVENT_TYPE)
        && metadata
            .pointer("/event_payload/delivery")
            .and_then(Value::as_str)
            == Some(claim.delivery.to_string().as_str())
}

/// What it means that the look-up failed, so long after the attempt.
pub(super) fn verdict(trouble: Trouble, waited: Duration) -> LookUp {
    let (again, patience) = match &trouble {
        Trouble::Limited(after) => ((*after).max(DEFAULT_PAUSE), PATIENCE_LIMITED),
        Trouble::Refused(code) => match errors::look(code) {
            (Class::Passing | Class::Ambiguous | Class::Slow | Class::Limited, _) => (AGAIN, PATIENCE_DOWN),
            _ if MAY_NOT_READ.contains(&code.as_str()) => return unknowable(trouble),
            (Class::Installation, _) => (AGAIN_REFUSED, PATIENCE_DOWN),
            _ => return unknowable(trouble),
        },
        Trouble::Call(_) | Trouble::Status(_) | Trouble::Garbled => (AGAIN, PATIENCE_DOWN),
    };
    if waited > patience {
        unknowable(trouble)
    } else {
        LookUp::Later(again)
    }
}

fn unknowable(trouble: Trouble) -> LookUp {
    let error = errors::send_error(trouble);
    tracing::warn!(
        code = error.code,
        "cannot look whether a message was sent, so it is sent again: {error}; \
         reading needs the scopes channels:history, groups:history, im:history and mpim:history"
    );
    LookUp::Unknowable(UnknownPolicy::Resend)
}
