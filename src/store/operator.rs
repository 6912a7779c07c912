//! What the operator's commands see of the store.

use serde::Serialize;

use crate::domain::Time;

/// Which threads to list.
#[derive(Debug, Clone, Default)]
pub struct ThreadQuery {
    /// Only this channel.
    pub channel: Option<String>,
    /// Only this state (`open`, `paused`).
    pub state: Option<String>,
    /// Only those with this text in an address or another name, or with just this id or conversation.
    pub search: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// A thread as listed. The names are the contract's (`threads list --json`).
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct ThreadRow {
    /// The internal id.
    pub id: String,
    /// The channel.
    pub channel: String,
    /// The account on the channel.
    pub account: String,
    /// The address.
    pub address: String,
    /// `open` or `paused`.
    pub state: String,
    /// The agent's id of the conversation.
    pub conversation_id: Option<String>,
    /// When something last happened, RFC 3339.
    pub last_at: String,
}

/// A thread with what was said on it.
#[derive(Debug, Clone, Serialize)]
pub struct ThreadDetail {
    /// The thread.
    #[serde(flatten)]
    pub thread: ThreadRow,
    /// All names by which the platform knows it.
    pub aliases: Vec<String>,
    /// Messages and deliveries, in the order of their times.
    pub history: Vec<HistoryItem>,
}

/// One line of a thread's history.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryItem {
    /// When it was accepted or made, RFC 3339.
    pub at: String,
    /// `message`, `answer`, `notice` or `feedback`.
    pub kind: String,
    /// The internal id.
    pub id: String,
    /// The state it is in.
    pub state: String,
    /// The text.
    pub text: String,
    /// Why it is in that state, if there is something to say.
    pub reason: Option<String>,
    /// Of what was sent: how far it came, as the platform told (`sent`, `delivered`, `read`, `failed`).
    pub stage: Option<String>,
}

/// A change that an operator makes to a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadChange {
    /// The bot is silent: a person answers.
    Pause,
    /// The bot answers again.
    Resume,
    /// The conversation is forgotten; the next question opens another.
    Reset,
}

/// Which dead letters to list.
#[derive(Debug, Clone, Default)]
pub struct DeadQuery {
    /// Only `message` or `delivery`.
    pub kind: Option<String>,
    /// Only the one of this id.
    pub id: Option<String>,
    /// Only this channel.
    pub channel: Option<String>,
    /// Only this account, as its channel calls it.
    pub account: Option<String>,
    /// Only the thread of this address.
    pub address: Option<String>,
    /// Only those given up for this reason.
    pub code: Option<String>,
    /// Only what was given up at this time or later.
    pub since: Option<Time>,
    /// Only what was given up at this time or earlier.
    pub until: Option<Time>,
    /// At most so many.
    pub limit: u32,
}

/// A dead letter. The names are the contract's (`dead list --json`).
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct DeadLetter {
    /// The id of the message or delivery.
    pub id: String,
    /// `message` or `delivery`.
    pub kind: String,
    /// The thread's internal id.
    pub thread: String,
    /// The thread's address.
    pub address: String,
    /// When it was given up, RFC 3339.
    pub at: String,
    /// How many attempts were made.
    pub attempts: i64,
    /// A short fixed code, or the platform's.
    pub code: String,
    /// What happened and what to do.
    pub reason: String,
}

/// The bounds by which times to answer are counted, in milliseconds: from a stub's answer to a long retry.
pub const ANSWER_BOUNDS: [i64; 15] = [
    100, 250, 500, 1000, 1500, 2000, 3000, 5000, 8000, 13_000, 21_000, 34_000, 60_000, 180_000, 600_000,
];

/// How many answers were delivered on a channel in one hour, and took so long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The channel.
    pub channel: String,
    /// The hour in which they were delivered: its beginning.
    pub hour: Time,
    /// They took at most so many milliseconds, and more than the bound before it in [`ANSWER_BOUNDS`]; none: longer
    /// than the last.
    pub within: Option<i64>,
    /// How many.
    pub count: u64,
}

/// An account where people have written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// The channel.
    pub channel: String,
    /// The account on the channel.
    pub account: String,
    /// How many threads it has.
    pub threads: u64,
    /// When somebody last wrote.
    pub last_at: Time,
    /// Messages without an answer yet, and parts that are not sent yet.
    pub waiting: u64,
    /// Dead letters.
    pub dead: u64,
}
