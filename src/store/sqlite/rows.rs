//! Between rows and types.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::domain::account::{AccountKey, AliasKey};
use crate::domain::message::Route;
use crate::domain::thread::{Thread, ThreadState};
use crate::domain::{ThreadId, Time};
use crate::store::StoreError;

/// Rows as the JSON that a statement takes them from.
pub(super) fn json<T: Serialize + ?Sized>(rows: &T) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

/// A duration as stored.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4)
}

/// The hour since the epoch, in which keys are dated.
pub(super) fn hour(at: Time) -> i64 {
    at.secs().div_euclid(3600)
}

/// A value that the database should not hold.
fn corrupt(index: usize, what: &str) -> StoreError {
    sqlx::Error::ColumnDecode {
        index: index.to_string(),
        source: format!("not {what}").into(),
    }
    .into()
}

pub(super) fn id<T: FromStr>(row: &SqliteRow, index: usize) -> Result<T, StoreError> {
    row.try_get::<&str, _>(index)?
        .parse()
        .map_err(|_| corrupt(index, "an id"))
}

pub(super) fn account(row: &SqliteRow, index: usize) -> Result<AccountKey, StoreError> {
    AccountKey::from_stored(row.try_get(index)?).ok_or_else(|| corrupt(index, "an account"))
}

pub(super) fn time(row: &SqliteRow, index: usize) -> Result<Time, StoreError> {
    Ok(Time::from_millis(row.try_get(index)?))
}

pub(super) fn optional_time(row: &SqliteRow, index: usize) -> Result<Option<Time>, StoreError> {
    Ok(row.try_get::<Option<i64>, _>(index)?.map(Time::from_millis))
}

pub(super) fn thread_state(row: &SqliteRow, index: usize) -> Result<ThreadState, StoreError> {
    Ok(if row.try_get::<&str, _>(index)? == "paused" {
        ThreadState::Paused
    } else {
        ThreadState::Open
    })
}

pub(super) fn route(row: &SqliteRow, index: usize) -> Result<Route, StoreError> {
    serde_json::from_str(row.try_get(index)?).map_err(|_| corrupt(index, "a route"))
}

/// The columns that [`thread`] reads, in its order, of a table `t`.
macro_rules! thread_columns {
    () => {
        "t.id, t.account, t.place, t.address, t.conversation_id, t.route, t.country, t.last_inbound_at, t.answer_id"
    };
}
pub(super) use thread_columns;

/// Whether a delivery, of a table `d`, is the last part of an answer; the parts of a turn stand together.
macro_rules! last_part {
    () => {
        "d.kind = 'answer' AND NOT EXISTS (SELECT 1 FROM deliveries AS n WHERE n.thread_id = d.thread_id
             AND n.part = d.part + 1 AND n.kind = 'answer' AND n.turn IS d.turn)"
    };
}
pub(super) use last_part;

/// A thread out of nine columns from `at` on.
pub(super) fn thread(row: &SqliteRow, at: usize) -> Result<Thread, StoreError> {
    let id: ThreadId = id(row, at)?;
    Ok(Thread {
        id,
        account: account(row, at + 1)?,
        place: row.try_get(at + 2)?,
        address: AliasKey::from_stored(row.try_get(at + 3)?),
        conversation_id: row.try_get(at + 4)?,
        route: route(row, at + 5)?,
        country: row.try_get(at + 6)?,
        last_inbound_at: time(row, at + 7)?,
        answer_id: row.try_get(at + 8)?,
    })
}
