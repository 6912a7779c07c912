//! What can stand in the way of a move.

use thiserror::Error;

use crate::store::StoreError;

/// A move that did not begin, or stopped. The source is as it was.
#[derive(Debug, Error)]
pub enum MoveError {
    /// There is nothing to move.
    #[error("there is no database of chatbridge at {0}: look at --from")]
    NoSource(String),
    /// It would be moved into itself.
    #[error("--from and --to name the same database, {0}")]
    Same(String),
    /// A daemon works on one of the two.
    #[error(
        "chatbridge is running on {database} ({sign}): stop every daemon and command that uses it, then begin again; \
         what comes meanwhile the platforms deliver later"
    )]
    Served {
        /// The database.
        database: String,
        /// What tells so.
        sign: String,
    },
    /// The target holds something that is not of this move.
    #[error(
        "{target} is not empty (there are rows in {table}): a move needs an empty database. If a move into it has ended \
         already, it is whole, and nothing is left to do"
    )]
    NotEmpty {
        /// The target.
        target: String,
        /// The first table with rows.
        table: &'static str,
    },
    /// The target is in the middle of a move from elsewhere.
    #[error(
        "{target} is in the middle of a move from {other}, which is another database: go on with that one, or name an \
         empty database"
    )]
    OtherMove {
        /// The target.
        target: String,
        /// Where that move comes from.
        other: String,
    },
    /// The source was worked on since the move began.
    #[error(
        "{from} has changed since the move into {target} began (rows in {table}: {then} then, {now} now), so what was \
         moved is no longer what it holds: begin anew with an empty database"
    )]
    Changed {
        /// The source.
        from: String,
        /// The target.
        target: String,
        /// The first table that differs.
        table: &'static str,
        /// Its rows when the move began.
        then: u64,
        /// Its rows now.
        now: u64,
    },
    /// Another move goes on in the same target.
    #[error("another `chatbridge migrate` has taken over the move into {0}: let that one end")]
    TakenOver(String),
    /// What was read back is not what was moved.
    #[error(
        "{target} is not the same as {from}: in the table {table} {what} ({row}). It is not marked as whole, so nothing \
         will serve it. If {from} was worked on since the move began, or {target} by others, begin anew with an empty \
         database; else please report this"
    )]
    Differs {
        /// The source.
        from: String,
        /// The target.
        target: String,
        /// The table.
        table: &'static str,
        /// In which way.
        what: &'static str,
        /// Which row.
        row: String,
    },
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for MoveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
