//! One end of a move, whichever database it is.

use async_trait::async_trait;

use super::error::MoveError;
use super::mark::{Origin, Place};
use super::tables::{Kind, Table};
use super::value::{Row, Value};
use crate::crash_point::{self, Deed};
use crate::store::StoreError;
use crate::store::rows::Cells;

/// A page is full when it has so many bytes, however few its rows are.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Rows that were read together.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    /// Whether there may be more behind them.
    pub(super) more: bool,
    bytes: usize,
}

impl Page {
    /// Adds a row. True if the page is full: at `most` rows, or sooner if they are large.
    pub(super) fn add(&mut self, row: Row, most: usize) -> bool {
        self.bytes += row.iter().map(Value::size).sum::<usize>();
        self.rows.push(row);
        self.more = self.rows.len() >= most || self.bytes >= PAGE_BYTES;
        self.more
    }
}

/// A database that a store is moved from or into. It has one connection.
#[async_trait]
pub(super) trait End: Send {
    /// Its name for people: a path, or a server without user and password.
    fn name(&self) -> &str;

    /// What tells it from every other database, wherever it is and by whatever address it is reached.
    fn id(&self) -> &str;

    /// Whether a text may have a NUL in it.
    fn keeps_nul(&self) -> bool;

    /// Whether one process at a time serves it, so that all claims in it are of processes that are gone.
    fn is_served_by_one(&self) -> bool;

    /// Begins a transaction within which nobody else can write in any of the tables.
    async fn hold(&mut self) -> Result<(), MoveError>;

    /// The rows of a table.
    async fn count(&mut self, table: &Table) -> Result<u64, StoreError>;

    /// Whether a table has no rows.
    async fn is_empty(&mut self, table: &Table) -> Result<bool, StoreError>;

    /// The next rows of a table in the order of its key: from its beginning, or behind this key.
    async fn page(
        &mut self,
        table: &Table,
        behind: Option<&[Value]>,
        most: usize,
    ) -> Result<Page, StoreError>;

    /// The move that is under way into this database, if there is one, and how far it came.
    async fn earlier(&mut self) -> Result<Option<(Origin, Place)>, StoreError>;

    /// From here on this process carries that move on, and no other.
    async fn take_over(&mut self, run: &str) -> Result<(), StoreError>;

    /// Remembers that a move into this database begins.
    async fn begin(&mut self, origin: &Origin, run: &str) -> Result<(), StoreError>;

    /// How a transaction begins here.
    fn begins(&self) -> &'static str;

    /// Runs statements that take no values.
    async fn execute(&mut self, sql: &'static str) -> Result<(), StoreError>;

    /// Within a transaction: writes rows of a table, and that the move came to this place. False if another process has
    /// taken the move over.
    async fn write(
        &mut self,
        table: &Table,
        rows: &[Row],
        place: &Place,
        run: &str,
    ) -> Result<bool, StoreError>;

    /// Within a transaction: ends the move. With `claims_end` the claims in it are over now. False, and nothing is done,
    /// if another process has taken the move over.
    async fn remove_mark(&mut self, run: &str, claims_end: bool) -> Result<bool, StoreError>;

    /// Commits if what was `done` is to stand, else rolls back.
    async fn end_transaction(&mut self, done: Result<bool, StoreError>) -> Result<bool, StoreError> {
        if matches!(done, Ok(true)) {
            crash_point::before(Deed::Move);
            self.execute("COMMIT").await?;
            crash_point::after(Deed::Move);
        } else {
            // It fails where the database has rolled back by itself or the connection is gone, which is as good.
            let _ = self.execute("ROLLBACK").await;
        }
        done
    }

    /// [`write`](Self::write) in a transaction of its own: nothing is written if it is not to stand.
    async fn put(
        &mut self,
        table: &Table,
        rows: &[Row],
        place: &Place,
        run: &str,
    ) -> Result<bool, StoreError> {
        self.execute(self.begins()).await?;
        let done = self.write(table, rows, place, run).await;
        self.end_transaction(done).await
    }

    /// [`remove_mark`](Self::remove_mark) within the transaction that [`hold`](Self::hold) began, which it commits.
    async fn finish(&mut self, run: &str, claims_end: bool) -> Result<bool, StoreError> {
        let done = self.remove_mark(run, claims_end).await;
        self.end_transaction(done).await
    }

    /// Leaves the database.
    async fn leave(self: Box<Self>);
}

/// A row as its database gives it.
pub(super) fn row_of(table: &Table, row: &impl Cells) -> Result<Row, StoreError> {
    let value = |(index, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Text => row
                .maybe_text(index)?
                .map_or(Value::Null, |text| Value::Text(text.to_owned())),
            Kind::Int => row.maybe_int(index)?.map_or(Value::Null, Value::Int),
            Kind::Flag => Value::Int(row.flag(index)?.into()),
            Kind::Bytes => row
                .maybe_bytes(index)?
                .map_or(Value::Null, |bytes| Value::Bytes(bytes.to_owned())),
        })
    };
    table.columns.iter().enumerate().map(value).collect()
}

/// The rows of a table one by one, of which only a page is in memory.
pub(super) struct Rows<'e> {
    end: &'e mut dyn End,
    table: &'static Table,
    most: usize,
    page: std::vec::IntoIter<Row>,
    behind: Option<Row>,
    more: bool,
}

impl<'e> Rows<'e> {
    pub(super) fn of(end: &'e mut dyn End, table: &'static Table, most: usize) -> Self {
        Self {
            end,
            table,
            most,
            page: Vec::new().into_iter(),
            behind: None,
            more: true,
        }
    }

    /// The next row; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Row>, StoreError> {
        loop {
            if let Some(row) = self.page.next() {
                return Ok(Some(row));
            }
            if !self.more {
                return Ok(None);
            }
            let page = self
                .end
                .page(self.table, self.behind.as_deref(), self.most)
                .await?;
            self.more = page.more;
            self.behind = page.rows.last().map(|row| row[..self.table.key].to_vec());
            self.page = page.rows.into_iter();
        }
    }
}
