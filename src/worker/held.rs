//! What stands still, and why: for the operator's pages.

use super::Workers;
use super::board::Board;
use crate::domain::Time;

/// Something that is held until the operator has acted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// An agent's id, an account's key, or what several accounts share.
    pub name: String,
    /// Why, and what to do.
    pub why: String,
}

/// Something that pauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// An account's key, or what several accounts share.
    pub name: String,
    /// Until when.
    pub until: Time,
}

impl Workers {
    /// The agents that are not asked until the operator has acted, in the order of their names.
    pub fn held_agents(&self) -> Vec<Held> {
        held(&self.turns)
    }

    /// The accounts, and what several of them share, for which nothing is sent until the operator has acted.
    pub fn held_accounts(&self) -> Vec<Held> {
        held(&self.sends)
    }

    /// The accounts for which nothing is sent for a while, because the platform asked for a pause.
    pub fn paused_accounts(&self) -> Vec<Paused> {
        let paused = self.sends.paused(self.parts.clock.now());
        paused
            .into_iter()
            .map(|(name, until)| Paused { name, until })
            .collect()
    }
}

/// What a board holds.
fn held(board: &Board) -> Vec<Held> {
    let held = board.held().into_iter();
    let mut held: Vec<Held> = held.map(|(name, why)| Held { name, why }).collect();
    held.sort_unstable();
    held
}
