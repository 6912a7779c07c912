//! The rare writes: starting up, tidying, and what operators change.

use serde_json::json;
use sqlx::{Row, SqliteConnection};

use super::fresh::{Fresh, Step};
use super::ops::{Change, Letter, Outcome, kind};
use super::transaction::Transaction;
use super::{families, installations, privacy, reads, rows, sql};
use crate::domain::account::AccountKey;
use crate::domain::routing::{Routes, send_lane};
use crate::domain::{ThreadId, Time};
use crate::store::operator::ThreadChange;
use crate::store::{StoreError, Swept, Work};

/// The planner does not know how little is held, so it is told which index to take.
pub(super) const RELEASE: &str = "
    UPDATE work INDEXED BY work_held SET held = NULL, due_at = ? WHERE kind = ? AND held = ? AND token IS NULL";

/// What a process that is gone had claimed is free again. Its questions may have been answered and its parts may have
/// been sent: both are looked for. What was held is tried anew.
pub(super) const RECOVER: &str = "
    UPDATE deliveries SET state = 'unknown'
      FROM (SELECT thread_id, first FROM work WHERE kind = 2 AND token IS NOT NULL) AS w
     WHERE deliveries.thread_id = w.thread_id AND part >= w.first AND state = 'sending';
    UPDATE work SET token = NULL, due_at = ?, ambiguous = 1, attempts = attempts - 1
     WHERE kind = 1 AND token IS NOT NULL;
    UPDATE work SET token = NULL, due_at = ? WHERE kind = 2 AND token IS NOT NULL;
    UPDATE work SET held = NULL, due_at = ? WHERE held IS NOT NULL";

pub(super) const MOVE_LANES: &str = "
    UPDATE work SET lane = j.lane FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS lane FROM jsonb_each(?)) AS j
     WHERE work.kind = 1 AND work.thread_id = j.thread_id";

pub(super) const OPEN: &str = "
    INSERT INTO threads (id, account, address, route, last_inbound_at, created_at, updated_at)
    VALUES (?, ?, ?, 'null', 0, ?, ?);
    INSERT INTO aliases (alias, thread_id, strength, since) VALUES (?, ?, 0, ?)";

/// Messages whose turn has not begun are for the person now, and parts that are not sent yet stay unsent.
pub(super) const HAND_OVER: &str = "
    UPDATE messages SET state = 'handed', ended_at = ?
     WHERE thread_id = ? AND state = 'pending'
       AND seq > coalesce((SELECT upto FROM work WHERE kind = 1 AND thread_id = ? AND token IS NOT NULL), 0);
    DELETE FROM work WHERE kind = 1 AND thread_id = ? AND token IS NULL;
    UPDATE deliveries SET state = 'withdrawn', ended_at = ?
     WHERE thread_id = ? AND state = 'pending' AND kind = 'answer'";

/// It keeps its place: it is asked before whatever waits behind it, or right after the turn that is under way.
pub(super) const REPLAY_MESSAGE: &str = "
    UPDATE messages SET state = 'pending', code = NULL, reason = NULL, ended_at = NULL, attempts = 0, accepted_at = ?
     WHERE thread_id = ? AND seq = ?;
    INSERT INTO work (kind, thread_id, lane, due_at, since, first) VALUES (1, ?, ?, ?, ?, ?)
        ON CONFLICT (kind, thread_id) DO UPDATE SET
           first = CASE WHEN upto IS NULL THEN min(first, excluded.first) ELSE first END,
           reopened = CASE WHEN upto IS NULL THEN NULL ELSE min(coalesce(reopened, excluded.first), excluded.first) END";

pub(super) const REPLAY_DELIVERY: &str = "
    UPDATE deliveries SET state = 'pending', stage = 0, attempts = 0, code = NULL, reason = NULL, ended_at = NULL,
           platform_id = NULL, created_at = ?
     WHERE thread_id = ? AND part = ?;
    INSERT INTO work (kind, thread_id, lane, due_at, since, first) VALUES (2, ?, ?, ?, ?, ?)
        ON CONFLICT (kind, thread_id) DO UPDATE SET first = min(first, excluded.first)";

