//! What is only read: by the workers to find their lanes, by the operator to see what is there.

use sqlx::postgres::PgRow;

use super::connect::Readers;
use super::tx::Tx;
use crate::domain::Time;
use crate::store::operator::{DeadLetter, DeadQuery, ThreadDetail, ThreadQuery, ThreadRow};
use crate::store::ops::kind;
use crate::store::rows::{self, Cells};
use crate::store::{Backlog, LaneDue, StoreError, Work, sql};

/// From lane to lane along the index, whatever waits in each. Where another replica sends, it is due once that one may
/// be gone. `kind, owner`
pub(super) const LANES: &str = "
    WITH RECURSIVE l AS (
        (SELECT lane, due_at FROM work WHERE kind = $1 ORDER BY lane, due_at LIMIT 1)
        UNION ALL
        SELECT n.lane, n.due_at FROM l CROSS JOIN LATERAL (
               SELECT lane, due_at FROM work WHERE kind = $1 AND lane > l.lane ORDER BY lane, due_at LIMIT 1) AS n
    )
    SELECT l.lane, CASE WHEN o.owner <> $2 AND $1 = 2 THEN greatest(l.due_at, o.until) ELSE l.due_at END
      FROM l LEFT JOIN lanes AS o ON o.lane = l.lane";

/// A thread's state now: a pause that has ended by itself is none.
macro_rules! state_now {
    () => {
        "CASE WHEN paused_until <= extract(epoch FROM clock_timestamp()) * 1000 THEN 'open' ELSE state END"
    };
}

pub(super) const THREAD: &str = concat!(
    "SELECT id, account, address, ",
    state_now!(),
    ", conversation_id, updated_at FROM threads WHERE id = $1"
);

/// `channel, state, limit, search`
pub(super) const THREADS: &str = concat!(
    "SELECT id, account, address, ",
    state_now!(),
    ", conversation_id, updated_at FROM threads
     WHERE (CAST($1 AS TEXT) IS NULL OR substr(account, 1, length(CAST($1 AS TEXT)) + 1) = CAST($1 AS TEXT) || '/') AND (CAST($2 AS TEXT) IS NULL OR $2 = ",
    state_now!(),
    ") AND (CAST($4 AS TEXT) IS NULL OR $4 IN (id, conversation_id) OR strpos(address, $4) > 0 OR EXISTS (
            SELECT 1 FROM aliases AS a
             WHERE a.thread_id = threads.id AND a.strength < 4 AND strpos(a.alias, $4) > 0))
      ORDER BY updated_at DESC, id DESC LIMIT $3"
);

pub(super) async fn lanes(readers: &Readers, work: Work, owner: &str) -> Result<Vec<LaneDue>, StoreError> {
    let lane = |row: &PgRow| {
        Ok(LaneDue {
            lane: row.text(0)?.into(),
            due_at: rows::optional_time(row, 1)?,
        })
    };
    let read = sqlx::query(LANES).bind(kind(work)).bind(owner);
    readers.fetch(read).await?.iter().map(lane).collect()
}

pub(super) async fn backlog(readers: &Readers) -> Result<Backlog, StoreError> {
    let Some(row) = readers.fetch_optional(sqlx::query(sql::BACKLOG)).await? else {
        return Ok(Backlog::default());
    };
    let count =
        |column: usize| -> Result<u64, StoreError> { Ok(u64::try_from(row.int(column)?).unwrap_or(0)) };
    Ok(Backlog {
        waiting: count(0)?,
        oldest: rows::optional_time(&row, 1)?,
        unknown: count(2)?,
        dead_messages: count(3)?,
        dead_deliveries: count(4)?,
    })
}

pub(super) async fn threads(readers: &Readers, query: &ThreadQuery) -> Result<Vec<ThreadRow>, StoreError> {
    let read = sqlx::query(THREADS)
        .bind(&query.channel)
        .bind(&query.state)
        .bind(i64::from(query.limit))
        .bind(&query.search);
    readers.fetch(read).await?.iter().map(rows::thread_row).collect()
}

pub(super) async fn thread(readers: &Readers, name: &str) -> Result<Option<ThreadDetail>, StoreError> {
    let Some(found) = readers.fetch_optional(sqlx::query(sql::FIND).bind(name)).await? else {
        return Ok(None);
    };
    let id = found.text(0)?;
    let Some(thread) = readers.fetch_optional(sqlx::query(THREAD).bind(id)).await? else {
        return Ok(None);
    };
    let aliases = readers.fetch(sqlx::query(sql::ALIASES).bind(id)).await?;
    let aliases: Result<Vec<String>, StoreError> =
        aliases.iter().map(|row| Ok(row.text(0)?.to_owned())).collect();
    let history = readers.fetch(sqlx::query(sql::HISTORY).bind(id)).await?;
    let history: Result<_, StoreError> = history.iter().map(rows::history_item).collect();
    Ok(Some(ThreadDetail {
        thread: rows::thread_row(&thread)?,
        aliases: aliases?,
        history: history?,
    }))
}

pub(super) async fn dead(readers: &Readers, query: &DeadQuery) -> Result<Vec<DeadLetter>, StoreError> {
    let read = sqlx::query(sql::DEAD)
        .bind(&query.kind)
        .bind(&query.id)
        .bind(&query.channel)
        .bind(&query.account)
        .bind(&query.address)
        .bind(&query.code)
        .bind(query.since.map(Time::millis))
        .bind(query.until.map(Time::millis))
        .bind(i64::from(query.limit));
    readers.fetch(read).await?.iter().map(rows::dead_letter).collect()
}

/// The id of the thread that an operator names by its id or an address.
pub(super) async fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, StoreError> {
    let found = tx.fetch_optional(sqlx::query(sql::FIND).bind(name)).await?;
    found.map(|row| Ok(row.text(0)?.to_owned())).transpose()
}

/// The row of a thread.
pub(super) async fn row(tx: &mut Tx<'_>, id: &str) -> Result<Option<ThreadRow>, StoreError> {
    let row = tx.fetch_optional(sqlx::query(THREAD).bind(id)).await?;
    row.as_ref().map(rows::thread_row).transpose()
}
