//! System messages: the platform's word that a person is now called otherwise.
//!
//! A changed phone number also changes the user id, and the user id can change by itself. Both arrive as `messages`
//! of type `system` with several spellings, the oldest without a user id, or with the ids in the English sentence of
//! `body` only. They are no words of the person, and the agent never sees them.

use serde_json::Value;

use super::people::Person;
use super::{json, parse};
use crate::domain::identity::IdentityChange;
use crate::domain::{AccountKey, Time};

/// The `system.type`s that tell of new names. The last one is what older versions of the API write.
const RENAMES: [&str; 3] = [
    "user_changed_number",
    "user_changed_user_id",
    "customer_changed_number",
];

/// What a system message means.
pub(super) enum System {
    /// New names.
    Renamed(IdentityChange),
    /// Something else, `customer_identity_changed` for example, of which nothing follows here.
    Other,
    /// Not built as a system message is.
    Malformed,
}

/// Reads a system message with this `id`, of this time.
pub(super) fn read(message: &Value, id: &str, account: &AccountKey, at: Time) -> System {
    let Some(system) = message.get("system") else {
        return System::Malformed;
    };
    let Some(kind) = json::text(system, "type") else {
        return System::Malformed;
    };
    if !RENAMES.contains(&kind) {
        return System::Other;
    }
    change(message, system, id, account, at).map_or(System::Malformed, System::Renamed)
}

fn change(
    message: &Value,
    system: &Value,
    id: &str,
    account: &AccountKey,
    at: Time,
) -> Option<IdentityChange> {
    let text = |name| json::text(system, name).map(str::to_owned);
    let (body_old, body_new) = names_in(json::text(system, "body").unwrap_or_default());
    let new_user = text("user_id").or(body_new);
    let from_user = json::text(message, "from_user_id")
        .map(str::to_owned)
        .filter(|id| Some(id) != new_user.as_ref());
    let old_user = text("previous_user_id").or(body_old).or(from_user);

    let old_phone = json::scalar(message, "from").or_else(|| json::scalar(system, "customer"));
    let new_phone = json::scalar(system, "new_wa_id").or_else(|| json::scalar(system, "wa_id"));

    let old = Person::named(old_user, text("previous_parent_user_id"), old_phone.as_deref())?;
    let new = Person::named(new_user, text("parent_user_id"), new_phone.as_deref())?;
    Some(IdentityChange {
        account: account.clone(),
        keys: vec![parse::key_of_message(account, id)],
        old: old.identifiers(account),
        new: new.identifiers(account),
        route: new.route(),
        address: new.address(account)?,
        at,
    })
}

/// The user ids at the end of "User … changed from OLD to NEW". Phone numbers there are not looked at: they stand in
/// fields of their own.
fn names_in(body: &str) -> (Option<String>, Option<String>) {
    let mut words = body.trim_end_matches('.').rsplit(' ');
    let (new, to, old, from) = (words.next(), words.next(), words.next(), words.next());
    if to != Some("to") || from != Some("from") {
        return (None, None);
    }
    let id = |word: Option<&str>| {
        let word = word?;
        let (country, rest) = word.split_once('.')?;
        let looks = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()) && !rest.is_empty();
        looks.then(|| word.to_owned())
    };
    (id(old), id(new))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::identity::Identifier;

    fn renamed(message: &Value) -> IdentityChange {
        let account = AccountKey::new("whatsapp", "1").unwrap();
        match read(message, "wamid.S", &account, Time::default()) {
            System::Renamed(change) => change,
            System::Other => panic!("other: {message}"),
            System::Malformed => panic!("malformed: {message}"),
        }
    }

    fn short(id: &Identifier) -> &str {
        id.alias.as_str().trim_start_matches("whatsapp/1/")
    }

    fn names(change: &IdentityChange) -> (Vec<&str>, Vec<&str>) {
        (
            change.old.iter().map(short).collect(),
            change.new.iter().map(short).collect(),
        )
    }

    #[test]
    fn a_new_number_brings_a_new_user_id() {
        let change = renamed(
            &json!({"from": "16505551234", "system": {"type": "user_changed_number",
            "body": "User S changed from 16505551234 to 12195555358", "wa_id": "12195555358",
            "previous_user_id": "US.OLD", "user_id": "US.NEW"}}),
        );
        assert_eq!(
            names(&change),
            (vec!["US.OLD", "16505551234"], vec!["US.NEW", "12195555358"])
        );
        assert_eq!(change.route, json!({"to": "12195555358", "recipient": "US.NEW"}));
        assert_eq!(change.address.as_str(), "whatsapp/1/12195555358");
    }

    #[test]
    fn a_new_user_id_may_come_without_any_number() {
        let change = renamed(&json!({"system": {"type": "user_changed_user_id",
            "previous_user_id": "IN.OLD", "user_id": "IN.NEW",
            "previous_parent_user_id": "IN.ENT.OLD", "parent_user_id": "IN.ENT.NEW"}}));
        assert_eq!(
            names(&change),
            (vec!["IN.OLD", "IN.ENT.OLD"], vec!["IN.NEW", "IN.ENT.NEW"])
        );
        assert_eq!(change.route, json!({"recipient": "IN.NEW"}));
    }

    #[test]
    fn older_spellings_are_understood() {
        let legacy = renamed(
            &json!({"system": {"type": "customer_changed_number", "customer": "16505551234",
            "new_wa_id": "12195555358", "body": "…"}}),
        );
        assert_eq!(names(&legacy), (vec!["16505551234"], vec!["12195555358"]));
        let numbers = renamed(
            &json!({"from": "972987654321", "system": {"type": "user_changed_number",
            "body": "User A changed from 972987654321 to 972912345678", "wa_id": "972912345678"}}),
        );
        assert_eq!(names(&numbers), (vec!["972987654321"], vec!["972912345678"]));
        let may = renamed(
            &json!({"from_user_id": "US.NEW", "system": {"type": "user_changed_user_id",
            "body": "User Ann Bee changed from US.OLD to US.NEW", "user_id": "US.NEW"}}),
        );
        assert_eq!(names(&may), (vec!["US.OLD"], vec!["US.NEW"]));
        let body_only = renamed(&json!({"system": {"type": "user_changed_user_id",
            "body": "User changed from US.OLD to US.NEW."}}));
        assert_eq!(names(&body_only), (vec!["US.OLD"], vec!["US.NEW"]));
    }

    #[test]
    fn a_change_without_both_sides_is_malformed_and_other_events_are_left() {
        let account = AccountKey::new("whatsapp", "1").unwrap();
        for system in [
            json!({"type": "user_changed_user_id", "user_id": "US.NEW"}),
            json!({"type": "user_changed_number", "previous_user_id": "US.OLD", "user_id": 7}),
            json!({"body": "User changed from US.OLD to US.NEW"}),
            json!([]),
        ] {
            let message = json!({"system": system});
            assert!(
                matches!(read(&message, "1", &account, Time::default()), System::Malformed),
                "{message}"
            );
        }
        let other = json!({"system": {"type": "customer_identity_changed", "body": "…"}});
        assert!(matches!(
            read(&other, "1", &account, Time::default()),
            System::Other
        ));
    }
}
