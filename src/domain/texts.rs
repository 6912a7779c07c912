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
}
