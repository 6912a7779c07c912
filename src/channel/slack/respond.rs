//! Answers to a command: they go to the address that came with it (`response_url`), not through the Web API.
//!
//! Slack takes five answers there within 30 minutes (docs.slack.dev, "Handling user interaction"). The address comes
//! in a signed request, and still nothing is ever sent to a host that is not Slack's own.

use reqwest::Url;
use serde_json::{Value, json};

use crate::channel::{LookUp, Scope, SendDisposition, SendError, Sent, UnknownPolicy};
use crate::domain::delivery::SendClaim;
use crate::domain::message::Route;
use crate::outbound::{self, Answer, Failure};

use super::client::{DEFAULT_PAUSE, SERVICE, TIMEOUT};

/// The field of a route that holds the address.
pub(super) const ROUTE: &str = "response_url";

/// Slack's own hosts for such addresses; the second is that of its edition for governments.
const HOSTS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];

/// What the body of a refusal names when the address has been used up or has expired.
const OVER: [&str; 2] = ["used_url", "expired_url"];

/// The hosts that answers may go to.
pub(super) struct Hosts {
    api: Option<Url>,
}

impl Hosts {
    /// Slack's own, and that of the Web API at `api_base`.
    pub(super) fn new(api_base: &str) -> Self {
        Self {
            api: Url::parse(api_base).ok(),
        }
    }

    /// Whether an address is one of Slack's.
    pub(super) fn trust(&self, address: &str) -> bool {
        let Ok(url) = Url::parse(address) else {
            return false;
        };
        let bare = url.username().is_empty() && url.password().is_none();
        let own = url.scheme() == "https"
            && url.port().is_none()
            && url.host_str().is_some_and(|host| HOSTS.contains(&host));
        let of_api = || self.api.as_ref().is_some_and(|api| api.origin() == url.origin());
        bare && (own || of_api())
    }
}

/// Sends answers to such addresses.
pub(super) struct Responder {
    http: reqwest::Client,
    /// Where they may stand.
    pub(super) hosts: Hosts,
}

impl Responder {
    /// A responder beside the Web API at `api_base`.
    pub(super) fn new(api_base: &str) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: outbound::client(TIMEOUT)?,
            hosts: Hosts::new(api_base),
        })
    }

    /// The address of a route, if it is one.
    pub(super) fn address(route: &Route) -> Option<&str> {
        route.get(ROUTE).and_then(Value::as_str)
    }

    /// Sends a part, for the eyes of whoever gave the command.
    pub(super) async fn send(&self, address: &str, claim: &SendClaim) -> Result<Sent, SendError> {
        if !self.hosts.trust(address) {
            return Err(dead(
                "response_url_foreign",
                "the command's address is not one of Slack's",
            ));
        }
        let message = json!({
            "response_type": "ephemeral",
            "replace_original": false,
            "text": claim.body,
            "mrkdwn": false,
            "unfurl_links": false,
            "unfurl_media": false,
        });
        let request = self.http.post(address).json(&message);
        match SERVICE.call(request).await {
            Ok(answer) => read(&answer),
            Err(Failure::NotSent(why)) => Err(SendError {
                code: "unreachable".to_owned(),
                message: format!("Slack could not be reached ({why})"),
                disposition: SendDisposition::Retry { after: None },
            }),
            Err(Failure::Unknown(why)) => Err(SendError {
                code: "no_answer".to_owned(),
                message: format!("Slack gave no whole answer ({why})"),
                disposition: SendDisposition::Unknown,
            }),
        }
    }

    /// Nothing shows whether such an answer arrived; a second one harms nobody.
    pub(super) fn look_up() -> LookUp {
        LookUp::Unknowable(UnknownPolicy::Resend)
    }
}

fn read(answer: &Answer) -> Result<Sent, SendError> {
    let status = answer.status;
    if status.as_u16() == 429 {
        return Err(SendError {
            code: "ratelimited".to_owned(),
            message: "Slack wants a pause for the answers to this command".to_owned(),
            disposition: SendDisposition::Pause {
                scope: Scope::Thread,
                after: answer.retry_after().unwrap_or(DEFAULT_PAUSE).max(DEFAULT_PAUSE),
            },
        });
    }
    let body = String::from_utf8_lossy(&answer.body);
    let refused = !status.is_success() || answer.json().is_some_and(|json| json["ok"] == false);
    if !refused {
        return Ok(Sent { platform_id: None });
    }
    if let Some(code) = OVER.iter().find(|code| body.contains(**code)) {
        let why =
            "Slack takes no more answers to this command (five within 30 minutes); the person must ask again";
        return Err(dead(code, why));
    }
    if status.is_server_error() {
        return Err(SendError {
            code: format!("http_{}", status.as_u16()),
            message: format!("Slack answered {status}; see status.slack.com if it lasts"),
            disposition: SendDisposition::Unknown,
        });
    }
    let code = format!("http_{}", status.as_u16());
    Err(dead(
        &code,
        "Slack does not take the answer to this command; the person must ask again",
    ))
}

fn dead(code: &str, message: &str) -> SendError {
    SendError {
        code: code.to_owned(),
        message: message.to_owned(),
        disposition: SendDisposition::Dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slacks_own_hosts_are_trusted() {
        let hosts = Hosts::new("http://127.0.0.1:8099/api");
        for good in [
            "https://hooks.slack.com/commands/T1/2/x",
            "https://hooks.slack-gov.com/commands/T1/2/x",
            "http://127.0.0.1:8099/commands/1",
        ] {
            assert!(hosts.trust(good), "{good}");
        }
        for bad in [
            "http://hooks.slack.com/commands/T1/2/x",
            "https://hooks.slack.com:8443/x",
            "https://hooks.slack.com.evil.example/x",
            "https://evil.example/hooks.slack.com",
            "https://evil.example#@hooks.slack.com/",
            "https://hooks.slack.com@evil.example/x",
            "https://u:p@hooks.slack.com/x",
            "http://127.0.0.1:8098/commands/1",
            "https://127.0.0.1:8099/commands/1",
            "file:///etc/passwd",
            "hooks.slack.com",
            "",
        ] {
            assert!(!hosts.trust(bad), "{bad}");
        }
        assert!(!Hosts::new("https://slack.com/api").trust("http://169.254.169.254/"));
    }
}
