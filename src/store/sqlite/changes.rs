//! The rare writes: starting up, tidying, and what operators change.

use serde_json::json;
use sqlx::{Row, SqliteConnection};

use super::ops::{Change, Outcome, kind};
use super::{reads, rows};
use crate::domain::account::AccountKey;
use crate::domain::routing::{Routes, send_lane};
use crate::domain::{ThreadId, Time};
use crate::store::operator::ThreadChange;
use crate::store::{StoreError, Swept, Work};

const RELEASE: &str =
    "UPDATE work SET held = NULL, due_at = ? WHERE kind = ? AND held = ? AND token IS NULL";

/// What a process that is gone had claimed is free again. Its questions may have been answered and its parts may have
/// been sent: both are looked for. What was held is tried anew.
const RECOVER: &str = "
    UPDATE deliveries SET state = 'unknown'
      FROM (SELECT thread_id, first FROM work WHERE kind = 2 AND token IS NOT NULL) AS w
     WHERE deliveries.thread_id = w.thread_id AND part >= w.first AND state = 'sending';
    UPDATE work SET token = NULL, due_at = ?, ambiguous = 1, attempts = attempts - 1
     WHERE kind = 1 AND token IS NOT NULL;
    UPDATE work SET token = NULL, due_at = ? WHERE kind = 2 AND token IS NOT NULL;
    UPDATE work SET held = NULL, due_at = ? WHERE held IS NOT NULL";

const TURN_LANES: &str = "
    SELECT w.thread_id, t.account, t.place, w.lane FROM work AS w JOIN threads AS t ON t.id = w.thread_id
     WHERE w.kind = 1";

const MOVE_LANES: &str = "
    UPDATE work SET lane = j.lane FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS lane FROM json_each(?)) AS j
     WHERE work.kind = 1 AND work.thread_id = j.thread_id";

/// Old keys go in small steps, so that no webhook waits long for one.
const SWEEP: &str = "DELETE FROM keys WHERE seq IN (SELECT seq FROM keys ORDER BY seq LIMIT 2000) AND at < ?";

const OPEN: &str = "
    INSERT INTO threads (id, account, address, route, last_inbound_at, created_at, updated_at)
    VALUES (?, ?, ?, 'null', 0, ?, ?);
    INSERT INTO aliases (alias, thread_id, strength, since) VALUES (?, ?, 0, ?)";

/// Messages whose turn has not begun are for the person now, and parts that are not sent yet stay unsent.
const PAUSE: &str = "
    UPDATE threads SET state = 'paused', updated_at = ? WHERE id = ?;
    UPDATE messages SET state = 'handed', ended_at = ?
     WHERE thread_id = ? AND state = 'pending'
       AND seq > coalesce((SELECT upto FROM work WHERE kind = 1 AND thread_id = ? AND token IS NOT NULL), 0);
    DELETE FROM work WHERE kind = 1 AND thread_id = ? AND token IS NULL;
    UPDATE deliveries SET state = 'withdrawn', ended_at = ?
     WHERE thread_id = ? AND state = 'pending' AND kind = 'answer'";

const REPLAY_MESSAGE: &str = "
    UPDATE threads SET last_seq = last_seq + 1, updated_at = ? WHERE id = ?;
    UPDATE messages SET state = 'pending', code = NULL, reason = NULL, ended_at = NULL, accepted_at = ?,
           seq = (SELECT last_seq FROM threads WHERE id = thread_id)
     WHERE id = ?;
    INSERT INTO work (kind, thread_id, lane, due_at, since, first)
    SELECT 1, id, ?, ?, ?, last_seq FROM threads WHERE id = ? ON CONFLICT (kind, thread_id) DO NOTHING";

const REPLAY_DELIVERY: &str = "
    UPDATE threads SET last_part = last_part + 1, updated_at = ? WHERE id = ?;
    UPDATE deliveries SET state = 'pending', stage = 0, attempts = 0, code = NULL, reason = NULL, ended_at = NULL,
           platform_id = NULL, part = (SELECT last_part FROM threads WHERE id = thread_id)
     WHERE id = ?;
    INSERT INTO work (kind, thread_id, lane, due_at, since, first)
    SELECT 2, id, ?, ?, ?, last_part FROM threads WHERE id = ? ON CONFLICT (kind, thread_id) DO NOTHING";

const DEAD: &str = "
    SELECT 1, t.id, t.account, t.place FROM messages AS m JOIN threads AS t ON t.id = m.thread_id
     WHERE m.id = ? AND m.state = 'dead'
    UNION ALL
    SELECT 2, t.id, t.account, t.place FROM deliveries AS d JOIN threads AS t ON t.id = d.thread_id
     WHERE d.id = ? AND d.state = 'dead'";

/// The record that it was stays; what was written goes.
const PURGE: &str = "
    UPDATE messages SET state = 'ignored', code = 'purged', reason = NULL, text = '', ended_at = ?
     WHERE id = ? AND state = 'dead';
    UPDATE deliveries SET state = 'withdrawn', code = 'purged', reason = NULL, body = '', ended_at = ?
     WHERE id = ? AND state = 'dead'";

