//! Claiming: the earliest due work of each lane, under a token of its own, for as long as the lease.
//!
//! A claim is written and read back in the trip that commits it. What a claim took is known by its token: the rows of
//! its lanes whose lease ends when the claim's does.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::claimed::{Sends, Turns, send_part_columns, turn_message_columns};
use super::ops::{Op, Outcome, Wanted, kind};
use super::rows::{self, From};
use super::transaction::Transaction;
use crate::domain::message::Lane;
use crate::domain::turn::ClaimKey;
use crate::domain::{ClaimToken, Time};
use crate::store::{Claims, LaneDue, StoreError, Work};

/// A turn that begins takes all messages that the thread has now; one that is tried again keeps those it began with.
/// The limit is a sum, because SQLite prepares a statement anew for each value of a limit that is a bare parameter.
pub(super) const CLAIM_TURNS: &str = "
    UPDATE work SET token = ?, due_at = ?, attempts = attempts + 1, held = NULL,
           upto = coalesce(upto, (SELECT last_seq FROM threads WHERE id = thread_id))
     WHERE kind = 1 AND thread_id IN
           (SELECT thread_id FROM work WHERE kind = 1 AND lane = ? AND due_at <= ? ORDER BY due_at LIMIT 0 + ?)";

/// Work without anything left to do goes: its messages were erased or handed to a person. The planner does not know how
/// few rows have a lease that ends at this moment, so it is told which index to take.
pub(super) const TAKE_TURNS: &str = concat!(
    "
    DELETE FROM work INDEXED BY work_due
     WHERE kind = 1 AND lane IN (SELECT value FROM jsonb_each(?)) AND due_at = ? AND token = ?
       AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.thread_id = work.thread_id
                          AND m.seq BETWEEN work.first AND work.upto AND m.state = 'pending');
    SELECT ?, 1, w.lane, w.thread_id, w.token, w.attempts, w.ambiguous, w.first
      FROM jsonb_each(?) AS j
     CROSS JOIN work AS w INDEXED BY work_due ON w.kind = 1 AND w.lane = j.value AND w.due_at = ? AND w.token = ?;
    SELECT ?, 2, w.lane, ",
    turn_message_columns!(),
    "
       FROM jsonb_each(?) AS j
      CROSS JOIN work AS w INDEXED BY work_due ON w.kind = 1 AND w.lane = j.value AND w.due_at = ? AND w.token = ?
      CROSS JOIN threads AS t ON t.id = w.thread_id
      CROSS JOIN messages AS m ON m.thread_id = w.thread_id AND m.seq BETWEEN w.first AND w.upto
     WHERE m.state = 'pending' ORDER BY m.thread_id, m.seq"
);

/// The claim begins at the thread's first open part.
pub(super) const CLAIM_SENDS: &str = "
    UPDATE work SET token = ?, due_at = ?, held = NULL, first = coalesce(
           (SELECT x.part FROM deliveries AS x WHERE x.thread_id = work.thread_id AND x.part >= work.first
               AND x.state IN ('pending', 'sending', 'unknown') ORDER BY x.part LIMIT 1), first)
     WHERE kind = 2 AND thread_id IN
           (SELECT thread_id FROM work WHERE kind = 2 AND lane = ? AND due_at <= ? ORDER BY due_at LIMIT 0 + ?)";

/// The attempt is recorded before it is made. A part whose sender is gone may have been sent: it is unknown.
pub(super) const TAKE_SENDS: &str = concat!(
    "
    DELETE FROM work INDEXED BY work_due
     WHERE kind = 2 AND lane IN (SELECT value FROM jsonb_each(?)) AND due_at = ? AND token = ?
       AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.thread_id = work.thread_id AND d.part = work.first
                          AND d.state IN ('pending', 'sending', 'unknown'));
    SELECT ?, 1, w.lane, w.thread_id, w.token
      FROM jsonb_each(?) AS j
     CROSS JOIN work AS w INDEXED BY work_due ON w.kind = 2 AND w.lane = j.value AND w.due_at = ? AND w.token = ?;
    SELECT ?, 2, w.lane, ",
    send_part_columns!(),
    " FROM jsonb_each(?) AS j
      CROSS JOIN work AS w INDEXED BY work_due ON w.kind = 2 AND w.lane = j.value AND w.due_at = ? AND w.token = ?
      CROSS JOIN threads AS t ON t.id = w.thread_id
      CROSS JOIN deliveries AS d ON d.thread_id = w.thread_id AND d.part = w.first;
    UPDATE deliveries SET
           attempts = attempts + (state = 'pending'),
           attempted_at = CASE WHEN state = 'pending' THEN ? ELSE attempted_at END,
           state = CASE WHEN state = 'pending' THEN 'sending' ELSE 'unknown' END
     WHERE (thread_id, part) IN
           (SELECT w.thread_id, w.first FROM jsonb_each(?) AS j
             CROSS JOIN work AS w INDEXED BY work_due ON w.kind = 2 AND w.lane = j.value AND w.due_at = ? AND w.token = ?)"
);

