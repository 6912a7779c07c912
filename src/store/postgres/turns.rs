//! The ends of a turn: answered, put back, given up.

use std::collections::HashMap;

use super::tx::{Tx, json};
use crate::domain::ThreadId;
use crate::domain::turn::{Burial, ClaimKey, Deferral, TurnClaim};
use crate::store::StoreError;
use crate::store::ends::turns::{Ends, Held, completed, held_turn_columns};
use crate::store::ops::{Op, Outcome};

/// Who holds each turn now, and what its thread has. Nobody takes the turn over before this is written.
pub(super) const READ: &str = concat!(
    "SELECT ",
    held_turn_columns!(),
    "
      FROM unnest($1::text[]) AS j (id)
      JOIN work AS w ON w.thread_id = ANY (ARRAY[j.id]) AND w.kind + 0 = 1
      JOIN threads AS t ON t.id = ANY (ARRAY[j.id])
      LEFT JOIN work AS s ON s.thread_id = ANY (ARRAY[j.id]) AND s.kind + 0 = 2
       FOR UPDATE OF w"
);

/// The messages end; the thread remembers its conversation; the parts wait or are being sent already. A conflict locks
/// the row of what is being sent.
pub(super) const WRITE: &str = "
    WITH m AS (
        UPDATE messages SET state = v ->> 3, turn = (v ->> 1)::bigint, attempts = (v ->> 4)::bigint, code = v ->> 5,
               reason = v ->> 6, ended_at = (v ->> 7)::bigint
          FROM jsonb_array_elements($1::jsonb) AS j (v)
         WHERE messages.thread_id = ANY (ARRAY[v ->> 0]) AND messages.seq BETWEEN (v ->> 1)::bigint AND (v ->> 2)::bigint
           AND messages.state = 'pending'
    ), t AS (
        UPDATE threads SET conversation_id = coalesce(v ->> 1, threads.conversation_id),
               answer_id = coalesce(v ->> 2, threads.answer_id), last_part = (v ->> 3)::bigint,
               noticed_at = (v ->> 4)::bigint, updated_at = (v ->> 5)::bigint
          FROM jsonb_array_elements($2::jsonb) AS j (v) WHERE threads.id = ANY (ARRAY[v ->> 0])
    ), d AS (
        INSERT INTO deliveries (thread_id, part, turn, kind, body, state, attempts, created_at, attempted_at, asked_at)
        SELECT v ->> 0, (v ->> 1)::bigint, (v ->> 2)::bigint, v ->> 3, v ->> 4, v ->> 5, (v ->> 6)::bigint,
               (v ->> 7)::bigint, (v ->> 8)::bigint, (v ->> 9)::bigint
          FROM jsonb_array_elements($3::jsonb) AS j (v)
    ), s AS (
        INSERT INTO work (kind, thread_id, lane, due_at, since, first, token)
        SELECT 2, v ->> 0, v ->> 1, (v ->> 2)::bigint, (v ->> 3)::bigint, (v ->> 4)::bigint, (v ->> 5)::bigint
          FROM jsonb_array_elements($4::jsonb) AS j (v)
            ON CONFLICT (kind, thread_id) DO UPDATE SET due_at = work.due_at
    )
    DELETE FROM work USING unnest($5::text[]) AS j (id)
     WHERE work.thread_id = ANY (ARRAY[j.id]) AND work.kind + 0 = 1";

