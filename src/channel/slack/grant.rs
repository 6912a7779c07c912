//! What Slack grants when somebody installs the app: the answer of `oauth.v2.access`, and how it is kept.
//!
//! With token rotation the token ends after twelve hours and is renewed with a refresh token that is good once
//! (docs.slack.dev, "Using token rotation").

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::domain::account::is_plain_id;
use crate::domain::{AccountKey, Time};

use super::NAME;
use super::envelope::text;
use super::installation::Installation;

/// A token that ends is renewed this long before it does, or after nine tenths of its time if that is later.
const BEFORE_END: Duration = Duration::from_hours(1);

/// A grant.
#[derive(Clone)]
pub(super) struct Grant {
    /// For whom.
    pub(super) installation: Installation,
    /// Whether all of an organisation installed the app.
    whole_organisation: bool,
    /// What people call the place.
    pub(super) name: Option<String>,
    /// The scopes, with commas between them.
    pub(super) scopes: String,
    /// The bot's token.
    pub(super) token: SecretString,
    /// How it is renewed; none if it never ends.
    pub(super) renewal: Option<Renewal>,
}

/// How a token that ends is renewed.
#[derive(Clone)]
pub(super) struct Renewal {
    /// What it is renewed with, once.
    pub(super) token: SecretString,
    /// When to renew it.
    pub(super) due: Time,
    /// When it ends.
    pub(super) end: Time,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant({:?})", self.installation)
    }
}

fn id(value: Option<&Value>) -> Option<String> {
    let id = value?.as_str()?;
    is_plain_id(id).then(|| id.to_owned())
}

fn secret(answer: &Value, key: &str) -> Option<SecretString> {
    text(answer, key)
        .filter(|text| !text.is_empty())
        .map(SecretString::from)
}

impl Grant {
    /// Reads the answer to a code. None if it names no place or no bot's token.
    pub(super) fn read(answer: &Value, now: Time) -> Option<Self> {
        let whole_organisation = answer.get("is_enterprise_install").and_then(Value::as_bool) == Some(true);
        let (team, enterprise) = (answer.pointer("/team/id"), answer.pointer("/enterprise/id"));
        let place = if whole_organisation {
            "/enterprise/name"
        } else {
            "/team/name"
        };
        if text(answer, "token_type").is_some_and(|kind| kind != "bot") {
            return None;
        }
        Some(Self {
            installation: Installation {
                team: id(if whole_organisation { enterprise } else { team })?,
                enterprise: id(enterprise),
                bot_user: id(answer.get("bot_user_id")),
            },
            whole_organisation,
            name: answer.pointer(place).and_then(Value::as_str).map(str::to_owned),
            scopes: text(answer, "scope").unwrap_or_default().to_owned(),
            token: secret(answer, "access_token")?,
            renewal: renewal(answer, now),
        })
    }

    /// The grant with the token of a renewal's answer; none if there is none in it.
    pub(super) fn renewed(&self, answer: &Value, now: Time) -> Option<Self> {
        Some(Self {
            token: secret(answer, "access_token")?,
            renewal: Some(renewal(answer, now)?),
            scopes: text(answer, "scope").unwrap_or(&self.scopes).to_owned(),
            ..self.clone()
        })
    }

    /// Whose events and deliveries it serves.
    pub(super) fn account(&self) -> Option<AccountKey> {
        AccountKey::new(NAME, &self.installation.team)
    }

    /// Whether the token is to be renewed.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.renewal.as_ref().is_some_and(|renewal| renewal.due <= now)
    }

    /// Whether the token has come to its end.
    pub(super) fn is_over(&self, now: Time) -> bool {
        self.renewal.as_ref().is_some_and(|renewal| renewal.end <= now)
    }

    /// As it is kept.
    pub(super) fn to_details(&self) -> SecretString {
        let Installation {
            team,
            enterprise,
            bot_user,
        } = &self.installation;
        let renewal = self.renewal.as_ref().map(|renewal| {
            json!({"token": renewal.token.expose_secret(), "due": renewal.due.millis(), "end": renewal.end.millis()})
        });
        json!({
            "team": team, "enterprise": enterprise, "bot_user": bot_user, "name": self.name, "scopes": self.scopes,
            "whole_organisation": self.whole_organisation, "token": self.token.expose_secret(), "renewal": renewal,
        })
        .to_string()
        .into()
    }

    /// As it was kept.
    pub(super) fn from_details(details: &SecretString) -> Option<Self> {
        let kept: Value = serde_json::from_str(details.expose_secret()).ok()?;
        let renewal = kept.get("renewal").filter(|renewal| !renewal.is_null());
        let time = |value: &Value, key: &str| value.get(key)?.as_i64().map(Time::from_millis);
        let renewal = renewal.map(|renewal| {
            Some(Renewal {
                token: secret(renewal, "token")?,
                due: time(renewal, "due")?,
                end: time(renewal, "end")?,
            })
        });
        Some(Self {
            installation: Installation {
                team: id(kept.get("team"))?,
                enterprise: id(kept.get("enterprise")),
                bot_user: id(kept.get("bot_user")),
            },
            whole_organisation: kept.get("whole_organisation").and_then(Value::as_bool) == Some(true),
            name: text(&kept, "name").map(str::to_owned),
            scopes: text(&kept, "scopes").unwrap_or_default().to_owned(),
            token: secret(&kept, "token")?,
            renewal: match renewal {
                Some(renewal) => Some(renewal?),
                None => None,
            },
        })
    }
}

