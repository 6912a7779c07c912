//! The calls of the surface: each is made once, within Slack's limits, and its failures are told now and then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::Trouble;
use crate::channel::slack::Slack;
use crate::channel::slack::errors::{self, Class};
use crate::channel::{SendDisposition, SendError};
use crate::domain::{AccountKey, Time};

/// A method that Slack refuses to this app is left alone for so long.
const REST: Duration = Duration::from_mins(10);

/// The same failure of an account is told once in this time.
const TELL_EVERY: Duration = Duration::from_mins(10);

/// What Slack warns of while the stop button does nothing (docs.slack.dev, `agent_session_stopped`).
const NO_STOP_BUTTON: &str = "missing_agent_session_stopped_event_subscription";

/// When to try again while there is no token yet: the daemon has just begun.
const NOT_YET: Duration = Duration::from_millis(200);

/// When an account's failures were last told.
#[derive(Default)]
pub(super) struct Told(Mutex<HashMap<(AccountKey, &'static str), Time>>);

impl Told {
    /// Whether it is to be told now.
    fn is_news(&self, account: &AccountKey, what: &'static str, now: Time) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = told.get(&(account.clone(), what));
        let news = last.is_none_or(|last| now.since(*last) >= TELL_EVERY);
        if news {
            told.insert((account.clone(), what), now);
        }
        news
    }
}

/// No call without a token.
fn unavailable(error: SendError) -> Trouble {
    match error.disposition {
        SendDisposition::Pause { .. } => Trouble::Limited(NOT_YET),
        _ => Trouble::Refused(error.code),
    }
}

impl Slack {
    /// Calls a method for an account, unless Slack wants a pause of it or refuses it as such.
    pub(super) async fn try_call(
        &self,
        account: &AccountKey,
        method: &'static str,
        arguments: &Value,
    ) -> Result<Value, Trouble> {
        if let Some(after) = self.pace.limited(account, method, self.clock.now()) {
            return Err(Trouble::Limited(after));
        }
        let token = self.installations.token(&self.client, account).await;
        let token = token.map_err(unavailable)?;
        let mut outcome = self.client.post(method, &token, arguments).await;
        if matches!(&outcome, Err(Trouble::Refused(code)) if code == "token_expired")
            && let Some(fresh) = self
                .installations
                .token_after(&self.client, account, &token)
                .await
        {
            let fresh = fresh.map_err(unavailable)?;
            outcome = self.client.post(method, &fresh, arguments).await;
        }
        let rest = match &outcome {
            Err(Trouble::Limited(after)) => Some(*after),
            Err(Trouble::Refused(code)) if is_for_good(code) => Some(REST),
            _ => None,
        };
        if let Some(rest) = rest {
            self.pace.limit(account, method, self.clock.now().plus(rest));
        }
        outcome
    }

    /// Tells the operator of a failure, once in a while.
    pub(super) fn tell(&self, account: &AccountKey, method: &'static str, trouble: &Trouble) {
        let why = match trouble {
            Trouble::Refused(code) => code.clone(),
            Trouble::Limited(after) => format!("limited for {after:?}"),
            Trouble::Status(status) => status.to_string(),
            Trouble::Garbled => "an answer that says nothing".to_owned(),
            Trouble::Call(failure) => failure.to_string(),
        };
        let limited = matches!(trouble, Trouble::Limited(_));
        if !limited && self.surface.told.is_news(account, method, self.clock.now()) {
            tracing::warn!(
                %account, method, why,
                "Slack does not show people what the bot does; answers are not concerned. Compare the app with what \
                 chatbridge slack manifest prints"
            );
        } else {
            tracing::debug!(%account, method, why, "not shown");
        }
    }

    /// Tells the operator once in a while if people have no stop button.
    pub(super) fn heed_warning(&self, account: &AccountKey, answer: &Value) {
        let warns = |list: Option<&Value>| list.is_some_and(|list| list.to_string().contains(NO_STOP_BUTTON));
        let warned = warns(answer.get("warning")) || warns(answer.pointer("/response_metadata/warnings"));
        if warned
            && self
                .surface
                .told
                .is_news(account, NO_STOP_BUTTON, self.clock.now())
        {
            tracing::warn!(
                %account,
                "people see no stop button: subscribe to agent_session_stopped (Slack app settings, Event Subscriptions)"
            );
        }
    }
}

/// Whether a refusal is one of the app, not of this call.
fn is_for_good(code: &str) -> bool {
    code == "unknown_method" || errors::look(code).0 == Class::Installation
}
