//! Every type of message that the Cloud API knows, and what becomes of it: the one table.

use serde_json::Value;

use super::json;

/// What a message of a kind says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// This, to be asked; blank if the person wrote nothing.
    Written(String),
    /// Nothing that the agent could be asked.
    None,
    /// It is not built as its kind is.
    Malformed,
}

/// What becomes of the messages of one type.
pub(super) struct Kind {
    /// The value of `type`.
    pub name: &'static str,
    /// Reads its words, given the message.
    pub words: fn(&Value) -> Words,
    /// Why it is ignored when it has no words: a metric's label.
    pub reason: &'static str,
    /// Whether the person is then told that only text is understood: so it is for what they sent to be read.
    pub told: bool,
}

const fn kind(name: &'static str, words: fn(&Value) -> Words, reason: &'static str, told: bool) -> Kind {
    Kind {
        name,
        words,
        reason,
        told,
    }
}

/// The table. (`system` is no message of a person: see `renames`. What has a `group_id` is left aside before.)
const KINDS: [Kind; 16] = [
    kind("text", |m| written(m, "text", "body"), "empty", false),
    kind("interactive", interactive, "interactive", true),
    kind("button", |m| written(m, "button", "text"), "empty", false),
    kind("image", |m| caption(m, "image"), "image", true),
    kind("video", |m| caption(m, "video"), "video", true),
    kind("document", |m| caption(m, "document"), "document", true),
    kind("audio", none, "audio", true),
    kind("sticker", none, "sticker", true),
    kind("location", none, "location", true),
    kind("contacts", none, "contacts", true),
    kind("order", none, "order", true),
    // Something that the API cannot carry (a poll, a message that vanishes): the person did send it.
    kind("unsupported", none, "unsupported", true),
    kind("reaction", none, "reaction", false),
    // Changes of earlier messages, told only for numbers that are also used in the Business app.
    kind("edit", none, "edit", false),
    kind("revoke", none, "revoke", false),
    kind("request_welcome", none, "request_welcome", false),
];

/// What becomes of a type that is not in the table.
const OTHER: Kind = kind("", none, "unknown_type", false);

/// The row of a type.
pub(super) fn of(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == name).unwrap_or(&OTHER)
}

fn none(_message: &Value) -> Words {
    Words::None
}

/// The words in a field that a message of this kind always has.
fn written(message: &Value, object: &str, field: &str) -> Words {
    let words = message.get(object).and_then(|object| json::words(object, field));
    words.map_or(Words::Malformed, Words::Written)
}

/// The words that a person may have put under a file.
fn caption(message: &Value, object: &str) -> Words {
    let words = message
        .get(object)
        .and_then(|object| json::words(object, "caption"));
    words
        .filter(|words| !words.is_empty())
        .map_or(Words::None, Words::Written)
}

/// The title of the button or the row that was chosen. A form that was filled in has none.
fn interactive(message: &Value) -> Words {
    let Some(interactive) = message.get("interactive") else {
        return Words::Malformed;
    };
    let chosen = ["button_reply", "list_reply"]
        .iter()
        .find_map(|name| interactive.get(name));
    match chosen {
        Some(reply) => json::words(reply, "title").map_or(Words::Malformed, Words::Written),
        None => Words::None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(message: &Value) -> Words {
        (of(message["type"].as_str().unwrap()).words)(message)
    }

    fn asked(text: &str) -> Words {
        Words::Written(text.to_owned())
    }

    #[test]
    fn words_are_read_from_every_kind_that_has_some() {
        let button = json!({"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}});
        let list =
            json!({"type": "list_reply", "list_reply": {"id": "1", "title": "Row", "description": "d"}});
        for (message, expected) in [
            (json!({"type": "text", "text": {"body": " Hi\u{0} "}}), "Hi"),
            (json!({"type": "text", "text": {"body": " \n"}}), ""),
            (json!({"type": "interactive", "interactive": button}), "Yes"),
            (json!({"type": "interactive", "interactive": list}), "Row"),
            (
                json!({"type": "button", "button": {"payload": "p", "text": "Quick"}}),
                "Quick",
            ),
            (
                json!({"type": "image", "image": {"id": "1", "caption": "What is this?"}}),
                "What is this?",
            ),
            (
                json!({"type": "video", "video": {"id": "1", "caption": "v"}}),
                "v",
            ),
            (
                json!({"type": "document", "document": {"id": "1", "filename": "f", "caption": "d"}}),
                "d",
            ),
        ] {
            assert_eq!(read(&message), asked(expected), "{message}");
        }
    }

    #[test]
    fn content_without_words_is_noticed() {
        let form = json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "response_json": "{}"}});
        assert_eq!(
            read(&json!({"type": "interactive", "interactive": form})),
            Words::None
        );
        assert_eq!(
            read(&json!({"type": "image", "image": {"id": "1", "caption": " "}})),
            Words::None
        );
        let content = "interactive image video document audio sticker location contacts order unsupported";
        for name in content.split(' ') {
            assert!(of(name).told, "{name}");
        }
        for name in [
            "image",
            "audio",
            "sticker",
            "location",
            "contacts",
            "order",
            "unsupported",
        ] {
            assert_eq!(
                (read(&json!({"type": name})), of(name).reason),
                (Words::None, name)
            );
        }
    }

    #[test]
    fn the_rest_is_left_without_a_word() {
        for name in ["reaction", "edit", "revoke", "request_welcome"] {
            assert_eq!((of(name).told, of(name).reason), (false, name));
        }
        assert_eq!(
            (of("telepathy").told, of("telepathy").reason),
            (false, "unknown_type")
        );
    }

    #[test]
    fn what_is_not_built_as_its_kind_is_malformed() {
        for message in [
            json!({"type": "text"}),
            json!({"type": "text", "text": "Hi"}),
            json!({"type": "text", "text": {"body": 7}}),
            json!({"type": "button", "button": {"payload": "p"}}),
            json!({"type": "interactive"}),
            json!({"type": "interactive", "interactive": {"button_reply": {"title": []}}}),
        ] {
            assert_eq!(read(&message), Words::Malformed, "{message}");
        }
    }
}
