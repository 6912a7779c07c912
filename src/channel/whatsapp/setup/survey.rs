//! The look at everything: which tokens, numbers, accounts and apps there are, and how each is set.

use secrecy::{ExposeSecret, SecretString};

use super::facts::{Number, Subscriber, Subscription, TokenFacts};
use super::finding::Finding;
use super::trouble::Trouble;
use super::{Access, Setup, ourselves};

/// How everything is set.
#[derive(Debug, Default)]
pub struct Survey {
    /// Where webhooks should go.
    pub(super) callback: Option<String>,
    /// The tokens, in the order of the accesses.
    pub(super) tokens: Vec<Token>,
    pub(super) numbers: Vec<NumberReport>,
    pub(super) accounts: Vec<AccountReport>,
    pub(super) apps: Vec<AppReport>,
    /// How our own address answers.
    pub(super) ourselves: Vec<Finding>,
}

/// A token.
#[derive(Debug)]
pub(super) struct Token {
    /// The key of the configuration.
    pub key: String,
    /// What Meta says of it; none if no app could ask.
    pub facts: Option<Result<TokenFacts, Trouble>>,
}

/// A number.
#[derive(Debug)]
pub(super) struct NumberReport {
    pub id: String,
    /// Which token is used for it.
    pub access: usize,
    pub facts: Result<Number, Trouble>,
    /// The account that it should belong to.
    pub account: Option<String>,
    /// The app that should get its webhooks.
    pub app: Option<String>,
}

/// A WhatsApp Business Account.
#[derive(Debug)]
pub(super) struct AccountReport {
    pub id: String,
    pub access: usize,
    /// The app that should get its webhooks.
    pub app: Option<String>,
    pub numbers: Result<Vec<String>, Trouble>,
    pub subscribers: Result<Vec<Subscriber>, Trouble>,
}

/// A Meta app.
#[derive(Debug)]
pub(super) struct AppReport {
    pub id: String,
    /// `APP_ID|APP_SECRET`; none if no secret of ours is its own.
    pub key: Option<SecretString>,
    pub subscription: Result<Option<Subscription>, Trouble>,
}

impl Setup {
    /// Looks at everything. What cannot be looked at is a finding, too.
    pub async fn survey(&self) -> Survey {
        let mut survey = Survey {
            callback: self.callback.clone(),
            ..Survey::default()
        };
        for (index, access) in self.accesses.iter().enumerate() {
            self.look_through(index, access, &mut survey).await;
        }
        if let Some(callback) = &self.callback {
            survey.ourselves =
                ourselves::probe(&self.graph.http, callback, &self.verify_token, &self.secrets).await;
        }
        survey
    }

    /// Looks at all that one token is for.
    async fn look_through(&self, index: usize, access: &Access, survey: &mut Survey) {
        let mut numbers = Vec::new();
        for id in &access.numbers {
            numbers.push(self.number(index, access, id).await);
        }
        let mut app = self.app_of(&numbers);
        let facts = match &app {
            Some(app) => self.token(app, access, survey).await,
            None => None,
        };
        let mut accounts: Vec<String> = numbers
            .iter()
            .filter_map(|number| number.account.clone())
            .collect();
        accounts.extend(self.ids.account.clone());
        if let (true, Some(Ok(facts))) = (accounts.is_empty(), &facts) {
            accounts.clone_from(&facts.accounts);
        }
        accounts.sort();
        accounts.dedup();
        for id in accounts {
            let listed = self.graph.numbers(&id, &access.token).await;
            for number in listed.iter().flatten() {
                if access.all && self.serves(number) && !numbers.iter().any(|known| known.id == *number) {
                    let mut report = self.number(index, access, number).await;
                    report.account.get_or_insert_with(|| id.clone());
                    numbers.push(report);
                }
            }
            app = app.or_else(|| self.app_of(&numbers));
            survey.accounts.push(AccountReport {
                access: index,
                app: app.clone(),
                numbers: listed,
                subscribers: self.graph.subscribers(&id, &access.token).await,
                id,
            });
        }
        let facts = match (&facts, &app) {
            // Only the account's list of numbers told which app it is.
            (None, Some(app)) => self.token(app, access, survey).await,
            _ => facts,
        };
        survey.tokens.push(Token {
            key: access.key.clone(),
            facts,
        });
        survey.numbers.append(&mut numbers);
    }

    /// Whether a number of the account is served by the general token.
    fn serves(&self, number: &String) -> bool {
        let own = self
            .accesses
            .iter()
            .any(|access| !access.all && access.numbers.contains(number));
        !own && (self.only.is_empty() || self.only.contains(number))
    }

    async fn number(&self, index: usize, access: &Access, id: &str) -> NumberReport {
        let facts = self.graph.number(id, &access.token).await;
        let read = facts.as_ref().ok();
        let account = read.and_then(|number| number.account.clone());
        let app = read.and_then(|number| number.app.clone());
        NumberReport {
            id: id.to_owned(),
            access: index,
            account: self.ids.account.clone().or(account),
            app: self.ids.app.clone().or(app),
            facts,
        }
    }

    fn app_of(&self, numbers: &[NumberReport]) -> Option<String> {
        let of_numbers = || numbers.iter().find_map(|number| number.app.clone());
        self.ids.app.clone().or_else(of_numbers)
    }

    /// Looks at the app, and asks as this app what the token may do.
    async fn token(
        &self,
        app: &str,
        access: &Access,
        survey: &mut Survey,
    ) -> Option<Result<TokenFacts, Trouble>> {
        if !survey.apps.iter().any(|known| known.id == app) {
            survey.apps.push(self.app(app).await);
        }
        let known = survey.apps.iter().find(|known| known.id == app)?;
        Some(self.graph.token(&access.token, known.key.as_ref()?).await)
    }

    /// Looks at an app with the first of our secrets that is its own.
    async fn app(&self, id: &str) -> AppReport {
        let mut refused = None;
        for secret in &self.secrets {
            let key = SecretString::from(format!("{id}|{}", secret.expose_secret()));
            match self.graph.subscription(id, &key).await {
                Ok(subscription) => {
                    return AppReport {
                        id: id.to_owned(),
                        key: Some(key),
                        subscription: Ok(subscription),
                    };
                }
                Err(trouble) => refused = refused.or(Some(trouble)),
            }
        }
        let words = "there is no app secret".to_owned();
        AppReport {
            id: id.to_owned(),
            key: None,
            subscription: Err(refused.unwrap_or(Trouble::Refused { code: -1, words })),
        }
    }
}
