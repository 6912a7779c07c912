//! The texts that a person may see.

use serde::Deserialize;

/// Section `messages`. An empty text is not sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    /// When all attempts to answer have failed.
    pub unavailable: String,
    /// When something other than text came (a picture, a voice message).
    pub only_text: String,
    /// When words came with a file, which were asked while the file was not read.
    pub file_not_read: String,
    /// When a message arrives so late that it is not asked any more (`turn.too_old = "apologise"`).
    pub too_old: String,
    /// When somebody asked for a person: from then on the bot is silent on the thread.
    pub person_called: String,
    /// When somebody had the conversation forgotten.
    pub forgotten: String,
    /// When somebody stopped the bot before it had answered.
    pub stopped: String,
    /// What the bot does while an answer is on its way, said behind its name.
    pub thinking: String,
    /// What stands above the questions that are suggested.
    pub suggestions: String,
    /// How the command is used; `{command}` stands for its name.
    pub help: String,
    /// What stands on the button for a helpful answer.
    pub helpful: String,
    /// What stands on the button for an answer that did not help.
    pub not_helpful: String,
    /// What stands on the button that calls a person.
    pub call_person: String,
}
