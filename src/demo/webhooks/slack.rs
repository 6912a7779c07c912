//! Slack's Events API, from its own side.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderName;
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Signed, now};
use crate::channel::signature;

/// Where the daemon takes events.
const PATH: &str = "/slack/events";

/// The headers of a signed request (docs.slack.dev, "Verifying requests from Slack").
const SIGNATURE: HeaderName = HeaderName::from_static("x-slack-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-slack-request-timestamp");

/// Where the app is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The workspace.
    pub team: String,
    /// The bot's user id there.
    pub bot: String,
}

/// A message that a person writes.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Where: an id that begins with `D` is a direct message to the bot.
    pub channel: &'a str,
    /// Who.
    pub user: &'a str,
    /// The root of the thread it is a reply in.
    pub thread: Option<&'a str>,
    /// The text, as Slack stores it.
    pub text: &'a str,
}

/// The name of a message that is written now: no two are equal.
pub fn fresh_ts() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = u64::try_from(now().as_micros()).unwrap_or(u64::MAX / 2);
    let next = |last: u64| now.max(last + 1);
    let last = LAST.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)));
    let ts = next(last.unwrap_or_default());
    format!("{}.{:06}", ts / 1_000_000, ts % 1_000_000)
}

/// The events that a message causes, in the order in which they are sent. At the top level of a channel the bot is
/// mentioned, and such a message comes as `app_mention` and as `message`, under two event ids.
pub fn events(installation: &Installation, message: &Message<'_>) -> Vec<Value> {
    let direct = message.channel.starts_with('D');
    let mentions = !direct && message.thread.is_none();
    let text = if mentions {
        format!("<@{}> {}", installation.bot, message.text)
    } else {
        message.text.to_owned()
    };
    let ts = fresh_ts();
    let mut event = json!({
        "type": "message",
        "user": message.user,
        "ts": ts,
        "client_msg_id": Uuid::now_v7().to_string(),
        "text": text,
        "team": installation.team,
        "channel": message.channel,
        "event_ts": ts,
        "channel_type": if direct { "im" } else { "channel" },
    });
    if let Some(root) = message.thread {
        event["thread_ts"] = root.into();
    }
    let mut events = Vec::new();
    if mentions {
        let mut mention = event.clone();
        mention["type"] = "app_mention".into();
        if let Some(fields) = mention.as_object_mut() {
            fields.remove("channel_type");
        }
        events.push(envelope(installation, &mention));
    }
    events.push(envelope(installation, &event));
    events
}

fn envelope(installation: &Installation, event: &Value) -> Value {
    json!({
        "token": "unused",
        "team_id": installation.team,
        "api_app_id": "A0DEMOAPP",
        "event": event,
        "type": "event_callback",
        "event_id": format!("Ev{}", Uuid::now_v7().simple()),
        "event_time": now().as_secs(),
        "authorizations": [{
            "enterprise_id": null,
            "team_id": installation.team,
            "user_id": installation.bot,
            "is_bot": true,
            "is_enterprise_install": false,
        }],
        "is_ext_shared_channel": false,
    })
}

/// Signs a body under the app's signing secret, with the present time.
pub fn sign(secret: &SecretString, body: Vec<u8>) -> Signed {
    let timestamp = now().as_secs().to_string();
    let digest = signature::sign(secret, &[b"v0:", timestamp.as_bytes(), b":", &body]);
    Signed {
        path: PATH,
        headers: vec![(TIMESTAMP, timestamp), (SIGNATURE, format!("v0={digest}"))],
        body,
    }
}