/// Messages that came (or were put back to work) during the turn form the next one, after the burst's usual wait.
pub(super) const NEXT_TURN: &str = "
    WITH m AS (
        SELECT j.id, min(m.seq) AS first, min(m.accepted_at) AS since, max(m.accepted_at) AS latest
          FROM unnest($1::text[]) AS j (id)
          JOIN work AS w ON w.thread_id = ANY (ARRAY[j.id]) AND w.kind + 0 = 1
          LEFT JOIN messages AS m ON m.thread_id = ANY (ARRAY[j.id]) AND m.seq >= coalesce(w.reopened, w.upto + 1)
               AND m.state = 'pending'
         GROUP BY j.id
    ), n AS (
        UPDATE work SET token = NULL, attempts = 0, ambiguous = false, held = NULL, upto = NULL, reopened = NULL,
               first = m.first, since = m.since, due_at = least(m.since + work.max_wait, m.latest + work.wait)
          FROM m WHERE work.thread_id = ANY (ARRAY[m.id]) AND work.kind + 0 = 1 AND m.first IS NOT NULL
    )
    DELETE FROM work USING m
     WHERE work.thread_id = ANY (ARRAY[m.id]) AND work.kind + 0 = 1 AND m.first IS NULL
       AND work.token IS NOT NULL";

/// `until, uncounted, ambiguous, held, thread, token`
pub(super) const DEFER: &str = "
    UPDATE work SET token = NULL, due_at = $1, attempts = attempts - $2, ambiguous = ambiguous OR $3, held = $4
     WHERE thread_id = $5 AND kind + 0 = 1 AND token = $6";

/// Completes all answered turns among the operations. `may_send` tells of a lane whether this replica sends there.
/// True if parts wait for another.
pub(super) async fn complete_all(
    tx: &mut Tx<'_>,
    ops: &[Op],
    outcomes: &mut [Option<Outcome>],
    may_send: impl Fn(&str) -> bool,
) -> Result<bool, StoreError> {
    let threads = completed(ops);
    if threads.is_empty() {
        return Ok(false);
    }
    let held = read(tx, &threads).await?;
    let ends = Ends::complete_all(&held, ops, outcomes, may_send);
    write(tx, &ends).await?;
    Ok(ends.sends.iter().any(|row| row[5].is_null()))
}

/// Ends a turn without an answer.
pub(super) async fn bury(tx: &mut Tx<'_>, claim: &TurnClaim, burial: &Burial) -> Result<Outcome, StoreError> {
    let held = read(tx, &[claim.key.thread]).await?;
    let Some(ends) = Ends::bury_one(&held, claim, burial) else {
        return Ok(Outcome::Fenced);
    };
    write(tx, &ends).await?;
    Ok(Outcome::Done)
}

/// Puts a turn back.
pub(super) async fn defer(
    tx: &mut Tx<'_>,
    claim: &ClaimKey,
    deferral: &Deferral,
) -> Result<Outcome, StoreError> {
    let defer = sqlx::query(DEFER)
        .bind(deferral.until.millis())
        .bind(i64::from(!deferral.counts))
        .bind(deferral.ambiguous)
        .bind(&deferral.held)
        .bind(claim.thread.to_string())
        .bind(claim.token.as_i64());
    Ok(if tx.run(defer).await? == 0 {
        Outcome::Fenced
    } else {
        Outcome::Done
    })
}

async fn read(tx: &mut Tx<'_>, threads: &[ThreadId]) -> Result<HashMap<ThreadId, Held>, StoreError> {
    let mut held = HashMap::with_capacity(threads.len());
    for row in tx.fetch(sqlx::query(READ).bind(texts(threads))).await? {
        Held::take(&mut held, &row)?;
    }
    Ok(held)
}

async fn write(tx: &mut Tx<'_>, ends: &Ends) -> Result<(), StoreError> {
    let write = sqlx::query(WRITE)
        .bind(json(&ends.messages)?)
        .bind(json(&ends.threads)?)
        .bind(json(&ends.deliveries)?)
        .bind(json(&ends.sends)?)
        .bind(texts(&ends.over));
    tx.run(write).await?;
    if !ends.more.is_empty() {
        tx.run(sqlx::query(NEXT_TURN).bind(texts(&ends.more))).await?;
    }
    Ok(())
}

/// Ids as the array that a statement takes them from.
pub(super) fn texts(threads: &[ThreadId]) -> Vec<String> {
    threads.iter().map(ThreadId::to_string).collect()
}
