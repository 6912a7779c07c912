//! What is only read: by the workers to find their lanes, by the operator to see what is there.

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};

use super::ops::kind;
use super::{rows, sql};
use crate::domain::Time;
use crate::store::operator::{DeadLetter, DeadQuery, ThreadDetail, ThreadQuery, ThreadRow};
use crate::store::{Backlog, LaneDue, StoreError, Work};

pub(super) const LANES: &str = "SELECT lane, min(due_at) FROM work WHERE kind = ? GROUP BY lane";

/// A thread's state now: a pause that has ended by itself is none.
macro_rules! state_now {
    () => {
        "CASE WHEN paused_until <= unixepoch('subsec') * 1000 THEN 'open' ELSE state END"
    };
}

pub(super) const THREAD: &str = concat!(
    "SELECT id, account, address, ",
    state_now!(),
    ", conversation_id, updated_at FROM threads WHERE id = ?"
);

pub(super) const THREADS: &str = concat!(
    "SELECT id, account, address, ",
    state_now!(),
    ", conversation_id, updated_at FROM threads
     WHERE (?1 IS NULL OR substr(account, 1, length(?1) + 1) = ?1 || '/') AND (?2 IS NULL OR ?2 = ",
    state_now!(),
    ") AND (?4 IS NULL OR ?4 IN (id, conversation_id) OR instr(address, ?4) OR EXISTS (
           SELECT 1 FROM aliases AS a WHERE a.thread_id = threads.id AND a.strength < 4 AND instr(a.alias, ?4)))
     ORDER BY updated_at DESC, id DESC LIMIT ?3"
);

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
    let row = sqlx::query(sql::BACKLOG).fetch_one(readers).await?;
    let count = |column: usize| -> Result<u64, StoreError> {
        Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
    };
    Ok(Backlog {
        waiting: count(0)?,
        oldest: rows::optional_time(&row, 1)?,
        unknown: count(2)?,
        dead_messages: count(3)?,
        dead_deliveries: count(4)?,
    })
}

pub(super) async fn threads(readers: &SqlitePool, query: &ThreadQuery) -> Result<Vec<ThreadRow>, StoreError> {
    let rows = sqlx::query(THREADS)
        .bind(&query.channel)
        .bind(&query.state)
        .bind(query.limit)
        .bind(&query.search);
    rows.fetch_all(readers)
        .await?
        .iter()
        .map(rows::thread_row)
        .collect()
}

pub(super) async fn thread(readers: &SqlitePool, name: &str) -> Result<Option<ThreadDetail>, StoreError> {
    let mut conn = readers.acquire().await?;
    let Some(id) = find(&mut conn, name).await? else {
        return Ok(None);
    };
    let Some(thread) = row(&mut conn, &id).await? else {
        return Ok(None);
    };
    let aliases: Vec<String> = sqlx::query_scalar(sql::ALIASES)
        .bind(&id)
        .fetch_all(&mut *conn)
        .await?;
    let lines = sqlx::query(sql::HISTORY).bind(&id).fetch_all(&mut *conn).await?;
    let history = lines.iter().map(rows::history_item).collect::<Result<_, _>>()?;
    Ok(Some(ThreadDetail {
        thread,
        aliases,
        history,
    }))
}

pub(super) async fn dead(readers: &SqlitePool, query: &DeadQuery) -> Result<Vec<DeadLetter>, StoreError> {
    let rows = sqlx::query(sql::DEAD)
        .bind(&query.kind)
        .bind(&query.id)
        .bind(&query.channel)
        .bind(&query.account)
        .bind(&query.address)
        .bind(&query.code)
        .bind(query.since.map(Time::millis))
        .bind(query.until.map(Time::millis))
        .bind(query.limit);
    rows.fetch_all(readers)
        .await?
        .iter()
        .map(rows::dead_letter)
        .collect()
}

/// The id of the thread that an operator names by its id or an address.
pub(super) async fn find(conn: &mut SqliteConnection, name: &str) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar(sql::FIND)
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
        .map(rows::thread_row)
        .transpose()
}
