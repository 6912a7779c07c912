//! What is counted for the operator.

use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::rows;
use crate::domain::Time;
use crate::store::StoreError;
use crate::store::operator::{ANSWER_BOUNDS, AccountRow, Answered};

/// The hour is that of the delivery.
const ANSWERED: &str = "
    SELECT substr(account, 1, instr(account, '/') - 1), hour, bound, count(*) FROM (
        SELECT t.account, d.ended_at / 3600000 AS hour,
               (SELECT min(value) FROM json_each(?2) WHERE value >= d.ended_at - d.asked_at) AS bound
          FROM deliveries AS d JOIN threads AS t ON t.id = d.thread_id
         WHERE d.asked_at IS NOT NULL AND d.state = 'sent' AND d.ended_at >= ?1)
     GROUP BY 1, 2, 3 ORDER BY 1, 2, bound IS NULL, 3";

/// Open messages and parts are only looked for where there is work, dead ones have indexes of their own.
const ACCOUNTS: &str = "
    WITH waiting (thread_id) AS (
        SELECT m.thread_id FROM work AS w
          JOIN messages AS m ON m.thread_id = w.thread_id AND m.seq >= w.first AND m.state = 'pending'
         WHERE w.kind = 1
        UNION ALL
        SELECT d.thread_id FROM work AS w
          JOIN deliveries AS d ON d.thread_id = w.thread_id AND d.part >= w.first
           AND d.state IN ('pending', 'sending', 'unknown')
         WHERE w.kind = 2),
    dead (thread_id) AS (
        SELECT thread_id FROM messages WHERE state = 'dead'
        UNION ALL SELECT thread_id FROM deliveries WHERE state = 'dead'),
    counted (account, waiting, dead) AS (
        SELECT account, sum(waiting), sum(dead) FROM (
            SELECT t.account, 1 AS waiting, 0 AS dead FROM waiting AS w JOIN threads AS t ON t.id = w.thread_id
            UNION ALL SELECT t.account, 0, 1 FROM dead AS d JOIN threads AS t ON t.id = d.thread_id)
         GROUP BY account)
    SELECT t.account, t.threads, t.last_at, coalesce(c.waiting, 0), coalesce(c.dead, 0)
      FROM (SELECT account, count(*) AS threads, max(last_inbound_at) AS last_at FROM threads GROUP BY account) AS t
      LEFT JOIN counted AS c ON c.account = t.account ORDER BY t.account";

pub(super) async fn answered(readers: &SqlitePool, since: Time) -> Result<Vec<Answered>, StoreError> {
    let bounds = rows::json(&ANSWER_BOUNDS)?;
    let counted = sqlx::query(ANSWERED).bind(since.millis()).bind(bounds);
    let row = |row: &SqliteRow| {
        Ok(Answered {
            channel: row.try_get(0)?,
            hour: Time::from_secs(row.try_get::<i64, _>(1)? * 3600),
            within: row.try_get(2)?,
            count: count(row, 3)?,
        })
    };
    counted.fetch_all(readers).await?.iter().map(row).collect()
}

pub(super) async fn accounts(readers: &SqlitePool) -> Result<Vec<AccountRow>, StoreError> {
    let row = |row: &SqliteRow| {
        let account = rows::account(row, 0)?;
        Ok(AccountRow {
            channel: account.channel().to_owned(),
            account: account.account().to_owned(),
            threads: count(row, 1)?,
            last_at: rows::time(row, 2)?,
            waiting: count(row, 3)?,
            dead: count(row, 4)?,
        })
    };
    sqlx::query(ACCOUNTS)
        .fetch_all(readers)
        .await?
        .iter()
        .map(row)
        .collect()
}

fn count(row: &SqliteRow, index: usize) -> Result<u64, StoreError> {
    Ok(u64::try_from(row.try_get::<i64, _>(index)?).unwrap_or(0))
}
