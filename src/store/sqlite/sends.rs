//! The ends of a send: sent, again later, unknown, dead.

use std::collections::HashMap;

use super::ends::sends::{Ends, Held, held_send_columns, settled};
use super::ops::{Op, Outcome};
use super::rows;
use super::transaction::Transaction;
use crate::domain::ThreadId;
use crate::store::StoreError;

/// Who holds each thread's sending now, and the part behind the one that was sent.
pub(super) const READ: &str = concat!(
    "SELECT ",
    held_send_columns!(),
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
pub(super) const WRITE: &str = "
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

/// Settles all sends among the operations.
pub(super) async fn settle_all(
    tx: &mut Transaction<'_>,
    ops: &[Op],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), StoreError> {
    let parts = settled(ops);
    if parts.is_empty() {
        return Ok(());
    }
    let held = read(tx, &parts).await?;
    let ends = Ends::settle_all(held, ops, outcomes);
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
        Held::take(&mut held, &row)?;
    }
    Ok(held)
}
