//! Buttons that people press: a judgement of an answer, a call for a person.

use serde_json::{Value, json};

use crate::domain::account::is_plain_id;
use crate::domain::act::{Act, Alert, Deed, Whereabouts};
use crate::domain::message::Arrival;
use crate::domain::texts::Texts;
use crate::domain::{AccountKey, DedupKey, Time};

use super::envelope::{Reason, text};
use super::message::millis;
use super::policy::Policy;
use super::{NAME, buttons, render};

/// What the buttons do.
pub(super) struct Actions {
    person_called: String,
    alert_channel: Option<String>,
}

impl Actions {
    /// Actions that say this, and tell this channel when somebody asks for a person.
    pub(super) fn new(texts: &Texts, alert_channel: Option<String>) -> Self {
        Self {
            person_called: render::escape(texts.person_called.trim()),
            alert_channel,
        }
    }

    /// What a payload of Slack's brings: the acts, and why others are left.
    pub(super) fn read(&self, payload: &Value, policy: &Policy, now: Time) -> (Vec<Arrival>, Vec<Reason>) {
        let (mut acts, mut left) = (Vec::new(), Vec::new());
        if text(payload, "type") != Some("block_actions") {
            return (acts, vec!["unknown_interaction"]);
        }
        let none = Vec::new();
        let actions = payload.get("actions").and_then(Value::as_array).unwrap_or(&none);
        for action in actions {
            match self.act(payload, action, policy, now) {
                Ok(act) => acts.push(Arrival::Act(act)),
                Err(reason) => left.push(reason),
            }
        }
        if actions.is_empty() {
            left.push("malformed_action");
        }
        (acts, left)
    }

    fn act(&self, payload: &Value, action: &Value, policy: &Policy, now: Time) -> Result<Act, Reason> {
        const ODD: Reason = "malformed_action";
        let id = text(action, "action_id").ok_or(ODD)?;
        let value = text(action, "value").ok_or("unknown_action")?;
        let user = id_at(payload, "/user/id").ok_or(ODD)?;
        let account = account(payload).ok_or(ODD)?;
        let channel = id_at(payload, "/channel/id").or_else(|| id_at(payload, "/container/channel_id"));
        policy.check_ids(channel.unwrap_or_default(), user, true)?;
        let pressed_at = text(action, "action_ts");
        let (part, deed) = match id {
            buttons::JUDGE => {
                let (helpful, part) = buttons::verdict(value).ok_or(ODD)?;
                let person = user.to_owned();
                (part, Deed::Rate { person, helpful })
            }
            buttons::CALL_PERSON => (value.parse().map_err(|_| ODD)?, Deed::CallPerson),
            _ => return Err("unknown_action"),
        };
        let press = format!("{part}:{user}:{id}:{}", pressed_at.unwrap_or_default());
        let calls = deed == Deed::CallPerson;
        Ok(Act {
            keys: vec![DedupKey::new(&account, "action", &press)],
            account,
            room: channel.map(str::to_owned),
            on: Whereabouts::Delivery(part),
            deed,
            say: calls.then(|| self.person_called.clone()),
            alert: if calls {
                self.alert(payload, user, channel)
            } else {
                None
            },
            at: pressed_at.and_then(millis).map_or(now, Time::from_millis),
        })
    }

    /// The word to the operator's people: who asks, where, and how the bot goes on.
    fn alert(&self, payload: &Value, user: &str, channel: Option<&str>) -> Option<Alert> {
        let room = self.alert_channel.clone()?;
        let place = channel.map_or_else(String::new, |channel| format!(" in <#{channel}>"));
        let link = link(payload, channel).map_or_else(String::new, |link| format!("\n{link}"));
        Some(Alert {
            route: json!({ "channel": room }),
            room,
            text: format!(
                "<@{user}> asks for a person{place}. The bot is silent there until you run: \
                 chatbridge threads resume {{thread}}{link}"
            ),
        })
    }
}

/// The installation: the workspace, or the organisation that installed the app as a whole.
fn account(payload: &Value) -> Option<AccountKey> {
    let whole = payload
        .get("is_enterprise_install")
        .is_some_and(|flag| flag.as_bool() == Some(true) || flag.as_str() == Some("true"));
    let organisation = id_at(payload, "/enterprise/id").or_else(|| id_at(payload, "/team/enterprise_id"));
    let id = organisation
        .filter(|_| whole)
        .or_else(|| id_at(payload, "/team/id"))
        .or_else(|| id_at(payload, "/user/team_id"));
    AccountKey::new(NAME, id?)
}

