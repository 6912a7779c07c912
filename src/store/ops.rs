//! What can be written, and what comes of it.

use std::collections::HashSet;

use super::operator::{ThreadChange, ThreadRow};
use super::privacy::{Erased, Expired};
use super::{Claims, Quota, StoreError, Swept, Work};
use crate::crash_point::Deed;
use crate::domain::delivery::{SendClaim, Settlement};
use crate::domain::message::{Accepted, Admission};
use crate::domain::routing::Routes;
use crate::domain::turn::{Burial, ClaimKey, CompletedTurn, Deferral, TurnClaim};
use crate::domain::{AccountKey, ClaimToken, DeliveryId, MessageId, ThreadId, Time};

/// A write. It is only read, so that it can be tried again by itself if its batch fails.
pub(super) enum Op {
    Accept(Vec<Admission>),
    ClaimTurns(Wanted),
    CompleteTurn(TurnClaim, CompletedTurn),
    DeferTurn(ClaimKey, Deferral),
    BuryTurn(TurnClaim, Burial),
    ClaimSends(Wanted),
    Settle(SendClaim, Settlement),
    Renew {
        work: Work,
        keys: Vec<ClaimKey>,
        until: Time,
    },
    Change(Change),
}

impl Op {
    /// How the crash points call its commit.
    pub(super) fn deed(&self) -> Option<Deed> {
        Some(match self {
            Self::Accept(_) => Deed::Accept,
            Self::ClaimTurns(_) => Deed::ClaimTurns,
            Self::CompleteTurn(..) => Deed::CompleteTurn,
            Self::DeferTurn(..) => Deed::DeferTurn,
            Self::BuryTurn(..) => Deed::BuryTurn,
            Self::ClaimSends(_) => Deed::ClaimSends,
            Self::Settle(..) => Deed::Settle,
            Self::Renew { .. } => Deed::Renew,
            Self::Change(change) => return change.deed(),
        })
    }
}

impl Change {
    fn deed(&self) -> Option<Deed> {
        Some(match self {
            Self::Release { .. } => Deed::Release,
            Self::Recover { .. } => Deed::Recover,
            Self::Sweep { .. } => Deed::Sweep,
            Self::Thread { .. } => Deed::ChangeThread,
            Self::Replay { .. } => Deed::Replay,
            Self::Purge { .. } => Deed::Purge,
            Self::Installation(_) => Deed::Install,
            Self::Erase { .. } => Deed::Erase,
            Self::Expire { .. } => Deed::Expire,
            // They write nothing that is not told or done again.
            Self::Family { .. } | Self::CheckWritable => return None,
        })
    }
}

/// Work that is wanted.
pub(super) struct Wanted {
    pub(super) quotas: Vec<Quota>,
    pub(super) now: Time,
    pub(super) lease_until: Time,
}

/// The writes that are rare: each is a statement or two of its own.
pub(super) enum Change {
    Release {
        work: Work,
        held: String,
        now: Time,
    },
    Recover {
        routes: Routes,
        now: Time,
        look_at: Time,
    },
    Sweep {
        keys_before: Time,
        from: i64,
    },
    Thread {
        name: String,
        change: ThreadChange,
        now: Time,
    },
    Replay {
        letter: Letter,
        routes: Routes,
        now: Time,
    },
    Purge {
        letter: Letter,
        now: Time,
    },
    Erase {
        thread: Option<ThreadId>,
        /// Whose ratings go too, wherever they are.
        person: Option<String>,
        /// Words of the bridge elsewhere that name whom it is about.
        mentions: Vec<DeliveryId>,
        now: Time,
    },
    /// Old texts of the threads from the first to the last.
    Expire {
        first: String,
        last: String,
        before: Time,
    },
    CheckWritable,
    Installation(Installing),
    Family {
        account: AccountKey,
        family: String,
    },
}

/// A write about an installation.
pub(super) enum Installing {
    Put {
        account: AccountKey,
        sealed: Vec<u8>,
        at: Time,
    },
    Renew {
        account: AccountKey,
        sealed: Vec<u8>,
        since: Time,
    },
    Forget {
        account: AccountKey,
        before: Time,
    },
    Spend {
        mark: String,
        until: Time,
        now: Time,
    },
}

/// What a dead letter's id names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Letter {
    Message(MessageId),
    Delivery(DeliveryId),
}

impl Letter {
    /// What an operator's text names, if it is such an id.
    pub(super) fn named(id: &str) -> Option<Self> {
        id.parse()
            .map(Self::Message)
            .or_else(|_| id.parse().map(Self::Delivery))
            .ok()
    }
}

/// What came of a write.
pub(super) enum Outcome {
    Done,
    Accepted(Vec<Accepted>),
    Turns(Claims<TurnClaim>),
    Sends(Claims<SendClaim>),
    Next(Option<Box<SendClaim>>),
    Count(u64),
    Flag(bool),
    Swept(Swept),
    Thread(Option<ThreadRow>),
    Erased(Option<Erased>),
    Expired(Expired),
    Since(Time),
    Held(HashSet<ClaimToken>),
    /// The claim was no longer the caller's; nothing was written for it.
    Fenced,
}

impl Outcome {
    pub(super) fn refuse_fenced(self) -> Result<Self, StoreError> {
        match self {
            Self::Fenced => Err(StoreError::Fenced),
            other => Ok(other),
        }
    }
}

/// The number by which the table `work` knows a kind.
pub(super) const fn kind(work: Work) -> i64 {
    match work {
        Work::Turn => 1,
        Work::Send => 2,
    }
}
