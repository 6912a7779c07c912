//! Forgetting. What the server's own files still hold of it (until a `VACUUM`, and in its log and its backups) is the
//! operator's affair.

use async_trait::async_trait;

use super::connect::Readers;
use super::tx::Tx;
use super::{PostgresStore, reads};
use crate::domain::{DeliveryId, ThreadId, Time};
use crate::store::operator::ThreadRow;
use crate::store::ops::{Change, Outcome};
use crate::store::privacy::{self, AuditLine, Erased, Erasure, Expired, PrivacyStore, Traces};
use crate::store::rows::{self, Cells};
use crate::store::{StoreError, sql};

#[async_trait]
impl PrivacyStore for PostgresStore {
    async fn threads_of(&self, person: &str) -> Result<Vec<ThreadRow>, StoreError> {
        let [own, former] = privacy::patterns(person);
        let found = sqlx::query(sql::NAMES_LIKE).bind(own).bind(former);
        let mut ids = Vec::new();
        for row in self.readers.fetch(found).await? {
            ids.extend(rows::thread_of(&row, person)?);
        }
        ids.dedup();
        let mut threads = Vec::with_capacity(ids.len());
        for id in &ids {
            let row = self
                .readers
                .fetch_optional(sqlx::query(reads::THREAD).bind(id))
                .await?;
            threads.extend(row.as_ref().map(rows::thread_row).transpose()?);
        }
        Ok(threads)
    }

    async fn erasable(&self, thread: &str) -> Result<Option<Erased>, StoreError> {
        let find = sqlx::query(sql::FIND).bind(thread);
        let Some(found) = self.readers.fetch_optional(find).await? else {
            return Ok(None);
        };
        let id = found.text(0)?;
        let look = sqlx::query(sql::ERASABLE).bind(id);
        let row = self.readers.fetch_optional(look).await?;
        row.map(|row| rows::erasable(&row, id)).transpose()
    }

    async fn erase(&self, what: Erasure, now: Time) -> Result<Option<Erased>, StoreError> {
        let (thread, person, named) = match what {
            Erasure::Person(name) => (None, Some(name.clone()), name),
            Erasure::Thread(name) => {
                let find = sqlx::query(sql::FIND).bind(&name);
                let Some(found) = self.readers.fetch_optional(find).await? else {
                    return Ok(None);
                };
                let read = sqlx::query(reads::THREAD).bind(found.text(0)?);
                let row = self.readers.fetch_optional(read).await?;
                let row = row.as_ref().map(rows::thread_row).transpose()?;
                (
                    Some(rows::id(&found, 0)?),
                    None,
                    row.map_or(name, |row| row.address),
                )
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

    async fn clear(&self, _now: Time) -> Result<Traces, StoreError> {
        Ok(Traces::Server)
    }

    async fn audit(&self, limit: u32) -> Result<Vec<AuditLine>, StoreError> {
        let read = sqlx::query(sql::AUDIT).bind(i64::from(limit));
        self.readers
            .fetch(read)
            .await?
            .iter()
            .map(rows::audit_line)
            .collect()
    }

    async fn expire(&self, before: Time, from: Option<String>) -> Result<Expired, StoreError> {
        let from = from.unwrap_or_default();
        let end = self
            .readers
            .fetch_optional(sqlx::query(sql::EXPIRY_END).bind(&from))
            .await?;
        let next = end
            .map(|row| Ok::<_, StoreError>(row.text(0)?.to_owned()))
            .transpose()?;
        let look = sqlx::query(sql::EXPIRABLE)
            .bind(&from)
            .bind(next.as_deref().unwrap_or(privacy::LAST))
            .bind(before.millis());
        let found = self.readers.fetch_optional(look).await?;
        let ends = found
            .map(|row| Ok::<_, StoreError>((rows::optional_text(&row, 0)?, rows::optional_text(&row, 1)?)))
            .transpose()?;
        let Some((Some(first), Some(last))) = ends else {
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
async fn mentions(readers: &Readers, name: &str) -> Result<Vec<DeliveryId>, StoreError> {
    let mut mentions = Vec::new();
    for row in readers.fetch(sqlx::query(sql::MENTIONS).bind(name)).await? {
        mentions.extend(rows::mention(&row, name)?);
    }
    Ok(mentions)
}

/// Removes a thread, or what others hold of a person, and keeps count.
pub(super) async fn erase(
    tx: &mut Tx<'_>,
    thread: Option<ThreadId>,
    person: Option<&str>,
    mentions: &[DeliveryId],
    now: Time,
) -> Result<Outcome, StoreError> {
    let mut erased = Erased::default();
    if let Some(id) = thread {
        let text = id.to_string();
        let Some(row) = tx.fetch_optional(sqlx::query(sql::ERASABLE).bind(&text)).await? else {
            return Ok(Outcome::Erased(None));
        };
        erased = rows::erasable(&row, &text)?;
        tx.run(sqlx::query(sql::ERASE).bind(&text)).await?;
    }
    if let Some(person) = person {
        erased.ratings += tx.run(sqlx::query(sql::ERASE_RATINGS).bind(person)).await?;
    }
    for part in mentions {
        let blank = sqlx::query(sql::BLANK)
            .bind(now.millis())
            .bind(part.thread.to_string())
            .bind(part.number);
        erased.deliveries += tx.run(blank).await?;
    }
    if !erased.is_nothing() {
        let [messages, deliveries, names, ratings] = erased.counts();
        let audit = sqlx::query(sql::WRITE_AUDIT)
            .bind(now.millis())
            .bind(erased.what());
        let audit = audit.bind(&erased.id).bind(messages).bind(deliveries);
        tx.run(audit.bind(names).bind(ratings)).await?;
    }
    Ok(Outcome::Erased(Some(erased)))
}

/// Removes old texts.
pub(super) async fn expire(
    tx: &mut Tx<'_>,
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
        expired.add(tx.run(blank).await?, letters);
    }
    Ok(Outcome::Expired(expired))
}
