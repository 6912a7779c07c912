//! One message of Slack's: its parts, and what the bridge calls them.

use serde_json::Value;

use crate::domain::identity::{Identifier, Strength};
use crate::domain::message::{Inbound, Opens, Treatment};
use crate::domain::{DedupKey, Time};

use super::deliver::Target;
use super::envelope::{Envelope, Reason, text};

/// The most digits of the seconds of a `ts`: enough for the year 33658, and never too many for a number.
const MOST_DIGITS: usize = 12;

/// What every message has, whatever kind it is of.
pub(super) struct Message<'a> {
    /// The event that brought it.
    pub(super) event: &'a Value,
    /// The conversation.
    pub(super) channel: &'a str,
    /// Whether that is a direct message to the bot.
    pub(super) direct: bool,
    /// Who wrote.
    pub(super) user: &'a str,
    /// Its own name within the conversation, and the time it was written.
    pub(super) ts: &'a str,
    /// The root of the thread that it is a reply in.
    pub(super) thread_ts: Option<&'a str>,
    /// When it was written.
    pub(super) sent_at: Time,
}

impl<'a> Message<'a> {
    /// Reads an event that is a message. Without its conversation, its writer and its `ts` it is none.
    pub(super) fn read(event: &'a Value) -> Result<Self, Reason> {
        let field = |key: &str| {
            text(event, key)
                .filter(|text| !text.is_empty())
                .ok_or("malformed_event")
        };
        let (channel, user, ts) = (field("channel")?, field("user")?, field("ts")?);
        // A reply that is also shown in the channel names its root once more.
        let in_root = || text(event.get("root")?, "ts");
        let thread_ts = match event.get("thread_ts") {
            None | Some(Value::Null) => in_root(),
            Some(thread_ts) => Some(thread_ts.as_str().ok_or("malformed_event")?),
        };
        if thread_ts.is_some_and(|thread_ts| millis(thread_ts).is_none()) {
            return Err("malformed_event");
        }
        Ok(Self {
            event,
            channel,
            direct: is_direct(event, channel),
            user,
            ts,
            thread_ts,
            sent_at: millis(ts).map(Time::from_millis).ok_or("malformed_event")?,
        })
    }

    /// Whether files came with it.
    pub(super) fn has_files(&self) -> bool {
        self.event
            .get("files")
            .and_then(Value::as_array)
            .is_some_and(|files| !files.is_empty())
    }

    /// The message in the bridge's own words. `rooted`: whether it is the root of a thread even at the top level of a
    /// direct message.
    pub(super) fn inbound(
        &self,
        envelope: &Envelope,
        rooted: bool,
        opens: Opens,
        text: String,
        treatment: Treatment,
    ) -> Result<Inbound, Reason> {
        let account = &envelope.account;
        let root = if self.direct && !rooted {
            self.thread_ts
        } else {
            Some(self.thread_ts.unwrap_or(self.ts))
        };
        let parts = [Some(self.channel), root];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        let address = account.alias(&parts).ok_or("malformed_event")?;
        let target = Target {
            channel: self.channel.to_owned(),
            thread_ts: root.map(str::to_owned),
        };
        Ok(Inbound {
            account: account.clone(),
            keys: self.keys(envelope, &treatment),
            identifiers: vec![Identifier {
                alias: address.clone(),
                strength: Strength::Root,
            }],
            opens,
            place: Some(self.channel.to_owned()),
            address,
            route: target.to_route(),
            country: None,
            platform_id: self.ts.to_owned(),
            sent_at: self.sent_at,
            text,
            quotes: None,
            treatment,
        })
    }

    /// A redelivery has the event's id; a mention comes as two events with one `ts`, an edited one once more; and now
    /// and then one gesture as two messages with one `client_msg_id`.
    fn keys(&self, envelope: &Envelope, treatment: &Treatment) -> Vec<DedupKey> {
        let key = |kind: &str, id: &str| DedupKey::new(&envelope.account, kind, id);
        let place = format!("{}:{}", self.channel, self.ts);
        let event = envelope.event_id.map(|id| key("event", id));
        let rest = match treatment {
            Treatment::Ask | Treatment::AskAndTell(_) => {
                let gesture = text(self.event, "client_msg_id").filter(|id| !id.is_empty());
                [Some(key("ts", &place)), gesture.map(|id| key("client_msg", id))]
            }
            // Nothing was asked yet: words that an edit adds still are.
            Treatment::Ignore { .. } => [Some(key("unasked", &place)), None],
        };
        event.into_iter().chain(rest.into_iter().flatten()).collect()
    }
}

/// Whether an event is of a direct message to the bot.
pub(super) fn is_direct(event: &Value, channel: &str) -> bool {
    text(event, "channel_type") == Some("im") || channel.starts_with('D')
}

/// The milliseconds of a `ts` (`1766458026.240809`: seconds and, as text, their fraction). Never by way of a float,
/// which would round.
pub(super) fn millis(ts: &str) -> Option<i64> {
    let (secs, fraction) = ts.split_once('.').unwrap_or((ts, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if secs.is_empty()
        || secs.len() > MOST_DIGITS
        || !digits(secs)
        || fraction.len() > MOST_DIGITS
        || !digits(fraction)
    {
        return None;
    }
    let thousandths: i64 = format!("{fraction:0<3.3}").parse().ok()?;
    Some(secs.parse::<i64>().ok()? * 1000 + thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ts_is_read_to_the_exact_millisecond() {
        for (ts, expected) in [
            ("1766458026.240809", Some(1_766_458_026_240)),
            ("1766458026.999999", Some(1_766_458_026_999)),
            ("1766458026.5", Some(1_766_458_026_500)),
            ("1766458026", Some(1_766_458_026_000)),
            ("0.000100", Some(0)),
            ("999999999999.000000", Some(999_999_999_999_000)),
            ("9999999999999.000000", None),
            ("", None),
            (".5", None),
            ("-1.5", None),
            ("1.5e3", None),
            ("1.٣", None),
            ("17,5", None),
        ] {
            assert_eq!(millis(ts), expected, "{ts:?}");
        }
    }
}
