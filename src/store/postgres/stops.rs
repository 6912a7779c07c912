//! Answers that people call off.
//!
//! Only what was written before counts: a stop that is delivered late does not reach what was written after it.

use super::tx::Tx;
use crate::domain::{AliasKey, Time};
use crate::store::plan::writes::Found;
use crate::store::plan::{Plan, rows as rows_of};
use crate::store::{StoreError, rows};

/// What waits of a thread's messages and parts, and whether those messages are being asked.
pub(super) const READ: &str = "
    SELECT a.thread_id, (v ->> 1)::bigint,
           (SELECT w.token FROM work AS w WHERE w.thread_id = a.thread_id AND w.kind + 0 = 1 AND EXISTS (
                SELECT 1 FROM messages AS m WHERE m.thread_id = a.thread_id AND m.seq BETWEEN w.first AND w.upto
                   AND m.state = 'pending' AND m.sent_at <= (v ->> 1)::bigint)),
           EXISTS (SELECT 1 FROM work AS w JOIN messages AS m ON m.thread_id = ANY (ARRAY[w.thread_id])
                      AND m.seq >= least(w.first, w.reopened)
                    WHERE w.thread_id = a.thread_id AND w.kind + 0 = 1 AND m.state = 'pending'
                      AND m.sent_at <= (v ->> 1)::bigint)
        OR EXISTS (SELECT 1 FROM work AS w JOIN deliveries AS d ON d.thread_id = ANY (ARRAY[w.thread_id]) AND d.part >= w.first
                     JOIN messages AS m ON m.thread_id = ANY (ARRAY[d.thread_id]) AND m.seq = d.turn
                    WHERE w.thread_id = a.thread_id AND w.kind + 0 = 2 AND d.state = 'pending' AND d.kind = 'answer'
                      AND m.sent_at <= (v ->> 1)::bigint)
      FROM jsonb_array_elements($1::jsonb) AS j (v) JOIN aliases AS a ON a.alias = ANY (ARRAY[v ->> 0])";

/// The messages end.
pub(super) const MESSAGES: &str = "
    UPDATE messages SET state = 'ignored', code = 'stopped', ended_at = (v ->> 2)::bigint
      FROM jsonb_array_elements($1::jsonb) AS j (v)
      JOIN work AS w ON w.thread_id = ANY (ARRAY[v ->> 0]) AND w.kind + 0 = 1
     WHERE messages.thread_id = ANY (ARRAY[w.thread_id]) AND messages.seq >= least(w.first, w.reopened)
       AND messages.state = 'pending' AND messages.sent_at <= (v ->> 1)::bigint";

/// A turn of which none is left is over.
pub(super) const OVER: &str = "
    DELETE FROM work USING jsonb_array_elements($1::jsonb) AS j (v)
     WHERE thread_id = ANY (ARRAY[v ->> 0]) AND kind + 0 = 1
       AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.thread_id = ANY (ARRAY[work.thread_id]) AND m.state = 'pending'
                          AND m.seq >= least(work.first, work.reopened))";

/// A turn of which some are left, or that was being asked, begins anew with them: whoever still holds the claim settles
/// nothing.
pub(super) const ANEW: &str = "
    UPDATE work SET token = NULL, attempts = 0, ambiguous = false, held = NULL, upto = NULL, reopened = NULL,
           due_at = (v ->> 2)::bigint,
           first = (SELECT min(m.seq) FROM messages AS m WHERE m.thread_id = ANY (ARRAY[work.thread_id]) AND m.state = 'pending'
                       AND m.seq >= least(work.first, work.reopened))
      FROM jsonb_array_elements($1::jsonb) AS j (v)
     WHERE work.thread_id = ANY (ARRAY[v ->> 0]) AND work.kind + 0 = 1
       AND EXISTS (SELECT 1 FROM messages AS m WHERE m.thread_id = ANY (ARRAY[work.thread_id])
                      AND m.seq BETWEEN work.first AND work.upto AND m.code = 'stopped'
                      AND m.ended_at = (v ->> 2)::bigint)";

/// Parts that nobody began to send stay unsent.
pub(super) const PARTS: &str = "
    UPDATE deliveries SET state = 'withdrawn', code = 'stopped', ended_at = (v ->> 2)::bigint
      FROM jsonb_array_elements($1::jsonb) AS j (v)
      JOIN work AS w ON w.thread_id = ANY (ARRAY[v ->> 0]) AND w.kind + 0 = 2
      JOIN messages AS m ON m.thread_id = ANY (ARRAY[w.thread_id]) AND m.sent_at <= (v ->> 1)::bigint
     WHERE deliveries.thread_id = ANY (ARRAY[w.thread_id]) AND deliveries.part >= w.first AND deliveries.turn = m.seq
       AND deliveries.state = 'pending' AND deliveries.kind = 'answer'";

/// Reads what can be called off.
pub(super) async fn read(
    tx: &mut Tx<'_>,
    stops: &[(AliasKey, Time)],
    found: &mut Found,
) -> Result<(), StoreError> {
    if !stops.is_empty() {
        let read = sqlx::query(READ).bind(rows_of::named_stops(stops)?);
        for row in tx.fetch(read).await? {
            rows::take_stoppable(found, &row)?;
        }
    }
    Ok(())
}

/// Calls it off.
pub(super) async fn write(tx: &mut Tx<'_>, plan: &Plan) -> Result<(), StoreError> {
    if plan.stops.is_empty() {
        return Ok(());
    }
    let stops = rows_of::stops(plan)?;
    for statement in [MESSAGES, OVER, ANEW, PARTS] {
        tx.run(sqlx::query(statement).bind(&stops)).await?;
    }
    Ok(())
}