/// Carries out a rare write.
pub(super) async fn apply(conn: &mut SqliteConnection, change: &Change) -> Result<Outcome, StoreError> {
    match change {
        Change::Release { work, held, now } => release(conn, *work, held, *now).await,
        Change::Recover { routes, now, look_at } => recover(conn, routes, *now, *look_at).await,
        Change::Sweep { keys_before } => {
            let done = sqlx::query(SWEEP).bind(keys_before.millis()).execute(conn).await?;
            Ok(Outcome::Swept(Swept { keys: done.rows_affected() }))
        }
        Change::Thread { name, change, now } => thread(conn, name, *change, *now).await,
        Change::Replay { id, routes, now } => replay(conn, id, routes, *now).await,
        Change::Purge { id, now } => {
            let at = now.millis();
            let done = sqlx::query(PURGE).bind(at).bind(id).bind(at).bind(id).execute(conn).await?;
            Ok(Outcome::Flag(done.rows_affected() > 0))
        }
        // The transaction around it takes the write lock and syncs an (empty) commit.
        Change::CheckWritable => {
            sqlx::query("UPDATE threads SET updated_at = updated_at WHERE id = ''").execute(conn).await?;
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
    let done = sqlx::query(RELEASE).bind(now.millis()).bind(kind(work)).bind(held).execute(conn).await?;
    Ok(Outcome::Count(done.rows_affected()))
}

async fn recover(
    conn: &mut SqliteConnection,
    routes: &Routes,
    now: Time,
    look_at: Time,
) -> Result<Outcome, StoreError> {
    let (claimed,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM work WHERE token IS NOT NULL").fetch_one(&mut *conn).await?;
    let recover = sqlx::query(RECOVER).bind(now.millis()).bind(look_at.millis()).bind(now.millis());
    recover.execute(&mut *conn).await?;
    let mut moved = Vec::new();
    for row in sqlx::query(TURN_LANES).fetch_all(&mut *conn).await? {
        let lane = routes.turn_lane(&rows::account(&row, 1)?, row.try_get(2)?);
        if *lane != *row.try_get::<&str, _>(3)? {
            moved.push(json!([row.try_get::<&str, _>(0)?, &*lane]));
        }
    }
    if !moved.is_empty() {
        sqlx::query(MOVE_LANES).bind(rows::json(&moved)?).execute(conn).await?;
    }
    Ok(Outcome::Count(u64::try_from(claimed).unwrap_or(0)))
}

async fn thread(
    conn: &mut SqliteConnection,
    name: &str,
    change: ThreadChange,
    now: Time,
) -> Result<Outcome, StoreError> {
    let id = match reads::find(conn, name).await? {
        Some(id) => id,
        None if change == ThreadChange::Pause => match open(conn, name, now).await? {
            Some(id) => id,
            None => return Ok(Outcome::Thread(None)),
        },
        None => return Ok(Outcome::Thread(None)),
    };
    let at = now.millis();
    match change {
        ThreadChange::Pause => {
            let pause = sqlx::query(PAUSE).bind(at).bind(&id).bind(at).bind(&id).bind(&id).bind(&id).bind(at).bind(&id);
            pause.execute(&mut *conn).await?;
        }
        ThreadChange::Resume => {
            let sql = "UPDATE threads SET state = 'open', updated_at = ? WHERE id = ?";
            sqlx::query(sql).bind(at).bind(&id).execute(&mut *conn).await?;
        }
        ThreadChange::Reset => {
            let sql = "UPDATE threads SET conversation_id = NULL, updated_at = ? WHERE id = ?";
            sqlx::query(sql).bind(at).bind(&id).execute(&mut *conn).await?;
        }
    }
    Ok(Outcome::Thread(reads::row(conn, &id).await?))
}

/// Makes the thread of an address that never wrote; none if it is no address.
async fn open(conn: &mut SqliteConnection, address: &str, now: Time) -> Result<Option<String>, StoreError> {
    let mut parts = address.split('/');
    let (Some(channel), Some(account)) = (parts.next(), parts.next()) else { return Ok(None) };
    let rest: Vec<&str> = parts.collect();
    let Some(account) = AccountKey::new(channel, account) else { return Ok(None) };
    let Some(alias) = account.alias(&rest) else { return Ok(None) };
    let (id, at) = (ThreadId::new().to_string(), now.millis());
    let query = sqlx::query(OPEN).bind(&id).bind(account.as_str()).bind(alias.as_str()).bind(at).bind(at);
    query.bind(alias.as_str()).bind(&id).bind(at).execute(conn).await?;
    Ok(Some(id))
}

async fn replay(
    conn: &mut SqliteConnection,
    id: &str,
    routes: &Routes,
    now: Time,
) -> Result<Outcome, StoreError> {
    let Some(row) = sqlx::query(DEAD).bind(id).bind(id).fetch_optional(&mut *conn).await? else {
        return Ok(Outcome::Flag(false));
    };
    let (thread, account): (String, _) = (row.try_get(1)?, rows::account(&row, 2)?);
    let at = now.millis();
    let query = if row.try_get::<i64, _>(0)? == 1 {
        let lane = routes.turn_lane(&account, row.try_get(3)?);
        sqlx::query(REPLAY_MESSAGE).bind(at).bind(&thread).bind(at).bind(id).bind(lane.to_string())
    } else {
        let lane = send_lane(&account);
        sqlx::query(REPLAY_DELIVERY).bind(at).bind(&thread).bind(id).bind(lane.to_string())
    };
    query.bind(at).bind(at).bind(&thread).execute(conn).await?;
    Ok(Outcome::Flag(true))
}
