//! Revisions: a person changes what they wrote, or takes it back.
//!
//! Meta tells of both only for numbers that are also used in the WhatsApp Business app: an edit within 15 minutes, a
//! revocation within two days ("Edit messages" and "Revoke messages webhook reference"). Each is a message with an id of
//! its own that names the one it is about. It never says anew whose the message is: it finds the message in a thread
//! that its writer's names lead to, or it changes nothing.

use serde_json::Value;

use super::kinds::{self, Sort, Words};
use super::people::Person;
use super::{contents, json, parse};
use crate::domain::act::{Edit, Withdrawal};
use crate::domain::message::{Arrival, Opens};
use crate::domain::{AccountKey, Time};

/// Reads an edit, made at `at`; none if it is malformed. One that leaves no words takes the message back.
pub(super) fn edit(message: &Value, writer: &Person, account: &AccountKey, at: Time) -> Option<Arrival> {
    let edit = message.get("edit")?;
    let original = original(edit)?;
    let now = edit.get("message")?;
    let kind = kinds::of(json::text(now, "type")?);
    let words = match (kind.sort, (kind.words)(now)) {
        (Sort::Message, Words::Written(text) | Words::BelowFile(text)) => text,
        (Sort::Message, Words::None) => String::new(),
        _ => return None,
    };
    if words.is_empty() {
        return Some(Arrival::Withdraw(Withdrawal {
            // The message itself may still be on its way, and then says what it said.
            keys: Vec::new(),
            opens: Opens::Nothing,
            ..withdrawal(original, writer, account)
        }));
    }
    Some(Arrival::Edit(Edit {
        account: account.clone(),
        identifiers: writer.identifiers(account),
        platform_id: original,
        text: contents::framed(now, words),
        edited_at: at,
    }))
}

/// Reads a revocation; none if it is malformed.
pub(super) fn revoke(message: &Value, writer: &Person, account: &AccountKey) -> Option<Arrival> {
    let original = original(message.get("revoke")?)?;
    Some(Arrival::Withdraw(withdrawal(original, writer, account)))
}

/// The message that it is about.
fn original(revision: &Value) -> Option<String> {
    parse::plain_message_id(json::text(revision, "original_message_id")?)
}

/// What is taken back and has not arrived yet counts as known when it does.
fn withdrawal(original: String, writer: &Person, account: &AccountKey) -> Withdrawal {
    Withdrawal {
        account: account.clone(),
        keys: vec![parse::key_of_message(account, &original)],
        identifiers: writer.identifiers(account),
        opens: Opens::Thread,
        platform_id: original,
    }
}
