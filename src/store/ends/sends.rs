//! The ends of a send: sent, again later, unknown, dead. What they write is decided here, as rows.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::domain::delivery::{DeliveryKind, SendClaim, SendOutcome, Settlement};
use crate::domain::message::Route;
use crate::domain::thread::Thread;
use crate::domain::turn::ClaimKey;
use crate::domain::{ClaimToken, DeliveryId, ThreadId, Time};
use crate::store::ops::{Op, Outcome, kind};
use crate::store::rows::{self, Cells};
use crate::store::{StoreError, Work};

/// The kind of all work here.
const KIND: i64 = kind(Work::Send);

/// A thread's sending as the store has it now.
#[derive(Debug)]
pub(in crate::store) struct Held {
    token: Option<i64>,
    next: Option<NextPart>,
    route: Route,
    last_inbound_at: Time,
}

/// The part that comes next.
#[derive(Debug)]
struct NextPart {
    part: i64,
    kind: DeliveryKind,
    body: String,
    last: bool,
    fresh: bool,
    attempts: i64,
    pauses: u32,
    created_at: Time,
    attempted_at: Option<Time>,
    asked_at: Option<Time>,
}

impl Held {
    /// Takes a row of [`held_send_columns`].
    pub(in crate::store) fn take(
        all: &mut HashMap<ThreadId, Self>,
        row: &impl Cells,
    ) -> Result<(), StoreError> {
        let next = match row.maybe_int(2)? {
            None => None,
            Some(part) => Some(NextPart {
                part,
                kind: DeliveryKind::from_stored(row.text(3)?),
                body: row.text(4)?.to_owned(),
                last: row.flag(13)?,
                fresh: row.text(5)? == "pending",
                attempts: row.int(6)?,
                created_at: rows::time(row, 7)?,
                attempted_at: rows::optional_time(row, 8)?,
                asked_at: rows::optional_time(row, 9)?,
                pauses: rows::count(row, 12)?,
            }),
        };
        let now = Self {
            token: row.maybe_int(1)?,
            next,
            route: rows::route(row, 10)?,
            last_inbound_at: rows::time(row, 11)?,
        };
        all.insert(rows::id(row, 0)?, now);
        Ok(())
    }
}

/// What the ends of some sends write.
#[derive(Debug, Default)]
pub(in crate::store) struct Ends {
    /// `thread, part, state, platform_id, code, reason, uncounted, at, pauses`
    pub(in crate::store) deliveries: Vec<Value>,
    /// `thread, part, at`: parts whose sending begins.
    pub(in crate::store) begun: Vec<Value>,
    /// `thread, token, due_at, first, held, kind`
    pub(in crate::store) work: Vec<Value>,
    /// Threads without anything more to send.
    pub(in crate::store) over: Vec<ThreadId>,
}

/// The threads and parts that are settled by these operations.
pub(in crate::store) fn settled(ops: &[Op]) -> Vec<(ThreadId, i64)> {
    let part = |op: &Op| match op {
        Op::Settle(claim, _) => Some((claim.key.thread, claim.delivery.number)),
        _ => None,
    };
    ops.iter().filter_map(part).collect()
}

/// The columns that [`Held::take`] reads, in its order, of the work `w`, its thread `t` and the next part `d`.
macro_rules! held_send_columns {
    () => {
        concat!(
            "w.thread_id, w.token, d.part, d.kind, d.body, d.state, d.attempts, d.created_at, d.attempted_at,
             d.asked_at, t.route, t.last_inbound_at, d.pauses, ",
            crate::store::rows::last_part!()
        )
    };
}
pub(in crate::store) use held_send_columns;

impl Ends {
    /// Ends all sends among the operations, and says what came of each.
    pub(in crate::store) fn settle_all(
        mut held: HashMap<ThreadId, Held>,
        ops: &[Op],
        outcomes: &mut [Option<Outcome>],
    ) -> Self {
        let mut ends = Self::default();
        for (op, outcome) in ops.iter().zip(outcomes.iter_mut()) {
            let Op::Settle(claim, settlement) = op else {
                continue;
            };
            let ours = |held: &Held| held.token == Some(claim.key.token.as_i64());
            *outcome = Some(match held.remove(&claim.key.thread).filter(ours) {
                Some(held) => Outcome::Next(ends.settle(claim, settlement, held).map(Box::new)),
                None => Outcome::Fenced,
            });
        }
        ends
    }

    fn settle(&mut self, claim: &SendClaim, settlement: &Settlement, held: Held) -> Option<SendClaim> {
        let (thread, part, at) = (claim.key.thread, claim.delivery.number, settlement.at.millis());
        match &settlement.outcome {
            SendOutcome::Sent { platform_id } => {
                self.deliveries
                    .push(json!([thread, part, "sent", platform_id, null, null, 0, at, 0]));
                self.go_on(claim, settlement, held)
            }
            SendOutcome::Dead { code, reason } => {
                self.deliveries
                    .push(json!([thread, part, "dead", null, code, reason, 0, at, 0]));
                self.go_on(claim, settlement, held)
            }
            SendOutcome::Again {
                at: due,
                counts,
                held: by,
                ..
            } => {
                let uncounted = i64::from(!counts && !claim.unknown);
                let pauses = match (counts, by) {
                    (true, _) => 0,
                    (false, None) => claim.pauses.saturating_add(1),
                    (false, Some(_)) => claim.pauses,
                };
                self.deliveries.push(json!([
                    thread, part, "pending", null, null, null, uncounted, at, pauses
                ]));
                self.work
                    .push(json!([thread, null, due.millis(), null, by, KIND]));
                None
            }
            SendOutcome::Unknown { look_at, .. } => {
                self.deliveries
                    .push(json!([thread, part, "unknown", null, null, null, 0, at, 0]));
                self.work
                    .push(json!([thread, null, look_at.millis(), null, null, KIND]));
                None
            }
        }
    }

    /// On to the thread's next part, if it has one.
    fn go_on(&mut self, claim: &SendClaim, settlement: &Settlement, held: Held) -> Option<SendClaim> {
        let (thread, at) = (claim.key.thread, settlement.at.millis());
        let Some(next) = held.next else {
            self.over.push(thread);
            return None;
        };
        if !(settlement.claim_next && next.fresh) {
            self.work.push(json!([thread, null, at, next.part, null, KIND]));
            return None;
        }
        let token = ClaimToken::new();
        self.begun.push(json!([thread, next.part, at]));
        self.work.push(json!([
            thread,
            token.as_i64(),
            settlement.lease_until.millis(),
            next.part,
            null,
            KIND
        ]));
        Some(SendClaim {
            key: ClaimKey {
                thread,
                token,
                lane: claim.key.lane.clone(),
            },
            // The person's names may have changed since the part before.
            thread: Thread {
                route: held.route,
                last_inbound_at: held.last_inbound_at,
                ..claim.thread.clone()
            },
            delivery: DeliveryId::new(thread, next.part),
            kind: next.kind,
            body: next.body,
            last: next.last,
            attempt: u32::try_from(next.attempts + 1).unwrap_or(1),
            pauses: next.pauses,
            unknown: false,
            asked_at: next.asked_at,
            created_at: next.created_at,
            last_attempt_at: next.attempted_at,
        })
    }
}
