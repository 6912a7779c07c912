//! One transaction, its statements counted.

use sqlx::Executor;
use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};

use crate::store::StoreError;
use crate::store::rows;
use crate::telemetry::STATEMENTS;

/// A statement with its values.
pub(super) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// A transaction begins, and in the same trip is told how long anything in it may take. That includes how long it may
/// wait for us: a replica that is cut off in the middle must not keep its locks. And it is to find rows by their
/// indexes: the tables are as empty at first as they are large later, and a plan that was made for the one is kept for
/// the other.
///
/// That alone does not do it. The table of work is as good as empty whenever it is looked at for statistics, and beside a
/// handful of rows to write the planner may take it for the smaller side and go through all of it for each. So statements
/// about many rows at once say `id = ANY (ARRAY[j.id])` in place of `id = j.id`: for that there is no way but to look each
/// up by its key. And `kind + 0` keeps a thread's work from being looked for along the index of what is due.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = '5s'; \
     SET LOCAL lock_timeout = '4s'; SET LOCAL idle_in_transaction_session_timeout = '4s'; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; \
     SET LOCAL enable_mergejoin = off";

/// An open transaction. It is rolled back by whoever opened it if it is not committed.
pub(super) struct Tx<'c> {
    conn: &'c mut PgConnection,
    statements: u64,
}

impl<'c> Tx<'c> {
    /// Begins.
    pub(super) async fn begin(conn: &'c mut PgConnection) -> Result<Self, StoreError> {
        conn.execute(sqlx::raw_sql(BEGIN)).await?;
        Ok(Self { conn, statements: 1 })
    }

    /// Reads, or writes and reads what came of it.
    pub(super) async fn fetch(&mut self, query: Query<'_>) -> Result<Vec<PgRow>, StoreError> {
        self.statements += 1;
        Ok(query.fetch_all(&mut *self.conn).await?)
    }

    /// Reads a row, if there is one.
    pub(super) async fn fetch_optional(&mut self, query: Query<'_>) -> Result<Option<PgRow>, StoreError> {
        Ok(self.fetch(query).await?.into_iter().next())
    }

    /// Writes. Returns how many rows it concerned.
    pub(super) async fn run(&mut self, query: Query<'_>) -> Result<u64, StoreError> {
        self.statements += 1;
        Ok(query.execute(&mut *self.conn).await?.rows_affected())
    }

    /// Commits; when this returns, all is on the disk.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.conn.execute(sqlx::raw_sql("COMMIT")).await?;
        count(self.statements + 1);
        Ok(())
    }
}

/// Counts statements that were sent.
pub(super) fn count(statements: u64) {
    metrics::counter!(STATEMENTS).increment(statements);
}

/// Rows as the JSON that a statement takes them from.
pub(super) fn json<T: serde::Serialize + ?Sized>(rows: &T) -> Result<String, StoreError> {
    clean(rows::json(rows)?)
}

/// PostgreSQL keeps no NUL in a text: it stands as the replacement character there.
pub(super) fn clean(json: String) -> Result<String, StoreError> {
    if !json.contains("\\u0000") {
        return Ok(json);
    }
    let mut value: serde_json::Value =
        serde_json::from_str(&json).map_err(|error| sqlx::Error::Encode(error.into()))?;
    without_nul(&mut value);
    rows::json(&value)
}

fn without_nul(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        serde_json::Value::Array(items) => items.iter_mut().for_each(without_nul),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(without_nul),
        _ => {}
    }
}

/// The code of the database's own error.
fn code(error: &StoreError) -> Option<String> {
    let StoreError::Database(sqlx::Error::Database(error)) = error else {
        return None;
    };
    error.code().map(std::borrow::Cow::into_owned)
}

/// Whether the same may succeed if it is tried again now: other replicas were in the way. The codes: serialization
/// failure, deadlock, lock not available (postgresql.org, "PostgreSQL Error Codes").
pub(in crate::store) fn is_contended(error: &StoreError) -> bool {
    matches!(error, StoreError::Contended)
        || code(error).is_some_and(|code| matches!(&*code, "40001" | "40P01" | "55P03"))
}

/// Whether somebody held a lock, or the server was busy, for longer than a statement may take: lock not available, or
/// canceled by its time limit.
pub(super) fn waited_in_vain(error: &StoreError) -> bool {
    code(error).is_some_and(|code| matches!(&*code, "55P03" | "57014"))
}

/// Whether the disk has no room for more: disk full.
pub(super) fn is_full(error: &StoreError) -> bool {
    code(error).is_some_and(|code| code == "53100")
}

/// Whether the connection is of no more use: it is gone, or the server is stopping (class 57P), failing or out of
/// connections (classes 08, 53, 58), no longer takes writes (25006: it became a standby), or has
/// heard nothing of us for too long (25P03).
pub(super) fn is_broken(error: &StoreError) -> bool {
    match error {
        StoreError::Unreachable { .. } => true,
        StoreError::Database(sqlx::Error::Database(_)) => code(error).is_some_and(|code| {
            code.starts_with("57P")
                || code == "25006"
                || code == "25P03"
                || ["08", "53", "58", "XX"]
                    .iter()
                    .any(|class| code.starts_with(class))
        }),
        StoreError::Database(error) => !matches!(
            error,
            sqlx::Error::RowNotFound
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Decode(_)
                | sqlx::Error::Encode(_)
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::ColumnIndexOutOfBounds { .. }
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_replaced_and_nothing_that_looks_like_one() {
        let rows = serde_json::json!([["a\0b", "c\\u0000d", 1]]);
        let cleaned: serde_json::Value = serde_json::from_str(&json(&rows).unwrap()).unwrap();
        assert_eq!(cleaned, serde_json::json!([["a\u{fffd}b", "c\\u0000d", 1]]));
    }
}
