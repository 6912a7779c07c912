//! A SQLite file as an end of a move.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqliteConnection};

use super::end::{End, Page, row_of};
use super::error::MoveError;
use super::mark::{self, MARK, Origin, Place};
use super::tables::Table;
use super::value::{Row, Value};
use crate::store::look::Found;
use crate::store::sqlite::connect;
use crate::store::{Mode, StoreError};

/// So many rows are written by one statement. SQLite takes 32,766 values in one
/// (<https://sqlite.org/limits.html>, "Maximum Number Of Host Parameters"); no table has more than 18 columns.
const ROWS: usize = 500;

/// The keys that are still in the table of those seen lately; the same key may have gone over already.
const FRESH: &str = "SELECT key, hour FROM fresh_keys ORDER BY seq DESC";

/// Those that have not gone over.
const COUNT_FRESH: &str = "
    SELECT count(DISTINCT key) FROM fresh_keys AS f WHERE NOT EXISTS (SELECT 1 FROM keys AS k WHERE k.key = f.key)";

/// When the first migration ran, and how many nanoseconds it took: no two databases share both.
const ID: &str =
    "SELECT CAST(installed_on AS TEXT), execution_time FROM _sqlx_migrations ORDER BY version LIMIT 1";

const HAS_MARK: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1";

/// A query of SQLite.
type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// A SQLite file that is moved from or into, and that nobody else serves meanwhile.
pub(super) struct SqliteEnd {
    path: PathBuf,
    name: String,
    id: String,
    conn: SqliteConnection,
    /// Of the source: the keys that were seen lately, and their hours.
    fresh: BTreeMap<i64, i64>,
    _lock: Option<File>,
}

impl SqliteEnd {
    /// Opens the file that is moved from, and keeps others from writing in it.
    pub(super) async fn source(path: PathBuf) -> Result<Self, MoveError> {
        let found = connect::look(&path).await;
        if found.map_err(|error| error.in_file(&path))? == Found::Nothing {
            return Err(MoveError::NoSource(path.display().to_string()));
        }
        let mut end = Self::target(path).await?;
        refuse_unfinished(&end.path, &mut end.conn).await?;
        end.hold().await?;
        for row in sqlx::query(FRESH).fetch_all(&mut end.conn).await? {
            end.fresh.insert(row.try_get(0)?, row.try_get(1)?);
        }
        Ok(end)
    }

    /// Opens the file that is moved into, and makes it if it is absent.
    pub(super) async fn target(path: PathBuf) -> Result<Self, MoveError> {
        let name = path.display().to_string();
        let lock = match connect::lock(&path, Mode::Serve) {
            Err(StoreError::Locked { path }) => {
                return Err(MoveError::Served {
                    database: path,
                    sign: "it holds the database's lock".to_owned(),
                });
            }
            lock => lock?,
        };
        let mut conn = connect::writer(&path).await?;
        let prepared = connect::prepare(&path, &mut conn).await;
        prepared.map_err(|error| error.in_file(&path))?;
        let (installed, took): (String, i64) = sqlx::query_as(ID).fetch_one(&mut conn).await?;
        Ok(Self {
            path,
            name,
            id: format!("sqlite {installed} {took}"),
            conn,
            fresh: BTreeMap::new(),
            _lock: lock,
        })
    }

    async fn plain_page(
        &mut self,
        table: &Table,
        behind: Option<&[Value]>,
        most: usize,
    ) -> Result<Page, StoreError> {
        let query = sqlx::query(AssertSqlSafe(table.page(behind.is_some(), most)));
        let query = behind.unwrap_or_default().iter().fold(query, bound);
        let mut rows = query.fetch(&mut self.conn);
        let mut page = Page::default();
        while let Some(row) = rows.try_next().await? {
            if page.add(row_of(table, &row)?, most) {
                break;
            }
        }
        Ok(page)
    }

    /// Adds the fresh keys that belong among the keys of a page.
    fn add_fresh(&self, page: &mut Page, behind: Option<&[Value]>) {
        let int = |value: Option<&Value>| match value {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        };
        let from = int(behind.and_then(<[Value]>::first)).map_or(Bound::Unbounded, Bound::Excluded);
        let last = int(page.rows.last().and_then(|row| row.first())).filter(|_| page.more);
        let upto = last.map_or(Bound::Unbounded, Bound::Included);
        let fresh = self.fresh.range((from, upto));
        let fresh = fresh.map(|(key, hour)| (Value::Int(*key), vec![Value::Int(*key), Value::Int(*hour)]));
        let mut all: BTreeMap<Value, Row> = fresh.collect();
        // Of a key that has gone over already, that counts.
        all.extend(page.rows.drain(..).map(|row| (row[0].clone(), row)));
        page.rows = all.into_values().collect();
    }
}

#[async_trait]
impl End for SqliteEnd {
    fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn keeps_nul(&self) -> bool {
        true
    }

    fn is_served_by_one(&self) -> bool {
        true
    }

    async fn hold(&mut self) -> Result<(), MoveError> {
        match self.execute("BEGIN IMMEDIATE").await {
            Err(error) if error.is_held_elsewhere() => Err(MoveError::Served {
                database: self.name.clone(),
                sign: "another process writes in it".to_owned(),
            }),
            begun => Ok(begun?),
        }
    }

