//! The ends of a send: sent, again later, unknown, dead.

use std::collections::HashMap;

use serde_json::json;
use sqlx::Row;

use super::ops::{Op, Outcome, kind};
use super::rows::{self, last_part};
use super::transaction::Transaction;
use crate::domain::delivery::{DeliveryKind, SendClaim, SendOutcome, Settlement};
use crate::domain::message::Route;
use crate::domain::thread::Thread;
use crate::domain::turn::ClaimKey;
use crate::domain::{ClaimToken, DeliveryId, ThreadId, Time};
use crate::store::{StoreError, Work};

/// Who holds each thread's sending now, and the part behind the one that was sent.
const READ: &str = concat!(
    "
    SELECT w.thread_id, w.token, d.part, d.kind, d.body, d.state, d.attempts, d.created_at, d.attempted_at,
           d.asked_at, t.route, t.last_inbound_at, d.pauses, ",
    last_part!(),
    "
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS part FROM jsonb_each(?)) AS j
     CROSS JOIN work AS w ON w.kind = 2 AND w.thread_id = j.thread_id
     CROSS JOIN threads AS t ON t.id = w.thread_id
      LEFT JOIN deliveries AS d ON d.thread_id = j.thread_id AND d.part =
           (SELECT x.part FROM deliveries AS x WHERE x.thread_id = j.thread_id AND x.part >= w.first AND x.part <> j.part
               AND x.state IN ('pending', 'sending', 'unknown') ORDER BY x.part LIMIT 1)"
);

/// What the platform told in the meantime is not overwritten: a part that it reported dead stays dead. The kind of the
/// work comes with its row, because for a constant the planner would go through all work of that kind.
const WRITE: &str = "
    UPDATE deliveries SET
           state = CASE WHEN deliveries.state IN ('dead', 'sent', 'withdrawn') THEN deliveries.state ELSE j.state END,
           platform_id = coalesce(j.platform_id, deliveries.platform_id),
           code = coalesce(deliveries.code, j.code), reason = coalesce(deliveries.reason, j.reason),
           attempts = deliveries.attempts - j.uncounted, pauses = j.pauses,
           ended_at = CASE WHEN j.state IN ('sent', 'dead') THEN j.at ELSE deliveries.ended_at END
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS part, value ->> 2 AS state, value ->> 3 AS platform_id,
                   value ->> 4 AS code, value ->> 5 AS reason, value ->> 6 AS uncounted, value ->> 7 AS at,
                   value ->> 8 AS pauses
              FROM jsonb_each(?)) AS j
     WHERE deliveries.thread_id = j.thread_id AND deliveries.part = j.part;
    UPDATE deliveries SET state = 'sending', attempts = attempts + 1, attempted_at = j.at
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS part, value ->> 2 AS at FROM jsonb_each(?)) AS j
     WHERE deliveries.thread_id = j.thread_id AND deliveries.part = j.part;
    UPDATE work SET token = j.token, due_at = j.due_at, first = coalesce(j.first, work.first), held = j.held
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS token, value ->> 2 AS due_at, value ->> 3 AS first,
                   value ->> 4 AS held, value ->> 5 AS kind FROM jsonb_each(?)) AS j
     WHERE work.kind = j.kind AND work.thread_id = j.thread_id;
    DELETE FROM work WHERE kind = 2 AND thread_id IN (SELECT value FROM jsonb_each(?))";

/// The kind of all work here.
const KIND: i64 = kind(Work::Send);

/// A thread's sending as the store has it now.
struct Held {
    token: Option<i64>,
    next: Option<NextPart>,
    route: Route,
    last_inbound_at: Time,
}

/// The part that comes next.
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

/// What the ends of some sends write.
#[derive(Default)]
struct Ends {
    deliveries: Vec<serde_json::Value>,
    begun: Vec<serde_json::Value>,
    work: Vec<serde_json::Value>,
    over: Vec<ThreadId>,
}

/// Settles all sends among the operations.
pub(super) async fn settle_all(
    tx: &mut Transaction<'_>,
    ops: &[Op],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), StoreError> {
    let settled = |op: &Op| {
        if let Op::Settle(claim, _) = op {
            Some((claim.key.thread, claim.delivery.number))
        } else {
            None
        }
    };
    let parts: Vec<(ThreadId, i64)> = ops.iter().filter_map(settled).collect();
    if parts.is_empty() {
        return Ok(());
    }
    let mut held = read(tx, &parts).await?;
    let mut ends = Ends::default();
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
    tx.add(WRITE)
        .bind(rows::json(&ends.deliveries)?)
        .bind(rows::json(&ends.begun)?)
        .bind(rows::json(&ends.work)?)
        .bind(rows::json(&ends.over)?);
    Ok(())
}

async fn read(
    tx: &mut Transaction<'_>,
    parts: &[(ThreadId, i64)],
) -> Result<HashMap<ThreadId, Held>, StoreError> {
    let mut held = HashMap::with_capacity(parts.len());
    tx.add(READ).bind(rows::json(parts)?);
    for row in tx.rows().await? {
        let next = match row.try_get(2)? {
            None => None,
            Some(part) => Some(NextPart {
                part,
                kind: DeliveryKind::from_stored(row.try_get(3)?),
                body: row.try_get(4)?,
                last: row.try_get(13)?,
                fresh: row.try_get::<&str, _>(5)? == "pending",
                attempts: row.try_get(6)?,
                created_at: rows::time(&row, 7)?,
                attempted_at: rows::optional_time(&row, 8)?,
                asked_at: rows::optional_time(&row, 9)?,
                pauses: row.try_get(12)?,
            }),
        };
        held.insert(
            rows::id(&row, 0)?,
            Held {
                token: row.try_get(1)?,
                next,
                route: rows::route(&row, 10)?,
                last_inbound_at: rows::time(&row, 11)?,
            },
        );
    }
    Ok(held)
}

impl Ends {
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
