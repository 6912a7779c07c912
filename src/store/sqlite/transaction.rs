//! A transaction in few trips.
//!
//! sqlx runs SQLite on a thread of its own, and each call is a trip there and back. Writes are therefore only gathered
//! here; the next read, or the commit, takes them along in one text. SQLite runs the statements of a text in order
//! and stops at the first that fails, so nothing is different but the number of trips.

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, Row, Sqlite, SqliteConnection, Type};

use crate::store::StoreError;

/// A transaction that is under way. Dropped without a commit it must be rolled back by whoever has the connection.
pub(super) struct Transaction<'c> {
    conn: &'c mut SqliteConnection,
    text: String,
    arguments: SqliteArguments,
    failed: Option<sqlx::Error>,
}

impl<'c> Transaction<'c> {
    /// Begins with the write lock; it is taken with the first trip.
    pub(super) fn begin(conn: &'c mut SqliteConnection) -> Self {
        Self {
            conn,
            text: "BEGIN IMMEDIATE".to_owned(),
            arguments: SqliteArguments::default(),
            failed: None,
        }
    }

    /// Adds a text of one or more statements whose parameters are written `?`; as many values are to be bound.
    pub(super) fn add(&mut self, sql: &'static str) -> &mut Self {
        if !self.text.is_empty() {
            self.text.push(';');
        }
        self.text.push_str(sql);
        self
    }

    /// Binds the next value.
    pub(super) fn bind<'t, T>(&mut self, value: T) -> &mut Self
    where
        T: Encode<'t, Sqlite> + Type<Sqlite>,
    {
        if let Err(error) = self.arguments.add(value) {
            self.failed.get_or_insert(sqlx::Error::Encode(error));
        }
        self
    }

    /// Runs what was gathered. Returns the rows of all its statements, in order.
    pub(super) async fn rows(&mut self) -> Result<Vec<SqliteRow>, StoreError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        let text = std::mem::take(&mut self.text);
        let arguments = std::mem::take(&mut self.arguments);
        if text.is_empty() {
            return Ok(Vec::new());
        }
        // Every text is put together from this crate's own constants; values are bound.
        let query = sqlx::query_with(AssertSqlSafe(text), arguments);
        Ok(query.fetch_all(&mut *self.conn).await?)
    }

    /// Runs what was gathered, and lends the connection to statements that want a trip of their own.
    pub(super) async fn conn(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.rows().await?;
        Ok(self.conn)
    }

    /// Runs what was gathered and commits. Returns the rows of the statements that ran before the commit, and how many
    /// rows this connection has ever changed.
    pub(super) async fn commit(mut self) -> Result<(Vec<SqliteRow>, i64), StoreError> {
        let mut rows = self.add("SELECT total_changes()").add("COMMIT").rows().await?;
        let changes = rows.pop().map_or(Ok(0), |row| row.try_get(0))?;
        Ok((rows, changes))
    }
}
