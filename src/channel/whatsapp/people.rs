//! Who wrote: the identifiers of a person, and what each proves.

use serde_json::{Value, json};

use super::{country, json};
use crate::domain::account::is_plain_id;
use crate::domain::identity::{Identifier, Strength};
use crate::domain::message::Route;
use crate::domain::{AccountKey, AliasKey};

/// The identifiers of a person that one item names. At least one is there.
///
/// A user id (`US.1349…`) is one person's, for all numbers of a business; the parent's (`US.ENT.1181…`) spans several
/// businesses; a phone number changes hands, and appears and vanishes as the person's privacy settings want.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Person {
    user: Option<String>,
    parent: Option<String>,
    phone: Option<String>,
}

impl Person {
    /// A person by these names, as they are written in a webhook; none if not one of them can be believed.
    pub(super) fn named(user: Option<String>, parent: Option<String>, phone: Option<&str>) -> Option<Self> {
        let person = Self {
            user: user.filter(|id| is_user_id(id)),
            parent: parent.filter(|id| is_user_id(id)),
            phone: digits(phone),
        };
        (person != Self::default()).then_some(person)
    }

    /// Who wrote a message. What it leaves out is taken from the entry of `contacts` that is certainly the same
    /// person's; it is found by what it says, never by its place.
    pub(super) fn writer(message: &Value, contacts: &[Value]) -> Option<Self> {
        let user = json::text(message, "from_user_id")
            .map(str::to_owned)
            .filter(|id| is_user_id(id));
        let phone = digits(json::scalar(message, "from").as_deref());
        let entry = entry_of(contacts, user.as_deref(), phone.as_deref());
        let told = |name| entry.and_then(|entry| json::text(entry, name)).map(str::to_owned);
        let parent = json::text(message, "from_parent_user_id").map(str::to_owned);
        Self::named(
            user.or_else(|| told("user_id")),
            parent.or_else(|| told("parent_user_id")),
            phone.or_else(|| told("wa_id")).as_deref(),
        )
    }

    /// What the person is called within this account, strongest first.
    pub(super) fn identifiers(&self, account: &AccountKey) -> Vec<Identifier> {
        let names = [
            (&self.user, Strength::Strong),
            (&self.parent, Strength::Shared),
            (&self.phone, Strength::Weak),
        ];
        names
            .into_iter()
            .filter_map(|(name, strength)| {
                let alias = account.alias(&[name.as_deref()?])?;
                Some(Identifier { alias, strength })
            })
            .collect()
    }

    /// The name by which an operator knows the person: the phone number if there is one.
    pub(super) fn address(&self, account: &AccountKey) -> Option<AliasKey> {
        account.alias(&[self.phone.as_deref().or(self.recipient())?])
    }

    /// Where replies go: `{"to"?: PHONE, "recipient"?: USER_ID}`.
    pub(super) fn route(&self) -> Route {
        let mut route = json!({});
        if let Some(phone) = &self.phone {
            route["to"] = phone.as_str().into();
        }
        if let Some(recipient) = self.recipient() {
            route["recipient"] = recipient.into();
        }
        route
    }

    /// The person's country, as the user id or else the phone number tells.
    pub(super) fn country(&self) -> Option<String> {
        let by_id = self.recipient().and_then(country::of_user_id);
        by_id
            .or_else(|| country::of_phone(self.phone.as_deref()?))
            .map(str::to_owned)
    }

    fn recipient(&self) -> Option<&str> {
        self.user.as_deref().or(self.parent.as_deref())
    }
}

/// The entry of `contacts` about the person with this user id or phone number. Several that fit equally well and
/// differ are nobody's.
fn entry_of<'a>(contacts: &'a [Value], user: Option<&str>, phone: Option<&str>) -> Option<&'a Value> {
    let by_user = |user| {
        contacts
            .iter()
            .find(|entry| json::text(entry, "user_id") == Some(user))
    };
    if let Some(entry) = user.and_then(by_user) {
        return Some(entry);
    }
    let has_phone = |entry: &&Value| digits(json::scalar(entry, "wa_id").as_deref()).as_deref() == phone;
    let mut entries = contacts.iter().filter(has_phone).filter(|_| phone.is_some());
    let entry = entries.next()?;
    let id = |entry: &'a Value| json::text(entry, "user_id");
    let somebody_else = user.is_some() && id(entry).is_some();
    let ambiguous = entries.any(|other| id(other) != id(entry));
    (!somebody_else && !ambiguous).then_some(entry)
}

/// Whether this can be a user id. It is opaque but never a bare number, which would look like somebody's phone.
fn is_user_id(id: &str) -> bool {
    is_plain_id(id) && !id.bytes().all(|b| b.is_ascii_digit())
}

