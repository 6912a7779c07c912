//! Reaching the database: its address, its connections, its migrations.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgRow, Postgres};
use sqlx::{ConnectOptions, Connection, SqlSafeStr};

use super::tx::{self, Query};
use crate::crash_point::{self, Deed};
use crate::store::look::Found;
use crate::store::{StoreError, moving};

/// How long it may take to connect.
pub(in crate::store) const CONNECT: Duration = Duration::from_secs(3);

/// How long a read may take.
const READ: Duration = Duration::from_secs(10);

/// Connections for reading at most, the one that listens included.
const READERS: u32 = 4;

/// A connection for reading that nobody used for so long is closed.
const IDLE: Duration = Duration::from_mins(1);

/// No connection is kept for longer: behind an address there may be another server by now.
const LIFETIME: Duration = Duration::from_mins(30);

/// The number under which one process at a time brings the database up to date: "chatbrid" as a 64-bit number.
const MIGRATION_LOCK: i64 = 0x6368_6174_6272_6964;

/// The migrations of this binary, oldest first. A landed one is never changed, and each leaves the neighbouring
/// versions able to work: it adds, and takes nothing away. One that cannot raises `bridge.oldest_known`.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (
        1,
        "bridge",
        include_str!("../../../migrations/postgres/0001_bridge.sql"),
    ),
    (
        2,
        "families",
        include_str!("../../../migrations/postgres/0002_families.sql"),
    ),
    (
        3,
        "answered",
        include_str!("../../../migrations/postgres/0003_answered.sql"),
    ),
    (
        4,
        "privacy",
        include_str!("../../../migrations/postgres/0004_privacy.sql"),
    ),
    (
        5,
        "work by thread",
        include_str!("../../../migrations/postgres/0005_work_by_thread.sql"),
    ),
];

/// Where the database is, from `store.url`.
pub(in crate::store) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|error| StoreError::Open {
        path: "of store.url".to_owned(),
        reason: format!("{error}; it is written postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full"),
    })?;
    let options = options.disable_statement_logging();
    Ok(if options.get_application_name().is_none() {
        options.application_name("chatbridge")
    } else {
        options
    })
}

/// The database's name for messages: without user and password.
pub(in crate::store) fn name(options: &PgConnectOptions) -> String {
    let host = options.get_host();
    let database = options.get_database().unwrap_or(options.get_username());
    format!("postgres://{host}:{}/{database}", options.get_port())
}

/// Connects.
pub(in crate::store) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let failed = |reason: String| StoreError::Unreachable {
        database: name(options),
        reason,
    };
    match tokio::time::timeout(CONNECT, options.connect()).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no connection within {CONNECT:?}"))),
    }
}

/// The connections for reading; none is made before it is needed.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    pool: PgPool,
    database: String,
}

impl Readers {
    pub(super) fn new(options: &PgConnectOptions) -> Self {
        let pool = PoolOptions::new()
            .max_connections(READERS)
            .min_connections(0)
            .idle_timeout(IDLE)
            .max_lifetime(LIFETIME)
            .acquire_timeout(CONNECT)
            .connect_lazy_with(options.clone());
        Self {
            pool,
            database: name(options),
        }
    }

    /// The pool itself.
    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Reads rows.
    pub(super) async fn fetch(&self, query: Query<'_>) -> Result<Vec<PgRow>, StoreError> {
        let mut conn = self.acquire().await?;
        tx::count(1);
        match tokio::time::timeout(READ, query.fetch_all(&mut *conn)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => {
                let error = StoreError::from(error);
                if tx::is_broken(&error) {
                    drop(conn.detach());
                }
                Err(error)
            }
            // What it would still answer belongs to nobody.
            Err(_) => {
                drop(conn.detach());
                Err(self.silent())
            }
        }
    }