pub(super) const NEXT_DUE: &str = "
    SELECT ?, 3, j.value, (SELECT min(due_at) FROM work WHERE kind = ? AND lane = j.value) FROM jsonb_each(?) AS j";

/// So many lanes are claimed from in one text at most.
const LANES: usize = 8;

/// Claims that are still held hold for longer.
pub(super) const RENEW: &str = "
    UPDATE work SET due_at = ? FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS token, value ->> 2 AS kind
                                       FROM jsonb_each(?)) AS j
     WHERE work.kind = j.kind AND work.thread_id = j.thread_id AND work.token = j.token
    RETURNING work.token";

/// A claim that is written, and whose rows are to come.
pub(super) struct Taken {
    /// Its place among the batch's operations; its rows begin with it.
    pub(super) op: usize,
    work: Work,
}

/// Adds a claim to the transaction.
pub(super) async fn take(
    tx: &mut Transaction<'_>,
    op: usize,
    work: Work,
    wanted: &Wanted,
) -> Result<Taken, StoreError> {
    let token = ClaimToken::new();
    let (id, lease) = (token.as_i64(), wanted.lease_until.millis());
    let claim = match work {
        Work::Turn => CLAIM_TURNS,
        Work::Send => CLAIM_SENDS,
    };
    for (number, quotas) in wanted.quotas.chunks(LANES).enumerate() {
        if number > 0 {
            tx.conn().await?;
        }
        // Filled up to a power of two with lanes of nothing: so there are few texts to keep prepared.
        for place in 0..quotas.len().next_power_of_two() {
            let (lane, most) = quotas
                .get(place)
                .map_or(("", 0), |quota| (&*quota.lane, quota.most));
            tx.add(claim).bind(id).bind(lease);
            tx.bind(lane).bind(wanted.now.millis()).bind(most);
        }
    }
    let lanes: Vec<&str> = wanted.quotas.iter().map(|quota| &*quota.lane).collect();
    let lanes = rows::json(&lanes)?;
    let place = i64::try_from(op).unwrap_or(i64::MAX);
    let take = match work {
        Work::Turn => TAKE_TURNS,
        Work::Send => TAKE_SENDS,
    };
    tx.add(take).bind(&lanes).bind(lease).bind(id);
    tx.bind(place).bind(&lanes).bind(lease).bind(id);
    tx.bind(place).bind(&lanes).bind(lease).bind(id);
    if work == Work::Send {
        tx.bind(wanted.now.millis()).bind(&lanes).bind(lease).bind(id);
    }
    tx.add(NEXT_DUE).bind(place).bind(kind(work)).bind(&lanes);
    Ok(Taken { op, work })
}

/// What a claim took, out of the rows of the batch's last trip.
pub(super) fn outcome(taken: &Taken, rows: &[SqliteRow]) -> Result<Outcome, StoreError> {
    let (mut turns, mut sends, mut lanes) = (Turns::default(), Sends::default(), Vec::new());
    for row in rows {
        if usize::try_from(row.try_get::<i64, _>(0)?) != Ok(taken.op) {
            continue;
        }
        let lane = Lane::from(row.try_get::<&str, _>(2)?);
        let rest = From(row, 3);
        match (row.try_get::<i64, _>(1)?, taken.work) {
            (1, Work::Turn) => turns.begin(&rest, lane)?,
            (2, Work::Turn) => turns.message(&rest)?,
            (1, Work::Send) => sends.begin(&rest, lane)?,
            (2, Work::Send) => sends.part(&rest)?,
            _ => lanes.push(LaneDue {
                lane,
                due_at: rows::optional_time(&rest, 0)?,
            }),
        }
    }
    // None is without anything to do: such work went before it was read.
    Ok(match taken.work {
        Work::Turn => Outcome::Turns(Claims {
            claims: turns.end().0,
            lanes,
        }),
        Work::Send => Outcome::Sends(Claims {
            claims: sends.end().0,
            lanes,
        }),
    })
}

/// Makes claims hold for longer. Returns the tokens of those that are still held.
pub(super) async fn renew(
    conn: &mut SqliteConnection,
    work: Work,
    keys: &[ClaimKey],
    until: Time,
) -> Result<Outcome, StoreError> {
    let claim = |key: &ClaimKey| (key.thread, key.token.as_i64(), kind(work));
    let claims: Vec<_> = keys.iter().map(claim).collect();
    let renew = sqlx::query_scalar(RENEW)
        .bind(until.millis())
        .bind(rows::json(&claims)?);
    let tokens: Vec<i64> = renew.fetch_all(conn).await?;
    Ok(Outcome::Held(tokens.into_iter().map(ClaimToken::from).collect()))
}

/// The kind of work that an operation claims, if it claims any.
pub(super) fn wanted(op: &Op) -> Option<(Work, &Wanted)> {
    match op {
        Op::ClaimTurns(wanted) => Some((Work::Turn, wanted)),
        Op::ClaimSends(wanted) => Some((Work::Send, wanted)),
        _ => None,
    }
}
