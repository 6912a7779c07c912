//! Claiming: the earliest due work of each lane, under tokens of its own, for as long as the lease.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::ops::{Outcome, Wanted, kind};
use super::rows::{self, last_part, thread_columns};
use crate::domain::delivery::{DeliveryKind, SendClaim};
use crate::domain::turn::{ClaimKey, Pending, TurnClaim};
use crate::domain::{ClaimToken, DeliveryId, MessageId, ThreadId, Time, TurnId};
use crate::store::{Claims, LaneDue, Quota, StoreError, Work};

/// A turn that begins takes all messages that the thread has now; one that is tried again keeps those it began with.
const CLAIM_TURNS: &str = "
    UPDATE work SET token = random() | 1, due_at = ?, attempts = attempts + 1, held = NULL,
           upto = coalesce(upto, (SELECT last_seq FROM threads WHERE id = thread_id))
     WHERE kind = 1 AND thread_id IN
           (SELECT thread_id FROM work WHERE kind = 1 AND lane = ? AND due_at <= ? ORDER BY due_at LIMIT ?)
    RETURNING thread_id, token, attempts, ambiguous, first";

const TURN_MESSAGES: &str = concat!(
    "SELECT m.seq, m.platform_id, m.text, m.sent_at, m.accepted_at, ",
    thread_columns!(),
    ", CASE WHEN m.quotes IS NOT NULL THEN coalesce(
           (SELECT d.body FROM deliveries AS d WHERE d.platform_id = m.quotes AND d.thread_id = m.thread_id),
           (SELECT q.text FROM messages AS q WHERE q.thread_id = m.thread_id AND q.platform_id = m.quotes
               AND q.seq <> m.seq)) END AS quoted
       FROM jsonb_each(?) AS j
      CROSS JOIN work AS w ON w.kind = 1 AND w.thread_id = j.value
      CROSS JOIN threads AS t ON t.id = w.thread_id
      CROSS JOIN messages AS m ON m.thread_id = w.thread_id AND m.seq BETWEEN w.first AND w.upto
     WHERE m.state = 'pending' ORDER BY m.thread_id, m.seq"
);

/// Work without anything left to do: its messages were erased or handed to a person.
const DROP_EMPTY: &str = "DELETE FROM work WHERE kind = ? AND thread_id IN (SELECT value FROM jsonb_each(?))";

const NEXT_DUE: &str = "SELECT min(due_at) FROM work WHERE kind = ? AND lane = ?";

const CLAIM_SENDS: &str = "
    UPDATE work SET token = random() | 1, due_at = ?, held = NULL
     WHERE kind = 2 AND thread_id IN
           (SELECT thread_id FROM work WHERE kind = 2 AND lane = ? AND due_at <= ? ORDER BY due_at LIMIT ?)
    RETURNING thread_id, token";

/// The first open part of each thread.
const SEND_PARTS: &str = concat!(
    "SELECT d.part, d.kind, d.body, d.attempts, d.state, d.created_at, d.attempted_at, d.asked_at, ",
    last_part!(),
    ", ",
    thread_columns!(),
    ", d.pauses AS pauses FROM jsonb_each(?) AS j
      CROSS JOIN work AS w ON w.kind = 2 AND w.thread_id = j.value
      CROSS JOIN threads AS t ON t.id = w.thread_id
      CROSS JOIN deliveries AS d ON d.thread_id = w.thread_id
       AND d.part = (SELECT x.part FROM deliveries AS x WHERE x.thread_id = w.thread_id AND x.part >= w.first
                        AND x.state IN ('pending', 'sending', 'unknown') ORDER BY x.part LIMIT 1)"
);

/// The attempt is recorded before it is made. A part whose sender is gone may have been sent: it is unknown.
const RECORD_ATTEMPTS: &str = "
    UPDATE deliveries SET
           attempts = attempts + (state = 'pending'),
           attempted_at = CASE WHEN state = 'pending' THEN ? ELSE attempted_at END,
           state = CASE WHEN state = 'pending' THEN 'sending' ELSE 'unknown' END
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS part FROM jsonb_each(?)) AS j
     WHERE deliveries.thread_id = j.thread_id AND deliveries.part = j.part";

/// Claims turns.
pub(super) async fn turns(conn: &mut SqliteConnection, wanted: &Wanted) -> Result<Outcome, StoreError> {
    let mut begun: HashMap<ThreadId, TurnClaimHead> = HashMap::new();
    for quota in wanted.quotas.clone() {
        for row in claim(conn, CLAIM_TURNS, quota.clone(), wanted.now, wanted.lease_until).await? {
            let thread = rows::id(&row, 0)?;
            let key = ClaimKey {
                thread,
                token: token(&row, 1)?,
                lane: quota.lane.clone(),
            };
            let attempt = u32::try_from(row.try_get::<i64, _>(2)?).unwrap_or(u32::MAX);
            begun.insert(
                thread,
                TurnClaimHead {
                    key,
                    attempt,
                    ambiguous: row.try_get(3)?,
                    turn: row.try_get(4)?,
                },
            );
        }
    }
    let claims = if begun.is_empty() {
        Vec::new()
    } else {
        with_messages(conn, begun).await?
    };
    let lanes = next_due(conn, Work::Turn, wanted).await?;
    Ok(Outcome::Turns(Claims { claims, lanes }))
}