    /// Reads a row, if there is one.
    pub(super) async fn fetch_optional(&self, query: Query<'_>) -> Result<Option<PgRow>, StoreError> {
        Ok(self.fetch(query).await?.into_iter().next())
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        // The pool's own limit does not cover a server that accepts and then says nothing.
        match tokio::time::timeout(2 * CONNECT, self.pool.acquire()).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => Err(StoreError::Unreachable {
                database: self.database.clone(),
                reason: error.to_string(),
            }),
            Err(_) => Err(self.silent()),
        }
    }

    fn silent(&self) -> StoreError {
        StoreError::Unreachable {
            database: self.database.clone(),
            reason: "no answer in time".to_owned(),
        }
    }
}

/// Refuses a database that only newer versions may work on, and brings the tables up to date: one process at a time.
/// Returns how many migrations ran.
pub(in crate::store) async fn prepare(
    options: &PgConnectOptions,
    conn: &mut PgConnection,
) -> Result<usize, StoreError> {
    let known = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    let newest = newest_migration(conn).await?;
    if newest > 0 {
        let (oldest,): (i64,) = sqlx::query_as("SELECT oldest_known FROM bridge")
            .fetch_one(&mut *conn)
            .await?;
        if oldest > known {
            return Err(StoreError::Newer {
                url: name(options),
                found: newest,
                known,
            });
        }
    }
    if newest >= known {
        return Ok(0);
    }
    let mut tx = conn.begin().await?;
    // Of the transaction, not of the session: a pooler in between may give the session to others.
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *tx)
        .await?;
    let newest = newest_migration(&mut tx).await?;
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(
            version,
            Cow::Borrowed(name),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let mut migrator = Migrator {
        migrations: Cow::Owned(migrations.to_vec()),
        ..Migrator::DEFAULT
    };
    migrator.set_locking(false).set_ignore_missing(true);
    migrator.run_direct(None, &mut *tx, false).await?;
    crash_point::before(Deed::Migrate);
    tx.commit().await?;
    crash_point::after(Deed::Migrate);
    Ok(MIGRATIONS
        .iter()
        .filter(|(version, ..)| *version > newest)
        .count())
}

/// Refuses a database with a migration that this binary does not know, even where it could work beside it: what it does not
/// know it cannot move.
pub(in crate::store) async fn refuse_ahead(
    options: &PgConnectOptions,
    conn: &mut PgConnection,
) -> Result<(), StoreError> {
    let known = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    let found = newest_migration(conn).await?;
    if found <= known {
        return Ok(());
    }
    Err(StoreError::Newer {
        url: name(options),
        found,
        known,
    })
}

/// Looks at the database without changing anything. Returns its name too.
pub(in crate::store) async fn look(url: &str) -> Result<(String, Found), StoreError> {
    let options = options(url)?;
    let mut conn = connect(&options).await?;
    let known = MIGRATIONS.iter().map(|(version, ..)| *version);
    let mut found = Found::by(newest_migration(&mut conn).await?, known.clone());
    if found == Found::Newer {
        let oldest: i64 = sqlx::query_scalar("SELECT oldest_known FROM bridge")
            .fetch_one(&mut conn)
            .await?;
        // A newer version may have left it so that this one still can work on it.
        if known.max().is_some_and(|latest| oldest <= latest) {
            found = Found::UpToDate;
        }
    }
    if moving::postgres::unfinished(&mut conn).await?.is_some() {
        found = Found::HalfMoved;
    }
    let _ = conn.close().await;
    Ok((name(&options), found))
}

async fn newest_migration(conn: &mut PgConnection) -> Result<i64, StoreError> {
    let (there,): (bool,) = sqlx::query_as("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *conn)
        .await?;
    if !there {
        return Ok(0);
    }
    let (newest,): (i64,) = sqlx::query_as("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(conn)
        .await?;
    Ok(newest)
}

/// Says what the server is set to lose.
pub(super) async fn warn_of_loss(conn: &mut PgConnection) -> Result<(), StoreError> {
    let (commit, sync): (String, String) =
        sqlx::query_as("SELECT current_setting('synchronous_commit'), current_setting('fsync')")
            .fetch_one(conn)
            .await?;
    if commit == "off" || sync == "off" {
        tracing::warn!(
            synchronous_commit = commit,
            fsync = sync,
            "the database does not wait for its disk: what it acknowledged may be lost when its machine fails; set both on"
        );
    }
    Ok(())
}
