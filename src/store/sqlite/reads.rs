//! What is only read: by the workers to find their lanes, by the operator to see what is there.

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};

use super::ops::kind;
use super::rows;
use crate::domain::Time;
use crate::domain::account::AccountKey;
use crate::store::operator::{DeadLetter, DeadQuery, HistoryItem, ThreadDetail, ThreadQuery, ThreadRow};
use crate::store::{Backlog, LaneDue, StoreError, Work};

const LANES: &str = "SELECT lane, min(due_at) FROM work WHERE kind = ? GROUP BY lane";

/// Open messages and parts are only looked for where there is work.
const BACKLOG: &str = "
    SELECT count(*), min(at) FROM (
        SELECT m.accepted_at AS at FROM work AS w
          JOIN messages AS m ON m.thread_id = w.thread_id AND m.seq >= w.first AND m.state = 'pending'
         WHERE w.kind = 1
        UNION ALL
        SELECT d.created_at FROM work AS w
          JOIN deliveries AS d ON d.thread_id = w.thread_id AND d.part >= w.first
           AND d.state IN ('pending', 'sending', 'unknown')
         WHERE w.kind = 2)";

/// A thread's state now: a pause that has ended by itself is none.
macro_rules! state_now {
    () => {
        "CASE WHEN paused_until <= unixepoch('subsec') * 1000 THEN 'open' ELSE state END"
    };
}

const THREAD: &str = concat!(
    "SELECT id, account, address, ",
    state_now!(),
    ", conversation_id, updated_at FROM threads WHERE id = ?"
);

const THREADS: &str = concat!(
    "SELECT id, account, address, ",
    state_now!(),
    ", conversation_id, updated_at FROM threads
     WHERE (?1 IS NULL OR account LIKE ?1 || '/%') AND (?2 IS NULL OR ?2 = ",
    state_now!(),
    ") AND (?4 IS NULL OR ?4 IN (id, conversation_id) OR instr(address, ?4) OR EXISTS (
           SELECT 1 FROM aliases AS a WHERE a.thread_id = threads.id AND a.strength < 4 AND instr(a.alias, ?4)))
     ORDER BY updated_at DESC, id DESC LIMIT ?3"
);

const FIND: &str = "
    SELECT id FROM threads WHERE id = ? UNION ALL SELECT thread_id FROM aliases WHERE alias = ? LIMIT 1";

/// A root is not listed: it equals the address.
const ALIASES: &str = "SELECT alias FROM aliases WHERE thread_id = ? AND strength < 4 ORDER BY alias";

/// The latest thousand lines, oldest first.
const HISTORY: &str = "
    SELECT * FROM (
        SELECT accepted_at AS at, 'message' AS kind, thread_id || '.m' || seq AS id, state, text, coalesce(reason, code),
               NULL
          FROM messages WHERE thread_id = ?
        UNION ALL
        SELECT created_at, kind, thread_id || '.d' || part, state, body, coalesce(reason, code),
               CASE stage WHEN 1 THEN 'sent' WHEN 2 THEN 'delivered' WHEN 3 THEN 'read' WHEN 4 THEN 'failed' END
          FROM deliveries WHERE thread_id = ?
        UNION ALL
        SELECT at, 'feedback', thread_id || '.t' || turn, CASE WHEN helpful THEN 'helpful' ELSE 'not_helpful' END, '', NULL,
               NULL
          FROM feedback WHERE thread_id = ?
        ORDER BY at DESC, kind LIMIT 1000)
     ORDER BY at, kind DESC, length(id), id";

const DEAD: &str = "
    SELECT * FROM (
        SELECT m.thread_id || '.m' || m.seq AS id, 'message' AS kind, t.id, t.address, m.ended_at AS at, m.attempts,
               m.code, m.reason
          FROM messages AS m JOIN threads AS t ON t.id = m.thread_id WHERE m.state = 'dead'
        UNION ALL
        SELECT d.thread_id || '.d' || d.part, 'delivery', t.id, t.address, d.ended_at, d.attempts, d.code, d.reason
          FROM deliveries AS d JOIN threads AS t ON t.id = d.thread_id WHERE d.state = 'dead')
     WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR id = ?2)
     ORDER BY at, id LIMIT ?3";

