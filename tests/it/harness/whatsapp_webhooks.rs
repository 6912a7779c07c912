//! WhatsApp's webhooks, as Meta would send them now.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

/// Someone who writes, under the names that a webhook tells.
#[derive(Debug, Clone, Default)]
pub(crate) struct Person {
    phone: Option<String>,
    user_id: Option<String>,
}

impl Person {
    /// Someone with a phone number only.
    pub(crate) fn phone(number: &str) -> Self {
        Self {
            phone: Some(number.to_owned()),
            user_id: None,
        }
    }

    /// Someone with a business-scoped user id only.
    pub(crate) fn user(id: &str) -> Self {
        Self {
            phone: None,
            user_id: Some(id.to_owned()),
        }
    }

    /// Someone with both.
    pub(crate) fn both(number: &str, id: &str) -> Self {
        Self {
            phone: Some(number.to_owned()),
            user_id: Some(id.to_owned()),
        }
    }

    fn contact(&self) -> Value {
        let mut contact = Map::from_iter([("profile".to_owned(), json!({"name": "A Person"}))]);
        contact.extend(self.phone.iter().map(|phone| ("wa_id".to_owned(), json!(phone))));
        contact.extend(self.user_id.iter().map(|id| ("user_id".to_owned(), json!(id))));
        Value::Object(contact)
    }
}

/// One message of a webhook.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    person: Person,
    /// The message itself.
    pub(crate) message: Value,
}

impl Incoming {
    /// A text.
    pub(crate) fn text(person: &Person, body: &str) -> Self {
        Self::kind(person, "text", json!({"body": body}))
    }

    /// A message of any kind, with what stands under the kind's name.
    pub(crate) fn kind(person: &Person, kind: &str, content: Value) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = format!("wamid.IN{:08}", NEXT.fetch_add(1, Ordering::SeqCst));
        let mut message = json!({"id": id, "timestamp": super::unix_now().to_string(), "type": kind});
        message[kind] = content;
        for (field, value) in [("from", &person.phone), ("from_user_id", &person.user_id)] {
            if let Some(value) = value {
                message[field] = json!(value);
            }
        }
        Self {
            person: person.clone(),
            message,
        }
    }

    /// The same with a field set.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.message[field] = value.into();
        self
    }
}

/// What a status tells of a message that was sent.
#[derive(Debug, Clone)]
pub(crate) struct Status(pub(crate) Value);

impl Status {
    /// `sent`, `delivered`, `read` or `failed`, of the message with this id.
    pub(crate) fn of(wamid: &str, status: &str) -> Self {
        let now = super::unix_now().to_string();
        Self(json!({"id": wamid, "status": status, "timestamp": now, "recipient_id": "15550001111"}))
    }

    /// The same with a field set.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0[field] = value.into();
        self
    }
}

/// A webhook with these messages to one number.
pub(crate) fn webhook(phone_number_id: &str, messages: &[Incoming]) -> Value {
    batch(phone_number_id, messages, &[])
}

/// A webhook with these messages and statuses of one number.
pub(crate) fn batch(phone_number_id: &str, messages: &[Incoming], statuses: &[Status]) -> Value {
    let mut value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550000000", "phone_number_id": phone_number_id}});
    if !messages.is_empty() {
        value["contacts"] = messages
            .iter()
            .map(|incoming| incoming.person.contact())
            .collect();
        value["messages"] = messages.iter().map(|incoming| incoming.message.clone()).collect();
    }
    if !statuses.is_empty() {
        value["statuses"] = statuses.iter().map(|status| status.0.clone()).collect();
    }
    json!({"object": "whatsapp_business_account",
        "entry": [{"id": "100", "changes": [{"field": "messages", "value": value}]}]})
}

/// A webhook with what a colleague wrote in the Business app.
pub(crate) fn echo(phone_number_id: &str, echo: Value) -> Value {
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550000000", "phone_number_id": phone_number_id},
        "message_echoes": [echo]});
    json!({"object": "whatsapp_business_account",
        "entry": [{"id": "100", "changes": [{"field": "smb_message_echoes", "value": value}]}]})
}
