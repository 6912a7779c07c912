//! The static token, and the place that it serves.
//!
//! A static `bot_token` serves the one workspace that `auth.test` names. Until that has answered, what comes is
//! accepted and waits: a slow start loses nothing.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::channel::{Scope, SendDisposition, SendError};
use crate::domain::AccountKey;
use crate::domain::account::is_plain_id;

use super::NAME;
use super::client::{Client, Trouble};
use super::errors::{self, Class};

/// The waits between the calls of `auth.test` while Slack cannot be reached: the first and the longest.
const UNREACHED: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The same while Slack refuses the token.
const REFUSED: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(10));

/// For how long a delivery waits that comes before `auth.test` has answered.
const NOT_YET: Duration = Duration::from_secs(1);

/// A workspace or organisation in which the app is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installation {
    /// The workspace's id; that of the organisation if all of it installed the app.
    pub(super) team: String,
    /// The organisation's id, if the workspace belongs to one.
    pub(super) enterprise: Option<String>,
    /// The id under which the bot is mentioned and posts.
    pub(super) bot_user: Option<String>,
}

impl Installation {
    /// Reads the answer of `auth.test`; none if it names no team.
    fn read(answer: &Value) -> Option<Self> {
        let id = |key: &str| {
            answer
                .get(key)
                .and_then(Value::as_str)
                .filter(|id| is_plain_id(id))
                .map(str::to_owned)
        };
        Some(Self {
            team: id("team_id")?,
            enterprise: id("enterprise_id"),
            bot_user: id("user_id"),
        })
    }

    fn is(&self, account: &AccountKey) -> bool {
        account.account() == self.team || Some(account.account()) == self.enterprise.as_deref()
    }
}

/// What is known of the token.
#[derive(Debug, Clone)]
enum Standing {
    /// There is none.
    NoToken,
    /// `auth.test` has not answered yet.
    Asking,
    /// Slack refuses it, with this code.
    Refused(String),
    /// It serves this installation.
    Known(Arc<Installation>),
}

/// Whether an account is served.
#[derive(Debug)]
pub(super) enum Served {
    /// It is.
    Yes(Arc<Installation>),
    /// Nothing can be said before `auth.test` has answered.
    NotYet,
    /// There is no token for it.
    No,
}

/// The static token.
pub(super) struct StaticToken {
    token: Option<SecretString>,
    standing: watch::Sender<Standing>,
    doubted: Notify,
}

impl StaticToken {
    /// This token. An empty one is none.
    pub(super) fn new(token: Option<SecretString>) -> Self {
        let token = token.filter(|token| !token.expose_secret().trim().is_empty());
        let standing = if token.is_some() {
            Standing::Asking
        } else {
            Standing::NoToken
        };
        Self {
            token,
            standing: watch::Sender::new(standing),
            doubted: Notify::new(),
        }
    }

    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        self.token.is_none()
    }

    /// Whether this account's messages are for us.
    pub(super) fn serve(&self, account: &AccountKey) -> Served {
        match &*self.standing.borrow() {
            Standing::Asking | Standing::Refused(_) => Served::NotYet,
            Standing::Known(installation) if installation.is(account) => Served::Yes(installation.clone()),
            Standing::Known(_) | Standing::NoToken => Served::No,
        }
    }

    /// The token, if it speaks for this account; none if it certainly does not.
    pub(super) fn token(&self, account: &AccountKey) -> Option<Result<SecretString, SendError>> {
        let token = self.token.as_ref()?;
        match &*self.standing.borrow() {
            Standing::Known(installation) if installation.is(account) => Some(Ok(token.clone())),
            Standing::Asking => Some(Err(SendError {
                code: "auth_test_pending".to_owned(),
                message: "Slack has not yet said which workspace slack.bot_token belongs to".to_owned(),
                disposition: SendDisposition::Pause {
                    scope: Scope::Account,
                    after: NOT_YET,
                },
            })),
            // Whatever the code is: as long as auth.test is refused, nothing is sent and an operator must look.
            Standing::Refused(code) => Some(Err(SendError {
                disposition: SendDisposition::Hold,
                ..errors::refusal(code)
            })),
            Standing::Known(_) | Standing::NoToken => None,
        }
    }

    /// The token may have come to its end, if it is this account's.
    pub(super) fn doubt(&self, account: &AccountKey) {
        let concerned =
            matches!(&*self.standing.borrow(), Standing::Known(installation) if installation.is(account));
        if concerned {
            self.doubted.notify_one();
        }
    }

    /// Asks Slack whose the token is until it answers, and again whenever there is doubt; it never ends. `serves` is told
    /// whom the token serves.
    pub(super) async fn run(&self, client: &Client, serves: impl Fn(&AccountKey)) {
        loop {
            let mut failures = 0;
            while let Some(wait) = self.learn(client, failures).await {
                failures += 1;
                tokio::time::sleep(wait).await;
            }
            if let Standing::Known(installation) = &*self.standing.borrow() {
                let names = [Some(&installation.team), installation.enterprise.as_ref()];
                let accounts = names
                    .into_iter()
                    .flatten()
                    .filter_map(|id| AccountKey::new(NAME, id));
                accounts.for_each(|account| serves(&account));
            }
            self.doubted.notified().await;
        }
    }

    /// One call of `auth.test`, after so many failed ones. None if there is nothing more to learn, else how long to
    /// wait before the next.
    pub(super) async fn learn(&self, client: &Client, failures: u32) -> Option<Duration> {
        let token = self.token.as_ref()?;
        let trouble = match client.post("auth.test", token, &json!({})).await {
            Ok(answer) => match Installation::read(&answer) {
                Some(installation) => {
                    introduce(&answer, &installation);
                    self.standing
                        .send_replace(Standing::Known(Arc::new(installation)));
                    return None;
                }
                None => Trouble::Garbled,
            },
            Err(trouble) => trouble,
        };
        let asked = if let Trouble::Limited(after) = trouble {
            after
        } else {
            Duration::ZERO
        };
        let refused =
            matches!(&trouble, Trouble::Refused(code) if errors::look(code).0 == Class::Installation);
        let (first, longest) = if refused { REFUSED } else { UNREACHED };
        let error = errors::send_error(trouble);
        tracing::warn!(
            code = error.code,
            "Slack does not say which workspace slack.bot_token belongs to: {error}"
        );
        if refused {
            self.standing.send_replace(Standing::Refused(error.code));
        }
        Some(
            first
                .saturating_mul(1 << failures.min(16))
                .min(longest)
                .max(asked),
        )
    }
}

fn introduce(answer: &Value, installation: &Installation) {
    let Installation {
        team,
        enterprise,
        bot_user,
    } = installation;
    tracing::info!(team, enterprise, bot_user, "connected to Slack");
    if answer.get("bot_id").is_none_or(Value::is_null) {
        tracing::warn!("slack.bot_token is not a bot's token: set it to the one that starts with xoxb-");
    }
}