fn renewal(answer: &Value, now: Time) -> Option<Renewal> {
    let lifetime = Duration::from_secs(answer.get("expires_in")?.as_u64()?);
    Some(Renewal {
        token: secret(answer, "refresh_token")?,
        due: now.plus(lifetime.saturating_sub(BEFORE_END.min(lifetime / 10))),
        end: now.plus(lifetime),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_766_458_030);

    /// The answer as docs.slack.dev shows it.
    fn answer() -> Value {
        json!({
            "ok": true, "access_token": "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy",
            "token_type": "bot", "scope": "commands,incoming-webhook", "bot_user_id": "U0KRQLJ9H", "app_id": "A0KRD7HC3",
            "team": {"name": "Slack Pickleball Team", "id": "T9TK3CUKW"},
            "enterprise": {"name": "slack-pickleball", "id": "E12345678"}, "is_enterprise_install": false,
            "authed_user": {"id": "U1234"},
        })
    }

    #[test]
    fn a_grant_is_kept_and_read_again() {
        let mut rotating = answer();
        rotating["expires_in"] = json!(43_200);
        rotating["refresh_token"] = json!("xoxe-1-abcdefg");
        for answer in [answer(), rotating] {
            let grant = Grant::read(&answer, NOW).unwrap();
            assert_eq!(grant.account().unwrap().as_str(), "slack/T9TK3CUKW");
            let again = Grant::from_details(&grant.to_details()).unwrap();
            assert_eq!(
                again.to_details().expose_secret(),
                grant.to_details().expose_secret()
            );
            assert!(!format!("{grant:?}").contains("xox"));
        }
    }

    #[test]
    fn a_whole_organisation_is_known_by_its_own_id() {
        let mut answer = answer();
        answer["team"] = Value::Null;
        answer["is_enterprise_install"] = json!(true);
        let grant = Grant::read(&answer, NOW).unwrap();
        assert_eq!(grant.account().unwrap().as_str(), "slack/E12345678");
        assert_eq!(grant.name.as_deref(), Some("slack-pickleball"));
    }

    #[test]
    fn a_token_is_renewed_before_its_end() {
        let mut answer = answer();
        answer["expires_in"] = json!(43_200);
        answer["refresh_token"] = json!("xoxe-1");
        let grant = Grant::read(&answer, NOW).unwrap();
        for (after, due, over) in [
            (0, false, false),
            (39_599, false, false),
            (39_600, true, false),
            (43_200, true, true),
        ] {
            let at = NOW.plus(Duration::from_secs(after));
            assert_eq!((grant.is_due(at), grant.is_over(at)), (due, over), "{after}");
        }
        let renewed = grant
            .renewed(
                &json!({"access_token": "xoxe.xoxb-2", "refresh_token": "xoxe-2", "expires_in": 60}),
                NOW,
            )
            .unwrap();
        assert_eq!(renewed.token.expose_secret(), "xoxe.xoxb-2");
        assert!(
            !renewed.is_due(NOW.plus(Duration::from_secs(53)))
                && renewed.is_due(NOW.plus(Duration::from_secs(54)))
        );
        assert!(grant.renewed(&json!({"access_token": "a"}), NOW).is_none());
    }

    #[test]
    fn what_names_no_place_or_no_bot_is_no_grant() {
        for change in [
            json!({"team": null}),
            json!({"access_token": ""}),
            json!({"access_token": null}),
            json!({"token_type": "user"}),
            json!({"team": {"id": "a/b"}}),
        ] {
            let mut answer = answer();
            answer
                .as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
            assert!(Grant::read(&answer, NOW).is_none(), "{change}");
        }
    }
}
