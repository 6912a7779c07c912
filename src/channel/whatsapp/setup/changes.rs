//! What would have to change, and the changing.

use std::fmt;

use secrecy::SecretString;

use super::Setup;
use super::callbacks::same;
use super::findings::MESSAGES;
use super::survey::{AccountReport, AppReport, Survey};

/// One thing to change at Meta. It prints as what would be done, and what would be lost.
#[derive(Debug)]
pub struct Change(Kind);

#[derive(Debug)]
enum Kind {
    /// Where the app gets its webhooks.
    Callback {
        app: String,
        key: SecretString,
        from: Option<String>,
        to: String,
        fields: Vec<String>,
    },
    /// Takes a number's own callback away.
    ClearNumber {
        number: String,
        access: usize,
        from: String,
    },
    /// Takes an account's own callback away.
    ClearAccount {
        account: String,
        access: usize,
        from: String,
    },
    /// Lets the app have the account's webhooks.
    Subscribe { account: String, access: usize },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Callback {
                app,
                from,
                to,
                fields,
                ..
            } => {
                write!(
                    f,
                    "set the callback of the app {app} to {to}, with the fields {}",
                    fields.join(", ")
                )?;
                match from {
                    Some(from) if same(from, to) => f.write_str(" (the address stays as it is)"),
                    Some(from) => write!(
                        f,
                        "; this overwrites {from}, which then gets nothing of this app any more"
                    ),
                    None => f.write_str("; so far it has none"),
                }
            }
            Kind::ClearNumber { number, from, .. } => write!(
                f,
                "take the override of the number {number} away; {from} then gets nothing of this number any more"
            ),
            Kind::ClearAccount { account, from, .. } => write!(
                f,
                "take the override of the account {account} away; {from} then gets nothing of this account any more"
            ),
            Kind::Subscribe { account, .. } => {
                write!(
                    f,
                    "subscribe the app to the account {account}, so that its messages are sent to the app"
                )
            }
        }
    }
}

impl Survey {
    /// What would have to change so that messages come here, in the order in which it should: they begin to come last.
    /// What leads elsewhere but counts for none of our numbers is left alone.
    pub fn changes(&self) -> Vec<Change> {
        let Some(callback) = &self.callback else {
            return Vec::new();
        };
        let apps = self.apps.iter().filter_map(|app| self.set(app, callback));
        let numbers = self.numbers.iter().filter_map(|number| {
            let from = self
                .callbacks(number)
                .number
                .filter(|from| !same(from, callback))?;
            Some(Kind::ClearNumber {
                number: number.id.clone(),
                access: number.access,
                from: from.to_owned(),
            })
        });
        let accounts = self
            .accounts
            .iter()
            .filter_map(|account| self.join(account, callback));
        apps.chain(numbers).chain(accounts).map(Change).collect()
    }

    /// What an app's callback needs, if it needs anything.
    fn set(&self, app: &AppReport, callback: &str) -> Option<Kind> {
        let known = app.subscription.as_ref().ok()?.as_ref();
        let from = known.and_then(|known| known.callback.clone());
        let mut fields = known.map(|known| known.fields.clone()).unwrap_or_default();
        let subscribed = fields.iter().any(|field| field == MESSAGES);
        let leads_here = from.as_deref().is_some_and(|from| same(from, callback));
        let mut ours = self
            .numbers
            .iter()
            .filter(|number| number.app.as_ref() == Some(&app.id))
            .peekable();
        let counts = ours.peek().is_none()
            || ours.any(|number| {
                let set = self.callbacks(number);
                [set.number, set.account]
                    .iter()
                    .flatten()
                    .all(|set| !same(set, callback))
            });
        if known.is_some_and(|known| known.active) && subscribed && (leads_here || !counts) {
            return None;
        }
        // The call sets the whole list: what the app had stays.
        if !subscribed {
            fields.push(MESSAGES.to_owned());
        }
        Some(Kind::Callback {
            app: app.id.clone(),
            key: app.key.clone()?,
            from,
            to: callback.to_owned(),
            fields,
        })
    }

    /// What the app's subscription to an account needs, if it needs anything.
    fn join(&self, account: &AccountReport, callback: &str) -> Option<Kind> {
        let subscribers = account.subscribers.as_ref().ok()?;
        let (id, access) = (account.id.clone(), account.access);
        let ours = subscribers
            .iter()
            .find(|subscriber| account.app.as_ref() == Some(&subscriber.id));
        let Some(app) = ours else {
            // Where ours is not known, one that is there may be it.
            let missing = account.app.is_some() || subscribers.is_empty();
            return missing.then_some(Kind::Subscribe { account: id, access });
        };
        let numbers = || {
            self.numbers
                .iter()
                .filter(|number| number.account.as_ref() == Some(&account.id))
        };
        let told = numbers().find_map(|number| self.callbacks(number).account);
        let from = app
            .callback
            .as_deref()
            .or(told)
            .filter(|from| !same(from, callback))?;
        let leads_here = |number| {
            self.callbacks(number)
                .number
                .is_some_and(|own| same(own, callback))
        };
        let counts = numbers().next().is_none() || !numbers().all(leads_here);
        counts.then(|| Kind::ClearAccount {
            account: id,
            access,
            from: from.to_owned(),
        })
    }
}

impl Setup {
    /// Makes a change. The error says why Meta refuses, and what to do.
    pub async fn apply(&self, change: &Change) -> Result<(), String> {
        let token = |access: &usize| &self.accesses[*access].token;
        let made = match &change.0 {
            Kind::Callback {
                app, key, to, fields, ..
            } => {
                self.graph
                    .subscribe(app, key, to, &self.verify_token, fields)
                    .await
            }
            Kind::ClearNumber { number, access, .. } => self.graph.clear_number(number, token(access)).await,
            Kind::ClearAccount { account, access, .. } | Kind::Subscribe { account, access } => {
                self.graph.join(account, token(access)).await
            }
        };
        made.map_err(|trouble| {
            let remedy = match change.0 {
                Kind::Callback { .. } => {
                    "Meta calls the address before it takes it: start the daemon, and see that the handshake works from \
                     outside"
                }
                _ => trouble.remedy(),
            };
            format!("{trouble}; {remedy}")
        })
    }
}
