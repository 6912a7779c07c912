//! Forgetting, and what SQLite's files still hold of what was forgotten.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection, Row, SqliteConnection};

use super::ops::{Change, Outcome};
use super::{SqliteStore, connect, reads, rows, sql};
use crate::domain::{DeliveryId, ThreadId, Time};
use crate::store::StoreError;
use crate::store::operator::ThreadRow;
use crate::store::privacy::{self, AuditLine, Erased, Erasure, Expired, PrivacyStore, Traces};

/// How often it is tried to write the pages anew, and to cut the log.
const TRIES: usize = 5;

/// Between two tries to cut the log.
const CUT_AGAIN: Duration = Duration::from_millis(200);

/// Erasures whose traces are still there: whether in the pages, whether in the log, and the latest.
pub(super) const UNCLEARED: &str = "SELECT coalesce(sum(pages_at IS NULL), 0), count(*), coalesce(max(seq), 0) FROM audit WHERE log_at IS NULL";

pub(super) const CLEARED_PAGES: &str = "UPDATE audit SET pages_at = ? WHERE pages_at IS NULL AND seq <= ?";

pub(super) const CLEARED_LOG: &str =
    "UPDATE audit SET log_at = ? WHERE log_at IS NULL AND pages_at IS NOT NULL AND seq <= ?";

#[async_trait]
impl PrivacyStore for SqliteStore {
    async fn threads_of(&self, person: &str) -> Result<Vec<ThreadRow>, StoreError> {
        let [own, former] = privacy::patterns(person);
        let found = sqlx::query(sql::NAMES_LIKE).bind(own).bind(former);
        let mut ids = Vec::new();
        for row in found.fetch_all(&self.readers).await? {
            ids.extend(rows::thread_of(&row, person)?);
        }
        ids.dedup();
        let mut conn = self.readers.acquire().await?;
        let mut threads = Vec::with_capacity(ids.len());
        for id in &ids {
            threads.extend(reads::row(&mut conn, id).await?);
        }
        Ok(threads)
    }

    async fn erasable(&self, thread: &str) -> Result<Option<Erased>, StoreError> {
        let mut conn = self.readers.acquire().await?;
        let Some(id) = reads::find(&mut conn, thread).await? else {
            return Ok(None);
        };
        let row = sqlx::query(sql::ERASABLE)
            .bind(&id)
            .fetch_optional(&mut *conn)
            .await?;
        row.map(|row| rows::erasable(&row, &id)).transpose()
    }

    async fn erase(&self, what: Erasure, now: Time) -> Result<Option<Erased>, StoreError> {
        let (thread, person, named) = match what {
            Erasure::Person(name) => (None, Some(name.clone()), name),
            Erasure::Thread(name) => {
                let mut conn = self.readers.acquire().await?;
                let Some(id) = reads::find(&mut conn, &name).await? else {
                    return Ok(None);
                };
                let address = reads::row(&mut conn, &id).await?.map(|row| row.address);
                (id.parse().ok(), None, address.unwrap_or(name))
            }
        };
        let mentions = mentions(&self.readers, &named).await?;
        let erase = Change::Erase {
            thread,
            person,
            mentions,
            now,
        };
        match self.change(erase).await? {
            Outcome::Erased(erased) => Ok(erased),
            _ => Err(StoreError::Closed),
        }
    }

    async fn clear(&self, now: Time) -> Result<Traces, StoreError> {
        clear(&self.path, &self.readers, now).await
    }

    async fn audit(&self, limit: u32) -> Result<Vec<AuditLine>, StoreError> {
        let lines = sqlx::query(sql::AUDIT)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        lines.iter().map(rows::audit_line).collect()
    }

    async fn expire(&self, before: Time, from: Option<String>) -> Result<Expired, StoreError> {
        let from = from.unwrap_or_default();
        let next: Option<String> = sqlx::query_scalar(sql::EXPIRY_END)
            .bind(&from)
            .fetch_optional(&self.readers)
            .await?;
        let found = sqlx::query(sql::EXPIRABLE)
            .bind(&from)
            .bind(next.as_deref().unwrap_or(privacy::LAST))
            .bind(before.millis())
            .fetch_one(&self.readers)
            .await?;
        let ends: (Option<String>, Option<String>) = (found.try_get(0)?, found.try_get(1)?);
        let (Some(first), Some(last)) = ends else {
            return Ok(Expired {
                next,
                ..Expired::default()
            });
        };
        match self.change(Change::Expire { first, last, before }).await? {
            Outcome::Expired(expired) => Ok(Expired { next, ..expired }),
            _ => Err(StoreError::Closed),
        }
    }
}

