//! Opening the database: the file, its lock, its settings, its migrations.

use std::borrow::Cow;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlSafeStr, SqliteConnection};

use crate::crash_point::{self, Deed};
use crate::store::look::Found;
use crate::store::{Mode, StoreError, moving};

/// How long a statement waits for another process (a command, a backup) to let go of the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The writer's page cache, in KiB (negative: SQLite's way to say that it is no number of pages).
const WRITER_CACHE: &str = "-6000";
/// A reader's page cache.
const READER_CACHE: &str = "-1000";

/// After so many pages (of 4 KiB) the log is copied into the database. Larger than SQLite's 1,000, because each copy
/// costs the batch that triggers it a second sync.
const CHECKPOINT_PAGES: &str = "4000";

/// The log is cut back to this size after a copy.
const LOG_LIMIT: &str = "33554432";

/// A database up to this size, in bytes, is gone through at each start, which takes some three seconds for this one. A
/// larger one only before migrations run, and by `chatbridge check`.
const CHECKED_AT_START: u64 = 256 << 20;

/// Readers at most.
const READERS: u32 = 4;

/// The migrations of this binary, oldest first. A landed one is never changed.
const MIGRATIONS: [(i64, &str, &str); 9] = [
    (
        1,
        "bridge",
        include_str!("../../../migrations/sqlite/0001_bridge.sql"),
    ),
    (
        2,
        "installations",
        include_str!("../../../migrations/sqlite/0002_installations.sql"),
    ),
    (
        3,
        "actions",
        include_str!("../../../migrations/sqlite/0003_actions.sql"),
    ),
    (
        4,
        "pauses and quotes",
        include_str!("../../../migrations/sqlite/0004_pauses_and_quotes.sql"),
    ),
    (
        5,
        "fresh keys",
        include_str!("../../../migrations/sqlite/0005_fresh_keys.sql"),
    ),
    (
        8,
        "families",
        include_str!("../../../migrations/sqlite/0008_families.sql"),
    ),
    (
        9,
        "answered",
        include_str!("../../../migrations/sqlite/0009_answered.sql"),
    ),
    (
        10,
        "names of a thread",
        include_str!("../../../migrations/sqlite/0010_names_of_a_thread.sql"),
    ),
    (
        12,
        "privacy",
        include_str!("../../../migrations/sqlite/0012_privacy.sql"),
    ),
];

/// The file of a `sqlite://PATH` address.
pub(in crate::store) fn path_of(url: &str) -> Result<PathBuf, StoreError> {
    let path = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))
        .unwrap_or(url);
    if path.is_empty() || path.contains(':') && !Path::new(path).is_absolute() {
        return Err(StoreError::Open {
            path: url.to_owned(),
            reason: "store.url is written sqlite://PATH".to_owned(),
        });
    }
    Ok(PathBuf::from(path))
}

/// Makes the database's folder and takes the lock that keeps a second daemon away. The lock is the operating
/// system's: it is gone with the process, however that ends.
pub(in crate::store) fn lock(path: &Path, mode: Mode) -> Result<Option<File>, StoreError> {
    let failed = |error: std::io::Error| open_error(path, error.to_string());
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // SQLite gives its other files the mode of this one: what people wrote is for this user alone.
    private().open(path).map_err(failed)?;
    if mode == Mode::Command {
        return Ok(None);
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = private().open(name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
            path: path.display().to_string(),
        }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Opens a file for writing, and makes it readable for its owner only if it is not there.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", WRITER_CACHE)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", LOG_LIMIT)
        // What a statement may have to undo stays in memory: on disk it would be a file made and removed each time.
        .pragma("temp_store", "memory")
        // What is deleted or replaced is overwritten, not only unlinked.
        .pragma("secure_delete", "on")
        .row_buffer_size(1024)
        .disable_statement_logging()
}

/// Opens the one connection that writes.
pub(in crate::store) async fn writer(path: &Path) -> Result<SqliteConnection, StoreError> {
    options(path).connect().await.map_err(|error| {
        let reason = format!("{error}; is the folder there and writable for this user?");
        match StoreError::from(error).in_file(path) {
            damaged @ StoreError::Damaged { .. } => damaged,
            _ => open_error(path, reason),
        }
    })
}

