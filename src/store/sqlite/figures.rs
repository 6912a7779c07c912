//! What is counted for the operator.

use sqlx::sqlite::SqlitePool;

use super::{rows, sql};
use crate::domain::Time;
use crate::store::StoreError;
use crate::store::operator::{ANSWER_BOUNDS, AccountRow, Answered};

/// The hour is that of the delivery.
pub(super) const ANSWERED: &str = "
    SELECT substr(account, 1, instr(account, '/') - 1), hour, bound, count(*) FROM (
        SELECT t.account, d.ended_at / 3600000 AS hour,
               (SELECT min(value) FROM json_each(?2) WHERE value >= d.ended_at - d.asked_at) AS bound
          FROM deliveries AS d JOIN threads AS t ON t.id = d.thread_id
         WHERE d.asked_at IS NOT NULL AND d.state = 'sent' AND d.ended_at >= ?1)
     GROUP BY 1, 2, 3 ORDER BY 1, 2, bound IS NULL, 3";

pub(super) async fn answered(readers: &SqlitePool, since: Time) -> Result<Vec<Answered>, StoreError> {
    let bounds = rows::json(&ANSWER_BOUNDS)?;
    let counted = sqlx::query(ANSWERED).bind(since.millis()).bind(bounds);
    counted
        .fetch_all(readers)
        .await?
        .iter()
        .map(rows::answered)
        .collect()
}

pub(super) async fn accounts(readers: &SqlitePool) -> Result<Vec<AccountRow>, StoreError> {
    let rows = sqlx::query(sql::ACCOUNTS).fetch_all(readers).await?;
    rows.iter().map(rows::account_row).collect()
}
