//! Which accounts belong together.

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection};

use super::SqliteStore;
use super::ops::{Change, Outcome};
use super::rows;
use crate::domain::AccountKey;
use crate::domain::family::FamilyStore;
use crate::domain::installation::KeepError;
use crate::store::StoreError;

const KEEP: &str = "
    INSERT INTO families (account, family) VALUES (?, ?)
        ON CONFLICT (account) DO UPDATE SET family = excluded.family";

const LIST: &str = "SELECT account, family FROM families WHERE account LIKE ? || '/%' ORDER BY account";

/// Keeps an account's family.
pub(super) async fn keep(
    conn: &mut SqliteConnection,
    account: &AccountKey,
    family: &str,
) -> Result<Outcome, StoreError> {
    let keep = sqlx::query(KEEP).bind(account.as_str()).bind(family);
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
        let rows = sqlx::query(LIST).bind(channel).fetch_all(&self.readers).await;
        let family = |row: &sqlx::sqlite::SqliteRow| Ok((rows::account(row, 0)?, row.try_get(1)?));
        let rows = rows.map_err(StoreError::from)?;
        let all: Result<Vec<_>, StoreError> = rows.iter().map(family).collect();
        Ok(all?)
    }
}
