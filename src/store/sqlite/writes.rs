//! What accepting reads and what it writes, as rows.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::domain::account::{AccountKey, AliasKey};
use crate::domain::message::{Lane, Receipt, Route};
use crate::domain::thread::ThreadState;
use crate::domain::{ClaimToken, DedupKey, DeliveryId, MessageId, ThreadId, Time};

/// A thread as far as accepting concerns it.
#[derive(Debug, Clone)]
pub(super) struct ThreadNow {
    pub(super) bound: Option<AliasKey>,
    pub(super) last_seq: i64,
    pub(super) last_part: i64,
    pub(super) state: ThreadState,
    pub(super) noticed_at: Option<Time>,
    pub(super) route: Route,
    pub(super) address: AliasKey,
    /// When it was last said where replies go, by the platform's time.
    pub(super) routed_at: Time,
    pub(super) paused_until: Option<Time>,
}

impl ThreadNow {
    /// Whether a person answers at this time.
    pub(super) fn is_paused(&self, at: Time) -> bool {
        self.state == ThreadState::Paused && self.paused_until.is_none_or(|until| until > at)
    }
}

/// A delivery that a receipt may speak of.
#[derive(Debug, Clone)]
pub(super) struct DeliveryNow {
    pub(super) id: DeliveryId,
    pub(super) account: AccountKey,
    pub(super) platform_id: Option<String>,
    pub(super) state: String,
    pub(super) stage: i64,
    pub(super) billed: bool,
}

/// A message that waits, and whose turn has not begun.
#[derive(Debug, Clone)]
pub(super) struct OpenMessage {
    pub(super) id: MessageId,
    pub(super) platform_id: String,
    pub(super) edited_at: Option<Time>,
}

/// A part that somebody points at.
#[derive(Debug, Clone)]
pub(super) struct SentPart {
    pub(super) turn: Option<i64>,
    pub(super) account: AccountKey,
    pub(super) address: AliasKey,
}

/// What a person who calls off an answer may still reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stoppable {
    /// The claim under which its messages are being asked.
    pub(super) asking: Option<ClaimToken>,
    /// Whether there is anything to call off.
    pub(super) waits: bool,
}

/// What the read found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Where each alias leads, and since when.
    pub(super) aliases: HashMap<AliasKey, (ThreadId, Time)>,
    pub(super) threads: HashMap<ThreadId, ThreadNow>,
    pub(super) keys: HashSet<DedupKey>,
    pub(super) deliveries: Vec<DeliveryNow>,
    /// Messages that an edit may still change.
    pub(super) open: Vec<OpenMessage>,
    /// Parts that acts are about.
    pub(super) parts: HashMap<DeliveryId, SentPart>,
    /// What can be called off, by thread and by when somebody wanted that.
    pub(super) stoppable: HashMap<(ThreadId, Time), Stoppable>,
}

/// A thread to write: new, or with a message more.
#[derive(Debug)]
pub(super) struct ThreadWrite {
    pub(super) account: AccountKey,
    pub(super) place: Option<String>,
    pub(super) address: AliasKey,
    pub(super) route: String,
    pub(super) country: Option<String>,
    pub(super) inbound_at: Time,
    pub(super) at: Time,
}

/// A message to write.
#[derive(Debug)]
pub(super) struct MessageWrite {
    pub(super) id: MessageId,
    pub(super) platform_id: String,
    pub(super) text: String,
    pub(super) quotes: Option<String>,
    pub(super) state: &'static str,
    pub(super) code: Option<&'static str>,
    pub(super) sent_at: Time,
    pub(super) at: Time,
}

/// A notice to write.
#[derive(Debug)]
pub(super) struct NoticeWrite {
    pub(super) id: DeliveryId,
    pub(super) body: String,
    pub(super) lane: Lane,
    pub(super) at: Time,
}

/// Work to write: a thread's messages, from `first` on, wait for their turn.
#[derive(Debug)]
pub(super) struct TurnWrite {
    pub(super) lane: Lane,
    pub(super) first: i64,
    pub(super) wait: Duration,
    pub(super) max_wait: Duration,
    pub(super) at: Time,
}

/// A message that says something else now, or nothing any more.
#[derive(Debug)]
pub(super) struct RevisionWrite {
    pub(super) text: Option<String>,
    pub(super) edited_at: Option<Time>,
    pub(super) at: Time,
}

/// A receipt to write.
#[derive(Debug)]
pub(super) struct ReceiptWrite {
    pub(super) delivery: DeliveryId,
    pub(super) receipt: Receipt,
}

/// A pause that ends by itself.
#[derive(Debug)]
pub(super) struct PauseWrite {
    pub(super) thread: ThreadId,
    pub(super) until: Time,
    pub(super) at: Time,
}
