//! Slack's Web API: how it is called and what its answers say.
//!
//! A method is `BASE/NAME`. The token goes in the header, the arguments as JSON (methods that write) or in the query
//! (methods that read take no JSON). Whatever the status, `ok` tells whether it worked and `error` why not.

use std::time::Duration;

use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderName, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::domain::Time;
use crate::outbound::{self, Answer, Failure, Service};

use super::errors::{self, Class};

/// How long a call may take, body included.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// How long to pause when Slack limits us without saying for how long, and at least.
pub(super) const DEFAULT_PAUSE: Duration = Duration::from_secs(1);

/// Slack warns about JSON without the charset.
const JSON: &str = "application/json; charset=utf-8";

/// The header in which Slack shows the scopes of the token that called.
const SCOPES: HeaderName = HeaderName::from_static("x-oauth-scopes");

/// The longest code that is believed to be one; the longest known has 41 characters.
const LONGEST_CODE: usize = 80;

/// Slack in the metrics. It says no with status 200 and `"ok":false`.
pub(super) const SERVICE: Service = Service::judged(super::NAME, |answer| {
    !answer.body.starts_with(br#"{"ok":true"#)
        && answer
            .json()
            .is_some_and(|body| body.get("ok") == Some(&Value::Bool(false)))
});

/// A caller of the Web API.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
}

/// The app's own name and secret, with which it asks for tokens.
#[derive(Clone)]
pub(super) struct Credentials {
    /// The client id.
    pub(super) id: String,
    /// The client secret.
    pub(super) secret: SecretString,
}

/// An answer that says yes, with what its headers tell.
pub(super) struct Heard {
    /// The answer.
    pub(super) body: Value,
    /// Slack's clock, if the answer shows it.
    pub(super) date: Option<Time>,
    /// The token's scopes, with commas between them, if the answer shows them.
    pub(super) scopes: Option<String>,
}

/// A call that did not do what it was to do.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No whole answer.
    Call(Failure),
    /// Too many calls: none for this long.
    Limited(Duration),
    /// Slack says no, with this code.
    Refused(String),
    /// A status that says no, without a word of Slack's.
    Status(StatusCode),
    /// A status that says yes, with a body that says nothing.
    Garbled,
}

impl Client {
    /// A caller of the Web API at `base` (`https://slack.com/api`).
    pub(super) fn new(base: &str) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: outbound::client(TIMEOUT)?,
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// Calls a method that takes JSON.
    pub(super) async fn post(
        &self,
        method: &str,
        token: &SecretString,
        arguments: &Value,
    ) -> Result<Value, Trouble> {
        let request = self
            .http
            .post(format!("{}/{method}", self.base))
            .bearer_auth(token.expose_secret())
            .header(CONTENT_TYPE, JSON)
            .body(arguments.to_string());
        read(&SERVICE.call(request).await.map_err(Trouble::Call)?)
    }

    /// Calls a method that needs nothing but the token, and listens to the headers too.
    pub(super) async fn inquire(&self, method: &str, token: &SecretString) -> Result<Heard, Trouble> {
        let request = self
            .http
            .post(format!("{}/{method}", self.base))
            .bearer_auth(token.expose_secret())
            .header(CONTENT_TYPE, JSON)
            .body("{}");
        hear(&SERVICE.call(request).await.map_err(Trouble::Call)?)
    }

    /// Asks for a token (`oauth.v2.access`): for a code, or for a refresh token. The app's name and secret go in the
    /// header, as docs.slack.dev prefers.
    pub(super) async fn access(
        &self,
        credentials: &Credentials,
        form: &[(&str, &str)],
    ) -> Result<Heard, Trouble> {
        let request = self
            .http
            .post(format!("{}/oauth.v2.access", self.base))
            .basic_auth(&credentials.id, Some(credentials.secret.expose_secret()))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(query(form));
        hear(&SERVICE.call(request).await.map_err(Trouble::Call)?)
    }

    /// Calls a method that reads.
    pub(super) async fn get(
        &self,
        method: &str,
        token: &SecretString,
        arguments: &[(&str, &str)],
    ) -> Result<Value, Trouble> {
        let mut address = reqwest::Url::parse(&format!("{}/{method}", self.base))
            .map_err(|_| Trouble::Call(Failure::NotSent("slack.api_base is no address".to_owned())))?;
        address.query_pairs_mut().extend_pairs(arguments);
        let request = self.http.get(address).bearer_auth(token.expose_secret());
        read(&SERVICE.call(request).await.map_err(Trouble::Call)?)
    }
}

