//! Claiming: the earliest due work of each lane, under tokens of its own, for as long as the lease.
//!
//! Replicas claim beside one another: a row that another is just claiming is passed by. A claim whose lease is over is
//! taken over: its replica is gone, or cut off and knows that its lease has ended. What it asked may have been answered,
//! and what it sent may have arrived: both are looked for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::Row;

use super::lanes::Lanes;
use super::turns::texts;
use super::tx::{Tx, json};
use crate::domain::message::Lane;
use crate::domain::turn::ClaimKey;
use crate::domain::{ClaimToken, ThreadId, Time};
use crate::store::claimed::{Sends, Turns, send_part_columns, turn_message_columns};
use crate::store::ops::{Outcome, Wanted, kind};
use crate::store::rows::{self, Cells};
use crate::store::{Claims, LaneDue, StoreError, Work};

/// A turn that begins takes all messages that the thread has now; one that is tried again keeps those it began with.
pub(super) const CLAIM_TURNS: &str = "
    WITH due AS MATERIALIZED (
        SELECT d.thread_id FROM jsonb_array_elements($1::jsonb) AS j (v)
         CROSS JOIN LATERAL (
               SELECT thread_id FROM work WHERE kind = 1 AND lane = v ->> 0 AND due_at <= $2
                ORDER BY due_at LIMIT (v ->> 1)::bigint FOR UPDATE SKIP LOCKED) AS d
    )
    UPDATE work SET token = (random() * 9007199254740991)::bigint, due_at = $3,
           attempts = attempts + (token IS NULL)::int, ambiguous = ambiguous OR token IS NOT NULL, held = NULL,
           upto = coalesce(upto, (SELECT last_seq FROM threads AS t WHERE t.id = work.thread_id))
      FROM due WHERE work.thread_id = ANY (ARRAY[due.thread_id]) AND work.kind + 0 = 1
    RETURNING work.thread_id, token, attempts, ambiguous, first, lane";

pub(super) const TURN_MESSAGES: &str = concat!(
    "SELECT ",
    turn_message_columns!(),
    "
       FROM unnest($1::text[]) AS j (id)
       JOIN work AS w ON w.thread_id = ANY (ARRAY[j.id]) AND w.kind + 0 = 1
       JOIN threads AS t ON t.id = ANY (ARRAY[j.id])
       JOIN messages AS m ON m.thread_id = ANY (ARRAY[j.id]) AND m.seq BETWEEN w.first AND w.upto
      WHERE m.state = 'pending' ORDER BY j.id, m.seq"
);

/// Work without anything left to do: its messages were erased or handed to a person.
pub(super) const DROP_EMPTY: &str = "
    DELETE FROM work USING unnest($2::text[]) AS j (id)
     WHERE work.thread_id = ANY (ARRAY[j.id]) AND work.kind + 0 = $1";

pub(super) const NEXT_DUE: &str = "
    SELECT l.lane, (SELECT min(due_at) FROM work WHERE kind = $1 AND work.lane = l.lane)
      FROM unnest($2::text[]) AS l (lane)";

pub(super) const CLAIM_SENDS: &str = "
    WITH due AS MATERIALIZED (
        SELECT d.thread_id FROM jsonb_array_elements($1::jsonb) AS j (v)
         CROSS JOIN LATERAL (
               SELECT thread_id FROM work WHERE kind = 2 AND lane = v ->> 0 AND due_at <= $2
                ORDER BY due_at LIMIT (v ->> 1)::bigint FOR UPDATE SKIP LOCKED) AS d
    )
    UPDATE work SET token = (random() * 9007199254740991)::bigint, due_at = $3, held = NULL
      FROM due WHERE work.thread_id = ANY (ARRAY[due.thread_id]) AND work.kind + 0 = 2
    RETURNING work.thread_id, token, lane";

/// The first open part of each thread.
pub(super) const SEND_PARTS: &str = concat!(
    "SELECT ",
    send_part_columns!(),
    "
      FROM unnest($1::text[]) AS j (id)
      JOIN work AS w ON w.thread_id = ANY (ARRAY[j.id]) AND w.kind + 0 = 2
      JOIN threads AS t ON t.id = ANY (ARRAY[j.id])
      JOIN deliveries AS d ON d.thread_id = ANY (ARRAY[j.id])
       AND d.part = (SELECT x.part FROM deliveries AS x WHERE x.thread_id = w.thread_id AND x.part >= w.first
                        AND x.state IN ('pending', 'sending', 'unknown') ORDER BY x.part LIMIT 1)"
);

/// The attempt is recorded before it is made. A part whose sender is gone may have been sent: it is unknown.
pub(super) const RECORD_ATTEMPTS: &str = "
    UPDATE deliveries SET
           attempts = attempts + (state = 'pending')::int,
           attempted_at = CASE WHEN state = 'pending' THEN $1 ELSE attempted_at END,
           state = CASE WHEN state = 'pending' THEN 'sending' ELSE 'unknown' END
      FROM jsonb_array_elements($2::jsonb) AS j (v)
     WHERE thread_id = ANY (ARRAY[v ->> 0]) AND part = (v ->> 1)::bigint";

pub(super) const RENEW: &str = "
    UPDATE work SET due_at = $1 FROM jsonb_array_elements($3::jsonb) AS j (v)
     WHERE thread_id = ANY (ARRAY[v ->> 0]) AND kind + 0 = $2 AND token = (v ->> 1)::bigint
    RETURNING token";

