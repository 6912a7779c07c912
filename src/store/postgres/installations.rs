//! Where an app is installed, and what was used up.

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::PostgresStore;
use super::tx::Tx;
use crate::domain::installation::{InstallationStore, Installed, KeepError};
use crate::domain::{AccountKey, Time};
use crate::store::ops::{Change, Installing, Outcome};
use crate::store::rows;
use crate::store::seal::Keyring;
use crate::store::{StoreError, sql};

/// `account, at, sealed`
pub(super) const PUT: &str = "
    INSERT INTO installations AS i (account, since, sealed) VALUES ($1, $2, $3)
        ON CONFLICT (account) DO UPDATE SET
           since = greatest(excluded.since, i.since, coalesce(i.ended_at, 0)), sealed = excluded.sealed
    RETURNING since";

/// The end is remembered even where nothing is left to forget: the other half of the platform's news may come later.
/// `before, account`
pub(super) const ENDED: &str =
    "UPDATE installations SET ended_at = greatest(coalesce(ended_at, 0), $1) WHERE account = $2";

/// Carries out a write.
pub(super) async fn apply(tx: &mut Tx<'_>, write: &Installing) -> Result<Outcome, StoreError> {
    match write {
        Installing::Put { account, sealed, at } => {
            let put = sqlx::query(PUT)
                .bind(account.as_str())
                .bind(at.millis())
                .bind(sealed.as_slice());
            let row = tx.fetch_optional(put).await?.ok_or(StoreError::Contended)?;
            Ok(Outcome::Since(rows::time(&row, 0)?))
        }
        Installing::Renew {
            account,
            sealed,
            since,
        } => {
            let renew = sqlx::query(sql::RENEW)
                .bind(sealed.as_slice())
                .bind(account.as_str())
                .bind(since.millis());
            Ok(Outcome::Flag(tx.run(renew).await? > 0))
        }
        Installing::Forget { account, before } => {
            let (account, before) = (account.as_str(), before.millis());
            tx.run(sqlx::query(ENDED).bind(before).bind(account)).await?;
            let forget = sqlx::query(sql::FORGET).bind(account).bind(before);
            Ok(Outcome::Flag(tx.run(forget).await? > 0))
        }
        Installing::Spend { mark, until, now } => {
            tx.run(sqlx::query(sql::TIDY_SPENT).bind(now.millis())).await?;
            let spend = sqlx::query(sql::SPEND).bind(mark).bind(until.millis());
            Ok(Outcome::Flag(tx.run(spend).await? > 0))
        }
    }
}

/// Seals everything with the key that seals now, so that the older ones can be given up. Without any key there must be
/// nothing to seal.
pub(super) async fn reseal(conn: &mut PgConnection, keys: &Keyring) -> Result<(), StoreError> {
    let sealed = sqlx::query(sql::SEALED).fetch_all(&mut *conn).await?;
    if keys.is_empty() && !sealed.is_empty() {
        return Err(StoreError::SecretKey(
            "store.secret_key is not set, and the database holds tokens that it encrypts: set the key that all \
             replicas share"
                .to_owned(),
        ));
    }
    let mut count = 0;
    for row in sealed {
        let (account, sealed): (&str, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        if keys.is_current(sealed) {
            continue;
        }
        let Some(details) = keys.open(account, sealed) else {
            tracing::error!(
                account,
                "the tokens of this installation are encrypted with a key that is not there: add that key to \
                 store.secret_key, or install the app there again"
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

impl PostgresStore {
    async fn keep(&self, write: Installing) -> Result<Outcome, StoreError> {
        self.change(Change::Installation(write)).await
    }

    async fn keep_flag(&self, write: Installing) -> Result<bool, KeepError> {
        match self.keep(write).await? {
            Outcome::Flag(flag) => Ok(flag),
            _ => Err(StoreError::Closed.into()),
        }
    }
}

#[async_trait]
impl InstallationStore for PostgresStore {
    async fn put(&self, account: &AccountKey, details: &SecretString, at: Time) -> Result<Time, KeepError> {
        let write = Installing::Put {
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
        self.keep_flag(Installing::Renew {
            account: account.clone(),
            sealed,
            since,
        })
        .await
    }

    async fn list(&self, channel: &str) -> Result<Vec<Installed>, KeepError> {
        let read = sqlx::query(sql::INSTALLED).bind(channel);
        let installed = |row: &PgRow| {
            let account = rows::account(row, 0)?;
            let sealed: &[u8] = row.try_get(2)?;
            Ok(Installed {
                details: self.keys.open(account.as_str(), sealed),
                since: rows::time(row, 1)?,
                account,
            })
        };
        let all: Result<Vec<Installed>, StoreError> =
            self.readers.fetch(read).await?.iter().map(installed).collect();
        Ok(all?)
    }

    async fn forget(&self, account: &AccountKey, before: Time) -> Result<bool, KeepError> {
        let account = account.clone();
        self.keep_flag(Installing::Forget { account, before }).await
    }

    async fn spend(&self, mark: &str, until: Time, now: Time) -> Result<bool, KeepError> {
        let mark = mark.to_owned();
        self.keep_flag(Installing::Spend { mark, until, now }).await
    }
}