/// Carries out a rare write.
pub(super) async fn apply(tx: &mut Transaction<'_>, change: &Change) -> Result<Outcome, StoreError> {
    if let Change::Thread { name, change, now } = change {
        return thread(tx, name, *change, *now).await;
    }
    let conn = tx.conn().await?;
    match change {
        Change::Release { work, held, now } => release(conn, *work, held, *now).await,
        Change::Recover { routes, now, look_at } => recover(conn, routes, *now, *look_at).await,
        // The writer's own: it concerns what it has in memory too.
        Change::Sweep { .. } | Change::Thread { .. } => Ok(Outcome::Done),
        Change::Replay { letter, routes, now } => replay(conn, *letter, routes, *now).await,
        Change::Purge { letter, now } => purge(conn, *letter, *now).await,
        Change::Erase {
            thread,
            person,
            mentions,
            now,
        } => privacy::erase(conn, *thread, person.as_deref(), mentions, *now).await,
        Change::Expire { first, last, before } => privacy::expire(conn, first, last, *before).await,
        Change::Installation(write) => installations::apply(conn, write).await,
        Change::Family { account, family } => families::keep(conn, account, family).await,
        // A page must go to the disk: on a full one a commit that changes nothing still succeeds. Nobody reads this
        // number, and SQLite writes its page even if it stays the same.
        Change::CheckWritable => {
            sqlx::query("PRAGMA user_version = 1").execute(conn).await?;
            Ok(Outcome::Done)
        }
    }
}

async fn release(
    conn: &mut SqliteConnection,
    work: Work,
    held: &str,
    now: Time,
) -> Result<Outcome, StoreError> {
    let done = sqlx::query(RELEASE)
        .bind(now.millis())
        .bind(kind(work))
        .bind(held)
        .execute(conn)
        .await?;
    Ok(Outcome::Count(done.rows_affected()))
}

async fn recover(
    conn: &mut SqliteConnection,
    routes: &Routes,
    now: Time,
    look_at: Time,
) -> Result<Outcome, StoreError> {
    let (claimed,): (i64,) = sqlx::query_as("SELECT count(*) FROM work WHERE token IS NOT NULL")
        .fetch_one(&mut *conn)
        .await?;
    let recover = sqlx::query(RECOVER)
        .bind(now.millis())
        .bind(look_at.millis())
        .bind(now.millis());
    recover.execute(&mut *conn).await?;
    let mut moved = Vec::new();
    for row in sqlx::query(sql::TURN_LANES).fetch_all(&mut *conn).await? {
        let lane = routes.turn_lane(&rows::account(&row, 1)?, row.try_get(2)?);
        if *lane != *row.try_get::<&str, _>(3)? {
            moved.push(json!([row.try_get::<&str, _>(0)?, &*lane]));
        }
    }
    if !moved.is_empty() {
        sqlx::query(MOVE_LANES)
            .bind(rows::json(&moved)?)
            .execute(conn)
            .await?;
    }
    Ok(Outcome::Count(u64::try_from(claimed).unwrap_or(0)))
}

async fn thread(
    tx: &mut Transaction<'_>,
    name: &str,
    change: ThreadChange,
    now: Time,
) -> Result<Outcome, StoreError> {
    let conn = tx.conn().await?;
    let id = match reads::find(conn, name).await? {
        Some(id) => id,
        None if change == ThreadChange::Pause => match open(conn, name, now).await? {
            Some(id) => id,
            None => return Ok(Outcome::Thread(None)),
        },
        None => return Ok(Outcome::Thread(None)),
    };
    let change = match change {
        ThreadChange::Pause => {
            pause(tx, &id, now).await?;
            None
        }
        ThreadChange::Resume => Some(sql::RESUME),
        ThreadChange::Reset => Some(sql::RESET),
    };
    let conn = tx.conn().await?;
    if let Some(change) = change {
        let query = sqlx::query(change).bind(now.millis()).bind(&id);
        query.execute(&mut *conn).await?;
    }
    Ok(Outcome::Thread(reads::row(conn, &id).await?))
}

/// The bot falls silent on a thread, until somebody resumes it.
pub(super) async fn pause(tx: &mut Transaction<'_>, id: &str, now: Time) -> Result<(), StoreError> {
    let pause = sqlx::query(sql::PAUSE).bind(now.millis()).bind(id);
    pause.execute(tx.conn().await?).await?;
    hand_over(tx, id, now);
    Ok(())
}

