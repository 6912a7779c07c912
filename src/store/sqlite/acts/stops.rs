//! Answers that people call off.
//!
//! Only what was written before counts: a stop that is delivered late does not reach what was written after it.

use crate::domain::{AliasKey, Time};
use crate::store::plan::writes::Found;
use crate::store::plan::{Plan, rows as rows_of};
use crate::store::sqlite::transaction::Transaction;
use crate::store::{StoreError, rows};

/// What waits of a thread's messages and parts, and whether those messages are being asked.
pub(in crate::store::sqlite) const READ: &str = "
    SELECT a.thread_id, j.value ->> 1,
           (SELECT w.token FROM work AS w WHERE w.kind = 1 AND w.thread_id = a.thread_id AND EXISTS (
                SELECT 1 FROM messages AS m WHERE m.thread_id = a.thread_id AND m.seq BETWEEN w.first AND w.upto
                   AND m.state = 'pending' AND m.sent_at <= j.value ->> 1)),
           EXISTS (SELECT 1 FROM work AS w JOIN messages AS m ON m.thread_id = w.thread_id
                      AND m.seq >= min(w.first, coalesce(w.reopened, w.first))
                    WHERE w.kind = 1 AND w.thread_id = a.thread_id AND m.state = 'pending'
                      AND m.sent_at <= j.value ->> 1)
        OR EXISTS (SELECT 1 FROM work AS w JOIN deliveries AS d ON d.thread_id = w.thread_id AND d.part >= w.first
                     JOIN messages AS m ON m.thread_id = d.thread_id AND m.seq = d.turn
                    WHERE w.kind = 2 AND w.thread_id = a.thread_id AND d.state = 'pending' AND d.kind = 'answer'
                      AND m.sent_at <= j.value ->> 1)
      FROM jsonb_each(?) AS j CROSS JOIN aliases AS a ON a.alias = j.value ->> 0";

/// The messages end. A turn of which none is left is over; one of which some are left, or that was being asked,
/// begins anew with them: whoever still holds the claim settles nothing. Parts that nobody began to send stay unsent.
pub(in crate::store::sqlite) const WRITE: &str = "
    UPDATE messages SET state = 'ignored', code = 'stopped', ended_at = j.at
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS until, value ->> 2 AS at FROM jsonb_each(?)) AS j
      JOIN work AS w ON w.kind = 1 AND w.thread_id = j.thread_id
     WHERE messages.thread_id = j.thread_id AND messages.seq >= min(w.first, coalesce(w.reopened, w.first))
       AND messages.state = 'pending' AND messages.sent_at <= j.until;
    DELETE FROM work
     WHERE kind = 1 AND thread_id IN (SELECT value ->> 0 FROM jsonb_each(?))
       AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.thread_id = work.thread_id AND m.state = 'pending'
                          AND m.seq >= min(work.first, coalesce(work.reopened, work.first)));
    UPDATE work SET token = NULL, attempts = 0, ambiguous = 0, held = NULL, upto = NULL, reopened = NULL, due_at = j.at,
           first = (SELECT min(m.seq) FROM messages AS m WHERE m.thread_id = work.thread_id AND m.state = 'pending'
                       AND m.seq >= min(work.first, coalesce(work.reopened, work.first)))
      FROM (SELECT value ->> 0 AS thread_id, value ->> 2 AS at FROM jsonb_each(?)) AS j
     WHERE work.kind = 1 AND work.thread_id = j.thread_id
       AND EXISTS (SELECT 1 FROM messages AS m WHERE m.thread_id = work.thread_id
                      AND m.seq BETWEEN work.first AND work.upto AND m.code = 'stopped' AND m.ended_at = j.at);
    UPDATE deliveries SET state = 'withdrawn', code = 'stopped', ended_at = j.at
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS until, value ->> 2 AS at FROM jsonb_each(?)) AS j
      JOIN work AS w ON w.kind = 2 AND w.thread_id = j.thread_id
      JOIN messages AS m ON m.thread_id = j.thread_id AND m.sent_at <= j.until
     WHERE deliveries.thread_id = j.thread_id AND deliveries.part >= w.first AND deliveries.turn = m.seq
       AND deliveries.state = 'pending' AND deliveries.kind = 'answer'";

/// Reads what can be called off.
pub(super) async fn read(
    tx: &mut Transaction<'_>,
    stops: &[(AliasKey, Time)],
    found: &mut Found,
) -> Result<(), StoreError> {
    if !stops.is_empty() {
        tx.add(READ).bind(rows_of::named_stops(stops)?);
        for row in tx.rows().await? {
            rows::take_stoppable(found, &row)?;
        }
    }
    Ok(())
}

/// Calls it off.
pub(super) fn write(tx: &mut Transaction<'_>, plan: &Plan) -> Result<(), StoreError> {
    if !plan.stops.is_empty() {
        let stops = rows_of::stops(plan)?;
        tx.add(WRITE).bind(&stops).bind(&stops).bind(&stops).bind(&stops);
    }
    Ok(())
}
