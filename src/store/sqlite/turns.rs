//! The ends of a turn: answered, put back, given up.

use std::collections::HashMap;

use super::ends::turns::{Ends, Held, completed, held_turn_columns};
use super::ops::{Op, Outcome};
use super::rows;
use super::transaction::Transaction;
use crate::domain::ThreadId;
use crate::domain::turn::{Burial, ClaimKey, Deferral, TurnClaim};
use crate::store::StoreError;

/// Who holds each turn now, and what its thread has.
pub(super) const READ: &str = concat!(
    "SELECT ",
    held_turn_columns!(),
    "
      FROM jsonb_each(?) AS j
     CROSS JOIN work AS w ON w.kind = 1 AND w.thread_id = j.value
     CROSS JOIN threads AS t ON t.id = w.thread_id
      LEFT JOIN work AS s ON s.kind = 2 AND s.thread_id = w.thread_id"
);

/// The messages end; the thread remembers its conversation; the parts wait or are being sent already.
pub(super) const WRITE: &str = "
    UPDATE messages SET state = j.state, turn = j.first, attempts = j.attempts, code = j.code, reason = j.reason,
           ended_at = j.at
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS first, value ->> 2 AS last, value ->> 3 AS state,
                   value ->> 4 AS attempts, value ->> 5 AS code, value ->> 6 AS reason, value ->> 7 AS at
              FROM jsonb_each(?)) AS j
     WHERE messages.thread_id = j.thread_id AND messages.seq BETWEEN j.first AND j.last
       AND messages.state = 'pending';
    UPDATE threads SET conversation_id = coalesce(j.conversation_id, threads.conversation_id),
           answer_id = coalesce(j.answer_id, threads.answer_id), last_part = j.last_part, noticed_at = j.noticed_at,
           updated_at = j.at
      FROM (SELECT value ->> 0 AS id, value ->> 1 AS conversation_id, value ->> 2 AS answer_id,
                   value ->> 3 AS last_part, value ->> 4 AS noticed_at, value ->> 5 AS at FROM jsonb_each(?)) AS j
     WHERE threads.id = j.id;
    INSERT INTO deliveries (thread_id, part, turn, kind, body, state, attempts, created_at, attempted_at, asked_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
           value ->> 8, value ->> 9
      FROM jsonb_each(?);
    INSERT INTO work (kind, thread_id, lane, due_at, since, first, token)
    SELECT 2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM jsonb_each(?) WHERE true
        ON CONFLICT (kind, thread_id) DO NOTHING;
    DELETE FROM work WHERE kind = 1 AND thread_id IN (SELECT value FROM jsonb_each(?))";

/// Messages that came (or were put back to work) during the turn form the next one, after the burst's usual wait.
pub(super) const NEXT_TURN: &str = "
    UPDATE work SET token = NULL, attempts = 0, ambiguous = 0, held = NULL, upto = NULL, reopened = NULL,
           first = m.first, since = m.since, due_at = min(m.since + work.max_wait, m.latest + work.wait)
      FROM (SELECT m.thread_id, min(m.seq) AS first, min(m.accepted_at) AS since, max(m.accepted_at) AS latest
              FROM jsonb_each(?) AS j
             CROSS JOIN work AS w ON w.kind = 1 AND w.thread_id = j.value
             CROSS JOIN messages AS m ON m.thread_id = w.thread_id AND m.seq >= coalesce(w.reopened, w.upto + 1)
                   AND m.state = 'pending'
             GROUP BY m.thread_id) AS m
     WHERE work.kind = 1 AND work.thread_id = m.thread_id;
    DELETE FROM work WHERE kind = 1 AND token IS NOT NULL AND thread_id IN (SELECT value FROM jsonb_each(?))";

/// `until, uncounted, ambiguous, held, thread, token`
pub(super) const DEFER: &str = "
    UPDATE work SET token = NULL, due_at = $1, attempts = attempts - $2, ambiguous = ambiguous OR $3, held = $4
     WHERE kind = 1 AND thread_id = $5 AND token = $6";

/// Completes all answered turns among the operations.
pub(super) async fn complete_all(
    tx: &mut Transaction<'_>,
    ops: &[Op],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), StoreError> {
    let threads = completed(ops);
    if threads.is_empty() {
        return Ok(());
    }
    let held = read(tx, &threads).await?;
    let ends = Ends::complete_all(&held, ops, outcomes, |_| true);
    write(tx, &ends)
}

/// Ends a turn without an answer.
pub(super) async fn bury(
    tx: &mut Transaction<'_>,
    claim: &TurnClaim,
    burial: &Burial,
) -> Result<Outcome, StoreError> {
    let held = read(tx, &[claim.key.thread]).await?;
    let Some(ends) = Ends::bury_one(&held, claim, burial) else {
        return Ok(Outcome::Fenced);
    };
    write(tx, &ends)?;
    Ok(Outcome::Done)
}

/// Puts a turn back.
pub(super) async fn defer(
    tx: &mut Transaction<'_>,
    claim: &ClaimKey,
    deferral: &Deferral,
) -> Result<Outcome, StoreError> {
    let done = sqlx::query(DEFER)
        .bind(deferral.until.millis())
        .bind(i64::from(!deferral.counts))
        .bind(deferral.ambiguous)
        .bind(&deferral.held)
        .bind(claim.thread.to_string())
        .bind(claim.token.as_i64())
        .execute(tx.conn().await?)
        .await?;
    Ok(if done.rows_affected() == 0 {
        Outcome::Fenced
    } else {
        Outcome::Done
    })
}

async fn read(tx: &mut Transaction<'_>, threads: &[ThreadId]) -> Result<HashMap<ThreadId, Held>, StoreError> {
    let mut held = HashMap::with_capacity(threads.len());
    tx.add(READ).bind(rows::json(threads)?);
    for row in tx.rows().await? {
        Held::take(&mut held, &row)?;
    }
    Ok(held)
}

fn write(tx: &mut Transaction<'_>, ends: &Ends) -> Result<(), StoreError> {
    tx.add(WRITE)
        .bind(rows::json(&ends.messages)?)
        .bind(rows::json(&ends.threads)?)
        .bind(rows::json(&ends.deliveries)?)
        .bind(rows::json(&ends.sends)?)
        .bind(rows::json(&ends.over)?);
    if !ends.more.is_empty() {
        let more = rows::json(&ends.more)?;
        tx.add(NEXT_TURN).bind(&more).bind(&more);
    }
    Ok(())
}