/// Claims turns.
pub(super) async fn turns(tx: &mut Tx<'_>, wanted: &Wanted) -> Result<Outcome, StoreError> {
    let mut claimed = Turns::default();
    let lanes: HashMap<&str, &Lane> = wanted.quotas.iter().map(|q| (&*q.lane, &q.lane)).collect();
    let quotas: Vec<_> = wanted
        .quotas
        .iter()
        .map(|quota| (&*quota.lane, quota.most))
        .collect();
    let claim = sqlx::query(CLAIM_TURNS)
        .bind(json(&quotas)?)
        .bind(wanted.now.millis())
        .bind(wanted.lease_until.millis());
    for row in tx.fetch(claim).await? {
        claimed.begin(&row, lane_of(&lanes, row.text(5)?))?;
    }
    let threads = claimed.threads();
    if !threads.is_empty() {
        for row in tx.fetch(sqlx::query(TURN_MESSAGES).bind(texts(&threads))).await? {
            claimed.message(&row)?;
        }
    }
    let (claims, empty) = claimed.end();
    drop_empty(tx, Work::Turn, &empty).await?;
    let lanes = next_due(tx, Work::Turn, wanted).await?;
    Ok(Outcome::Turns(Claims { claims, lanes }))
}

/// Claims parts to send, in the lanes that are this replica's. What waits in another's is due when that one may be
/// gone.
pub(super) async fn sends(tx: &mut Tx<'_>, wanted: &Wanted, owned: &Lanes) -> Result<Outcome, StoreError> {
    let mut claimed = Sends::default();
    let mine = |lane: &str| owned.is_mine(lane, wanted.now);
    let lanes: HashMap<&str, &Lane> = wanted.quotas.iter().map(|q| (&*q.lane, &q.lane)).collect();
    let quotas: Vec<_> = wanted
        .quotas
        .iter()
        .filter(|quota| mine(&quota.lane))
        .map(|quota| (&*quota.lane, quota.most))
        .collect();
    if !quotas.is_empty() {
        let claim = sqlx::query(CLAIM_SENDS)
            .bind(json(&quotas)?)
            .bind(wanted.now.millis())
            .bind(wanted.lease_until.millis());
        for row in tx.fetch(claim).await? {
            claimed.begin(&row, lane_of(&lanes, row.text(2)?))?;
        }
    }
    let threads = claimed.threads();
    if !threads.is_empty() {
        for row in tx.fetch(sqlx::query(SEND_PARTS).bind(texts(&threads))).await? {
            claimed.part(&row)?;
        }
        let record = sqlx::query(RECORD_ATTEMPTS)
            .bind(wanted.now.millis())
            .bind(json(&claimed.parts())?);
        tx.run(record).await?;
    }
    let (claims, empty) = claimed.end();
    drop_empty(tx, Work::Send, &empty).await?;
    let mut lanes = next_due(tx, Work::Send, wanted).await?;
    for lane in &mut lanes {
        if !mine(&lane.lane) {
            lane.due_at = lane
                .due_at
                .map(|due| due.max(owned.free_at(&lane.lane, wanted.now)));
        }
    }
    Ok(Outcome::Sends(Claims { claims, lanes }))
}

/// Makes claims hold for longer. Returns the tokens of those that are still held.
pub(super) async fn renew(
    tx: &mut Tx<'_>,
    work: Work,
    keys: &[ClaimKey],
    until: Time,
) -> Result<HashSet<ClaimToken>, StoreError> {
    let claims: Vec<_> = keys.iter().map(|key| (key.thread, key.token.as_i64())).collect();
    let renew = sqlx::query(RENEW)
        .bind(until.millis())
        .bind(kind(work))
        .bind(json(&claims)?);
    let held = tx.fetch(renew).await?;
    held.iter()
        .map(|row| Ok(ClaimToken::from(row.try_get::<i64, _>(0)?)))
        .collect()
}

/// The lane of the quota, so that all claims share one name.
fn lane_of(lanes: &HashMap<&str, &Lane>, name: &str) -> Lane {
    lanes
        .get(name)
        .map_or_else(|| Arc::from(name), |lane| (*lane).clone())
}

async fn drop_empty(tx: &mut Tx<'_>, work: Work, threads: &[ThreadId]) -> Result<(), StoreError> {
    if !threads.is_empty() {
        let drop = sqlx::query(DROP_EMPTY).bind(kind(work)).bind(texts(threads));
        tx.run(drop).await?;
    }
    Ok(())
}

async fn next_due(tx: &mut Tx<'_>, work: Work, wanted: &Wanted) -> Result<Vec<LaneDue>, StoreError> {
    let names: Vec<&str> = wanted.quotas.iter().map(|quota| &*quota.lane).collect();
    let lanes: HashMap<&str, &Lane> = wanted.quotas.iter().map(|q| (&*q.lane, &q.lane)).collect();
    let next = sqlx::query(NEXT_DUE).bind(kind(work)).bind(names);
    let due = |row: &sqlx::postgres::PgRow| {
        Ok(LaneDue {
            lane: lane_of(&lanes, row.text(0)?),
            due_at: rows::optional_time(row, 1)?,
        })
    };
    tx.fetch(next).await?.iter().map(due).collect()
}
