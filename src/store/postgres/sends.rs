//! The ends of a send: sent, again later, unknown, dead.

use std::collections::HashMap;

use super::turns::texts;
use super::tx::{Tx, json};
use crate::domain::ThreadId;
use crate::store::StoreError;
use crate::store::ends::sends::{Ends, Held, held_send_columns, settled};
use crate::store::ops::{Op, Outcome};

/// Who holds each thread's sending now, and the part behind the one that was sent. Nobody takes it over before this is
/// written.
pub(super) const READ: &str = concat!(
    "SELECT ",
    held_send_columns!(),
    "
      FROM jsonb_array_elements($1::jsonb) AS j (v)
      JOIN work AS w ON w.thread_id = ANY (ARRAY[v ->> 0]) AND w.kind + 0 = 2
      JOIN threads AS t ON t.id = ANY (ARRAY[v ->> 0])
      LEFT JOIN deliveries AS d ON d.thread_id = ANY (ARRAY[v ->> 0]) AND d.part =
           (SELECT x.part FROM deliveries AS x WHERE x.thread_id = w.thread_id AND x.part >= w.first
               AND x.part <> (v ->> 1)::bigint AND x.state IN ('pending', 'sending', 'unknown')
             ORDER BY x.part LIMIT 1)
       FOR UPDATE OF w"
);

/// What the platform told in the meantime is not overwritten: a part that it reported dead stays dead.
pub(super) const WRITE: &str = "
    WITH d AS (
        UPDATE deliveries SET
               state = CASE WHEN state IN ('dead', 'sent', 'withdrawn') THEN state ELSE v ->> 2 END,
               platform_id = coalesce(v ->> 3, platform_id),
               code = coalesce(code, v ->> 4), reason = coalesce(reason, v ->> 5),
               attempts = attempts - (v ->> 6)::bigint, pauses = (v ->> 8)::bigint,
               ended_at = CASE WHEN v ->> 2 IN ('sent', 'dead') THEN (v ->> 7)::bigint ELSE ended_at END
          FROM jsonb_array_elements($1::jsonb) AS j (v) WHERE thread_id = ANY (ARRAY[v ->> 0]) AND part = (v ->> 1)::bigint
    ), b AS (
        UPDATE deliveries SET state = 'sending', attempts = attempts + 1, attempted_at = (v ->> 2)::bigint
          FROM jsonb_array_elements($2::jsonb) AS j (v) WHERE thread_id = ANY (ARRAY[v ->> 0]) AND part = (v ->> 1)::bigint
    ), w AS (
        UPDATE work SET token = (v ->> 1)::bigint, due_at = (v ->> 2)::bigint,
               first = coalesce((v ->> 3)::bigint, first), held = v ->> 4
          FROM jsonb_array_elements($3::jsonb) AS j (v)
         WHERE thread_id = ANY (ARRAY[v ->> 0]) AND kind + 0 = 2
    )
    DELETE FROM work USING unnest($4::text[]) AS j (id)
     WHERE work.thread_id = ANY (ARRAY[j.id]) AND work.kind + 0 = 2";

/// Settles all sends among the operations.
pub(super) async fn settle_all(
    tx: &mut Tx<'_>,
    ops: &[Op],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), StoreError> {
    let parts = settled(ops);
    if parts.is_empty() {
        return Ok(());
    }
    let mut held: HashMap<ThreadId, Held> = HashMap::with_capacity(parts.len());
    for row in tx.fetch(sqlx::query(READ).bind(json(&parts)?)).await? {
        Held::take(&mut held, &row)?;
    }
    let ends = Ends::settle_all(held, ops, outcomes);
    let write = sqlx::query(WRITE)
        .bind(json(&ends.deliveries)?)
        .bind(json(&ends.begun)?)
        .bind(json(&ends.work)?)
        .bind(texts(&ends.over));
    tx.run(write).await?;
    Ok(())
}