/// A person answers on this thread from now on.
pub(super) fn hand_over(tx: &mut Transaction<'_>, thread: &str, now: Time) {
    let at = now.millis();
    tx.add(HAND_OVER)
        .bind(at)
        .bind(thread)
        .bind(thread)
        .bind(thread)
        .bind(at)
        .bind(thread);
}

/// Makes the thread of an address that never wrote; none if it is no address.
async fn open(conn: &mut SqliteConnection, address: &str, now: Time) -> Result<Option<String>, StoreError> {
    let mut parts = address.split('/');
    let (Some(channel), Some(account)) = (parts.next(), parts.next()) else {
        return Ok(None);
    };
    let rest: Vec<&str> = parts.collect();
    let Some(account) = AccountKey::new(channel, account) else {
        return Ok(None);
    };
    let Some(alias) = account.alias(&rest) else {
        return Ok(None);
    };
    let (id, at) = (ThreadId::new().to_string(), now.millis());
    let query = sqlx::query(OPEN)
        .bind(&id)
        .bind(account.as_str())
        .bind(alias.as_str())
        .bind(at)
        .bind(at);
    query
        .bind(alias.as_str())
        .bind(&id)
        .bind(at)
        .execute(conn)
        .await?;
    Ok(Some(id))
}

/// Looks through some keys for old ones; the fresh keys with the first step.
pub(super) async fn sweep(
    tx: &mut Transaction<'_>,
    fresh: &Fresh,
    step: &mut Step,
    keys_before: Time,
    from: i64,
) -> Result<Outcome, StoreError> {
    let hour = rows::hour(keys_before);
    let begins = from == i64::MIN;
    let forgotten = if begins && !step.is_forgetting() {
        fresh.sweep(tx, step, hour)
    } else {
        0
    };
    let conn = tx.conn().await?;
    let next: Option<i64> = sqlx::query_scalar(sql::STEP_END)
        .bind(from)
        .fetch_optional(&mut *conn)
        .await?;
    let sweep = sqlx::query(sql::SWEEP)
        .bind(from)
        .bind(next.unwrap_or(i64::MAX))
        .bind(hour);
    Ok(Outcome::Swept(Swept {
        keys: sweep.execute(conn).await?.rows_affected() + u64::try_from(forgotten).unwrap_or(0),
        next,
    }))
}

async fn replay(
    conn: &mut SqliteConnection,
    letter: Letter,
    routes: &Routes,
    now: Time,
) -> Result<Outcome, StoreError> {
    let (thread, number, find, replay) = match letter {
        Letter::Message(id) => (
            id.thread.to_string(),
            id.number,
            sql::DEAD_MESSAGE,
            REPLAY_MESSAGE,
        ),
        Letter::Delivery(id) => (
            id.thread.to_string(),
            id.number,
            sql::DEAD_DELIVERY,
            REPLAY_DELIVERY,
        ),
    };
    let Some(row) = sqlx::query(find)
        .bind(&thread)
        .bind(number)
        .fetch_optional(&mut *conn)
        .await?
    else {
        return Ok(Outcome::Flag(false));
    };
    let account = rows::account(&row, 0)?;
    let lane = match letter {
        Letter::Message(_) => routes.turn_lane(&account, row.try_get(1)?),
        Letter::Delivery(_) => send_lane(&account),
    };
    let at = now.millis();
    let query = sqlx::query(replay).bind(at).bind(&thread).bind(number);
    query
        .bind(&thread)
        .bind(lane.to_string())
        .bind(at)
        .bind(at)
        .bind(number)
        .execute(conn)
        .await?;
    Ok(Outcome::Flag(true))
}

async fn purge(conn: &mut SqliteConnection, letter: Letter, now: Time) -> Result<Outcome, StoreError> {
    let (thread, number, purge) = match letter {
        Letter::Message(id) => (id.thread.to_string(), id.number, sql::PURGE_MESSAGE),
        Letter::Delivery(id) => (id.thread.to_string(), id.number, sql::PURGE_DELIVERY),
    };
    let done = sqlx::query(purge)
        .bind(now.millis())
        .bind(thread)
        .bind(number)
        .execute(conn)
        .await?;
    Ok(Outcome::Flag(done.rows_affected() > 0))
}
