//! Slack's events, as Slack would send them now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// One event in its envelope.
#[derive(Debug, Clone)]
pub(crate) struct SlackEvent(pub(crate) Value);

/// A message time stamp that was never given out: the present, to the microsecond.
fn fresh_ts() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_micros()).unwrap();
    let next = |last: u64| now.max(last + 1);
    let last = LAST
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)))
        .unwrap();
    let ts = next(last);
    format!("{}.{:06}", ts / 1_000_000, ts % 1_000_000)
}

fn fresh_id(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}{:08}", NEXT.fetch_add(1, Ordering::SeqCst))
}

impl SlackEvent {
    /// Somebody mentions the bot at the top level of a channel.
    pub(crate) fn mention(channel: &str, text: &str) -> Self {
        Self::build("app_mention", channel, &format!("<@U0BOT> {text}"))
    }

    /// Somebody writes at the top level of a channel.
    pub(crate) fn message(channel: &str, text: &str) -> Self {
        Self::build("message", channel, text).with("channel_type", "channel")
    }

    /// Somebody writes to the bot directly.
    pub(crate) fn dm(channel: &str, text: &str) -> Self {
        Self::build("message", channel, text).with("channel_type", "im")
    }

    /// Somebody presses the stop button of a thread with the bot.
    pub(crate) fn stopped(channel: &str, root: &str) -> Self {
        Self::gesture("agent_session_stopped")
            .with("channel", channel)
            .with("thread_ts", root)
            .with("user", "U1")
            .with("streaming_message_ts", json!([]))
    }

    /// Somebody opens a tab of the app.
    pub(crate) fn opened(channel: &str, tab: &str) -> Self {
        Self::gesture("app_home_opened")
            .with("channel", channel)
            .with("user", "U1")
            .with("tab", tab)
    }

    /// An event of this type with nothing in it but its time.
    pub(crate) fn gesture(kind: &str) -> Self {
        let mut event = Self::build(kind, "", "");
        let ts = event.ts();
        event.0["event"] = json!({"type": kind, "event_ts": ts});
        event
    }

    fn build(kind: &str, channel: &str, text: &str) -> Self {
        let ts = fresh_ts();
        Self(json!({
            "token": "deprecated", "team_id": "T1", "api_app_id": "A1", "type": "event_callback",
            "event_id": fresh_id("Ev"), "event_time": super::unix_now(),
            "event": {"type": kind, "user": "U1", "team": "T1", "channel": channel, "text": text, "ts": ts,
                "event_ts": ts, "client_msg_id": fresh_id("5c2a0202-609a-4fcb-ad51-"),
                "blocks": [{"type": "rich_text", "block_id": "b1", "elements": []}]},
            "authorizations": [{"enterprise_id": null, "team_id": "T1", "user_id": "U0BOT", "is_bot": true,
                "is_enterprise_install": false}],
            "is_ext_shared_channel": false, "event_context": "4-abc",
        }))
    }

    /// The same as a reply in the thread of this root.
    pub(crate) fn in_thread(self, root: &str) -> Self {
        self.with("thread_ts", root).with("parent_user_id", "U1")
    }

    /// The same from another user.
    pub(crate) fn by(self, user: &str) -> Self {
        self.with("user", user)
    }

    /// The same with a field of the event set.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["event"][field] = value.into();
        self
    }

    /// The same without a field of the event.
    pub(crate) fn without(mut self, field: &str) -> Self {
        self.0["event"].as_object_mut().unwrap().remove(field);
        self
    }

    /// The same with a field of the envelope set.
    pub(crate) fn envelope(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0[field] = value.into();
        self
    }

    /// The same message under a fresh event id, as Slack sends it for another subscription.
    pub(crate) fn again(mut self) -> Self {
        self.0["event_id"] = fresh_id("Ev").into();
        self
    }

    /// The `message` event that accompanies this `app_mention`: the same message, another event id.
    pub(crate) fn twin(&self) -> Self {
        self.clone()
            .again()
            .with("type", "message")
            .with("channel_type", "channel")
    }

    /// The message's time stamp.
    pub(crate) fn ts(&self) -> String {
        self.0["event"]["ts"].as_str().unwrap().to_owned()
    }
}
