//! Moving a whole store into another database: from SQLite to PostgreSQL, back, or into one of the same kind.
//!
//! The source is only read, and nobody writes in it meanwhile: on SQLite by the lock that keeps a second daemon away and
//! a transaction that keeps commands away, on PostgreSQL by a lock of its tables. So it stays as it is, as a way back.
//!
//! Rows go in batches, in the order of their keys, a transaction each. With each batch the target remembers how far the
//! move came (`mark`). Whatever ends it, the same command goes on there; until then the target is refused by
//! whoever would open it. When all rows are there, both databases are read side by side from the first row to the last
//! (`check`). Only then, and in the transaction in which the target was read, the mark is removed.
//!
//! What is encrypted moves as it is stored. Claims move with their tokens and leases, as they are: whoever starts on the
//! target takes them over as after any crash, and looks first whether the question was answered and the part was sent.
//! The lock of SQLite proves that a claim's process is gone, so a claim that comes from there to PostgreSQL is over at
//! once; one that comes from PostgreSQL holds for its lease, as a replica that is cut off may still be calling.

mod check;
mod end;
mod error;
mod mark;
pub(super) mod postgres;
pub(super) mod sqlite;
mod tables;
mod value;

use std::path::PathBuf;

pub use error::MoveError;
pub use tables::{statements, tables};

use end::End;
use mark::{Origin, Place};
use postgres::PostgresEnd;
use sqlite::SqliteEnd;
use tables::TABLES;
use value::Value;

use super::seal::key_file;
use super::sqlite::path_of;
use super::{Settings, StoreError};
use crate::domain::ThreadId;

/// So many rows are moved in one transaction.
const BATCH: usize = 2000;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Rows are copied.
    Copying,
    /// Rows are read back and compared.
    Checking,
}

/// How far a move is.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// What is being done.
    pub phase: Phase,
    /// The rows that are done.
    pub done: u64,
    /// The rows that there are.
    pub total: u64,
}

/// Whoever is told how far it is.
pub type Told<'t> = &'t mut (dyn FnMut(Step) + Send);

/// A table that was moved.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MovedTable {
    /// Its name.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 over its rows in the order of their keys, in hexadecimal digits: the same in every database.
    pub checksum: String,
}

/// A move that has ended well.
#[derive(Debug)]
pub struct Moved {
    /// The source, for people.
    pub from: String,
    /// The target, for people.
    pub to: String,
    /// The tables, as they were read back from the target.
    pub tables: Vec<MovedTable>,
    /// So many installations' tokens are encrypted.
    pub tokens: u64,
    /// So many texts are encrypted.
    pub texts: u64,
    /// The file with the key that encrypts the source's tokens, if there is one.
    pub from_key: Option<PathBuf>,
    /// Where the target's would stand, if it is one of SQLite.
    pub to_key: Option<PathBuf>,
}

/// A move whose two ends are open: it may begin, or go on.
pub struct Move {
    from: Box<dyn End>,
    to: Box<dyn End>,
    run: String,
    total: u64,
    place: Place,
    from_key: Option<PathBuf>,
    to_key: Option<PathBuf>,
}

impl Move {
    /// Opens both databases, looks whether the one may be moved into the other, and brings both up to date. Of the
    /// settings only the address counts.
    pub async fn open(from: &Settings, to: &Settings) -> Result<Self, MoveError> {
        let files = (file_of(from)?, file_of(to)?);
        if let (Some(from), Some(to)) = &files
            && same_file(from, to)
        {
            return Err(MoveError::Same(from.display().to_string()));
        }
        let mut source: Box<dyn End> = match &files.0 {
            Some(path) => Box::new(SqliteEnd::source(path.clone()).await?),
            None => Box::new(PostgresEnd::source(&from.url).await?),
        };
        let mut counted = Vec::with_capacity(TABLES.len());
        for table in &TABLES {
            counted.push(source.count(table).await?);
        }
        let total = counted.iter().sum();
        let origin = Origin {
            source: source.id().to_owned(),
            named: source.name().to_owned(),
            counted,
        };
        let mut target: Box<dyn End> = match &files.1 {
            Some(path) => Box::new(SqliteEnd::target(path.clone()).await?),
            None => Box::new(PostgresEnd::target(&to.url).await?),
        };
        let run = ThreadId::new().to_string();
        let place = begin(&mut *target, &origin, &run).await?;
        Ok(Self {
            from: source,
            to: target,
            run,
            total,
            place,
            from_key: files.0.as_deref().map(key_file).filter(|key| key.exists()),
            to_key: files.1.as_deref().map(key_file),
        })
    }

