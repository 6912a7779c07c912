//! Looking, from a command, whether everything is set up at Slack. Nothing is changed by it.

use secrecy::SecretString;
use serde_json::{Value, json};

use crate::channel::signature::sign;
use crate::domain::Time;
use crate::domain::installation::Installed;
use crate::outbound::{self, Failure};

use super::client::{Client, Heard, Trouble};
use super::envelope::text;
use super::grant::Grant;
use super::settings::Settings;
use super::{EVENTS, errors, socket, verify};

/// How long a look at the public address may take.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was found.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    fn new(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}

/// What Slack says of a token (`auth.test`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The workspace's or organisation's id and name.
    pub place: String,
    /// The user id under which the bot is mentioned; none if the token is no bot's.
    pub bot: Option<String>,
    /// The token's scopes, with commas between them, if Slack showed them.
    pub scopes: Option<String>,
    /// Slack's clock, if it showed it.
    pub date: Option<Time>,
}

/// A token of an installation that the store keeps.
#[derive(Debug, Clone)]
pub struct KeptToken {
    /// The token.
    pub token: SecretString,
    /// Whether it has come to its end and waits to be renewed.
    pub is_over: bool,
}

/// The token of an installation; none if it cannot be decrypted.
pub fn kept_token(installed: &Installed, now: Time) -> Option<KeptToken> {
    let grant = Grant::from_details(installed.details.as_ref()?)?;
    Some(KeptToken {
        is_over: grant.is_over(now),
        token: grant.token,
    })
}

/// Asks Slack whose a token is.
pub async fn identity(settings: &Settings, token: &SecretString) -> Result<Identity, Finding> {
    let client = Client::new(&settings.api_base).map_err(|error| {
        Finding::new(
            format!("calls cannot be prepared: {error}"),
            "see the error above",
        )
    })?;
    match client.inquire("auth.test", token).await {
        Ok(Heard { body, date, scopes }) => Ok(Identity {
            place: place(&body),
            bot: bot(&body),
            scopes,
            date,
        }),
        Err(Trouble::Refused(code)) => {
            let (_, remedy) = errors::look(&code);
            Err(Finding::new(format!("Slack refuses it ({code})"), remedy))
        }
        Err(trouble) => {
            let found = errors::send_error(trouble).message;
            Err(Finding::new(
                found,
                "see slack.api_base, and whether this machine reaches it",
            ))
        }
    }
}

fn place(body: &Value) -> String {
    let id = text(body, "team_id").unwrap_or("unnamed");
    match text(body, "team") {
        Some(name) => format!("{id} ({name})"),
        None => id.to_owned(),
    }
}

fn bot(body: &Value) -> Option<String> {
    text(body, "bot_id")?;
    text(body, "user_id").map(str::to_owned)
}

/// Asks Slack for the address of a Socket Mode connection, and does not open it: events go on to the daemon that runs.
pub async fn app_token(settings: &Settings, token: &SecretString) -> Result<(), Finding> {
    let client = Client::new(&settings.api_base).map_err(|error| {
        Finding::new(
            format!("calls cannot be prepared: {error}"),
            "see the error above",
        )
    })?;
    match socket::door::address(&client, token).await {
        Ok(_) => Ok(()),
        Err(refusal) => Err(Finding::new(refusal.found, refusal.remedy)),
    }
}

/// Posts a signed `url_verification` to the public address, as Slack does when it verifies the request URL.
pub async fn request_url(settings: &Settings, public_url: &str, now: Time) -> Result<(), Finding> {
    let Some(secret) = settings.signing_secret.first() else {
        return Err(Finding::new(
            "slack.signing_secret is empty",
            "copy it from the app's Basic Information page",
        ));
    };
    let challenge = format!("check-{:x}", rand::random::<u128>());
    let body = json!({"type": "url_verification", "token": "check", "challenge": challenge}).to_string();
    let time = now.secs().to_string();
    let digest = sign(secret, &[b"v0:", time.as_bytes(), b":", body.as_bytes()]);
    let client = outbound::client(TIMEOUT).map_err(|error| {
        Finding::new(
            format!("calls cannot be prepared: {error}"),
            "see the error above",
        )
    })?;
    let request = client
        .post(format!("{}{EVENTS}", public_url.trim_end_matches('/')))
        .header(verify::SIGNATURE, format!("v0={digest}"))
        .header(verify::TIMESTAMP, time)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body);
    match outbound::call(request).await {
        Ok(answer) if answer.status.is_success() && answer.body == challenge.as_bytes() => Ok(()),
        Ok(answer) => Err(answered(answer.status.as_u16(), answer.json().as_ref())),
        Err(Failure::NotSent(why) | Failure::Unknown(why)) => Err(Finding::new(
            format!("no answer from {public_url} ({why})"),
            "start chatbridge, and see that server.public_url leads to it: the name, the proxy, the certificate",
        )),
    }
}

/// Posts something with a signature that nobody made. It must be turned away.
pub async fn forged(public_url: &str, now: Time) -> Result<(), Finding> {
    let client = outbound::client(TIMEOUT).map_err(|error| {
        Finding::new(
            format!("calls cannot be prepared: {error}"),
            "see the error above",
        )
    })?;
    let body = json!({"type": "url_verification", "token": "check", "challenge": "forged"}).to_string();
    let request = client
        .post(format!("{}{EVENTS}", public_url.trim_end_matches('/')))
        .header(verify::SIGNATURE, format!("v0={}", "0".repeat(64)))
        .header(verify::TIMESTAMP, now.secs().to_string())
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body);
    match outbound::call(request).await {
        Ok(answer) if answer.status == http::StatusCode::UNAUTHORIZED => Ok(()),
        Ok(answer) => Err(Finding::new(
            format!("{public_url} answers {} to it, not 401", answer.status.as_u16()),
            "something other than chatbridge answers there: it would take in what anybody sends",
        )),
        Err(Failure::NotSent(why) | Failure::Unknown(why)) => Err(Finding::new(
            format!("no answer from {public_url} ({why})"),
            "start chatbridge, and see that server.public_url leads to it: the name, the proxy, the certificate",
        )),
    }
}

fn answered(status: u16, body: Option<&Value>) -> Finding {
    let code = body
        .and_then(|body| body.pointer("/error/code"))
        .and_then(Value::as_str);
    let remedy = match (status, code) {
        (401, Some("timestamp_stale")) => "set this machine's clock, or that of the one that serves, right",
        (401, Some(_)) => {
            "the daemon there has another slack.signing_secret: restart it with this configuration"
        }
        (404, Some("channel_off")) => {
            "the daemon there runs without [slack]: restart it with this configuration"
        }
        (300..=399, _) => {
            "set server.public_url to the address that this one redirects to: Slack follows two redirects at most"
        }
        (502..=504, _) => {
            "the proxy does not reach chatbridge: is it running, and is server.bind what the proxy calls?"
        }
        _ => "something else answers at this address: let the proxy lead all of /slack/ to chatbridge",
    };
    let code = code.map(|code| format!(" {code}")).unwrap_or_default();
    Finding::new(
        format!("a signed url_verification was answered {status}{code}"),
        remedy,
    )
}
