//! What people do on the agent's own surface besides writing: they open it, and they stop it.

use serde::{Deserialize, Serialize};

use crate::channel::Aside;
use crate::domain::act::{Act, Deed, Whereabouts};
use crate::domain::identity::{Identifier, Strength};
use crate::domain::{DedupKey, Time};

use super::envelope::{Envelope, Reason, text};
use super::message::{is_direct, millis};
use super::policy::Policy;

/// Somebody pressed the stop button of a session (docs.slack.dev, `agent_session_stopped`).
pub(super) const STOPPED: &str = "agent_session_stopped";

/// Somebody opened a thread with an assistant (docs.slack.dev, `assistant_thread_started`).
pub(super) const STARTED: &str = "assistant_thread_started";

/// Somebody opened the direct message with an agent, or its home (docs.slack.dev, `app_home_opened`).
pub(super) const OPENED: &str = "app_home_opened";

/// Something to show on the surface, as it is passed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Gesture {
    /// Somebody opened it: they get suggestions.
    Opened {
        /// The direct message.
        channel: String,
        /// The thread in it. Agents have none before the person writes.
        thread_ts: Option<String>,
    },
    /// Somebody pressed stop: nothing is on its way any more.
    Stopped {
        /// The conversation.
        channel: String,
        /// The thread's root.
        thread_ts: String,
    },
}

/// What an event asks to show, if it asks for anything.
pub(super) fn aside(envelope: &Envelope) -> Option<Aside> {
    let event = envelope.event;
    let gesture = match text(event, "type")? {
        STARTED => {
            let thread = event.get("assistant_thread")?;
            Gesture::Opened {
                channel: text(thread, "channel_id")?.to_owned(),
                thread_ts: Some(text(thread, "thread_ts")?.to_owned()),
            }
        }
        OPENED if text(event, "tab") != Some("home") => Gesture::Opened {
            channel: text(event, "channel")?.to_owned(),
            thread_ts: None,
        },
        STOPPED => Gesture::Stopped {
            channel: text(event, "channel")?.to_owned(),
            thread_ts: text(event, "thread_ts")?.to_owned(),
        },
        _ => return None,
    };
    Some(Aside {
        account: envelope.account.clone(),
        what: serde_json::to_value(gesture).ok()?,
    })
}

/// A press of the stop button. It reaches what was written before it: Slack may deliver it late.
pub(super) fn stop(envelope: &Envelope, policy: &Policy, say: Option<String>) -> Result<Act, Reason> {
    const ODD: Reason = "malformed_event";
    let event = envelope.event;
    let field = |key: &str| text(event, key).filter(|text| !text.is_empty()).ok_or(ODD);
    let (channel, root, user) = (field("channel")?, field("thread_ts")?, field("user")?);
    policy.check_ids(channel, user, is_direct(event, channel))?;
    let account = &envelope.account;
    let pressed = text(event, "event_ts");
    let at = pressed.and_then(millis).map(Time::from_millis);
    let press = format!("{channel}:{root}:{}", pressed.unwrap_or_default());
    let event_id = envelope.event_id.map(|id| DedupKey::new(account, "event", id));
    let keys = event_id
        .into_iter()
        .chain([DedupKey::new(account, "stop", &press)]);
    Ok(Act {
        room: None,
        keys: keys.collect(),
        on: Whereabouts::Known {
            identifiers: vec![Identifier {
                alias: account.alias(&[channel, root]).ok_or(ODD)?,
                strength: Strength::Root,
            }],
        },
        deed: Deed::Stop,
        say,
        alert: None,
        at: at.or(envelope.at).ok_or(ODD)?,
        account: account.clone(),
    })
}
