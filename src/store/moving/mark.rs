//! How far a move has come: a table of one row that stands in the target for as long as the move is not over.
//!
//! While it is there, the database is refused by whoever would open it. Each batch of rows writes it in the same
//! transaction, so that it is right whenever the move stops.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::tables::{TABLES, Table};
use super::value::Row;
use crate::store::StoreError;
use crate::store::rows::Cells;

/// The table's name.
pub(in crate::store) const MARK: &str = "unfinished_move";

/// Both databases understand it.
pub(super) const MAKE: &str = "
    CREATE TABLE unfinished_move (
        one     BIGINT PRIMARY KEY CHECK (one = 1),
        source  TEXT NOT NULL,      -- which database it comes from, by an id
        named   TEXT NOT NULL,      -- the same for people
        counted TEXT NOT NULL,      -- the rows of the source's tables when the move began: JSON
        run     TEXT NOT NULL,      -- the process that moves
        place   TEXT NOT NULL,      -- the table that is being moved
        behind  TEXT,               -- the key of its last row that was moved: JSON; none: none was
        moved   BIGINT NOT NULL     -- how many rows were moved in all
    )";

/// `source, named, counted, run, place`
pub(super) const BEGIN: &str = "
    INSERT INTO unfinished_move (one, source, named, counted, run, place, moved) VALUES (1, $1, $2, $3, $4, $5, 0)";

/// From here on this process moves. `run`
pub(super) const TAKE: &str = "UPDATE unfinished_move SET run = $1";

/// How far it came.
pub(super) const READ: &str = "SELECT source, named, counted, place, behind, moved FROM unfinished_move";

/// `place, behind, moved, run`
pub(super) const GO_ON: &str =
    "UPDATE unfinished_move SET place = $1, behind = $2, moved = $3 WHERE run = $4";

/// Locks the row, if this process still moves. `run`
pub(super) const STILL: &str = "UPDATE unfinished_move SET run = run WHERE run = $1";

/// The move is over.
pub(super) const REMOVE: &str = "DROP TABLE unfinished_move";

/// From where to where, for people: the source of the move that is under way.
pub(in crate::store) const NAMED: &str = "SELECT named FROM unfinished_move";

/// A move, as it is remembered from its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// Which database it comes from.
    pub(super) source: String,
    /// The same for people.
    pub(super) named: String,
    /// The rows of each table when the move began, in the order of [`TABLES`].
    pub(super) counted: Vec<u64>,
}

/// How far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The table, by its place in [`TABLES`]; behind the last: all rows are there.
    pub(super) table: usize,
    /// The key behind which it goes on; none: at the table's beginning.
    pub(super) behind: Option<Row>,
    /// How many rows were moved in all.
    pub(super) moved: u64,
}

/// What stands for the place behind the last table.
const END: &str = "";

impl Place {
    /// The beginning.
    pub(super) const START: Self = Self {
        table: 0,
        behind: None,
        moved: 0,
    };

    /// The table to go on with; none at the end.
    pub(super) fn current(&self) -> Option<&'static Table> {
        TABLES.get(self.table)
    }

    /// The table's name, as remembered.
    pub(super) fn name(&self) -> &'static str {
        self.current().map_or(END, |table| table.name)
    }
}

/// Refuses a database that is in the middle of a move, if there is one `from` somewhere.
pub(super) fn refuse(from: Option<String>, database: impl Display) -> Result<(), StoreError> {
    from.map_or(Ok(()), |from| {
        let database = database.to_string();
        Err(StoreError::HalfMoved { database, from })
    })
}

/// As JSON.
pub(super) fn written(value: &impl Serialize) -> Result<String, StoreError> {
    crate::store::rows::json(value)
}

/// Out of `source, named, counted, place, behind, moved`.
pub(super) fn read(row: &impl Cells) -> Result<(Origin, Place), StoreError> {
    let name = row.text(3)?;
    let table = match TABLES.iter().position(|table| table.name == name) {
        Some(table) => table,
        None if name == END => TABLES.len(),
        None => return Err(unreadable()),
    };
    let origin = Origin {
        source: row.text(0)?.to_owned(),
        named: row.text(1)?.to_owned(),
        counted: parsed(row.text(2)?)?,
    };
    let place = Place {
        table,
        behind: row.maybe_text(4)?.map(parsed).transpose()?,
        moved: u64::try_from(row.int(5)?).map_err(|_| unreadable())?,
    };
    Ok((origin, place))
}

fn parsed<T: DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|_| unreadable())
}

fn unreadable() -> StoreError {
    sqlx::Error::Decode(format!("the table {MARK} does not tell how far the move came").into()).into()
}
