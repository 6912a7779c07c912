//! Where an app is installed, and what was used up.

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Row, SqliteConnection};

use super::SqliteStore;
use super::ops::{Change, Installing as Write, Outcome};
use super::{rows, sql};
use crate::domain::installation::{InstallationStore, Installed, KeepError};
use crate::domain::{AccountKey, Time};
use crate::store::StoreError;
use crate::store::seal::Keyring;

pub(super) const PUT: &str = "
    INSERT INTO installations (account, since, sealed) VALUES (?, ?, ?)
        ON CONFLICT (account) DO UPDATE SET
           since = max(excluded.since, since, coalesce(ended_at, 0)), sealed = excluded.sealed
    RETURNING since";

/// The end is remembered even where nothing is left to forget: the other half of the platform's news may come later.
pub(super) const ENDED: &str =
    "UPDATE installations SET ended_at = max(coalesce(ended_at, 0), ?) WHERE account = ?";

/// Carries out a write.
pub(super) async fn apply(conn: &mut SqliteConnection, write: &Write) -> Result<Outcome, StoreError> {
    match write {
        Write::Put { account, sealed, at } => {
            let put = sqlx::query(PUT)
                .bind(account.as_str())
                .bind(at.millis())
                .bind(sealed.as_slice());
            let row = put.fetch_one(conn).await?;
            Ok(Outcome::Since(rows::time(&row, 0)?))
        }
        Write::Renew {
            account,
            sealed,
            since,
        } => {
            let renew = sqlx::query(sql::RENEW)
                .bind(sealed.as_slice())
                .bind(account.as_str())
                .bind(since.millis());
            Ok(Outcome::Flag(renew.execute(conn).await?.rows_affected() > 0))
        }
        Write::Forget { account, before } => {
            let (account, before) = (account.as_str(), before.millis());
            let ended = sqlx::query(ENDED).bind(before).bind(account);
            ended.execute(&mut *conn).await?;
            let forget = sqlx::query(sql::FORGET).bind(account).bind(before);
            Ok(Outcome::Flag(forget.execute(conn).await?.rows_affected() > 0))
        }
        Write::Spend { mark, until, now } => {
            let tidy = sqlx::query(sql::TIDY_SPENT).bind(now.millis());
            tidy.execute(&mut *conn).await?;
            let spend = sqlx::query(sql::SPEND).bind(mark).bind(until.millis());
            Ok(Outcome::Flag(spend.execute(conn).await?.rows_affected() > 0))
        }
    }
}

/// Seals everything with the key that seals now, so that the older ones can be given up.
pub(super) async fn reseal(conn: &mut SqliteConnection, keys: &Keyring) -> Result<(), StoreError> {
    let mut count = 0;
    for row in sqlx::query(sql::SEALED).fetch_all(&mut *conn).await? {
        let (account, sealed): (&str, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        if keys.is_current(sealed) {
            continue;
        }
        let Some(details) = keys.open(account, sealed) else {
            tracing::error!(
                account,
                "the tokens of this installation are encrypted with a key that is not there: add that key to \
                 store.secret_key (or restore the .key file beside the database), or install the app there again"
            );
            continue;
        };
        let anew = keys.seal(account, details.expose_secret())?;
        let update = sqlx::query(sql::RESEAL);
        update.bind(anew).bind(account).execute(&mut *conn).await?;
        count += 1;
    }
    if count > 0 {
        tracing::info!(
            installations = count,
            "tokens are encrypted with the first key of store.secret_key now"
        );
    }
    Ok(())
}

impl SqliteStore {
    async fn keep(&self, write: Write) -> Result<Outcome, StoreError> {
        self.change(Change::Installation(write)).await
    }

    async fn keep_flag(&self, write: Write) -> Result<bool, KeepError> {
        match self.keep(write).await? {
            Outcome::Flag(flag) => Ok(flag),
            _ => Err(StoreError::Closed.into()),
        }
    }
}

#[async_trait]
impl InstallationStore for SqliteStore {
    async fn put(&self, account: &AccountKey, details: &SecretString, at: Time) -> Result<Time, KeepError> {
        let write = Write::Put {
            sealed: self.keys.seal(account.as_str(), details.expose_secret())?,
            account: account.clone(),
            at,
        };
        match self.keep(write).await? {
            Outcome::Since(since) => Ok(since),
            _ => Err(StoreError::Closed.into()),
        }
    }

    async fn renew(
        &self,
        account: &AccountKey,
        details: &SecretString,
        since: Time,
    ) -> Result<bool, KeepError> {
        let sealed = self.keys.seal(account.as_str(), details.expose_secret())?;
        self.keep_flag(Write::Renew {
            account: account.clone(),
            sealed,
            since,
        })
        .await
    }

    async fn list(&self, channel: &str) -> Result<Vec<Installed>, KeepError> {
        let rows = sqlx::query(sql::INSTALLED)
            .bind(channel)
            .fetch_all(&self.readers)
            .await;
        let installed = |row: &sqlx::sqlite::SqliteRow| {
            let account = rows::account(row, 0)?;
            let sealed: &[u8] = row.try_get(2)?;
            Ok(Installed {
                details: self.keys.open(account.as_str(), sealed),
                since: rows::time(row, 1)?,
                account,
            })
        };
        let rows = rows.map_err(StoreError::from)?;
        let all: Result<Vec<Installed>, StoreError> = rows.iter().map(installed).collect();
        Ok(all?)
    }

    async fn forget(&self, account: &AccountKey, before: Time) -> Result<bool, KeepError> {
        let account = account.clone();
        self.keep_flag(Write::Forget { account, before }).await
    }

    async fn spend(&self, mark: &str, until: Time, now: Time) -> Result<bool, KeepError> {
        let mark = mark.to_owned();
        self.keep_flag(Write::Spend { mark, until, now }).await
    }
}
