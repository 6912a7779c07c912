//! WhatsApp's webhooks, from Meta's side.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Signed, now};
use crate::channel::signature;

/// Where the daemon takes webhooks.
const PATH: &str = "/whatsapp/webhook";

/// The header that bears the signature (Meta, "Validating payloads").
const SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// One of the business's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Meta's id of it.
    pub id: String,
    /// As people dial it.
    pub display: String,
}

/// A person, by what Meta tells of them. At least one of the two ids is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// The name in the profile.
    pub name: String,
    /// The phone number, digits only. People with a username may keep it to themselves.
    pub phone: Option<String>,
    /// The business-scoped user id, such as `US.13491208655302741918`.
    pub user_id: Option<String>,
}

/// An id for a message, as Meta forms them.
pub fn fresh_wamid() -> String {
    format!("wamid.{}", STANDARD.encode(Uuid::now_v7().as_bytes()))
}

/// The webhook of a text that a person writes to this number.
pub fn text(number: &Number, person: &Person, text: &str) -> Value {
    let mut contact = json!({"profile": {"name": person.name}});
    let mut message = json!({
        "id": fresh_wamid(),
        "timestamp": now().as_secs().to_string(),
        "type": "text",
        "text": {"body": text},
    });
    if let Some(phone) = &person.phone {
        contact["wa_id"] = phone.as_str().into();
        message["from"] = phone.as_str().into();
    }
    if let Some(user_id) = &person.user_id {
        contact["user_id"] = user_id.as_str().into();
        message["from_user_id"] = user_id.as_str().into();
    }
    change(number, json!({"contacts": [contact], "messages": [message]}))
}

/// A message of the business, as the webhooks tell of it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Meta's id of it.
    pub wamid: String,
    /// The phone number it went to, if it went to one.
    pub to: Option<String>,
    /// The user id it went to, if it went to one.
    pub recipient: Option<String>,
    /// What the business wants to have back.
    pub opaque: Option<String>,
}

/// The webhook that tells how a message of the business fares (`sent`, `delivered`, …).
pub fn status(number: &Number, sent: &Sent, stage: &str) -> Value {
    let mut status = json!({
        "id": sent.wamid,
        "status": stage,
        "timestamp": now().as_secs().to_string(),
        "pricing": {"billable": true, "pricing_model": "PMP", "type": "regular", "category": "service"},
    });
    let told = [
        ("recipient_id", &sent.to),
        ("recipient_user_id", &sent.recipient),
        ("biz_opaque_callback_data", &sent.opaque),
    ];
    for (name, value) in told {
        if let Some(value) = value {
            status[name] = value.as_str().into();
        }
    }
    change(number, json!({"statuses": [status]}))
}

fn change(number: &Number, mut value: Value) -> Value {
    value["messaging_product"] = "whatsapp".into();
    value["metadata"] = json!({"display_phone_number": number.display, "phone_number_id": number.id});
    json!({
        "object": "whatsapp_business_account",
        // No account: what is only tried out shall not be learned.
        "entry": [{"id": "0", "changes": [{"value": value, "field": "messages"}]}],
    })
}

/// The bytes of a webhook as Meta writes them: what is not ASCII as `\u` escapes, and slashes escaped.
pub fn bytes(webhook: &Value) -> Vec<u8> {
    let plain = webhook.to_string();
    let mut escaped = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '/' => escaped.push_str("\\/"),
            c if c.is_ascii() => escaped.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(escaped, "\\u{unit:04x}");
            }),
        }
    }
    escaped.into_bytes()
}

/// Signs a body under the app's secret.
pub fn sign(secret: &SecretString, body: Vec<u8>) -> Signed {
    let digest = signature::sign(secret, &[&body]);
    Signed {
        path: PATH,
        headers: vec![(SIGNATURE, format!("sha256={digest}"))],
        body,
    }
}
