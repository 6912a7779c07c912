//! An installation that somebody made at our door: its token, renewed before it ends.
//!
//! Renewals of one installation follow one another: a refresh token is good once. What Slack grants is kept before it
//! is used, so that a crash cannot lose it and leave us with one that is used up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::channel::{SendDisposition, SendError};
use crate::domain::installation::InstallationStore;
use crate::domain::{AccountKey, Time};

use super::client::{Client, Credentials, Trouble};
use super::errors::{self, Class};
use super::grant::{Grant, Renewal};

/// How long after a renewal that failed the next is tried, as long as the token is good.
const AGAIN: Duration = Duration::from_secs(30);

/// With what a token is renewed.
pub(super) struct Means<'a> {
    pub(super) client: &'a Client,
    pub(super) credentials: Option<&'a Credentials>,
    pub(super) store: &'a dyn InstallationStore,
    pub(super) now: Time,
}

/// An installation with its token.
pub(super) struct Granted {
    account: AccountKey,
    /// Since when it counts.
    pub(super) since: Time,
    current: Mutex<Current>,
    /// One renewal at a time; with what Slack granted and the store has not got yet.
    renewing: tokio::sync::Mutex<Option<Grant>>,
}

struct Current {
    grant: Grant,
    not_before: Time,
}

impl Granted {
    pub(super) fn new(account: AccountKey, since: Time, grant: Grant) -> Self {
        Self {
            account,
            since,
            current: Mutex::new(Current {
                grant,
                not_before: Time::default(),
            }),
            renewing: tokio::sync::Mutex::new(None),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The grant as it is now.
    pub(super) fn grant(&self) -> Grant {
        self.current().grant.clone()
    }

    /// A token that is good now.
    pub(super) async fn token(&self, means: &Means<'_>) -> Result<SecretString, SendError> {
        match self.usable(means.now) {
            Some(token) => Ok(token),
            None => self.renew(means, None).await,
        }
    }

    /// A token other than this one, which Slack says has come to its end.
    pub(super) async fn token_after(
        &self,
        means: &Means<'_>,
        ended: &SecretString,
    ) -> Result<SecretString, SendError> {
        self.renew(means, Some(ended)).await
    }

    /// The token, if it need not be renewed now.
    fn usable(&self, now: Time) -> Option<SecretString> {
        let current = self.current();
        let waits = current.not_before > now && !current.grant.is_over(now);
        (!current.grant.is_due(now) || waits).then(|| current.grant.token.clone())
    }

    async fn renew(
        &self,
        means: &Means<'_>,
        ended: Option<&SecretString>,
    ) -> Result<SecretString, SendError> {
        let mut unkept = self.renewing.lock().await;
        // Whoever had the lock may have renewed it already.
        let is_ended =
            |token: &SecretString| ended.is_some_and(|ended| ended.expose_secret() == token.expose_secret());
        if let Some(token) = self.usable(means.now).filter(|token| !is_ended(token)) {
            return Ok(token);
        }
        let old = self.grant();
        let error = match self.renewed(means, &old, &mut unkept).await {
            Ok(grant) => {
                let token = grant.token.clone();
                tracing::info!(account = %self.account, "renewed the token");
                *self.current() = Current {
                    grant,
                    not_before: Time::default(),
                };
                return Ok(token);
            }
            Err(error) => error,
        };
        tracing::warn!(account = %self.account, code = error.code, "the token is not renewed yet: {error}");
        self.current().not_before = means.now.plus(AGAIN);
        if ended.is_some() || old.is_over(means.now) {
            Err(error)
        } else {
            Ok(old.token)
        }
    }

    /// Gets a fresh grant and keeps it.
    async fn renewed(
        &self,
        means: &Means<'_>,
        old: &Grant,
        unkept: &mut Option<Grant>,
    ) -> Result<Grant, SendError> {
        let fresh = match unkept.take() {
            Some(fresh) => fresh,
            None => self.ask(means, old).await?,
        };
        match means
            .store
            .renew(&self.account, &fresh.to_details(), self.since)
            .await
        {
            Ok(true) => Ok(fresh),
            Ok(false) => Err(SendError {
                code: "not_installed".to_owned(),
                message: format!("the app was removed from {} meanwhile", self.account),
                disposition: SendDisposition::Hold,
            }),
            Err(error) => {
                *unkept = Some(fresh);
                Err(SendError {
                    code: "store_unavailable".to_owned(),
                    message: format!("the new token cannot be kept yet: {error}"),
                    disposition: SendDisposition::Retry { after: None },
                })
            }
        }
    }

    async fn ask(&self, means: &Means<'_>, old: &Grant) -> Result<Grant, SendError> {
        let (Some(Renewal { token, .. }), Some(credentials)) = (&old.renewal, means.credentials) else {
            let code = if old.renewal.is_some() {
                "no_client_secret"
            } else {
                "token_expired"
            };
            return Err(SendError {
                code: code.to_owned(),
                message: format!(
                    "the token of {} has come to its end; set slack.client_id and slack.client_secret, and install the \
                     app there again",
                    self.account
                ),
                disposition: SendDisposition::Hold,
            });
        };
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.expose_secret()),
        ];
        let answer = means.client.access(credentials, &form).await.map_err(refusal)?;
        old.renewed(&answer.body, means.now)
            .ok_or_else(|| refusal(Trouble::Garbled))
    }
}

/// What it means for a part that the token before it could not be renewed: the part itself was certainly not sent.
fn refusal(trouble: Trouble) -> SendError {
    let for_good = matches!(&trouble, Trouble::Refused(code)
        if !matches!(errors::look(code).0, Class::Limited | Class::Passing | Class::Slow | Class::Ambiguous));
    let error = errors::send_error(trouble);
    let disposition = if for_good {
        SendDisposition::Hold
    } else if error.disposition == SendDisposition::Unknown {
        SendDisposition::Retry { after: None }
    } else {
        error.disposition
    };
    let message = if for_good {
        format!(
            "Slack does not renew the token ({}); compare slack.client_id and slack.client_secret with the app's Basic \
             Information page, and install the app there again",
            error.code
        )
    } else {
        error.message
    };
    SendError {
        message,
        disposition,
        ..error
    }
}
