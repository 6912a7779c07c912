//! What accepting reads and what it writes, as rows.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::domain::account::{AccountKey, AliasKey};
use crate::domain::message::{Lane, Receipt, Route};
use crate::domain::thread::ThreadState;
use crate::domain::{ClaimToken, DedupKey, DeliveryId, MessageId, ThreadId, Time};

/// A thread as far as accepting concerns it.
#[derive(Debug, Clone)]
pub(in crate::store) struct ThreadNow {
    pub(in crate::store) bound: Option<AliasKey>,
    pub(in crate::store) last_seq: i64,
    pub(in crate::store) last_part: i64,
    pub(in crate::store) state: ThreadState,
    pub(in crate::store) noticed_at: Option<Time>,
    pub(in crate::store) route: Route,
    pub(in crate::store) address: AliasKey,
    /// When it was last said where replies go, by the platform's time.
    pub(in crate::store) routed_at: Time,
    pub(in crate::store) paused_until: Option<Time>,
}

impl ThreadNow {
    /// Whether a person answers at this time.
    pub(in crate::store) fn is_paused(&self, at: Time) -> bool {
        self.state == ThreadState::Paused && self.paused_until.is_none_or(|until| until > at)
    }
}

/// A delivery that a receipt may speak of.
#[derive(Debug, Clone)]
pub(in crate::store) struct DeliveryNow {
    pub(in crate::store) id: DeliveryId,
    pub(in crate::store) account: AccountKey,
    pub(in crate::store) platform_id: Option<String>,
    pub(in crate::store) state: String,
    pub(in crate::store) stage: i64,
    pub(in crate::store) billed: bool,
}

/// A message that waits, and whose turn has not begun.
#[derive(Debug, Clone)]
pub(in crate::store) struct OpenMessage {
    pub(in crate::store) id: MessageId,
    pub(in crate::store) platform_id: String,
    pub(in crate::store) edited_at: Option<Time>,
}

/// A part that somebody points at.
#[derive(Debug, Clone)]
pub(in crate::store) struct SentPart {
    pub(in crate::store) turn: Option<i64>,
    pub(in crate::store) account: AccountKey,
    pub(in crate::store) address: AliasKey,
}

/// What a person who calls off an answer may still reach.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Stoppable {
    /// The claim under which its messages are being asked.
    pub(in crate::store) asking: Option<ClaimToken>,
    /// Whether there is anything to call off.
    pub(in crate::store) waits: bool,
}

/// What the read found.
#[derive(Debug, Default)]
pub(in crate::store) struct Found {
    /// Where each alias leads, and since when.
    pub(in crate::store) aliases: HashMap<AliasKey, (ThreadId, Time)>,
    pub(in crate::store) threads: HashMap<ThreadId, ThreadNow>,
    pub(in crate::store) keys: HashSet<DedupKey>,
    pub(in crate::store) deliveries: Vec<DeliveryNow>,
    /// Messages that an edit may still change.
    pub(in crate::store) open: Vec<OpenMessage>,
    /// What can be called off, by thread and by when somebody wanted that.
    pub(in crate::store) stoppable: HashMap<(ThreadId, Time), Stoppable>,
    /// Parts that acts are about.
    pub(in crate::store) parts: HashMap<DeliveryId, SentPart>,
}

/// A thread to write: new, or with a message more.
#[derive(Debug)]
pub(in crate::store) struct ThreadWrite {
    pub(in crate::store) account: AccountKey,
    pub(in crate::store) place: Option<String>,
    pub(in crate::store) address: AliasKey,
    pub(in crate::store) route: String,
    pub(in crate::store) country: Option<String>,
    pub(in crate::store) inbound_at: Time,
    pub(in crate::store) at: Time,
}

/// A message to write.
#[derive(Debug)]
pub(in crate::store) struct MessageWrite {
    pub(in crate::store) id: MessageId,
    pub(in crate::store) platform_id: String,
    pub(in crate::store) text: String,
    pub(in crate::store) quotes: Option<String>,
    pub(in crate::store) state: &'static str,
    pub(in crate::store) code: Option<&'static str>,
    pub(in crate::store) sent_at: Time,
    pub(in crate::store) at: Time,
}

/// A notice to write.
#[derive(Debug)]
pub(in crate::store) struct NoticeWrite {
    pub(in crate::store) id: DeliveryId,
    pub(in crate::store) body: String,
    pub(in crate::store) lane: Lane,
    pub(in crate::store) at: Time,
}

/// Work to write: a thread's messages, from `first` on, wait for their turn.
#[derive(Debug)]
pub(in crate::store) struct TurnWrite {
    pub(in crate::store) lane: Lane,
    pub(in crate::store) first: i64,
    pub(in crate::store) wait: Duration,
    pub(in crate::store) max_wait: Duration,
    pub(in crate::store) at: Time,
}

/// A message that says something else now, or nothing any more.
#[derive(Debug)]
pub(in crate::store) struct RevisionWrite {
    pub(in crate::store) text: Option<String>,
    pub(in crate::store) edited_at: Option<Time>,
    pub(in crate::store) at: Time,
}

/// A receipt to write.
#[derive(Debug)]
pub(in crate::store) struct ReceiptWrite {
    pub(in crate::store) delivery: DeliveryId,
    pub(in crate::store) receipt: Receipt,
}

/// A pause that ends by itself.
#[derive(Debug)]
pub(in crate::store) struct PauseWrite {
    pub(in crate::store) thread: ThreadId,
    pub(in crate::store) until: Time,
    pub(in crate::store) at: Time,
}