/// A claimed turn before its messages are known.
struct TurnClaimHead {
    key: ClaimKey,
    attempt: u32,
    ambiguous: bool,
    turn: i64,
}

async fn with_messages(
    conn: &mut SqliteConnection,
    mut begun: HashMap<ThreadId, TurnClaimHead>,
) -> Result<Vec<TurnClaim>, StoreError> {
    let threads = rows::json(&begun.keys().collect::<Vec<_>>())?;
    let mut claims: Vec<TurnClaim> = Vec::with_capacity(begun.len());
    for row in sqlx::query(TURN_MESSAGES)
        .bind(threads)
        .fetch_all(&mut *conn)
        .await?
    {
        let thread: ThreadId = rows::id(&row, 5)?;
        let message = Pending {
            id: MessageId::new(thread, row.try_get(0)?),
            platform_id: row.try_get(1)?,
            text: row.try_get(2)?,
            quoted: row.try_get("quoted")?,
            sent_at: rows::time(&row, 3)?,
            accepted_at: rows::time(&row, 4)?,
        };
        if let Some(head) = begun.remove(&thread) {
            claims.push(TurnClaim {
                key: head.key,
                turn: TurnId::new(thread, head.turn),
                attempt: head.attempt,
                ambiguous: head.ambiguous,
                thread: rows::thread(&row, 5)?,
                messages: vec![message],
            });
        } else if let Some(claim) = claims.last_mut() {
            claim.messages.push(message);
        }
    }
    drop_empty(conn, Work::Turn, &begun.into_keys().collect::<Vec<_>>()).await?;
    Ok(claims)
}

/// Claims parts to send.
pub(super) async fn sends(conn: &mut SqliteConnection, wanted: &Wanted) -> Result<Outcome, StoreError> {
    let mut keys: HashMap<ThreadId, ClaimKey> = HashMap::new();
    for quota in wanted.quotas.clone() {
        for row in claim(conn, CLAIM_SENDS, quota.clone(), wanted.now, wanted.lease_until).await? {
            let thread = rows::id(&row, 0)?;
            keys.insert(
                thread,
                ClaimKey {
                    thread,
                    token: token(&row, 1)?,
                    lane: quota.lane.clone(),
                },
            );
        }
    }
    let claims = if keys.is_empty() {
        Vec::new()
    } else {
        with_parts(conn, keys, wanted).await?
    };
    let lanes = next_due(conn, Work::Send, wanted).await?;
    Ok(Outcome::Sends(Claims { claims, lanes }))
}

async fn with_parts(
    conn: &mut SqliteConnection,
    mut keys: HashMap<ThreadId, ClaimKey>,
    wanted: &Wanted,
) -> Result<Vec<SendClaim>, StoreError> {
    let threads = rows::json(&keys.keys().collect::<Vec<_>>())?;
    let mut claims = Vec::with_capacity(keys.len());
    for row in sqlx::query(SEND_PARTS)
        .bind(threads)
        .fetch_all(&mut *conn)
        .await?
    {
        let thread = rows::thread(&row, 9)?;
        let Some(key) = keys.remove(&thread.id) else {
            continue;
        };
        let unknown = row.try_get::<&str, _>(4)? != "pending";
        let attempts = u32::try_from(row.try_get::<i64, _>(3)?).unwrap_or(u32::MAX);
        claims.push(SendClaim {
            delivery: DeliveryId::new(thread.id, row.try_get(0)?),
            key,
            thread,
            kind: DeliveryKind::from_stored(row.try_get(1)?),
            body: row.try_get(2)?,
            last: row.try_get(8)?,
            attempt: if unknown {
                attempts
            } else {
                attempts.saturating_add(1)
            },
            pauses: row.try_get("pauses")?,
            unknown,
            created_at: rows::time(&row, 5)?,
            last_attempt_at: rows::optional_time(&row, 6)?,
            asked_at: rows::optional_time(&row, 7)?,
        });
    }
    let ids: Vec<_> = claims
        .iter()
        .map(|claim| (claim.delivery.thread, claim.delivery.number))
        .collect();
    let record = sqlx::query(RECORD_ATTEMPTS)
        .bind(wanted.now.millis())
        .bind(rows::json(&ids)?);
    record.execute(&mut *conn).await?;
    drop_empty(conn, Work::Send, &keys.into_keys().collect::<Vec<_>>()).await?;
    Ok(claims)
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

pub(super) fn token(row: &SqliteRow, index: usize) -> Result<ClaimToken, StoreError> {
    Ok(ClaimToken::from(row.try_get::<i64, _>(index)?))
}
