//! Which accounts belong together.

use async_trait::async_trait;

use super::PostgresStore;
use super::tx::Tx;
use crate::domain::AccountKey;
use crate::domain::family::FamilyStore;
use crate::domain::installation::KeepError;
use crate::store::ops::{Change, Outcome};
use crate::store::rows::{self, Cells};
use crate::store::{StoreError, sql};

/// Keeps an account's family.
pub(super) async fn keep(tx: &mut Tx<'_>, account: &AccountKey, family: &str) -> Result<Outcome, StoreError> {
    let keep = sqlx::query(sql::KEEP_FAMILY).bind(account.as_str()).bind(family);
    tx.run(keep).await?;
    Ok(Outcome::Done)
}

#[async_trait]
impl FamilyStore for PostgresStore {
    async fn keep_family(&self, account: &AccountKey, family: &str) -> Result<(), KeepError> {
        let (account, family) = (account.clone(), family.to_owned());
        self.change(Change::Family { account, family }).await?;
        Ok(())
    }

    async fn families(&self, channel: &str) -> Result<Vec<(AccountKey, String)>, KeepError> {
        let read = sqlx::query(sql::FAMILIES).bind(channel);
        let family = |row: &sqlx::postgres::PgRow| Ok((rows::account(row, 0)?, row.text(1)?.to_owned()));
        let all: Result<Vec<_>, StoreError> = self.readers.fetch(read).await?.iter().map(family).collect();
        Ok(all?)
    }
}
