//! Installing the app into a workspace or an organisation: the two pages that a browser visits.
//!
//! `/slack/install` sends the browser to Slack with a state of its own; Slack sends it back to the callback with that
//! state and a code, and the code becomes a token (docs.slack.dev, "Installing with OAuth"). Every end of it is a page
//! with a few words.

use http::StatusCode;

use crate::channel::visit::{Page, Visit};
use crate::domain::account::is_plain_id;
use crate::domain::installation::InstallationStore;
use crate::domain::{AccountKey, Time};

use super::client::{Client, Credentials, Trouble, query};
use super::errors;
use super::grant::Grant;
use super::manifest;
use super::settings::Settings;
use super::state::{self, Proven, Refusal};
use super::{CALLBACK, INSTALL};

/// The cookie that ties a state to its browser.
const COOKIE: &str = "chatbridge_install";

/// Below what the cookie is sent back.
const COOKIE_PATH: &str = "/slack";

/// What installing needs.
pub(super) struct OAuth {
    /// The app's name and secret.
    pub(super) credentials: Credentials,
    /// Slack's page where people allow it.
    authorize: String,
    /// Where Slack sends them back.
    callback: String,
    /// What the app asks for.
    scopes: String,
    settings: Settings,
}

/// Somebody installed the app.
pub(super) struct Made {
    /// Where.
    pub(super) account: AccountKey,
    /// What Slack granted.
    pub(super) grant: Grant,
    /// When, by Slack's clock if it showed it.
    pub(super) at: Time,
}

impl OAuth {
    /// None unless the settings let others install the app.
    pub(super) fn new(settings: &Settings, public_url: Option<&str>) -> Option<Self> {
        let (Some(id), Some(secret), Some(public_url)) =
            (&settings.client_id, &settings.client_secret, public_url)
        else {
            return None;
        };
        // Slack's pages stand beside its API: https://slack.com/api and https://slack.com/oauth/v2/authorize.
        let base = settings.api_base.trim_end_matches('/');
        let site = base.strip_suffix("/api").unwrap_or(base);
        Some(Self {
            credentials: Credentials {
                id: id.clone(),
                secret: secret.clone(),
            },
            authorize: format!("{site}/oauth/v2/authorize"),
            callback: format!("{}{CALLBACK}", public_url.trim_end_matches('/')),
            scopes: manifest::scopes(settings).join(","),
            settings: settings.clone(),
        })
    }

    /// The way to Slack.
    pub(super) fn set_out(&self, visit: &Visit, now: Time) -> Page {
        let issued = state::issue(&self.credentials.secret, now);
        let mut pairs = vec![
            ("client_id", self.credentials.id.as_str()),
            ("scope", &self.scopes),
            ("redirect_uri", &self.callback),
            ("state", &issued.state),
        ];
        // Whoever links here may name the workspace.
        let team = visit.parameter("team").filter(|team| is_plain_id(team));
        if let Some(team) = &team {
            pairs.push(("team", team));
        }
        let to = format!("{}?{}", self.authorize, query(&pairs));
        Page::redirect(to).with_cookie(self.cookie(&issued.word, state::GOOD_FOR.as_secs()))
    }

