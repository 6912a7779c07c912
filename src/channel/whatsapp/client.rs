//! Sending by the Graph API.

use std::collections::HashMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::errors::Pauses;
use super::throttles::Throttles;
use super::{Settings, errors, json};
use crate::channel::{Scope, SendDisposition, SendError, Sent};
use crate::domain::Time;
use crate::domain::delivery::SendClaim;
use crate::outbound::{self, Answer, Failure, Service};

/// Meta in the metrics.
const SERVICE: Service = Service::new(super::NAME);

/// How long a call to Meta may take in all.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Meta's Graph API, with the tokens of the numbers.
pub(super) struct Client {
    http: reqwest::Client,
    /// Address and version, without a slash at the end.
    base: String,
    token: Option<SecretString>,
    /// Tokens of single numbers, by `phone_number_id`.
    tokens: HashMap<String, SecretString>,
    /// Of each number with a token of its own, the first one that has the same token.
    families: HashMap<String, String>,
    throttles: Throttles,
}

impl Client {
    /// A client for these settings.
    pub(super) fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let given = |token: &SecretString| !token.expose_secret().trim().is_empty();
        let own = |number: &super::Number| {
            let token = number.access_token.clone().filter(given)?;
            Some((number.phone_number_id.clone(), token))
        };
        let tokens: HashMap<String, SecretString> = settings.numbers.iter().filter_map(own).collect();
        let token = settings.access_token.clone().filter(given);
        Ok(Self {
            throttles: Throttles::default(),
            families: families(settings, token.as_ref(), &tokens),
            http: outbound::client(TIMEOUT)?,
            base: format!(
                "{}/{}",
                settings.api_base.trim_end_matches('/'),
                settings.api_version.trim_matches('/')
            ),
            token,
            tokens,
        })
    }

    /// The numbers that share this one's token, by the name of the first of them; empty for the common token.
    pub(super) fn family(&self, number: &str) -> &str {
        self.families.get(number).map_or("", String::as_str)
    }

    /// Sends one part with this content, and says what became of it.
    pub(super) async fn send(
        &self,
        claim: &SendClaim,
        content: &Value,
        now: Time,
    ) -> Result<Sent, SendError> {
        let number = claim.thread.account.account();
        let message = message(claim, content)?;
        let request = self.post(number, &message).ok_or_else(|| no_token(number))?;
        match SERVICE.call(request).await {
            Ok(answer) => self.outcome(claim, &answer, now),
            Err(failure) => Err(unanswered(&failure)),
        }
    }

    /// Success is an id of the message, and nothing else.
    fn outcome(&self, claim: &SendClaim, answer: &Answer, now: Time) -> Result<Sent, SendError> {
        let number = claim.thread.account.account();
        let body = answer.json().filter(|_| answer.status.is_success());
        let id = body
            .as_ref()
            .and_then(|body| json::text(body.get("messages")?.get(0)?, "id"));
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            self.throttles.taken(number);
            return Ok(Sent {
                platform_id: Some(id.to_owned()),
            });
        }
        let pauses = Pauses {
            person: claim.pauses,
            number: self.throttles.before(number, now),
        };
        let refusal = errors::refusal(answer, pauses);
        if let SendDisposition::Pause {
            scope: Scope::Account,
            after,
        } = refusal.disposition
        {
            self.throttles.paused(number, now, after);
        }
        Err(refusal)
    }

    /// Marks a message as read, and the ones before it, and shows that somebody is typing: for 25 seconds at most, or
    /// until a message is sent. Says why if Meta did not take it.
    pub(super) async fn show_typing(&self, number: &str, message: &str) -> Result<(), String> {
        let body = json!({
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": message,
            "typing_indicator": {"type": "text"},
        });
        let request = self.post(number, &body).ok_or("there is no access token")?;
        match SERVICE.call(request).await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(errors::refusal(&answer, Pauses::default()).to_string()),
            Err(failure) => Err(failure.to_string()),
        }
    }

    /// A call to a number's `messages`; none if there is no token for it.
    fn post(&self, number: &str, body: &Value) -> Option<reqwest::RequestBuilder> {
        let token = self.tokens.get(number).or(self.token.as_ref())?;
        let request = self.http.post(format!("{}/{number}/messages", self.base));
        Some(request.bearer_auth(token.expose_secret().trim()).json(body))
    }
}

/// Which numbers go together because they have the same token.
fn families(
    settings: &Settings,
    common: Option<&SecretString>,
    tokens: &HashMap<String, SecretString>,
) -> HashMap<String, String> {
    let same = |one: &SecretString, other: &SecretString| one.expose_secret() == other.expose_secret();
    let mut families = HashMap::new();
    for number in settings.numbers.iter().map(|number| &number.phone_number_id) {
        let Some(token) = tokens.get(number) else { continue };
        if common.is_some_and(|common| same(common, token)) {
            continue;
        }
        let like = |other: &&String| tokens.get(*other).is_some_and(|other| same(other, token));
        let first = settings
            .numbers
            .iter()
            .map(|number| &number.phone_number_id)
            .find(like);
        families.insert(number.clone(), first.unwrap_or(number).clone());
    }
    families
}

/// What is posted. Where both `to` and `recipient` are known, both are given (Meta lets `to` win); nothing is quoted.
fn message(claim: &SendClaim, content: &Value) -> Result<Value, SendError> {
    let mut message = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        // Comes back in the statuses: by it a send is recognised of which we do not know the outcome.
        "biz_opaque_callback_data": claim.delivery.to_string(),
    });
    for (name, value) in content.as_object().into_iter().flatten() {
        message[name] = value.clone();
    }
    let mut reachable = false;
    for name in ["to", "recipient"] {
        if let Some(value) = json::text(&claim.thread.route, name) {
            message[name] = value.into();
            reachable = true;
        }
    }
    if reachable { Ok(message) } else { Err(no_route()) }
}

fn unanswered(failure: &Failure) -> SendError {
    let (code, disposition) = match failure {
        Failure::NotSent(_) => ("unreachable", SendDisposition::Retry { after: None }),
        Failure::Unknown(_) => ("no_answer", SendDisposition::Unknown),
    };
    SendError {
        code: code.to_owned(),
        message: format!("Meta's Graph API {failure}"),
        disposition,
    }
}

fn no_token(number: &str) -> SendError {
    SendError {
        code: "no_access_token".to_owned(),
        message: format!(
            "there is no access token for the number {number}: set whatsapp.access_token, or access_token under \
             [[whatsapp.numbers]] with this phone_number_id"
        ),
        disposition: SendDisposition::Hold,
    }
}

fn no_route() -> SendError {
    SendError {
        code: "no_route".to_owned(),
        message: "nobody has written on this thread yet, so it is not known where a reply would go"
            .to_owned(),
        disposition: SendDisposition::Dead,
    }
}
