//! What a survey found, in words for the operator: each finding with one remedy.

use std::time::Duration;

use super::facts::{Number, Subscriber, TokenFacts};
use super::finding::Finding;
use super::survey::{AccountReport, AppReport, NumberReport, Survey, Token};
use super::trouble::Trouble;
use crate::domain::Time;

/// The permissions that the token must have: to send, and to see and change the set-up.
const SCOPES: [&str; 2] = ["whatsapp_business_messaging", "whatsapp_business_management"];

/// The field that messages, statuses and changes of user ids come by.
pub(super) const MESSAGES: &str = "messages";

/// A token that ends within this time needs a successor now.
const SOON: Duration = Duration::from_hours(7 * 24);

/// How to make the right token.
const NEW_TOKEN: &str = "generate a token for the system user (Business settings, Users, System users) with expiration \
                         Never and the permissions whatsapp_business_messaging and whatsapp_business_management";

impl Survey {
    /// What was found, in the order in which things are set up.
    pub fn findings(&self, now: Time) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.tokens.is_empty() {
            found.push(Finding::failed(
                "whatsapp token",
                "there is none, so that nothing can be sent",
                format!("{NEW_TOKEN}; set whatsapp.access_token"),
            ));
        }
        let tokens = self.tokens.iter().enumerate();
        found.extend(tokens.map(|(index, token)| self.token(index, token, now)));
        found.extend(self.apps.iter().map(app));
        found.extend(self.numbers.iter().map(number));
        if self.numbers.is_empty() && !self.tokens.is_empty() {
            found.push(
                Finding::skipped(
                    "whatsapp number",
                    "no number is known, so that none was looked at",
                )
                .with_remedy("set whatsapp.phone_number_ids, or name the account with --waba-id"),
            );
        }
        for account in &self.accounts {
            found.push(self.membership(account));
            found.push(subscription(account));
        }
        if self.accounts.is_empty() && !self.tokens.is_empty() {
            found.push(
                Finding::skipped(
                    "whatsapp subscription",
                    "the WhatsApp Business Account is not known, so that it was not seen whether the app is subscribed to it",
                )
                .with_remedy("name it with --waba-id (WhatsApp, API Setup, WhatsApp Business Account ID)"),
            );
        }
        found.extend(self.numbers.iter().filter_map(|number| self.callback(number)));
        found.extend(self.ourselves.iter().cloned());
        if self.callback.is_none() {
            found.push(Finding::failed(
                "whatsapp handshake",
                "server.public_url is not set, so that our own address could not be called",
                "set it to the https address by which the world reaches this daemon",
            ));
        }
        found
    }

    fn token(&self, index: usize, token: &Token, now: Time) -> Finding {
        let name = if index == 0 {
            "whatsapp token".to_owned()
        } else {
            format!("whatsapp token ({})", token.key)
        };
        if let Some(facts) = &token.facts {
            return match facts {
                Ok(facts) => judged(name, facts, now),
                Err(trouble) => Finding::troubled(name, trouble),
            };
        }
        let mut numbers = self.numbers.iter().filter(|number| number.access == index);
        let refused = self
            .numbers
            .iter()
            .filter(|number| number.access == index)
            .find_map(|number| number.facts.as_ref().err().filter(|trouble| trouble.is_token()));
        let listed = self.accounts.iter().filter(|account| account.access == index);
        let refused = refused.or_else(|| {
            listed
                .filter_map(|account| account.numbers.as_ref().err())
                .find(|trouble| trouble.is_token())
        });
        if let Some(trouble) = refused {
            return Finding::troubled(name, trouble);
        }
        if numbers.any(|number| number.facts.is_ok()) {
            let found = "works; its permissions and its end were not seen: Meta tells them to its app only";
            return Finding::ok(name, found);
        }
        Finding::skipped(name, "was not tried: neither a number nor the app's id is known")
            .with_remedy("name the app with --app-id (App settings, Basic, App ID)")
    }

    /// Whether our numbers belong to the account.
    fn membership(&self, account: &AccountReport) -> Finding {
        let name = format!("whatsapp account {}", account.id);
        let listed = match &account.numbers {
            Ok(listed) => listed,
            Err(trouble) => return Finding::troubled(name, trouble),
        };
        let ours = self
            .numbers
            .iter()
            .filter(|number| number.account.as_ref() == Some(&account.id));
        let strangers: Vec<&str> = ours
            .map(|number| number.id.as_str())
            .filter(|id| !listed.iter().any(|listed| listed == id))
            .collect();
        if strangers.is_empty() {
            return Finding::ok(
                name,
                format!("has the numbers with the ids {}", listed.join(", ")),
            );
        }
        Finding::failed(
            name,
            format!("does not have the number {}", strangers.join(", ")),
            "correct --waba-id or whatsapp.phone_number_ids: WhatsApp Manager, Phone numbers, shows which belongs where",
        )
    }
}

