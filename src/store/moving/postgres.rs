//! A PostgreSQL database as an end of a move.

mod filling;
mod others;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Executor, Postgres};

use super::end::{End, Page, row_of};
use super::error::MoveError;
use super::mark::{self, MARK, Origin, Place};
use super::tables::{TABLES, Table};
use super::value::{Row, Value};
use crate::store::StoreError;
use crate::store::look::Found;
use crate::store::postgres::{connect, tx};

/// How long a page may take, and a batch.
const PATIENCE: Duration = Duration::from_mins(5);

/// How long it may take to look at a whole table.
const WHOLE: Duration = Duration::from_hours(2);

/// The server's own limits are for transactions of milliseconds. Rows are found by the indexes of their keys, however few
/// the server takes them for.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0; \
     SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '3s'; \
     SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off";

/// Counting is quicker by reading the table from its first page to the last.
const IN_FULL: &str = "SET LOCAL enable_seqscan = on";
const BY_KEY: &str = "SET LOCAL enable_seqscan = off";

/// When the first migration ran, in microseconds, and how many nanoseconds it took: no two databases share both.
const ID: &str = "
    SELECT (extract(epoch FROM installed_on) * 1000000)::bigint, execution_time FROM _sqlx_migrations
     ORDER BY version LIMIT 1";

const HAS_MARK: &str = "SELECT to_regclass($1) IS NOT NULL";

/// The next line of the audit is numbered behind those that were moved.
const NUMBER_ON: &str = "SELECT setval(pg_get_serial_sequence('audit', 'seq'), (SELECT max(seq) FROM audit))";

