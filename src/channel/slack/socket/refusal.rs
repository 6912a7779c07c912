//! Why no connection comes about, and what the operator can do: one table for the daemon and for `chatbridge check`.

use std::time::Duration;

use super::super::client::Trouble;
use crate::outbound::{Answer, Failure};

/// How long to wait at least after a refusal that only the operator can end.
const SLOW: Duration = Duration::from_secs(30);

/// A connection did not come about.
#[derive(Debug)]
pub(in crate::channel::slack) struct Refusal {
    /// A short code: Slack's, or ours.
    pub(super) code: String,
    /// What happened.
    pub(in crate::channel::slack) found: String,
    /// What to do.
    pub(in crate::channel::slack) remedy: &'static str,
    /// How long to wait at least.
    pub(super) pause: Duration,
}

const REACH: &str = "see slack.api_base, and whether this machine reaches it";
const WAIT: &str = "it is tried again; see status.slack.com if it lasts";
const RENEW: &str = "generate another (Slack app settings, Basic Information, App-Level Tokens) with the scope \
                     connections:write, and set slack.app_token to it";
const WRONG: &str =
    "set slack.app_token to an app-level token (Basic Information, App-Level Tokens); it starts with xapp-";
const ADMIN: &str = "an administrator of the workspace or organisation must let the app in";

/// What Slack answers to `apps.connections.open`, and the remedy (docs.slack.dev, the page of the method).
const TABLE: &[(&str, &str)] = &[
    ("invalid_auth", RENEW),
    ("not_authed", RENEW),
    ("token_revoked", RENEW),
    ("token_expired", RENEW),
    ("account_inactive", RENEW),
    ("missing_scope", RENEW),
    ("no_permission", RENEW),
    ("not_allowed_token_type", WRONG),
    ("access_denied", ADMIN),
    ("accesslimited", ADMIN),
    ("enterprise_is_restricted", ADMIN),
    ("forbidden_team", ADMIN),
    ("org_login_required", ADMIN),
    ("team_access_not_granted", ADMIN),
    ("two_factor_setup_required", ADMIN),
];

/// Refusals that pass by themselves.
const PASSING: &[&str] = &[
    "service_unavailable",
    "internal_error",
    "fatal_error",
    "request_timeout",
    "team_added_to_org",
];

impl Refusal {
    pub(super) fn new(code: &str, found: impl Into<String>, remedy: &'static str) -> Self {
        Self {
            code: code.to_owned(),
            found: found.into(),
            remedy,
            pause: Duration::ZERO,
        }
    }

    /// The same with a pause.
    pub(super) fn after(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// The call that asks for a connection failed.
    pub(super) fn of_call(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Call(failure) => Self::of_failure(&failure),
            Trouble::Limited(after) => {
                let found = format!("Slack wants a pause of {} s", after.as_secs());
                Self::new("ratelimited", found, "it is tried again after that").after(after)
            }
            Trouble::Refused(code) => Self::of_code(&code),
            Trouble::Status(status) if status.is_server_error() => {
                Self::new("http_error", format!("Slack answered {status}"), WAIT)
            }
            Trouble::Status(status) => {
                let found = format!("{status} is no answer of Slack's Web API");
                Self::new("http_error", found, "is slack.api_base right?")
            }
            Trouble::Garbled => Self::new("unreadable_answer", "Slack's answer cannot be read", WAIT),
        }
    }

    /// A call got no whole answer.
    pub(super) fn of_failure(failure: &Failure) -> Self {
        Self::new("unreachable", format!("Slack {failure}"), REACH)
    }

    /// Slack did not make a connection of the call.
    pub(super) fn of_answer(answer: &Answer) -> Self {
        let found = format!("the WebSocket was answered {}", answer.status);
        let remedy = "does everything between here and Slack let WebSockets through?";
        Self::new("no_websocket", found, remedy).after(answer.retry_after().unwrap_or_default())
    }

    fn of_code(code: &str) -> Self {
        let found = format!("Slack refuses ({code})");
        if PASSING.contains(&code) {
            return Self::new(code, found, WAIT);
        }
        let row = TABLE.iter().find(|(known, _)| *known == code);
        let remedy = row.map_or("see docs.slack.dev for this code", |(_, remedy)| remedy);
        Self::new(code, found, remedy).after(SLOW)
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn a_refusal_names_the_remedy_and_waits_as_it_should() {
        let refused = |code: &str| Trouble::Refused(code.to_owned());
        for (trouble, code, remedy, pause) in [
            (refused("invalid_auth"), "invalid_auth", "connections:write", SLOW),
            (
                refused("not_allowed_token_type"),
                "not_allowed_token_type",
                "xapp-",
                SLOW,
            ),
            (
                refused("internal_error"),
                "internal_error",
                "status.slack.com",
                Duration::ZERO,
            ),
            (refused("of_tomorrow"), "of_tomorrow", "docs.slack.dev", SLOW),
            (
                Trouble::Limited(Duration::from_secs(7)),
                "ratelimited",
                "tried again",
                Duration::from_secs(7),
            ),
            (
                Trouble::Status(StatusCode::NOT_FOUND),
                "http_error",
                "slack.api_base",
                Duration::ZERO,
            ),
            (
                Trouble::Call(Failure::NotSent("refused".to_owned())),
                "unreachable",
                "slack.api_base",
                Duration::ZERO,
            ),
        ] {
            let refusal = Refusal::of_call(trouble);
            assert_eq!((refusal.code.as_str(), refusal.pause), (code, pause));
            assert!(refusal.remedy.contains(remedy), "{refusal:?}");
        }
    }
}