/// The words of the bridge in the operators' rooms that name this.
async fn mentions(readers: &SqlitePool, name: &str) -> Result<Vec<DeliveryId>, StoreError> {
    let mut mentions = Vec::new();
    for row in sqlx::query(sql::MENTIONS).bind(name).fetch_all(readers).await? {
        mentions.extend(rows::mention(&row, name)?);
    }
    Ok(mentions)
}

/// Removes a thread, or what others hold of a person, and keeps count.
pub(super) async fn erase(
    conn: &mut SqliteConnection,
    thread: Option<ThreadId>,
    person: Option<&str>,
    mentions: &[DeliveryId],
    now: Time,
) -> Result<Outcome, StoreError> {
    let mut erased = Erased::default();
    if let Some(id) = thread {
        let text = id.to_string();
        let row = sqlx::query(sql::ERASABLE)
            .bind(&text)
            .fetch_optional(&mut *conn)
            .await?;
        let Some(row) = row else {
            return Ok(Outcome::Erased(None));
        };
        erased = rows::erasable(&row, &text)?;
        sqlx::query(sql::ERASE).bind(&text).execute(&mut *conn).await?;
    }
    if let Some(person) = person {
        let done = sqlx::query(sql::ERASE_RATINGS)
            .bind(person)
            .execute(&mut *conn)
            .await?;
        erased.ratings += done.rows_affected();
    }
    for part in mentions {
        let blank = sqlx::query(sql::BLANK)
            .bind(now.millis())
            .bind(part.thread.to_string())
            .bind(part.number);
        erased.deliveries += blank.execute(&mut *conn).await?.rows_affected();
    }
    if !erased.is_nothing() {
        let [messages, deliveries, names, ratings] = erased.counts();
        let audit = sqlx::query(sql::WRITE_AUDIT)
            .bind(now.millis())
            .bind(erased.what());
        let audit = audit.bind(&erased.id).bind(messages).bind(deliveries);
        audit.bind(names).bind(ratings).execute(conn).await?;
    }
    Ok(Outcome::Erased(Some(erased)))
}

/// Removes old texts.
pub(super) async fn expire(
    conn: &mut SqliteConnection,
    first: &str,
    last: &str,
    before: Time,
) -> Result<Outcome, StoreError> {
    let mut expired = Expired::default();
    for (statement, letters) in privacy::EXPIRIES {
        let blank = sqlx::query(statement)
            .bind(first)
            .bind(last)
            .bind(before.millis());
        expired.add(blank.execute(&mut *conn).await?.rows_affected(), letters);
    }
    Ok(Outcome::Expired(expired))
}

/// Overwriting what is deleted (`secure_delete`) leaves the copies that SQLite makes when it moves rows between pages.
/// `VACUUM` writes all pages anew; then the log, which holds older states of them, is copied into the database and cut.
/// (sqlite.org, "VACUUM", and "PRAGMA" with `secure_delete` and `wal_checkpoint`.)
async fn clear(path: &Path, readers: &SqlitePool, now: Time) -> Result<Traces, StoreError> {
    let row = sqlx::query(UNCLEARED).fetch_one(readers).await?;
    let (in_pages, in_log, latest): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if in_log == 0 {
        return Ok(Traces::None);
    }
    let mut conn = connect::rewriter(path).await?;
    let traces = rewrite(&mut conn, in_pages > 0, latest, now).await;
    let _ = conn.close().await;
    traces
}

async fn rewrite(
    conn: &mut SqliteConnection,
    pages: bool,
    latest: i64,
    now: Time,
) -> Result<Traces, StoreError> {
    if pages {
        if !vacuum(conn).await? {
            return Ok(Traces::Left);
        }
        let mark = sqlx::query(CLEARED_PAGES).bind(now.millis()).bind(latest);
        mark.execute(&mut *conn).await?;
    }
    // While the log is to be cut, others cannot write: a reader that stays must not keep them from it for long.
    sqlx::query("PRAGMA busy_timeout = 500")
        .execute(&mut *conn)
        .await?;
    for _ in 0..TRIES {
        match connect::copy_log(conn).await {
            Ok(()) => {
                let mark = sqlx::query(CLEARED_LOG).bind(now.millis()).bind(latest);
                mark.execute(&mut *conn).await?;
                return Ok(Traces::None);
            }
            Err(StoreError::Busy) => tokio::time::sleep(CUT_AGAIN).await,
            Err(error) => return Err(error),
        }
    }
    Ok(Traces::Left)
}

/// Writes all pages anew. False if others kept it from that.
async fn vacuum(conn: &mut SqliteConnection) -> Result<bool, StoreError> {
    for _ in 0..TRIES {
        let written = sqlx::query("VACUUM").execute(&mut *conn).await;
        match written.map_err(StoreError::from) {
            Ok(_) => return Ok(true),
            Err(error) if error.is_held_elsewhere() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