/// The claims are over: the next daemon takes them over, and looks first what came of them.
const END_CLAIMS: &str = "
    UPDATE work SET due_at = least(due_at, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
     WHERE kind IN (1, 2) AND token IS NOT NULL";

/// A query of PostgreSQL.
type Query = sqlx::query::Query<'static, Postgres, PgArguments>;

/// A PostgreSQL database that is moved from or into.
pub(super) struct PostgresEnd {
    name: String,
    id: String,
    conn: PgConnection,
}

impl PostgresEnd {
    /// Opens the database that is moved from, and keeps others from writing in it.
    pub(super) async fn source(url: &str) -> Result<Self, MoveError> {
        if let (name, Found::Nothing) = connect::look(url).await? {
            return Err(MoveError::NoSource(name));
        }
        let mut end = Self::target(url).await?;
        refuse_unfinished(&end.name, &mut end.conn).await?;
        end.hold().await?;
        Ok(end)
    }

    /// Opens the database that is moved into.
    pub(super) async fn target(url: &str) -> Result<Self, MoveError> {
        let options = connect::options(url)?;
        let daemons = options.get_application_name().unwrap_or_default().to_owned();
        let options = options.application_name(&format!("{daemons} move"));
        let mut conn = connect::connect(&options).await?;
        connect::prepare(&options, &mut conn).await?;
        connect::refuse_ahead(&options, &mut conn).await?;
        others::refuse(&options, &mut conn, &daemons).await?;
        let (installed, took): (i64, i64) = sqlx::query_as(ID).fetch_one(&mut conn).await?;
        Ok(Self {
            name: connect::name(&options),
            id: format!("postgres {installed} {took}"),
            conn,
        })
    }

    /// Returns how many rows it concerned.
    async fn run(&mut self, query: Query) -> Result<u64, StoreError> {
        let done = within(&self.name, PATIENCE, query.execute(&mut self.conn)).await?;
        Ok(done.rows_affected())
    }
}

#[async_trait]
impl End for PostgresEnd {
    fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn keeps_nul(&self) -> bool {
        false
    }

    fn is_served_by_one(&self) -> bool {
        false
    }

    async fn hold(&mut self) -> Result<(), MoveError> {
        self.execute(BEGIN).await?;
        let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        let lock = format!("LOCK TABLE {} IN SHARE MODE", tables.join(", "));
        match self.run(sqlx::query(AssertSqlSafe(lock))).await {
            Err(error) if tx::is_contended(&error) => Err(MoveError::Served {
                database: self.name.clone(),
                sign: "something writes in it".to_owned(),
            }),
            locked => Ok(locked.map(drop)?),
        }
    }

    async fn count(&mut self, table: &Table) -> Result<u64, StoreError> {
        self.execute(IN_FULL).await?;
        let count = sqlx::query_scalar(AssertSqlSafe(table.count()));
        let all: i64 = within(&self.name, WHOLE, count.fetch_one(&mut self.conn)).await?;
        self.execute(BY_KEY).await?;
        Ok(all.unsigned_abs())
    }

    async fn is_empty(&mut self, table: &Table) -> Result<bool, StoreError> {
        let any = sqlx::query(AssertSqlSafe(table.any()));
        let found = within(&self.name, PATIENCE, any.fetch_optional(&mut self.conn)).await?;
        Ok(found.is_none())
    }

    async fn page(
        &mut self,
        table: &Table,
        behind: Option<&[Value]>,
        most: usize,
    ) -> Result<Page, StoreError> {
        let query = sqlx::query(AssertSqlSafe(table.page(behind.is_some(), most)));
        let query = behind.unwrap_or_default().iter().fold(query, filling::bound);
        let mut rows = query.fetch(&mut self.conn);
        let mut page = Page::default();
        while let Some(row) = within(&self.name, PATIENCE, rows.try_next()).await? {
            if page.add(row_of(table, &row)?, most) {
                break;
            }
        }
        Ok(page)
    }

    async fn earlier(&mut self) -> Result<Option<(Origin, Place)>, StoreError> {
        if unfinished(&mut self.conn).await?.is_none() {
            return Ok(None);
        }
        let read = sqlx::query(mark::READ).fetch_one(&mut self.conn);
        mark::read(&within(&self.name, PATIENCE, read).await?).map(Some)
    }

    async fn take_over(&mut self, run: &str) -> Result<(), StoreError> {
        self.execute(BEGIN).await?;
        // It waits for the batch of a process that has just died.
        self.run(sqlx::query(mark::TAKE).bind(run.to_owned())).await?;
        self.execute("COMMIT").await
    }

    async fn begin(&mut self, origin: &Origin, run: &str) -> Result<(), StoreError> {
        self.execute(BEGIN).await?;
        self.execute(mark::MAKE).await?;
        let begin = sqlx::query(mark::BEGIN)
            .bind(origin.source.clone())
            .bind(origin.named.clone())
            .bind(mark::written(&origin.counted)?)
            .bind(run.to_owned())
            .bind(Place::START.name());
        self.run(begin).await?;
        self.end_transaction(Ok(true)).await.map(drop)
    }

    fn begins(&self) -> &'static str {
        BEGIN
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let done = self.conn.execute(sqlx::raw_sql(sql));
        within(&self.name, PATIENCE, done).await.map(drop)
    }

    async fn write(
        &mut self,
        table: &Table,
        rows: &[Row],
        place: &Place,
        run: &str,
    ) -> Result<bool, StoreError> {
        let go_on = sqlx::query(mark::GO_ON)
            .bind(place.name())
            .bind(place.behind.as_ref().map(mark::written).transpose()?)
            .bind(place.moved.cast_signed())
            .bind(run.to_owned());
        if self.run(go_on).await? == 0 {
            return Ok(false);
        }
        if !rows.is_empty() {
            self.run(filling::filled(table, rows)).await?;
        }
        Ok(true)
    }

    async fn remove_mark(&mut self, run: &str, claims_end: bool) -> Result<bool, StoreError> {
        if self.run(sqlx::query(mark::STILL).bind(run.to_owned())).await? == 0 {
            return Ok(false);
        }
        self.run(sqlx::query(NUMBER_ON)).await?;
        if claims_end {
            self.run(sqlx::query(END_CLAIMS)).await?;
        }
        self.execute(mark::REMOVE).await?;
        Ok(true)
    }

    async fn leave(mut self: Box<Self>) {
        // Of the source, which was only read; elsewhere there is nothing to roll back.
        let _ = self.execute("ROLLBACK").await;
        let _ = tokio::time::timeout(connect::CONNECT, self.conn.close()).await;
    }
}

/// Waits for the server, but not for ever: it may be cut off.
async fn within<T>(
    database: &str,
    most: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(most, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(StoreError::Unreachable {
            database: database.to_owned(),
            reason: "no answer in time".to_owned(),
        }),
    }
}

/// Where the move comes from that is under way into this database, if one is.
pub(in crate::store) async fn unfinished(conn: &mut PgConnection) -> Result<Option<String>, StoreError> {
    let there: bool = sqlx::query_scalar(HAS_MARK)
        .bind(MARK)
        .fetch_one(&mut *conn)
        .await?;
    if !there {
        return Ok(None);
    }
    Ok(sqlx::query_scalar(mark::NAMED).fetch_optional(conn).await?)
}

/// Refuses a database that is in the middle of a move.
pub(in crate::store) async fn refuse_unfinished(
    name: &str,
    conn: &mut PgConnection,
) -> Result<(), StoreError> {
    mark::refuse(unfinished(conn).await?, name)
}