/// Pairs as a query or a form.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let Ok(mut address) = reqwest::Url::parse("http://unused/") else {
        return String::new();
    };
    address.query_pairs_mut().extend_pairs(pairs);
    address.query().unwrap_or_default().to_owned()
}

fn hear(answer: &Answer) -> Result<Heard, Trouble> {
    let header = |name: &HeaderName| answer.headers.get(name)?.to_str().ok();
    Ok(Heard {
        body: read(answer)?,
        date: header(&DATE).and_then(date),
        scopes: header(&SCOPES).map(str::to_owned),
    })
}

/// A moment as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn date(text: &str) -> Option<Time> {
    let moment = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Time::from_millis(moment.timestamp().as_millisecond()))
}

fn read(answer: &Answer) -> Result<Value, Trouble> {
    let pause = || answer.retry_after().unwrap_or(DEFAULT_PAUSE).max(DEFAULT_PAUSE);
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Trouble::Limited(pause()));
    }
    let body = answer.json().unwrap_or(Value::Null);
    match body.get("ok").and_then(Value::as_bool) {
        Some(true) if answer.status.is_success() => Ok(body),
        Some(false) => {
            let code = code(&body);
            let limited = errors::look(&code).0 == Class::Limited;
            Err(if limited {
                Trouble::Limited(pause())
            } else {
                Trouble::Refused(code)
            })
        }
        _ if answer.status.is_success() => Err(Trouble::Garbled),
        _ => Err(Trouble::Status(answer.status)),
    }
}

/// The code of a refusal. It goes into logs and lists, so that anything but a plain word is left out.
fn code(body: &Value) -> String {
    let word = |text: &&str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        !text.is_empty() && text.len() <= LONGEST_CODE && text.bytes().all(plain)
    };
    body.get("error")
        .and_then(Value::as_str)
        .filter(word)
        .unwrap_or("unnamed_error")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn answer(status: u16, retry_after: Option<&'static str>, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert("retry-after", value.parse().unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.as_bytes().to_vec(),
        }
    }

    fn trouble(status: u16, retry_after: Option<&'static str>, body: &str) -> String {
        match read(&answer(status, retry_after, body)) {
            Ok(_) => "ok".to_owned(),
            Err(trouble) => format!("{trouble:?}"),
        }
    }

    #[test]
    fn the_headers_tell_scopes_and_time() {
        let mut answer = answer(200, None, r#"{"ok":true}"#);
        answer
            .headers
            .insert("x-oauth-scopes", "chat:write,im:history".parse().unwrap());
        answer
            .headers
            .insert("date", "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        let heard = hear(&answer).unwrap();
        assert_eq!(heard.scopes.as_deref(), Some("chat:write,im:history"));
        assert_eq!(heard.date, Some(Time::from_secs(784_111_777)));
        assert_eq!(date("soon"), None);
    }

    #[test]
    fn a_form_is_encoded() {
        assert_eq!(
            query(&[("a", "b c&d"), ("e", "https://f/")]),
            "a=b+c%26d&e=https%3A%2F%2Ff%2F"
        );
        assert_eq!(query(&[]), "");
    }

    #[test]
    fn an_answer_is_judged_by_what_it_says() {
        for (status, retry_after, body, expected) in [
            (200, None, r#"{"ok":true}"#, "ok"),
            (
                200,
                None,
                r#"{"ok":false,"error":"is_archived"}"#,
                r#"Refused("is_archived")"#,
            ),
            (
                503,
                None,
                r#"{"ok":false,"error":"service_unavailable"}"#,
                r#"Refused("service_unavailable")"#,
            ),
            (
                200,
                None,
                r#"{"ok":false,"error":"<b>secret words</b>"}"#,
                r#"Refused("unnamed_error")"#,
            ),
            (200, None, r#"{"ok":false}"#, r#"Refused("unnamed_error")"#),
            (200, None, r#"{"ok":"true"}"#, "Garbled"),
            (200, None, "<html>", "Garbled"),
            (502, None, "<html>", "Status(502)"),
            (500, None, r#"{"ok":true}"#, "Status(500)"),
            (302, None, "", "Status(302)"),
            (429, Some("30"), "", "Limited(30s)"),
            (429, Some("soon"), "", "Limited(1s)"),
            (
                429,
                Some("0"),
                r#"{"ok":false,"error":"ratelimited"}"#,
                "Limited(1s)",
            ),
            (
                200,
                Some("7"),
                r#"{"ok":false,"error":"rate_limited"}"#,
                "Limited(7s)",
            ),
        ] {
            assert_eq!(trouble(status, retry_after, body), expected, "{status} {body}");
        }
    }
}
