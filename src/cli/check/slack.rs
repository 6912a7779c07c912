//! The checks of Slack: the tokens and what they may do, the clock, and the way from Slack to here.

use std::time::Duration;

use secrecy::SecretString;

use super::Check;
use crate::channel::slack::probe::{self, Finding, Identity};
use crate::channel::slack::{self, manifest};
use crate::config::Settings;
use crate::domain::{Clock, SystemClock, Time};

/// How far the clocks may be apart. At five minutes every request is refused as stale: there must be room.
const MOST_SKEW: Duration = Duration::from_mins(1);

/// All checks of Slack.
pub(super) async fn checks(settings: &Settings, slack: &slack::Settings) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut date = None;
    let tokens = tokens(settings, slack, &mut checks).await;
    for token in &tokens {
        let identity = probe::identity(slack, &token.secret).await;
        if let Ok(identity) = &identity {
            date = date.or(identity.date.map(|date| (date, SystemClock.now())));
        }
        checks.extend(of_token(slack, &token.name, token.is_over, identity));
    }
    if let Some((theirs, ours)) = date {
        checks.push(clock(theirs, ours));
    }
    checks.push(match &slack.app_token {
        Some(token) => app_token(slack, token).await,
        None => door(settings, slack).await,
    });
    checks
}

/// A token to be looked at.
struct Token {
    /// What is put behind the names of its checks; nothing for the one of the configuration.
    name: String,
    secret: SecretString,
    is_over: bool,
}

/// The tokens: the static one and those of the installations. What is wrong with the latter is added to the checks.
async fn tokens(settings: &Settings, slack: &slack::Settings, checks: &mut Vec<Check>) -> Vec<Token> {
    let mut tokens: Vec<Token> = slack
        .bot_token
        .iter()
        .map(|token| Token {
            name: String::new(),
            secret: token.clone(),
            is_over: false,
        })
        .collect();
    if slack.client_id.is_some() {
        match kept(settings).await {
            Ok(kept) => {
                for installed in kept {
                    let place = installed.account.account().to_owned();
                    let name = format!(" {place}");
                    match probe::kept_token(&installed, SystemClock.now()) {
                        Some(token) => tokens.push(Token {
                            name,
                            secret: token.token,
                            is_over: token.is_over,
                        }),
                        None => checks.push(Check::failed(
                            format!("slack token{name}"),
                            "it cannot be decrypted",
                            "put the key that encrypted it back into store.secret_key, or install the app there again",
                        )),
                    }
                }
            }
            Err(error) => checks.push(Check::failed(
                "slack installations",
                error.to_string(),
                "see store.url and who may read it",
            )),
        }
    }
    if tokens.is_empty() && checks.is_empty() {
        let remedy = if slack.client_id.is_some() {
            "open /slack/install below server.public_url with a browser, or set slack.bot_token"
        } else {
            "install the app (Slack app settings, Install App) and set slack.bot_token to the token that starts with xoxb-"
        };
        checks.push(Check::failed("slack token", "there is none", remedy));
    }
    tokens
}

async fn kept(settings: &Settings) -> anyhow::Result<Vec<crate::domain::installation::Installed>> {
    let store = super::super::open_store(settings).await?;
    let kept = store.list("slack").await;
    store.close().await;
    Ok(kept?)
}

/// What there is to say of a token.
fn of_token(
    slack: &slack::Settings,
    name: &str,
    is_over: bool,
    identity: Result<Identity, Finding>,
) -> Vec<Check> {
    let named = |what: &str| format!("slack {what}{name}");
    let identity = match identity {
        Ok(identity) => identity,
        Err(finding) => {
            let remedy = if is_over {
                "start chatbridge: it renews this token".to_owned()
            } else {
                finding.remedy
            };
            return vec![Check::failed(named("token"), finding.found, remedy)];
        }
    };
    vec![
        Check::ok(named("token"), format!("valid for {}", identity.place)),
        bot(named("bot"), identity.bot),
        scopes(named("scopes"), slack, identity.scopes.as_deref()),
    ]
}

fn bot(name: String, bot: Option<String>) -> Check {
    match bot {
        Some(bot) => Check::ok(name, format!("is {bot}")),
        None => Check::failed(
            name,
            "the token is not a bot's",
            "set slack.bot_token to the Bot User OAuth Token (Slack app settings, OAuth & Permissions); it starts with xoxb-",
        ),
    }
}

fn scopes(name: String, slack: &slack::Settings, granted: Option<&str>) -> Check {
    let Some(granted) = granted else {
        return Check::failed(
            name,
            "Slack's answer does not show them",
            "is slack.api_base Slack's own address?",
        );
    };
    let missing = manifest::missing_scopes(slack, granted);
    if missing.is_empty() {
        return Check::ok(name, "all that the features need");
    }
    let missing: Vec<String> = missing
        .iter()
        .map(|(scope, what)| format!("{scope} (for {what})"))
        .collect();
    Check::failed(
        name,
        format!("missing: {}", missing.join(", ")),
        "add them (Slack app settings, OAuth & Permissions, Bot Token Scopes) and install the app again",
    )
}

fn clock(theirs: Time, ours: Time) -> Check {
    // Slack's shows whole seconds.
    let apart = ours.since(theirs).max(theirs.since(ours));
    let found = format!("{} s from Slack's", apart.as_secs());
    if apart <= MOST_SKEW {
        Check::ok("slack clock", found)
    } else {
        Check::failed(
            "slack clock",
            found,
            "set this machine's clock by a time server (timedatectl set-ntp true): at five minutes every event is refused",
        )
    }
}

/// Whether we reach Slack by Socket Mode. Slack calls no address then.
async fn app_token(slack: &slack::Settings, token: &SecretString) -> Check {
    let name = "slack app token";
    match probe::app_token(slack, token).await {
        Ok(()) => Check::ok(
            name,
            "opens connections for Socket Mode; /readyz of the running daemon says whether one stands",
        ),
        Err(finding) => Check::failed(name, finding.found, finding.remedy),
    }
}

/// Whether Slack reaches us.
async fn door(settings: &Settings, slack: &slack::Settings) -> Check {
    let name = "slack request url";
    let Some(public_url) = &settings.server.public_url else {
        return Check::failed(
            name,
            "server.public_url is not set, so it cannot be tried",
            "set it to the https address by which the world reaches this daemon",
        );
    };
    match probe::request_url(slack, public_url, SystemClock.now()).await {
        Ok(()) => Check::ok(name, format!("{public_url} answers a signed url_verification")),
        Err(finding) => Check::failed(name, finding.found, finding.remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn clocks_may_be_a_minute_apart() {
        let at = Time::from_secs;
        for (theirs, ours, outcome) in [
            (1000, 1000, Outcome::Ok),
            (1000, 1060, Outcome::Ok),
            (1000, 939, Outcome::Failed),
            (1000, 1061, Outcome::Failed),
        ] {
            assert_eq!(clock(at(theirs), at(ours)).outcome, outcome, "{theirs} {ours}");
        }
    }
}
