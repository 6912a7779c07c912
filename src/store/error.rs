//! What can go wrong with the store.

use thiserror::Error;

use crate::domain::installation::KeepError;

/// A failed store operation. Nothing of it was written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// More waits to be written than is admitted; the caller asks again later.
    #[error("the store has more to write than it admits; try again")]
    Busy,
    /// The disk did not confirm what was written, so it counts as not written.
    #[error(
        "the disk did not confirm what was written (its error is in the log): look at the disk; it is tried again by itself"
    )]
    NotSynced,
    /// Other replicas wrote about the same threads at the same time, again and again; the caller asks again later.
    #[error("other replicas are writing about the same threads; try again")]
    Contended,
    /// The database server does not answer, or answers nothing of use.
    #[error("the database {database} cannot be reached: {reason}")]
    Unreachable {
        /// The database, without user and password.
        database: String,
        /// What happened.
        reason: String,
    },
    /// The claim was taken over in the meantime: what it led to no longer counts.
    #[error("the claim on this thread is no longer ours")]
    Fenced,
    /// The database belongs to a newer chatbridge.
    #[error(
        "the database {url} was written by a newer chatbridge (migration {found}; this one knows up to {known}): \
         start that version again, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The database.
        url: String,
        /// The newest migration it has.
        found: i64,
        /// The newest migration that this binary has.
        known: i64,
    },
    /// The database is in the middle of a move.
    #[error(
        "the database {database} is in the middle of a move from {from}, so it does not hold everything yet: run the same \
         `chatbridge migrate --from … --to …` again to finish it, or name another database in store.url"
    )]
    HalfMoved {
        /// The database.
        database: String,
        /// Where it is moved from.
        from: String,
    },
    /// Another process serves this database.
    #[error(
        "another chatbridge already serves {path}: stop it first, or give this one a database of its own"
    )]
    Locked {
        /// The database file.
        path: String,
    },
    /// The file cannot be opened or made.
    #[error("cannot open the database {path}: {reason}")]
    Open {
        /// The database file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The file is damaged.
    #[error(
        "the database {path} is damaged ({reason}): stop chatbridge, keep the file, and restore the newest backup"
    )]
    Damaged {
        /// The database file.
        path: String,
        /// What the check found.
        reason: String,
    },
    /// A key of `store.secret_key` cannot be used; with the remedy.
    #[error("{0}")]
    SecretKey(String),
    /// A stored text does not open.
    #[error(
        "a stored text is encrypted with a key that store.text_key does not list: put that key back, behind the one that \
         encrypts now"
    )]
    TextKey,
    /// No copy of the database was made.
    #[error("there is no backup {file}: {reason}")]
    Backup {
        /// Where it was to stand.
        file: String,
        /// What stood in the way.
        reason: String,
    },
    /// Something that a channel keeps was not kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The database refused.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The migrations failed.
    #[error("the database could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl From<StoreError> for KeepError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// SQLite's result codes of a file that is damaged, and of one that is no database (<https://sqlite.org/rescode.html>).
const SQLITE_CORRUPT: i64 = 11;
const SQLITE_NOTADB: i64 = 26;
/// Another process holds the database for longer than is waited for it.
const SQLITE_BUSY: i64 = 5;

impl StoreError {
    /// Names the file, where the database refused because its file is damaged.
    #[must_use]
    pub(super) fn in_file(self, path: &std::path::Path) -> Self {
        match &self {
            Self::Database(sqlx::Error::Database(error))
                if matches!(self.sqlite_code(), Some(SQLITE_CORRUPT | SQLITE_NOTADB)) =>
            {
                Self::Damaged {
                    path: path.display().to_string(),
                    reason: error.message().to_owned(),
                }
            }
            _ => self,
        }
    }

    /// Whether another process holds the database.
    pub(super) fn is_held_elsewhere(&self) -> bool {
        self.sqlite_code() == Some(SQLITE_BUSY)
    }

    /// SQLite's primary result code: the low byte of an extended one.
    fn sqlite_code(&self) -> Option<i64> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => Some(error.code()?.parse::<i64>().ok()? & 0xff),
            _ => None,
        }
    }
}
