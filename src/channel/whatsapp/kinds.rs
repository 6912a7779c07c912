//! Every type of message that the Cloud API knows, and what becomes of it: the one table.

use serde_json::Value;

use super::{contents, json};

/// What a message of a kind says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// This, to be asked; blank if the person wrote nothing.
    Written(String),
    /// This, written below a file: it is asked, and the person is told that the file was not read.
    BelowFile(String),
    /// Nothing that the agent could be asked.
    None,
    /// It is not built as its kind is.
    Malformed,
}

/// What a message of a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// Something that a person sent.
    Message,
    /// The person says an earlier message otherwise: see `revisions`.
    Edit,
    /// The person takes an earlier message back: see `revisions`.
    Revoke,
    /// Meta's own word on a person's names: see `renames`.
    System,
}

/// What becomes of the messages of one type.
pub(super) struct Kind {
    /// The value of `type`.
    pub name: &'static str,
    /// What it is. What follows is of a [`Sort::Message`].
    pub sort: Sort,
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
        sort: Sort::Message,
        words,
        reason,
        told,
    }
}

const fn about(name: &'static str, sort: Sort) -> Kind {
    Kind {
        sort,
        ..kind(name, none, name, false)
    }
}

/// The table. (What has a `group_id` is left aside before.)
const KINDS: [Kind; 18] = [
    kind("text", |m| written(m, "text", "body"), "empty", false),
    kind("interactive", interactive, "interactive", true),
    kind("button", |m| written(m, "button", "text"), "empty", false),
    kind("image", |m| caption(m, "image"), "image", true),
    kind("video", |m| caption(m, "video"), "video", true),
    kind("document", |m| caption(m, "document"), "document", true),
    kind("audio", none, "audio", true),
    kind("sticker", none, "sticker", true),
    kind("location", contents::location, "location", true),
    kind("contacts", contents::contacts, "contacts", true),
    kind("order", contents::order, "order", true),
    // Something that the API cannot carry (a poll, a message that vanishes): the person did send it.
    kind("unsupported", none, "unsupported", true),
    // The same, as older versions of the API wrote it.
    kind("unknown", none, "unsupported", true),
    kind("reaction", none, "reaction", false),
    kind("request_welcome", none, "request_welcome", false),
    // Told only for numbers that are also used in the Business app.
    about("edit", Sort::Edit),
    about("revoke", Sort::Revoke),
    about("system", Sort::System),
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
        .map_or(Words::None, Words::BelowFile)
}

/// The title of the button or the row that was chosen, or what was filled into a form.
fn interactive(message: &Value) -> Words {
    let Some(interactive) = message.get("interactive") else {
        return Words::Malformed;
    };
    let chosen = ["button_reply", "list_reply"]
        .iter()
        .find_map(|name| interactive.get(name));
    match chosen {
        Some(reply) => json::words(reply, "title").map_or(Words::Malformed, Words::Written),
        None => interactive.get("nfm_reply").map_or(Words::None, contents::form),
    }
}

#[cfg(test)]
mod tests;
