//! Claiming: the earliest due work of each lane, under tokens of its own, for as long as the lease.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::claimed::{Sends, Turns, send_part_columns, turn_message_columns};
use super::ops::{Outcome, Wanted, kind};
use super::rows;
use crate::domain::turn::ClaimKey;
use crate::domain::{ClaimToken, ThreadId, Time};
use crate::store::{Claims, LaneDue, Quota, StoreError, Work};

/// A turn that begins takes all messages that the thread has now; one that is tried again keeps those it began with.
pub(super) const CLAIM_TURNS: &str = "
    UPDATE work SET token = random() | 1, due_at = ?, attempts = attempts + 1, held = NULL,
           upto = coalesce(upto, (SELECT last_seq FROM threads WHERE id = thread_id))
     WHERE kind = 1 AND thread_id IN
           (SELECT thread_id FROM work WHERE kind = 1 AND lane = ? AND due_at <= ? ORDER BY due_at LIMIT ?)
    RETURNING thread_id, token, attempts, ambiguous, first";

pub(super) const TURN_MESSAGES: &str = concat!(
    "SELECT ",
    turn_message_columns!(),
    "
       FROM jsonb_each(?) AS j
      CROSS JOIN work AS w ON w.kind = 1 AND w.thread_id = j.value
      CROSS JOIN threads AS t ON t.id = w.thread_id
      CROSS JOIN messages AS m ON m.thread_id = w.thread_id AND m.seq BETWEEN w.first AND w.upto
     WHERE m.state = 'pending' ORDER BY m.thread_id, m.seq"
);

/// Work without anything left to do: its messages were erased or handed to a person.
pub(super) const DROP_EMPTY: &str =
    "DELETE FROM work WHERE kind = ? AND thread_id IN (SELECT value FROM jsonb_each(?))";

pub(super) const NEXT_DUE: &str = "SELECT min(due_at) FROM work WHERE kind = ? AND lane = ?";

pub(super) const CLAIM_SENDS: &str = "
    UPDATE work SET token = random() | 1, due_at = ?, held = NULL
     WHERE kind = 2 AND thread_id IN
           (SELECT thread_id FROM work WHERE kind = 2 AND lane = ? AND due_at <= ? ORDER BY due_at LIMIT ?)
    RETURNING thread_id, token";

/// The first open part of each thread.
pub(super) const SEND_PARTS: &str = concat!(
    "SELECT ",
    send_part_columns!(),
    " FROM jsonb_each(?) AS j
      CROSS JOIN work AS w ON w.kind = 2 AND w.thread_id = j.value
      CROSS JOIN threads AS t ON t.id = w.thread_id
      CROSS JOIN deliveries AS d ON d.thread_id = w.thread_id
       AND d.part = (SELECT x.part FROM deliveries AS x WHERE x.thread_id = w.thread_id AND x.part >= w.first
                        AND x.state IN ('pending', 'sending', 'unknown') ORDER BY x.part LIMIT 1)"
);

/// The attempt is recorded before it is made. A part whose sender is gone may have been sent: it is unknown.
pub(super) const RECORD_ATTEMPTS: &str = "
    UPDATE deliveries SET
           attempts = attempts + (state = 'pending'),
           attempted_at = CASE WHEN state = 'pending' THEN ? ELSE attempted_at END,
           state = CASE WHEN state = 'pending' THEN 'sending' ELSE 'unknown' END
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS part FROM jsonb_each(?)) AS j
     WHERE deliveries.thread_id = j.thread_id AND deliveries.part = j.part";

/// Claims that are still held hold for longer.
pub(super) const RENEW: &str = "
    UPDATE work SET due_at = ? FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS token FROM jsonb_each(?)) AS j
     WHERE work.kind = ? AND work.thread_id = j.thread_id AND work.token = j.token
    RETURNING work.token";

