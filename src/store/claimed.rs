//! Claims, put together from the rows that the databases return.

use std::collections::HashMap;

use super::StoreError;
use super::rows::{self, Cells};
use crate::domain::delivery::{DeliveryKind, SendClaim};
use crate::domain::message::Lane;
use crate::domain::turn::{ClaimKey, Pending, TurnClaim};
use crate::domain::{ClaimToken, DeliveryId, MessageId, ThreadId, TurnId};

/// The columns that [`Turns::message`] reads, in its order, of messages `m` and their threads `t`.
macro_rules! turn_message_columns {
    () => {
        concat!(
            "m.seq, m.platform_id, m.text, m.sent_at, m.accepted_at, ",
            crate::store::rows::thread_columns!(),
            ", CASE WHEN m.quotes IS NOT NULL THEN coalesce(
           (SELECT d.body FROM deliveries AS d WHERE d.platform_id = m.quotes AND d.thread_id = m.thread_id),
           (SELECT q.text FROM messages AS q WHERE q.thread_id = m.thread_id AND q.platform_id = m.quotes
               AND q.seq <> m.seq LIMIT 1)) END AS quoted"
        )
    };
}
pub(super) use turn_message_columns;

/// The columns that [`Sends::part`] reads, in its order, of deliveries `d` and their threads `t`.
macro_rules! send_part_columns {
    () => {
        concat!(
            "d.part, d.kind, d.body, d.attempts, d.state, d.created_at, d.attempted_at, d.asked_at, ",
            crate::store::rows::last_part!(),
            ", ",
            crate::store::rows::thread_columns!(),
            ", d.pauses"
        )
    };
}
pub(super) use send_part_columns;

/// Turns that are being claimed.
#[derive(Debug, Default)]
pub(super) struct Turns {
    begun: HashMap<ThreadId, Head>,
    claims: Vec<TurnClaim>,
}

/// A claimed turn before its messages are known.
#[derive(Debug)]
struct Head {
    key: ClaimKey,
    attempt: u32,
    ambiguous: bool,
    turn: i64,
}

impl Turns {
    /// Takes a claimed row: `thread, token, attempts, ambiguous, first`.
    pub(super) fn begin(&mut self, row: &impl Cells, lane: Lane) -> Result<(), StoreError> {
        let key = key(row, lane)?;
        let head = Head {
            attempt: rows::count(row, 2)?,
            ambiguous: row.flag(3)?,
            turn: row.int(4)?,
            key,
        };
        self.begun.insert(head.key.thread, head);
        Ok(())
    }

    /// The threads whose turns were claimed and whose messages are not known yet.
    pub(super) fn threads(&self) -> Vec<ThreadId> {
        self.begun.keys().copied().collect()
    }

    /// Takes a message, in the order of threads and numbers.
    pub(super) fn message(&mut self, row: &impl Cells) -> Result<(), StoreError> {
        let thread: ThreadId = rows::id(row, 5)?;
        let message = Pending {
            id: MessageId::new(thread, row.int(0)?),
            platform_id: row.text(1)?.to_owned(),
            text: row.text(2)?.to_owned(),
            quoted: rows::optional_text(row, 14)?,
            sent_at: rows::time(row, 3)?,
            accepted_at: rows::time(row, 4)?,
        };
        if let Some(head) = self.begun.remove(&thread) {
            self.claims.push(TurnClaim {
                key: head.key,
                turn: TurnId::new(thread, head.turn),
                attempt: head.attempt,
                ambiguous: head.ambiguous,
                thread: rows::thread(row, 5)?,
                messages: vec![message],
            });
        } else if let Some(claim) = self.claims.last_mut() {
            claim.messages.push(message);
        }
        Ok(())
    }

    /// The claims, and the threads that turned out to have nothing to ask.
    pub(super) fn end(self) -> (Vec<TurnClaim>, Vec<ThreadId>) {
        (self.claims, self.begun.into_keys().collect())
    }
}

/// Sends that are being claimed.
#[derive(Debug, Default)]
pub(super) struct Sends {
    begun: HashMap<ThreadId, ClaimKey>,
    claims: Vec<SendClaim>,
}

impl Sends {
    /// Takes a claimed row: `thread, token`.
    pub(super) fn begin(&mut self, row: &impl Cells, lane: Lane) -> Result<(), StoreError> {
        let key = key(row, lane)?;
        self.begun.insert(key.thread, key);
        Ok(())
    }

    /// The threads whose sends were claimed and whose parts are not known yet.
    pub(super) fn threads(&self) -> Vec<ThreadId> {
        self.begun.keys().copied().collect()
    }

    /// Takes the first open part of a thread.
    pub(super) fn part(&mut self, row: &impl Cells) -> Result<(), StoreError> {
        let thread = rows::thread(row, 9)?;
        let Some(key) = self.begun.remove(&thread.id) else {
            return Ok(());
        };
        let unknown = row.text(4)? != "pending";
        let attempts = rows::count(row, 3)?;
        self.claims.push(SendClaim {
            delivery: DeliveryId::new(thread.id, row.int(0)?),
            key,
            thread,
            kind: DeliveryKind::from_stored(row.text(1)?),
            body: row.text(2)?.to_owned(),
            last: row.flag(8)?,
            attempt: if unknown {
                attempts
            } else {
                attempts.saturating_add(1)
            },
            pauses: rows::count(row, 18)?,
            unknown,
            created_at: rows::time(row, 5)?,
            last_attempt_at: rows::optional_time(row, 6)?,
            asked_at: rows::optional_time(row, 7)?,
        });
        Ok(())
    }

    /// The parts that were claimed.
    pub(super) fn parts(&self) -> Vec<(ThreadId, i64)> {
        let part = |claim: &SendClaim| (claim.delivery.thread, claim.delivery.number);
        self.claims.iter().map(part).collect()
    }

    /// The claims, and the threads that turned out to have nothing to send.
    pub(super) fn end(self) -> (Vec<SendClaim>, Vec<ThreadId>) {
        (self.claims, self.begun.into_keys().collect())
    }
}

fn key(row: &impl Cells, lane: Lane) -> Result<ClaimKey, StoreError> {
    Ok(ClaimKey {
        thread: rows::id(row, 0)?,
        token: ClaimToken::from(row.int(1)?),
        lane,
    })
}
