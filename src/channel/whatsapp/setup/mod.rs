//! Setting a number up, and seeing whether it is: what Meta's dashboard shows on five screens, by the Graph API.
//!
//! A webhook goes to the callback of the number if one is set, else to that of the account, else to that of the app
//! (Meta's page *Webhook overrides*), and only if the app is subscribed to the account. [`Setup::survey`] looks at all
//! of it and at our own public address; the [`Survey`] says what it found ([`Survey::findings`]) and what would have to
//! change ([`Survey::changes`]); [`Setup::apply`] makes one change.

mod callbacks;
mod changes;
mod facts;
mod finding;
mod findings;
mod graph;
mod ourselves;
mod survey;
mod trouble;

pub use changes::Change;
pub use finding::{Finding, Verdict};
pub use survey::Survey;

use secrecy::{ExposeSecret, SecretString};

use super::{Settings, WEBHOOK};
use graph::Graph;

/// Ids that the configuration does not hold. What is not given is looked for through the API.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    /// The Meta app's.
    pub app: Option<String>,
    /// The WhatsApp Business Account's.
    pub account: Option<String>,
}

/// Looks at the set-up, and changes it.
pub struct Setup {
    graph: Graph,
    ids: Ids,
    /// Where webhooks should go, if the public address is known.
    callback: Option<String>,
    accesses: Vec<Access>,
    secrets: Vec<SecretString>,
    verify_token: SecretString,
    /// The only numbers that are served, if not all.
    only: Vec<String>,
}

/// A token, and the numbers that the configuration names for it.
struct Access {
    /// The key of the configuration, for people.
    key: String,
    token: SecretString,
    numbers: Vec<String>,
    /// Whether the account's further numbers are served by this token.
    all: bool,
}

impl Setup {
    /// Prepares it. `public_url` is the address by which the world reaches the public listener.
    pub fn new(settings: &Settings, public_url: Option<&str>, ids: Ids) -> Result<Self, reqwest::Error> {
        let given = |secret: &&SecretString| !secret.expose_secret().trim().is_empty();
        Ok(Self {
            graph: Graph::new(&settings.api_base, &settings.api_version)?,
            ids,
            callback: public_url.map(|url| format!("{}{WEBHOOK}", url.trim_end_matches('/'))),
            accesses: accesses(settings),
            secrets: settings.all_secrets().filter(given).cloned().collect(),
            verify_token: settings.verify_token.clone(),
            only: settings.phone_number_ids.clone(),
        })
    }

    /// Whether there is a token to call Meta with.
    pub fn has_token(&self) -> bool {
        !self.accesses.is_empty()
    }
}

/// The tokens: the one for all first, then those of single numbers.
fn accesses(settings: &Settings) -> Vec<Access> {
    let given = |token: &&SecretString| !token.expose_secret().trim().is_empty();
    let served = |id: &String| settings.phone_number_ids.is_empty() || settings.phone_number_ids.contains(id);
    let (mut own, mut shared) = (Vec::new(), settings.phone_number_ids.clone());
    for number in &settings.numbers {
        let id = number.phone_number_id.clone();
        match number.access_token.as_ref().filter(given) {
            Some(token) if served(&id) => {
                shared.retain(|other| *other != id);
                own.push(Access {
                    key: format!("access_token of [[whatsapp.numbers]] {id}"),
                    token: token.clone(),
                    numbers: vec![id],
                    all: false,
                });
            }
            None if served(&id) && !shared.contains(&id) => shared.push(id),
            _ => {}
        }
    }
    let general = settings.access_token.as_ref().filter(given);
    let mut accesses: Vec<Access> = general
        .map(|token| Access {
            key: "whatsapp.access_token".to_owned(),
            token: token.clone(),
            numbers: shared,
            all: true,
        })
        .into_iter()
        .collect();
    accesses.append(&mut own);
    accesses
}
