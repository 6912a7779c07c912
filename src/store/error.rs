//! What can go wrong with the store.

use thiserror::Error;

use crate::domain::installation::KeepError;

/// A failed store operation. Nothing of it was written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// More waits to be written than is admitted; the caller asks again later.
    #[error("the store has more to write than it admits; try again")]
    Busy,
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
