//! Sending by the Graph API.

use std::collections::HashMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{Settings, errors, json};
use crate::channel::{SendDisposition, SendError, Sent};
use crate::domain::delivery::SendClaim;
use crate::outbound::{self, Answer, Failure};

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
}

impl Client {
    /// A client for these settings.
    pub(super) fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let given = |token: &SecretString| !token.expose_secret().trim().is_empty();
        let own = |number: &super::Number| {
            let token = number.access_token.clone().filter(given)?;
            Some((number.phone_number_id.clone(), token))
        };
        Ok(Self {
            http: outbound::client(TIMEOUT)?,
            base: format!(
                "{}/{}",
                settings.api_base.trim_end_matches('/'),
                settings.api_version.trim_matches('/')
            ),
            token: settings.access_token.clone().filter(given),
            tokens: settings.numbers.iter().filter_map(own).collect(),
        })
    }

    /// Sends one part, and says what became of it.
    pub(super) async fn send(&self, claim: &SendClaim) -> Result<Sent, SendError> {
        let number = claim.thread.account.account();
        let Some(token) = self.tokens.get(number).or(self.token.as_ref()) else {
            return Err(no_token(number));
        };
        let request = self
            .http
            .post(format!("{}/{number}/messages", self.base))
            .bearer_auth(token.expose_secret().trim())
            .json(&message(claim)?);
        match outbound::call(request).await {
            Ok(answer) => outcome(&answer, claim.attempt),
            Err(failure) => Err(unanswered(&failure)),
        }
    }
}

/// What is posted. Where both `to` and `recipient` are known, both are given (Meta lets `to` win); nothing is quoted.
fn message(claim: &SendClaim) -> Result<Value, SendError> {
    let mut message = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "type": "text",
        "text": {"body": claim.body, "preview_url": false},
        // Comes back in the statuses: by it a send is recognised of which we do not know the outcome.
        "biz_opaque_callback_data": claim.delivery.to_string(),
    });
    let mut reachable = false;
    for name in ["to", "recipient"] {
        if let Some(value) = json::text(&claim.thread.route, name) {
            message[name] = value.into();
            reachable = true;
        }
    }
    if reachable { Ok(message) } else { Err(no_route()) }
}

/// Success is an id of the message, and nothing else.
fn outcome(answer: &Answer, attempt: u32) -> Result<Sent, SendError> {
    let body = answer.json().filter(|_| answer.status.is_success());
    let id = body
        .as_ref()
        .and_then(|body| json::text(body.get("messages")?.get(0)?, "id"));
    match id.filter(|id| !id.is_empty()) {
        Some(id) => Ok(Sent {
            platform_id: Some(id.to_owned()),
        }),
        None => Err(errors::refusal(answer, attempt)),
    }
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
