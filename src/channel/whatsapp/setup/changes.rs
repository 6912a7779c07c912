//! What would have to change, and the changing.

use std::fmt;

use secrecy::SecretString;

use super::Setup;
use super::callbacks::same;
use super::findings::MESSAGES;
use super::survey::{AppReport, Survey};

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
    pub fn changes(&self) -> Vec<Change> {
        let Some(callback) = &self.callback else {
            return Vec::new();
        };
        let mut changes: Vec<Kind> = self.apps.iter().filter_map(|app| set(app, callback)).collect();
        for number in &self.numbers {
            let own = self.callbacks(number).number;
            if let Some(from) = own.filter(|from| !same(from, callback)) {
                changes.push(Kind::ClearNumber {
                    number: number.id.clone(),
                    access: number.access,
                    from: from.to_owned(),
                });
            }
        }
        for account in &self.accounts {
            let Ok(subscribers) = &account.subscribers else {
                continue;
            };
            let ours = subscribers
                .iter()
                .find(|subscriber| account.app.as_ref() == Some(&subscriber.id));
            let named = account.app.is_some();
            let (account, access) = (account.id.clone(), account.access);
            match ours {
                Some(app) => {
                    let mut of_numbers = self
                        .numbers
                        .iter()
                        .filter(|number| number.account.as_ref() == Some(&account));
                    let told = of_numbers.find_map(|number| self.callbacks(number).account);
                    let own = app.callback.as_deref().or(told);
                    changes.extend(
                        own.filter(|from| !same(from, callback))
                            .map(|from| Kind::ClearAccount {
                                from: from.to_owned(),
                                account: account.clone(),
                                access,
                            }),
                    );
                }
                // Without its id, an app that is there may be ours.
                None if !named && !subscribers.is_empty() => {}
                None => changes.push(Kind::Subscribe { account, access }),
            }
        }
        changes.into_iter().map(Change).collect()
    }
}

/// What an app's callback needs, if it needs anything.
fn set(app: &AppReport, callback: &str) -> Option<Kind> {
    let subscription = app.subscription.as_ref().ok()?;
    let from = subscription
        .as_ref()
        .and_then(|subscription| subscription.callback.clone());
    let mut fields = subscription
        .as_ref()
        .map(|known| known.fields.clone())
        .unwrap_or_default();
    let subscribed = fields.iter().any(|field| field == MESSAGES);
    let active = subscription
        .as_ref()
        .is_some_and(|subscription| subscription.active);
    if active && subscribed && from.as_deref().is_some_and(|from| same(from, callback)) {
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