    /// The source, for people.
    pub fn from(&self) -> &str {
        self.from.name()
    }

    /// The target, for people.
    pub fn to(&self) -> &str {
        self.to.name()
    }

    /// How many rows an earlier run has moved already.
    pub fn moved_before(&self) -> u64 {
        self.place.moved
    }

    /// Moves all rows, compares them, and marks the target as whole.
    pub async fn run(mut self, told: Told<'_>) -> Result<Moved, MoveError> {
        self.copy(told).await?;
        self.to.hold().await?;
        let checked = check::check(&mut *self.from, &mut *self.to, BATCH, self.total, told).await?;
        let claims_end = self.from.is_served_by_one();
        if !self.to.finish(&self.run, claims_end).await? {
            return Err(taken_over(&*self.to));
        }
        let moved = Moved {
            from: self.from.name().to_owned(),
            to: self.to.name().to_owned(),
            tables: checked.tables,
            tokens: checked.tokens,
            texts: checked.texts,
            from_key: self.from_key,
            to_key: self.to_key,
        };
        self.from.leave().await;
        self.to.leave().await;
        Ok(moved)
    }

    async fn copy(&mut self, told: Told<'_>) -> Result<(), MoveError> {
        while let Some(table) = self.place.current() {
            let behind = self.place.behind.as_deref();
            let mut page = self.from.page(table, behind, BATCH).await?;
            let last = page.rows.last().map(|row| row[..table.key].to_vec());
            if !self.to.keeps_nul() {
                page.rows.iter_mut().flatten().for_each(Value::without_nul);
            }
            self.place = Place {
                table: self.place.table + usize::from(!page.more),
                behind: last.filter(|_| page.more),
                moved: self.place.moved + page.rows.len() as u64,
            };
            if !self.to.put(table, &page.rows, &self.place, &self.run).await? {
                return Err(taken_over(&*self.to));
            }
            told(Step {
                phase: Phase::Copying,
                done: self.place.moved,
                total: self.total,
            });
        }
        Ok(())
    }
}

fn taken_over(target: &dyn End) -> MoveError {
    MoveError::TakenOver(target.name().to_owned())
}

/// Begins a move into an empty database, or goes on where the same move stopped. Returns where.
async fn begin(target: &mut dyn End, origin: &Origin, run: &str) -> Result<Place, MoveError> {
    if target.id() == origin.source {
        return Err(MoveError::Same(target.name().to_owned()));
    }
    if let Some((earlier, _)) = target.earlier().await? {
        may_go_on(target, origin, &earlier)?;
        target.take_over(run).await?;
        // Read once more: until now another may have carried it on.
        let taken = target.earlier().await?.ok_or_else(|| taken_over(target))?;
        return Ok(taken.1);
    }
    for table in &TABLES {
        if !target.is_empty(table).await? {
            return Err(MoveError::NotEmpty {
                target: target.name().to_owned(),
                table: table.name,
            });
        }
    }
    target.begin(origin, run).await?;
    Ok(Place::START)
}

/// Whether an earlier move into this database is the same, and its source too.
fn may_go_on(target: &dyn End, origin: &Origin, earlier: &Origin) -> Result<(), MoveError> {
    if earlier.source != origin.source {
        return Err(MoveError::OtherMove {
            target: target.name().to_owned(),
            other: earlier.named.clone(),
        });
    }
    let counts = TABLES.iter().zip(earlier.counted.iter().zip(&origin.counted));
    for (table, (then, now)) in counts {
        if then != now {
            return Err(MoveError::Changed {
                from: origin.named.clone(),
                target: target.name().to_owned(),
                table: table.name,
                then: *then,
                now: *now,
            });
        }
    }
    Ok(())
}

/// The file of a database of SQLite.
fn file_of(settings: &Settings) -> Result<Option<PathBuf>, StoreError> {
    if settings.is_postgres() {
        return Ok(None);
    }
    path_of(&settings.url).map(Some)
}

fn same_file(one: &std::path::Path, other: &std::path::Path) -> bool {
    let whole = |path| std::fs::canonicalize(path).ok();
    one == other || whole(one).is_some_and(|path| whole(other) == Some(path))
}