pub(super) async fn lanes(readers: &SqlitePool, work: Work) -> Result<Vec<LaneDue>, StoreError> {
    let lane = |row: &SqliteRow| {
        Ok(LaneDue {
            lane: row.try_get::<&str, _>(0)?.into(),
            due_at: rows::optional_time(row, 1)?,
        })
    };
    sqlx::query(LANES)
        .bind(kind(work))
        .fetch_all(readers)
        .await?
        .iter()
        .map(lane)
        .collect()
}

pub(super) async fn backlog(readers: &SqlitePool) -> Result<Backlog, StoreError> {
    let row = sqlx::query(BACKLOG).fetch_one(readers).await?;
    let waiting = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
    Ok(Backlog {
        waiting,
        oldest: rows::optional_time(&row, 1)?,
    })
}

pub(super) async fn threads(readers: &SqlitePool, query: &ThreadQuery) -> Result<Vec<ThreadRow>, StoreError> {
    let rows = sqlx::query(THREADS)
        .bind(&query.channel)
        .bind(&query.state)
        .bind(query.limit)
        .bind(&query.search);
    rows.fetch_all(readers).await?.iter().map(thread_row).collect()
}

pub(super) async fn thread(readers: &SqlitePool, name: &str) -> Result<Option<ThreadDetail>, StoreError> {
    let mut conn = readers.acquire().await?;
    let Some(id) = find(&mut conn, name).await? else {
        return Ok(None);
    };
    let Some(thread) = row(&mut conn, &id).await? else {
        return Ok(None);
    };
    let aliases: Vec<String> = sqlx::query_scalar(ALIASES)
        .bind(&id)
        .fetch_all(&mut *conn)
        .await?;
    let lines = sqlx::query(HISTORY)
        .bind(&id)
        .bind(&id)
        .bind(&id)
        .fetch_all(&mut *conn)
        .await?;
    let history = lines.iter().map(history_item).collect::<Result<_, _>>()?;
    Ok(Some(ThreadDetail {
        thread,
        aliases,
        history,
    }))
}

pub(super) async fn dead(readers: &SqlitePool, query: &DeadQuery) -> Result<Vec<DeadLetter>, StoreError> {
    let rows = sqlx::query(DEAD)
        .bind(&query.kind)
        .bind(&query.id)
        .bind(query.limit);
    rows.fetch_all(readers).await?.iter().map(dead_letter).collect()
}

/// The id of the thread that an operator names by its id or an address.
pub(super) async fn find(conn: &mut SqliteConnection, name: &str) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar(FIND)
        .bind(name)
        .bind(name)
        .fetch_optional(conn)
        .await?)
}

/// The row of a thread.
pub(super) async fn row(conn: &mut SqliteConnection, id: &str) -> Result<Option<ThreadRow>, StoreError> {
    sqlx::query(THREAD)
        .bind(id)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(thread_row)
        .transpose()
}

fn thread_row(row: &SqliteRow) -> Result<ThreadRow, StoreError> {
    let account: AccountKey = rows::account(row, 1)?;
    Ok(ThreadRow {
        id: row.try_get(0)?,
        channel: account.channel().to_owned(),
        account: account.account().to_owned(),
        address: row.try_get(2)?,
        state: row.try_get(3)?,
        conversation_id: row.try_get(4)?,
        last_at: rows::time(row, 5)?.to_string(),
    })
}

fn history_item(row: &SqliteRow) -> Result<HistoryItem, StoreError> {
    Ok(HistoryItem {
        at: rows::time(row, 0)?.to_string(),
        kind: row.try_get(1)?,
        id: row.try_get(2)?,
        state: row.try_get(3)?,
        text: row.try_get(4)?,
        reason: row.try_get(5)?,
        stage: row.try_get(6)?,
    })
}

fn dead_letter(row: &SqliteRow) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        id: row.try_get(0)?,
        kind: row.try_get(1)?,
        thread: row.try_get(2)?,
        address: row.try_get(3)?,
        at: rows::optional_time(row, 4)?
            .as_ref()
            .map(Time::to_string)
            .unwrap_or_default(),
        attempts: row.try_get(5)?,
        code: row.try_get::<Option<String>, _>(6)?.unwrap_or_default(),
        reason: row.try_get::<Option<String>, _>(7)?.unwrap_or_default(),
    })
}
