//! Which accounts belong together.

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection};

use super::SqliteStore;
use super::ops::{Change, Outcome};
use super::{rows, sql};
use crate::domain::AccountKey;
use crate::domain::family::FamilyStore;
use crate::domain::installation::KeepError;
use crate::store::StoreError;

/// Keeps an account's family.
pub(super) async fn keep(
    conn: &mut SqliteConnection,
    account: &AccountKey,
    family: &str,
) -> Result<Outcome, StoreError> {
    let keep = sqlx::query(sql::KEEP_FAMILY).bind(account.as_str()).bind(family);
    keep.execute(conn).await?;
    Ok(Outcome::Done)
}

#[async_trait]
impl FamilyStore for SqliteStore {
    async fn keep_family(&self, account: &AccountKey, family: &str) -> Result<(), KeepError> {
        let (account, family) = (account.clone(), family.to_owned());
        self.change(Change::Family { account, family }).await?;
        Ok(())
    }

    async fn families(&self, channel: &str) -> Result<Vec<(AccountKey, String)>, KeepError> {
        let rows = sqlx::query(sql::FAMILIES)
            .bind(channel)
            .fetch_all(&self.readers)
            .await;
        let family = |row: &sqlx::sqlite::SqliteRow| Ok((rows::account(row, 0)?, row.try_get(1)?));
        let rows = rows.map_err(StoreError::from)?;
        let all: Result<Vec<_>, StoreError> = rows.iter().map(family).collect();
        Ok(all?)
    }
}
