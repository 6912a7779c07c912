//! Where a number's messages go: the callback of the number, of the account or of the app.

use std::fmt;

use super::finding::Finding;
use super::survey::{AppReport, NumberReport, Survey};

/// The callbacks that may be set for a number, each where it may be set.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Callbacks<'a> {
    pub number: Option<&'a str>,
    pub account: Option<&'a str>,
    pub app: Option<&'a str>,
}

/// Where a callback is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Number,
    Account,
    App,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "number",
            Self::Account => "account",
            Self::App => "app",
        })
    }
}

impl<'a> Callbacks<'a> {
    /// All three, the one that wins first: the number's wins over the account's, and that over the app's.
    fn ranked(self) -> impl Iterator<Item = (Level, &'a str)> {
        [
            (Level::Number, self.number),
            (Level::Account, self.account),
            (Level::App, self.app),
        ]
        .into_iter()
        .filter_map(|(level, callback)| Some((level, callback?)))
    }

    /// The one that Meta uses.
    pub(super) fn winner(self) -> Option<(Level, &'a str)> {
        self.ranked().next()
    }

    /// The others, in words.
    fn shadowed(self) -> String {
        self.ranked()
            .skip(1)
            .fold(String::new(), |words, (level, callback)| {
                words + &format!("; not used: {callback}, set for the {level}")
            })
    }
}

/// Whether two addresses are one.
pub(super) fn same(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        reqwest::Url::parse(text)
            .map_or_else(|_| text.to_owned(), |url| url.to_string())
            .trim_end_matches('/')
            .to_owned()
    };
    plain(one) == plain(other)
}

impl Survey {
    /// Where a number's messages go.
    pub(super) fn callback(&self, number: &NumberReport) -> Option<Finding> {
        let name = format!("whatsapp callback {}", number.id);
        number.facts.as_ref().ok()?;
        let callbacks = self.callbacks(number);
        let Some((level, winner)) = callbacks.winner() else {
            let app = self
                .app(number.app.as_deref())
                .filter(|app| app.subscription.is_ok());
            return Some(match app {
                Some(_) => Finding::failed(
                    name,
                    "no callback is set anywhere: messages go nowhere",
                    "run `chatbridge whatsapp setup`",
                ),
                None => Finding::skipped(name, "Meta does not say where the messages go")
                    .with_remedy("name the app with --app-id (App settings, Basic, App ID)"),
            });
        };
        let Some(ours) = &self.callback else {
            return Some(
                Finding::skipped(
                    name,
                    format!("messages go to {winner}, which is set for the {level}"),
                )
                .with_remedy("set server.public_url, to see whether that is here"),
            );
        };
        if same(winner, ours) {
            let shadowed = callbacks.shadowed();
            return Some(Finding::ok(
                name,
                format!("messages come here, as set for the {level}{shadowed}"),
            ));
        }
        Some(match level {
            Level::App => Finding::failed(
                name,
                format!("messages go to {winner}, which is set for the app, and not to {ours}"),
                "run `chatbridge whatsapp setup`; by hand: Use cases, Customize, Configuration, Callback URL",
            ),
            _ => Finding::failed(
                name,
                format!(
                    "a forgotten override? Messages go to {winner}, which is set for the {level}. A callback of the \
                     number wins over one of the account, and both win over the app's"
                ),
                "if that address is no longer used, run `chatbridge whatsapp setup`: it takes the override away",
            ),
        })
    }

    /// The three callbacks that may be set for a number.
    pub(super) fn callbacks<'a>(&'a self, number: &'a NumberReport) -> Callbacks<'a> {
        let facts = number.facts.as_ref().ok();
        let of_account = self
            .accounts
            .iter()
            .filter(|account| number.account.as_ref() == Some(&account.id) && account.access == number.access)
            .flat_map(|account| account.subscribers.iter().flatten())
            .find(|subscriber| number.app.as_ref() == Some(&subscriber.id))
            .and_then(|subscriber| subscriber.callback.as_deref());
        let of_app = self
            .app(number.app.as_deref())
            .and_then(|app| app.subscription.as_ref().ok()?.as_ref()?.callback.as_deref());
        Callbacks {
            number: facts.and_then(|facts| facts.callback.as_deref()),
            account: of_account.or_else(|| facts.and_then(|facts| facts.account_callback.as_deref())),
            app: of_app.or_else(|| facts.and_then(|facts| facts.app_callback.as_deref())),
        }
    }

    fn app(&self, id: Option<&str>) -> Option<&AppReport> {
        self.apps.iter().find(|app| Some(app.id.as_str()) == id)
    }
}