/// Opens a connection that writes the whole database anew: what it has to set aside for that is as large as the database,
/// and stands in a file rather than in memory.
pub(super) async fn rewriter(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = options(path)
        .create_if_missing(false)
        .pragma("temp_store", "default");
    let conn = options.connect().await;
    conn.map_err(|error| open_error(path, error.to_string()))
}

/// Opens the readers; none connects before it is needed.
pub(super) fn readers(path: &Path) -> SqlitePool {
    let options = options(path)
        .read_only(true)
        .create_if_missing(false)
        .pragma("cache_size", READER_CACHE);
    PoolOptions::new()
        .max_connections(READERS)
        .min_connections(0)
        .idle_timeout(Duration::from_secs(30))
        .acquire_timeout(BUSY_TIMEOUT)
        .connect_lazy_with(options)
}

/// From here on whoever writes makes sure of the log ([`syncs`](super::syncs)); until then SQLite does, at each commit.
pub(super) async fn leave_sync(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("PRAGMA synchronous = NORMAL").execute(conn).await?;
    Ok(())
}

/// Copies the whole log into the database and syncs that.
pub(super) async fn copy_log(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(conn)
        .await?;
    if busy == 0 { Ok(()) } else { Err(StoreError::Busy) }
}

/// Refuses a database that a newer binary wrote, checks the file, and brings the tables up to date. Returns how many
/// migrations ran.
pub(in crate::store) async fn prepare(path: &Path, conn: &mut SqliteConnection) -> Result<usize, StoreError> {
    let newest = newest_migration(conn).await?;
    let known = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    if newest > known {
        return Err(StoreError::Newer {
            url: path.display().to_string(),
            found: newest,
            known,
        });
    }
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    if size <= CHECKED_AT_START || newest < known {
        quick_check(path, conn).await?;
    } else {
        tracing::info!(
            mebibytes = size >> 20,
            "the database is too large to be gone through at each start; `chatbridge check` looks for damage"
        );
    }
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(
            version,
            Cow::Borrowed(name),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    crash_point::before(Deed::Migrate);
    Migrator {
        migrations: Cow::Owned(migrations.to_vec()),
        ..Migrator::DEFAULT
    }
    .run_direct(None, conn, false)
    .await?;
    crash_point::after(Deed::Migrate);
    Ok(MIGRATIONS
        .iter()
        .filter(|(version, ..)| *version > newest)
        .count())
}

/// Looks at the file, also for damage, without changing anything.
pub(in crate::store) async fn look(path: &Path) -> Result<Found, StoreError> {
    if !path.exists() {
        return Ok(Found::Nothing);
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let refused = |error: sqlx::Error| open_error(path, error.to_string());
    let mut conn = options.connect().await.map_err(refused)?;
    let newest = newest_migration(&mut conn).await?;
    quick_check(path, &mut conn).await?;
    let half = moving::sqlite::unfinished(&mut conn).await?.is_some();
    close(conn).await;
    let found = Found::by(newest, MIGRATIONS.iter().map(|(version, ..)| *version));
    Ok(if half { Found::HalfMoved } else { found })
}

async fn newest_migration(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    let table: Option<(i64,)> =
        sqlx::query_as("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'")
            .fetch_optional(&mut *conn)
            .await?;
    if table.is_none() {
        return Ok(0);
    }
    let (newest,): (i64,) = sqlx::query_as("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(conn)
        .await?;
    Ok(newest)
}

/// Looks for damage in the pages that are in use (`PRAGMA quick_check`), stopping at the first.
pub(super) async fn quick_check(path: &Path, conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let damaged = |reason: String| StoreError::Damaged {
        path: path.display().to_string(),
        reason,
    };
    match sqlx::query_as::<_, (String,)>("PRAGMA quick_check(1)")
        .fetch_one(conn)
        .await
    {
        Ok((verdict,)) if verdict == "ok" => Ok(()),
        Ok((verdict,)) => Err(damaged(verdict)),
        Err(error) => Err(damaged(error.to_string())),
    }
}

fn open_error(path: &Path, reason: String) -> StoreError {
    StoreError::Open {
        path: path.display().to_string(),
        reason,
    }
}

/// Closes the writer; SQLite then copies the rest of the log into the database.
pub(in crate::store) async fn close(conn: SqliteConnection) {
    if let Err(error) = conn.close().await {
        tracing::warn!(%error, "the database did not close cleanly; nothing is lost");
    }
}
