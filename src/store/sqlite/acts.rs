//! What people do besides writing, between the database and the [`plan`](super::plan): edits, withdrawals, acts.

pub(super) mod stops;

use super::plan::asked::Asked;
use super::plan::writes::Found;
use super::plan::{Plan, rows as rows_of};
use super::rows::{self, thread_now_columns};
use super::transaction::Transaction;
use crate::store::StoreError;

/// The messages that may still be changed, by a name of their thread and their own. A turn that was put back without
/// counting has not begun: nobody has read its question.
pub(super) const READ_OPEN: &str = "
    SELECT m.thread_id, m.seq, m.platform_id, m.edited_at
      FROM jsonb_each(?) AS j
     CROSS JOIN aliases AS a ON a.alias = j.value ->> 0
     CROSS JOIN work AS w ON w.kind = 1 AND w.thread_id = a.thread_id
     CROSS JOIN messages AS m ON m.thread_id = w.thread_id AND m.seq >= w.first
     WHERE m.platform_id = j.value ->> 1 AND m.state = 'pending'
       AND (w.upto IS NULL OR m.seq > w.upto OR w.token IS NULL AND w.attempts = 0 AND NOT w.ambiguous)";

/// The parts that acts are about, and their threads.
pub(super) const READ_PARTS: &str = concat!(
    "SELECT d.thread_id, d.part, d.turn, t.account, ",
    thread_now_columns!(),
    "
      FROM jsonb_each(?) AS j
     CROSS JOIN deliveries AS d ON d.thread_id = j.value ->> 0 AND d.part = j.value ->> 1
     CROSS JOIN threads AS t ON t.id = d.thread_id"
);

/// A message that was taken back says nothing any more. A turn that loses a message that way, or says something else
/// now, begins anew with what there is.
pub(super) const WRITE_REVISIONS: &str = "
    UPDATE messages SET text = coalesce(j.text, ''), edited_at = j.edited_at,
           state = CASE WHEN j.text IS NULL THEN 'ignored' ELSE state END,
           code = CASE WHEN j.text IS NULL THEN 'deleted' ELSE code END,
           ended_at = CASE WHEN j.text IS NULL THEN j.at ELSE ended_at END
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS seq, value ->> 2 AS text, value ->> 3 AS edited_at,
                   value ->> 4 AS at FROM jsonb_each(?)) AS j
     WHERE messages.thread_id = j.thread_id AND messages.seq = j.seq AND messages.state = 'pending';
    UPDATE work SET first = min(first, coalesce(reopened, first)), reopened = NULL, upto = NULL
     WHERE kind = 1 AND thread_id IN (SELECT value ->> 0 FROM jsonb_each(?))
       AND token IS NULL AND attempts = 0 AND NOT ambiguous";

pub(super) const WRITE_SPOKEN: &str = "
    UPDATE threads SET last_part = max(threads.last_part, j.last_part), updated_at = j.at
      FROM (SELECT value ->> 0 AS id, value ->> 1 AS last_part, value ->> 2 AS at FROM jsonb_each(?)) AS j
     WHERE threads.id = j.id";

pub(super) const WRITE_RESETS: &str = "
    UPDATE threads SET conversation_id = NULL WHERE id IN (SELECT value FROM jsonb_each(?))";

pub(super) const WRITE_RATINGS: &str = "
    INSERT INTO feedback (thread_id, turn, person, helpful, at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each(?) WHERE true
        ON CONFLICT (thread_id, turn, person) DO UPDATE SET helpful = excluded.helpful, at = excluded.at
           WHERE excluded.at >= feedback.at";

/// Reads what edits and acts are about.
pub(super) async fn read(
    tx: &mut Transaction<'_>,
    asked: &Asked<'_>,
    found: &mut Found,
) -> Result<(), StoreError> {
    if !asked.messages.is_empty() {
        tx.add(READ_OPEN).bind(rows::json(&asked.messages)?);
        for row in tx.rows().await? {
            found.open.push(rows::open_message(&row)?);
        }
    }
    if !asked.parts.is_empty() {
        tx.add(READ_PARTS).bind(rows::json(&asked.parts)?);
        for row in tx.rows().await? {
            rows::take_part(found, &row)?;
        }
    }
    stops::read(tx, &asked.stops, found).await?;
    Ok(())
}

/// Writes what the plan made of edits and acts, after everything that they may concern.
pub(super) async fn write(tx: &mut Transaction<'_>, plan: &Plan) -> Result<(), StoreError> {
    if !plan.revisions.is_empty() {
        let revisions = rows_of::revisions(plan)?;
        tx.add(WRITE_REVISIONS).bind(&revisions).bind(&revisions);
    }
    if !plan.spoken.is_empty() {
        tx.add(WRITE_SPOKEN).bind(rows_of::spoken(plan)?);
    }
    if !plan.resets.is_empty() {
        tx.add(WRITE_RESETS).bind(rows::json(&plan.resets)?);
    }
    if !plan.ratings.is_empty() {
        tx.add(WRITE_RATINGS).bind(rows::json(&plan.ratings)?);
    }
    stops::write(tx, plan)?;
    for (thread, at) in &plan.silenced {
        super::changes::pause(tx, &thread.to_string(), *at).await?;
    }
    Ok(())
}
