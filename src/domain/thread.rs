//! Threads as the workers see them.

use super::account::{AccountKey, AliasKey};
use super::clock::Time;
use super::ids::ThreadId;
use super::message::Route;

/// What a worker needs to know of a thread.
#[derive(Debug, Clone)]
pub struct Thread {
    /// Its internal id.
    pub id: ThreadId,
    /// The installation that it belongs to.
    pub account: AccountKey,
    /// The room within the account, if there is one.
    pub place: Option<String>,
    /// Its address as an operator reads it.
    pub address: AliasKey,
    /// The agent's own id of the conversation, once there is one.
    pub conversation_id: Option<String>,
    /// The agent's own id of its latest answer.
    pub answer_id: Option<String>,
    /// Where replies go: as the latest inbound message said.
    pub route: Route,
    /// The person's country, if known.
    pub country: Option<String>,
    /// When a person last wrote, by the platform's time.
    pub last_inbound_at: Time,
}

/// Who answers on a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadState {
    /// The agent.
    Open,
    /// A person: messages are recorded and not asked.
    Paused,
}

impl ThreadState {
    /// The word that the store and the commands use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
        }
    }
}