fn judged(name: String, facts: &TokenFacts, now: Time) -> Finding {
    let missing: Vec<&str> = SCOPES
        .into_iter()
        .filter(|scope| !facts.scopes.iter().any(|given| given == scope))
        .collect();
    let end = facts.expires_at.map(Time::from_secs);
    let remedy = format!("{NEW_TOKEN}; set whatsapp.access_token");
    match end {
        _ if !facts.valid => Finding::failed(name, "Meta says that it is not valid (any more)", remedy),
        _ if !missing.is_empty() => Finding::failed(
            name,
            format!("lacks the permission {}", missing.join(" and ")),
            remedy,
        ),
        Some(end) if end <= now.plus(SOON) => Finding::failed(
            name,
            format!("ends at {end}; one from API Setup lives for 24 hours only"),
            remedy,
        ),
        Some(end) => Finding::ok(
            name,
            format!("valid until {end}, with the permissions {}", SCOPES.join(", ")),
        ),
        None => Finding::ok(
            name,
            format!("valid for ever, with the permissions {}", SCOPES.join(", ")),
        ),
    }
}

fn app(app: &AppReport) -> Finding {
    let name = format!("whatsapp app {}", app.id);
    let overwrite =
        "run `chatbridge whatsapp setup`; by hand: Use cases, Customize, Configuration, Webhook fields";
    match &app.subscription {
        Err(trouble @ Trouble::Refused { .. }) => Finding::failed(
            name,
            format!("no secret of whatsapp.app_secret is this app's ({trouble})"),
            "compare whatsapp.app_secret with App settings, Basic, App secret; if webhooks come from another app than the \
             token does, name that one with --app-id",
        ),
        Err(trouble) => Finding::troubled(name, trouble),
        Ok(None) => Finding::failed(name, "has no callback for WhatsApp", overwrite),
        Ok(Some(subscription)) if !subscription.active => {
            Finding::failed(name, "its webhooks are switched off", overwrite)
        }
        Ok(Some(subscription)) if !subscription.fields.iter().any(|field| field == MESSAGES) => {
            Finding::failed(
                name,
                format!("is not subscribed to the field {MESSAGES}: no message is sent to it"),
                overwrite,
            )
        }
        Ok(Some(subscription)) => Finding::ok(
            name,
            format!(
                "its secret is right; subscribed to {}",
                subscription.fields.join(", ")
            ),
        ),
    }
}

fn number(number: &NumberReport) -> Finding {
    let name = format!("whatsapp number {}", number.id);
    let facts = match &number.facts {
        Ok(facts) => facts,
        Err(trouble) => return Finding::troubled(name, trouble),
    };
    let found = described(facts);
    if facts.health.as_deref() == Some("BLOCKED") {
        return Finding::failed(
            name,
            format!("{found}: Meta lets it send nothing"),
            "do what Meta says there; else see WhatsApp Manager, Phone numbers, and Billing for the payment method",
        );
    }
    Finding::ok(name, found)
}

fn described(facts: &Number) -> String {
    let named = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name} {value}"));
    let parts = [
        facts.display.clone(),
        facts.name.as_ref().map(|name| format!("\"{name}\"")),
        named("quality", &facts.quality),
        named("throughput", &facts.throughput),
        named("sending", &facts.health),
    ];
    let known: Vec<String> = parts
        .into_iter()
        .flatten()
        .chain(facts.hindrances.iter().cloned())
        .collect();
    if known.is_empty() {
        "is there".to_owned()
    } else {
        known.join(", ")
    }
}

/// Whether the app gets the account's webhooks.
fn subscription(account: &AccountReport) -> Finding {
    let name = format!("whatsapp subscription {}", account.id);
    let subscribers = match &account.subscribers {
        Ok(subscribers) => subscribers,
        Err(trouble) => return Finding::troubled(name, trouble),
    };
    let ours = |subscriber: &&Subscriber| account.app.as_ref() == Some(&subscriber.id);
    match (subscribers.iter().find(ours), &account.app) {
        (Some(app), _) => Finding::ok(
            name,
            format!("the app {} ({}) gets the account's webhooks", app.name, app.id),
        ),
        (None, None) if !subscribers.is_empty() => {
            let names: Vec<String> = subscribers
                .iter()
                .map(|app| format!("{} ({})", app.name, app.id))
                .collect();
            Finding::skipped(
                name,
                format!("subscribed: {}; which is ours is not known", names.join(", ")),
            )
            .with_remedy("name the app with --app-id (App settings, Basic, App ID)")
        }
        _ => Finding::failed(
            name,
            "the app is not subscribed to the account (subscribed_apps): the dashboard's Test works, since it goes to the \
             app directly, but real messages never arrive",
            "run `chatbridge whatsapp setup`, which subscribes it",
        ),
    }
}
