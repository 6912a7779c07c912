//! Echoes: what a colleague wrote to a person in the WhatsApp Business app, on a number that both use.
//!
//! Meta posts them as changes of field `smb_message_echoes` with `value.message_echoes[]`, each addressed by `to` (a
//! phone number), `to_user_id`, or both.

use std::time::Duration;

use serde_json::Value;

use super::json;
use super::people::Person;
use crate::domain::message::TakeOver;
use crate::domain::{AccountKey, DedupKey, Time};

/// What an echo means.
pub(super) enum Echo {
    /// A colleague wrote: the bot is silent on the thread for a while.
    Wrote(TakeOver),
    /// Nothing follows from it.
    Left,
    /// Not built as an echo is.
    Malformed,
}

/// What a colleague does without saying anything.
const SILENT: [&str; 3] = ["reaction", "edit", "revoke"];

/// Reads one item of `message_echoes`, which was written at `at`. No `pause`, no consequence.
pub(super) fn read(echo: &Value, account: &AccountKey, at: Time, pause: Duration) -> Echo {
    if pause.is_zero() {
        return Echo::Left;
    }
    let (Some(id), Some(kind)) = (super::parse::message_id(echo), json::text(echo, "type")) else {
        return Echo::Malformed;
    };
    if SILENT.contains(&kind) || echo.get("group_id").is_some_and(|id| !id.is_null()) {
        return Echo::Left;
    }
    let text = |name| json::text(echo, name).map(str::to_owned);
    let person = Person::named(
        text("to_user_id"),
        text("to_parent_user_id"),
        json::scalar(echo, "to").as_deref(),
    );
    let Some((person, address)) = person.and_then(|person| {
        let address = person.address(account)?;
        Some((person, address))
    }) else {
        return Echo::Malformed;
    };
    Echo::Wrote(TakeOver {
        account: account.clone(),
        keys: vec![DedupKey::new(account, "echo", &id)],
        identifiers: person.identifiers(account),
        address,
        route: person.route(),
        platform_id: id,
        at,
        pause,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(echo: &Value, pause: u64) -> Echo {
        let account = AccountKey::new("whatsapp", "1").unwrap();
        super::read(echo, &account, Time::from_secs(5), Duration::from_secs(pause))
    }

    #[test]
    fn a_colleagues_words_silence_the_bot_for_the_person_written_to() {
        for (names, route) in [
            (json!({"to": "16505551234"}), json!({"to": "16505551234"})),
            (json!({"to_user_id": "US.1"}), json!({"recipient": "US.1"})),
            (
                json!({"to": "16505551234", "to_user_id": "US.1"}),
                json!({"to": "16505551234", "recipient": "US.1"}),
            ),
        ] {
            let mut echo = json!({"from": "15550001111", "id": "wamid.E", "type": "image"});
            echo.as_object_mut()
                .unwrap()
                .extend(names.as_object().unwrap().clone());
            match read(&echo, 1800) {
                Echo::Wrote(take_over) => {
                    assert_eq!((take_over.route, take_over.pause.as_secs()), (route, 1800));
                }
                Echo::Left | Echo::Malformed => panic!("{echo}"),
            }
        }
    }

    #[test]
    fn the_rest_silences_nobody() {
        let good = json!({"to": "16505551234", "id": "wamid.E", "type": "text"});
        assert!(matches!(read(&good, 0), Echo::Left));
        let reaction = json!({"to": "16505551234", "id": "wamid.E", "type": "reaction"});
        assert!(matches!(read(&reaction, 9), Echo::Left));
        for bad in [
            json!({"id": "wamid.E", "type": "text"}),
            json!({"to": "16505551234", "type": "text"}),
            json!({"to": [], "id": 7, "type": {}}),
            json!(null),
        ] {
            assert!(matches!(read(&bad, 9), Echo::Malformed), "{bad}");
        }
    }
}