fn id_at<'p>(payload: &'p Value, pointer: &str) -> Option<&'p str> {
    payload
        .pointer(pointer)
        .and_then(Value::as_str)
        .filter(|id| is_plain_id(id) && !id.contains(['<', '>', '|', '&']))
}

/// The address of the message that the button stands below, as Slack's own "Copy link" gives it.
fn link(payload: &Value, channel: Option<&str>) -> Option<String> {
    let domain = text(payload.get("team")?, "domain")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let message = payload
        .pointer("/container/message_ts")
        .or_else(|| payload.pointer("/message/ts"))?
        .as_str()?;
    if domain.is_empty() || !domain.chars().all(plain) || millis(message).is_none() {
        return None;
    }
    let ts = message.replace('.', "");
    let thread = payload
        .pointer("/container/thread_ts")
        .or_else(|| payload.pointer("/message/thread_ts"))
        .and_then(Value::as_str)
        .filter(|thread| millis(thread).is_some())
        .map_or_else(String::new, |thread| {
            format!("?thread_ts={thread}&amp;cid={}", channel.unwrap_or_default())
        });
    Some(format!(
        "https://{domain}.slack.com/archives/{}/p{ts}{thread}",
        channel?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DeliveryId, ThreadId};

    fn payload(changes: &Value) -> Value {
        let mut payload = json!({
            "type": "block_actions", "user": {"id": "U1", "team_id": "T1"}, "team": {"id": "T1", "domain": "example"},
            "channel": {"id": "C1"}, "is_enterprise_install": false, "enterprise": null,
            "container": {"type": "message", "message_ts": "1766458031.632339", "channel_id": "C1",
                          "thread_ts": "1766458026.240809"},
        });
        for (key, value) in changes.as_object().unwrap() {
            payload[key] = value.clone();
        }
        payload
    }

    #[test]
    fn the_installation_is_the_workspace_or_the_organisation() {
        let of = |changes: Value| account(&payload(&changes)).map(|account| account.to_string());
        assert_eq!(of(json!({})).as_deref(), Some("slack/T1"));
        let whole = json!({"is_enterprise_install": true, "enterprise": {"id": "E1"}, "team": null});
        assert_eq!(of(whole).as_deref(), Some("slack/E1"));
        assert_eq!(of(json!({"team": null})).as_deref(), Some("slack/T1"));
        assert_eq!(of(json!({"team": {"id": "a b"}, "user": {}})), None);
    }

    #[test]
    fn the_link_leads_to_the_message_and_nowhere_else() {
        assert_eq!(
            link(&payload(&json!({})), Some("C1")).as_deref(),
            Some(
                "https://example.slack.com/archives/C1/p1766458031632339?thread_ts=1766458026.240809&amp;cid=C1"
            )
        );
        let odd = json!({"team": {"id": "T1", "domain": "evil.example/x?"}});
        assert_eq!(link(&payload(&odd), Some("C1")), None);
    }

    #[test]
    fn a_press_names_its_part() {
        let part = DeliveryId::new(ThreadId::new(), 3);
        let settings = serde_json::from_value(json!({
            "signing_secret": "s", "api_base": "https://slack.com/api", "follow_threads": true,
        }));
        let policy = Policy::new(&settings.unwrap());
        let actions = Actions {
            person_called: "wait".to_owned(),
            alert_channel: None,
        };
        let read = |id: &str, value: &str| {
            let action = json!({"action_id": id, "value": value, "action_ts": "1766458035.5"});
            actions.read(&payload(&json!({"actions": [action]})), &policy, Time::default())
        };
        let (acts, left) = read(buttons::CALL_PERSON, &part.to_string());
        let [Arrival::Act(act)] = &acts[..] else {
            panic!("{left:?}")
        };
        assert_eq!((&act.deed, act.say.as_deref()), (&Deed::CallPerson, Some("wait")));
        assert!(act.alert.is_none() && act.at.millis() == 1_766_458_035_500);
        for (id, value, reason) in [
            (buttons::CALL_PERSON, "x", "malformed_action"),
            (buttons::JUDGE, "helpful", "malformed_action"),
            ("another", "x", "unknown_action"),
        ] {
            assert_eq!(read(id, value).1, [reason]);
        }
    }
}