/// Claims turns.
pub(super) async fn turns(conn: &mut SqliteConnection, wanted: &Wanted) -> Result<Outcome, StoreError> {
    let mut claimed = Turns::default();
    for quota in wanted.quotas.clone() {
        for row in claim(conn, CLAIM_TURNS, quota.clone(), wanted.now, wanted.lease_until).await? {
            claimed.begin(&row, quota.lane.clone())?;
        }
    }
    let threads = claimed.threads();
    if !threads.is_empty() {
        let read = sqlx::query(TURN_MESSAGES).bind(rows::json(&threads)?);
        for row in read.fetch_all(&mut *conn).await? {
            claimed.message(&row)?;
        }
    }
    let (claims, empty) = claimed.end();
    drop_empty(conn, Work::Turn, &empty).await?;
    let lanes = next_due(conn, Work::Turn, wanted).await?;
    Ok(Outcome::Turns(Claims { claims, lanes }))
}

/// Claims parts to send.
pub(super) async fn sends(conn: &mut SqliteConnection, wanted: &Wanted) -> Result<Outcome, StoreError> {
    let mut claimed = Sends::default();
    for quota in wanted.quotas.clone() {
        for row in claim(conn, CLAIM_SENDS, quota.clone(), wanted.now, wanted.lease_until).await? {
            claimed.begin(&row, quota.lane.clone())?;
        }
    }
    let threads = claimed.threads();
    if !threads.is_empty() {
        let read = sqlx::query(SEND_PARTS).bind(rows::json(&threads)?);
        for row in read.fetch_all(&mut *conn).await? {
            claimed.part(&row)?;
        }
        let record = sqlx::query(RECORD_ATTEMPTS)
            .bind(wanted.now.millis())
            .bind(rows::json(&claimed.parts())?);
        record.execute(&mut *conn).await?;
    }
    let (claims, empty) = claimed.end();
    drop_empty(conn, Work::Send, &empty).await?;
    let lanes = next_due(conn, Work::Send, wanted).await?;
    Ok(Outcome::Sends(Claims { claims, lanes }))
}

/// Makes claims hold for longer. Returns the tokens of those that are still held.
pub(super) async fn renew(
    conn: &mut SqliteConnection,
    work: Work,
    keys: &[ClaimKey],
    until: Time,
) -> Result<Outcome, StoreError> {
    let claims: Vec<_> = keys.iter().map(|key| (key.thread, key.token.as_i64())).collect();
    let tokens: Vec<i64> = sqlx::query_scalar(RENEW)
        .bind(until.millis())
        .bind(rows::json(&claims)?)
        .bind(kind(work))
        .fetch_all(conn)
        .await?;
    Ok(Outcome::Held(tokens.into_iter().map(ClaimToken::from).collect()))
}

async fn claim(
    conn: &mut SqliteConnection,
    sql: &'static str,
    quota: Quota,
    now: Time,
    lease_until: Time,
) -> Result<Vec<SqliteRow>, StoreError> {
    let query = sqlx::query(sql)
        .bind(lease_until.millis())
        .bind(quota.lane.to_string());
    Ok(query.bind(now.millis()).bind(quota.most).fetch_all(conn).await?)
}

async fn drop_empty(conn: &mut SqliteConnection, work: Work, threads: &[ThreadId]) -> Result<(), StoreError> {
    if !threads.is_empty() {
        sqlx::query(DROP_EMPTY)
            .bind(kind(work))
            .bind(rows::json(threads)?)
            .execute(conn)
            .await?;
    }
    Ok(())
}

async fn next_due(
    conn: &mut SqliteConnection,
    work: Work,
    wanted: &Wanted,
) -> Result<Vec<LaneDue>, StoreError> {
    let mut lanes = Vec::with_capacity(wanted.quotas.len());
    for quota in wanted.quotas.clone() {
        let row = sqlx::query(NEXT_DUE)
            .bind(kind(work))
            .bind(quota.lane.to_string())
            .fetch_one(&mut *conn)
            .await?;
        lanes.push(LaneDue {
            lane: quota.lane,
            due_at: rows::optional_time(&row, 0)?,
        });
    }
    Ok(lanes)
}
