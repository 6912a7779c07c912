//! What is counted for the operator.

use super::connect::Readers;
use crate::domain::Time;
use crate::store::operator::{ANSWER_BOUNDS, AccountRow, Answered};
use crate::store::{StoreError, rows, sql};

/// The hour is that of the delivery. `since, bounds`
pub(super) const ANSWERED: &str = "
    SELECT split_part(account, '/', 1), hour, bound, count(*) FROM (
        SELECT t.account, d.ended_at / 3600000 AS hour,
               (SELECT min(b) FROM unnest($2::bigint[]) AS b WHERE b >= d.ended_at - d.asked_at) AS bound
          FROM deliveries AS d JOIN threads AS t ON t.id = d.thread_id
         WHERE d.asked_at IS NOT NULL AND d.state = 'sent' AND d.ended_at >= $1) AS answer
     GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 NULLS LAST";

pub(super) async fn answered(readers: &Readers, since: Time) -> Result<Vec<Answered>, StoreError> {
    let read = sqlx::query(ANSWERED)
        .bind(since.millis())
        .bind(&ANSWER_BOUNDS[..]);
    readers.fetch(read).await?.iter().map(rows::answered).collect()
}

pub(super) async fn accounts(readers: &Readers) -> Result<Vec<AccountRow>, StoreError> {
    let rows = readers.fetch(sqlx::query(sql::ACCOUNTS)).await?;
    rows.iter().map(rows::account_row).collect()
}