    async fn count(&mut self, table: &Table) -> Result<u64, StoreError> {
        let mut all: i64 = sqlx::query_scalar(AssertSqlSafe(table.count()))
            .fetch_one(&mut self.conn)
            .await?;
        if table.name == "keys" {
            let fresh: i64 = sqlx::query_scalar(COUNT_FRESH).fetch_one(&mut self.conn).await?;
            all += fresh;
        }
        Ok(all.unsigned_abs())
    }

    async fn is_empty(&mut self, table: &Table) -> Result<bool, StoreError> {
        let any = sqlx::query(AssertSqlSafe(table.any()));
        let mut found = any.fetch_optional(&mut self.conn).await?;
        if table.name == "keys" && found.is_none() {
            found = sqlx::query(FRESH).fetch_optional(&mut self.conn).await?;
        }
        Ok(found.is_none())
    }

    async fn page(
        &mut self,
        table: &Table,
        behind: Option<&[Value]>,
        most: usize,
    ) -> Result<Page, StoreError> {
        let mut page = self
            .plain_page(table, behind, most)
            .await
            .map_err(|error| error.in_file(&self.path))?;
        if table.name == "keys" && !self.fresh.is_empty() {
            self.add_fresh(&mut page, behind);
        }
        Ok(page)
    }

    async fn earlier(&mut self) -> Result<Option<(Origin, Place)>, StoreError> {
        if unfinished(&mut self.conn).await?.is_none() {
            return Ok(None);
        }
        let row = sqlx::query(mark::READ).fetch_one(&mut self.conn).await?;
        mark::read(&row).map(Some)
    }

    async fn take_over(&mut self, run: &str) -> Result<(), StoreError> {
        sqlx::query(mark::TAKE).bind(run).execute(&mut self.conn).await?;
        Ok(())
    }

    async fn begin(&mut self, origin: &Origin, run: &str) -> Result<(), StoreError> {
        self.execute(self.begins()).await?;
        self.execute(mark::MAKE).await?;
        let begin = sqlx::query(mark::BEGIN)
            .bind(&origin.source)
            .bind(&origin.named)
            .bind(mark::written(&origin.counted)?)
            .bind(run)
            .bind(Place::START.name());
        begin.execute(&mut self.conn).await?;
        self.end_transaction(Ok(true)).await.map(drop)
    }

    fn begins(&self) -> &'static str {
        "BEGIN IMMEDIATE"
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), StoreError> {
        sqlx::query(sql).execute(&mut self.conn).await?;
        Ok(())
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
            .bind(run);
        if go_on.execute(&mut self.conn).await?.rows_affected() == 0 {
            return Ok(false);
        }
        for rows in rows.chunks(ROWS) {
            // Few tables end with a whole piece: the text for the rest is not worth keeping.
            let insert = sqlx::query(AssertSqlSafe(insert(table, rows.len()))).persistent(rows.len() == ROWS);
            let insert = rows.iter().flatten().fold(insert, bound);
            insert.execute(&mut self.conn).await?;
        }
        Ok(true)
    }

    async fn remove_mark(&mut self, run: &str, claims_end: bool) -> Result<bool, StoreError> {
        let still = sqlx::query(mark::STILL).bind(run);
        if still.execute(&mut self.conn).await?.rows_affected() == 0 {
            return Ok(false);
        }
        // A daemon on SQLite takes every claim for one of a process that is gone, whatever its lease.
        let _ = claims_end;
        self.execute(mark::REMOVE).await?;
        Ok(true)
    }

    async fn leave(mut self: Box<Self>) {
        // Of the source, which was only read; elsewhere there is nothing to roll back.
        let _ = self.execute("ROLLBACK").await;
        connect::close(self.conn).await;
    }
}

/// Writes so many rows.
fn insert(table: &Table, rows: usize) -> String {
    let row = format!("({})", vec!["?"; table.columns.len()].join(", "));
    let rows = vec![row; rows].join(", ");
    format!("INSERT INTO {} ({}) VALUES {rows}", table.name, table.names())
}

fn bound(query: Query, value: &Value) -> Query {
    match value {
        Value::Null => query.bind(None::<i64>),
        Value::Int(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_str()),
        Value::Bytes(bytes) => query.bind(bytes.as_slice()),
    }
}

/// Where the move comes from that is under way into this database, if one is.
pub(in crate::store) async fn unfinished(conn: &mut SqliteConnection) -> Result<Option<String>, StoreError> {
    let table = sqlx::query(HAS_MARK)
        .bind(MARK)
        .fetch_optional(&mut *conn)
        .await?;
    if table.is_none() {
        return Ok(None);
    }
    Ok(sqlx::query_scalar(mark::NAMED).fetch_optional(conn).await?)
}

/// Refuses a database that is in the middle of a move.
pub(in crate::store) async fn refuse_unfinished(
    path: &Path,
    conn: &mut SqliteConnection,
) -> Result<(), StoreError> {
    mark::refuse(unfinished(conn).await?, path.display())
}