/// The digits of a phone number however it is written; none if it is no such thing (E.164 has at most 15 digits).
fn digits(phone: Option<&str>) -> Option<String> {
    let phone = phone?.trim();
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    let dressed = phone.chars().all(|c| c.is_ascii_digit() || "+ -().".contains(c));
    (dressed && (5..=15).contains(&digits.len())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountKey {
        AccountKey::new("whatsapp", "100").unwrap()
    }

    fn aliases(person: &Person) -> Vec<(String, Strength)> {
        let identifiers = person.identifiers(&account());
        identifiers
            .into_iter()
            .map(|id| (id.alias.to_string(), id.strength))
            .collect()
    }

    #[test]
    fn names_prove_what_their_kind_proves() {
        let message =
            json!({"from": "+1 650-555-1234", "from_user_id": "US.1", "from_parent_user_id": "US.ENT.2"});
        let person = Person::writer(&message, &[]).unwrap();
        let expected = [
            ("whatsapp/100/US.1".to_owned(), Strength::Strong),
            ("whatsapp/100/US.ENT.2".to_owned(), Strength::Shared),
            ("whatsapp/100/16505551234".to_owned(), Strength::Weak),
        ];
        assert_eq!(aliases(&person), expected);
        assert_eq!(
            person.address(&account()).unwrap().as_str(),
            "whatsapp/100/16505551234"
        );
        assert_eq!(person.route(), json!({"to": "16505551234", "recipient": "US.1"}));
    }

    #[test]
    fn a_person_without_a_number_is_reached_by_the_user_id() {
        let person = Person::writer(&json!({"from_user_id": "IN.Ab9"}), &[]).unwrap();
        assert_eq!(
            person.address(&account()).unwrap().as_str(),
            "whatsapp/100/IN.Ab9"
        );
        assert_eq!(person.route(), json!({"recipient": "IN.Ab9"}));
        assert_eq!(person.country().as_deref(), Some("IN"));
    }

    #[test]
    fn only_the_right_contact_lends_its_names() {
        let contacts = [
            json!({"wa_id": "4915111111111", "user_id": "DE.1", "parent_user_id": "DE.ENT.1"}),
            json!({"wa_id": "4915222222222", "user_id": "DE.2"}),
            json!({"user_id": "DE.3", "wa_id": "4915333333333"}),
            json!("broken"),
        ];
        let writer = |message: Value| Person::writer(&message, &contacts).unwrap().route();
        let by_phone = writer(json!({"from": "4915222222222"}));
        assert_eq!(by_phone, json!({"to": "4915222222222", "recipient": "DE.2"}));
        let by_id = writer(json!({"from_user_id": "DE.3"}));
        assert_eq!(by_id, json!({"to": "4915333333333", "recipient": "DE.3"}));
        assert_eq!(
            writer(json!({"from": "4915444444444"})),
            json!({"to": "4915444444444"})
        );
        // The number is another person's by now: nothing of that entry is taken over.
        let recycled = writer(json!({"from": "4915111111111", "from_user_id": "DE.9"}));
        assert_eq!(recycled, json!({"to": "4915111111111", "recipient": "DE.9"}));
        let parent = Person::writer(
            &json!({"from": "4915111111111", "from_user_id": "DE.9"}),
            &contacts,
        );
        assert_eq!(aliases(&parent.unwrap()).len(), 2);
    }

    #[test]
    fn two_contacts_with_one_number_lend_nothing() {
        let contacts = [
            json!({"wa_id": "4915", "user_id": "DE.1"}),
            json!({"wa_id": "4915", "user_id": "DE.2"}),
        ];
        assert!(
            Person::writer(&json!({"from": "4915"}), &contacts).is_none(),
            "too short to be a number"
        );
        let contacts = [
            json!({"wa_id": "491511", "user_id": "DE.1"}),
            json!({"wa_id": "+491511", "user_id": "DE.2"}),
        ];
        let person = Person::writer(&json!({"from": "491511"}), &contacts).unwrap();
        assert_eq!(person.route(), json!({"to": "491511"}));
    }

    #[test]
    fn nobody_is_named_by_nonsense() {
        for message in [
            json!({}),
            json!({"from": ""}),
            json!({"from": "abc"}),
            json!({"from": ["16505551234"]}),
            json!({"from": "1650555123416505551234"}),
            json!({"from_user_id": "US/1"}),
            json!({"from_user_id": "16505551234"}),
            json!({"from_user_id": 7}),
        ] {
            assert_eq!(Person::writer(&message, &[]), None, "{message}");
        }
    }
}