    fn cookie(&self, word: &str, seconds: u64) -> String {
        // Slack leads the browser back from another site: `Lax` lets the cookie come along.
        let secure = if self.callback.starts_with("https://") {
            "; Secure"
        } else {
            ""
        };
        format!("{COOKIE}={word}; Path={COOKIE_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }

    /// The way back: what was installed, or the page that says why nothing was.
    pub(super) async fn come_back(
        &self,
        visit: &Visit,
        client: &Client,
        store: &dyn InstallationStore,
        now: Time,
    ) -> Result<Made, Page> {
        self.admit(visit, store, now).await?;
        if visit.parameter("error").is_some() {
            tracing::info!("somebody did not allow the installation");
            let lines =
                vec!["You did not allow it, so nothing was changed. You can close this page.".to_owned()];
            return Err(
                self.done(Page::card(StatusCode::OK, "Not installed", lines).with_link(AGAIN, INSTALL))
            );
        }
        let Some(code) = visit.parameter("code").filter(|code| !code.is_empty()) else {
            return Err(self.done(refused("Slack sent no code along.")));
        };
        let form = [("code", code.as_str()), ("redirect_uri", self.callback.as_str())];
        let heard = match client.access(&self.credentials, &form).await {
            Ok(heard) => heard,
            Err(trouble) => return Err(self.done(failed(trouble))),
        };
        let at = heard.date.unwrap_or(now);
        let grant = Grant::read(&heard.body, now);
        match grant.and_then(|grant| Some((grant.account()?, grant))) {
            Some((account, grant)) => Ok(Made { account, grant, at }),
            None => Err(self.done(failed(Trouble::Garbled))),
        }
    }

    /// Whether the state is ours, this browser's, in time and unused; it is used up now.
    async fn admit(&self, visit: &Visit, store: &dyn InstallationStore, now: Time) -> Result<(), Page> {
        let state = visit.parameter("state").unwrap_or_default();
        let word = visit.cookie(COOKIE).unwrap_or_default();
        let Proven { nonce, end } = match state::prove(&self.credentials.secret, &state, word, now) {
            Ok(proven) => proven,
            Err(refusal) => {
                tracing::warn!(?refusal, "an installation was refused: its state is not good");
                return Err(refused(match refusal {
                    Refusal::Expired => "More than ten minutes have passed since you set out.",
                    Refusal::Foreign => "It was not begun in this browser, or it was begun anew meanwhile.",
                }));
            }
        };
        match store.spend(&format!("slack/state/{nonce}"), end, now).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                tracing::warn!("an installation was refused: its state was used before");
                Err(refused("This link was used already."))
            }
            Err(error) => {
                tracing::error!(%error, "an installation cannot go on");
                Err(unavailable())
            }
        }
    }

    /// The cookie has done its work.
    fn done(&self, page: Page) -> Page {
        page.with_cookie(self.cookie("", 0))
    }

    /// The page at the good end.
    pub(super) fn installed(&self, grant: &Grant) -> Page {
        let missing = manifest::missing_scopes(&self.settings, &grant.scopes);
        if !missing.is_empty() {
            let scopes: Vec<&str> = missing.iter().map(|(scope, _)| *scope).collect();
            tracing::warn!(?scopes, "the app was installed without scopes that it needs");
        }
        let place = grant.name.as_deref().unwrap_or("your workspace");
        let lines = vec![
            format!("The bot is now in {place}."),
            "Invite it to a channel and mention it there, or write to it directly: you find it under Apps."
                .to_owned(),
            "You can close this page.".to_owned(),
        ];
        self.done(Page::card(StatusCode::OK, "Installed", lines))
    }
}

/// The words of the link that begins anew.
const AGAIN: &str = "Begin again";

/// Nothing was installed, and it is the visit's own doing.
fn refused(why: &str) -> Page {
    let lines = vec![why.to_owned(), "Nothing was changed.".to_owned()];
    Page::card(StatusCode::BAD_REQUEST, "This did not work", lines).with_link(AGAIN, INSTALL)
}

/// Nothing was installed, and the store is to blame.
pub(super) fn unavailable() -> Page {
    let lines = vec!["Something is wrong on this side. Please try again in a few minutes.".to_owned()];
    Page::card(StatusCode::SERVICE_UNAVAILABLE, "This did not work", lines).with_link(AGAIN, INSTALL)
}

/// Slack gave no token for the code.
fn failed(trouble: Trouble) -> Page {
    let stale = matches!(&trouble, Trouble::Refused(code) if ["invalid_code", "code_already_used"].contains(&code.as_str()));
    let operators = matches!(&trouble, Trouble::Refused(_)) && !stale;
    let error = errors::send_error(trouble);
    let code = error.code;
    if stale {
        tracing::warn!(code, "an installation failed: its code was not good any more");
        return refused("Slack says that this link was used already, or is too old.");
    }
    if operators {
        tracing::error!(
            code,
            "Slack gives no token for an installation; compare slack.client_id, slack.client_secret and server.public_url \
             with the app's Basic Information and OAuth & Permissions pages"
        );
        let lines = vec![
            format!("Slack does not accept this app's own settings ({code}). Please tell whoever runs it."),
            "Nothing was changed.".to_owned(),
        ];
        return Page::card(StatusCode::BAD_GATEWAY, "This did not work", lines);
    }
    tracing::error!(
        code,
        "Slack gives no token for an installation: {}",
        error.message
    );
    let lines = vec!["Slack does not answer as it should. Please try again in a few minutes.".to_owned()];
    Page::card(StatusCode::BAD_GATEWAY, "This did not work", lines).with_link(AGAIN, INSTALL)
}
