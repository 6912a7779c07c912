//! The daemon's database, touched from outside: as a careless operator or a later version would.

use std::collections::HashMap;
use std::sync::Mutex;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions, Executor};

use super::World;
use super::web::runtime;

/// A connection to the database, whichever it is.
enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    fn open(world: &World) -> Self {
        if let Some(database) = &world.database {
            let options: PgConnectOptions = database.url().parse().unwrap();
            return Self::Postgres(runtime().block_on(options.connect()).unwrap());
        }
        let options: SqliteConnectOptions = world.config.get("store.url").as_str().unwrap().parse().unwrap();
        Self::Sqlite(runtime().block_on(options.connect()).unwrap())
    }

    /// Carries out what is written for the one database or the other.
    fn execute(&mut self, sqlite: &'static str, postgres: &'static str) {
        match self {
            Self::Sqlite(connection) => drop(runtime().block_on(connection.execute(sqlite)).unwrap()),
            Self::Postgres(connection) => drop(runtime().block_on(connection.execute(postgres)).unwrap()),
        }
    }
}

impl Connection {
    /// The first column of what is written for the one database or the other.
    fn column<T>(&mut self, sqlite: &'static str, postgres: &'static str) -> Vec<T>
    where
        T: Send + Unpin,
        (T,): for<'r> sqlx::FromRow<'r, SqliteRow> + for<'r> sqlx::FromRow<'r, PgRow>,
    {
        let rows: Result<Vec<(T,)>, _> = match self {
            Self::Sqlite(connection) => runtime().block_on(sqlx::query_as(sqlite).fetch_all(connection)),
            Self::Postgres(connection) => runtime().block_on(sqlx::query_as(postgres).fetch_all(connection)),
        };
        rows.unwrap().into_iter().map(|(value,)| value).collect()
    }
}

/// Holds the database's write lock: nothing can be committed until it is released.
pub(crate) struct Lock(Mutex<Connection>);

impl Lock {
    /// Takes the lock.
    pub(crate) fn of(world: &World) -> Self {
        let mut connection = Connection::open(world);
        connection.execute("PRAGMA busy_timeout = 30000", "BEGIN");
        connection.execute("BEGIN IMMEDIATE", "LOCK TABLE threads IN EXCLUSIVE MODE");
        Self(Mutex::new(connection))
    }

    /// Gives it back.
    pub(crate) fn release(&self) {
        self.0.lock().unwrap().execute("ROLLBACK", "ROLLBACK");
    }
}

/// Reads the database and does not let go: SQLite cannot cut its log until this is dropped.
pub(crate) struct Reader(#[allow(dead_code, reason = "held, not used")] Connection);

impl Reader {
    /// Begins to read.
    pub(crate) fn of(world: &World) -> Self {
        let mut connection = Connection::open(world);
        connection.execute("BEGIN", "BEGIN");
        let _: Vec<String> = connection.column("SELECT id FROM threads", "SELECT id FROM threads");
        Self(connection)
    }
}

/// Makes the database look as if a later version had written it: it ran a migration that nobody knows here.
pub(crate) fn pretend_newer(world: &World) {
    let mut connection = Connection::open(world);
    let migration = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99991231235959, 'from the future', true, '\\x00', 0)";
    connection.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99991231235959, 'from the future', 1, x'00', 0)",
        migration,
    );
    connection.execute(
        "PRAGMA user_version = 2000000000",
        "UPDATE bridge SET oldest_known = 99991231235959",
    );
}

/// Spreads what was answered over the last day and over times as agents take them: a day of a shop in a moment.
pub(crate) fn spread_over_a_day(world: &World) {
    let mut connection = Connection::open(world);
    connection.execute("PRAGMA busy_timeout = 30000", "SELECT 1");
    connection.execute(
        "UPDATE deliveries SET ended_at = ended_at - abs(random() % 24) * abs(random() % 24) / 24 * 3600000
          WHERE asked_at IS NOT NULL",
        "UPDATE deliveries SET ended_at = ended_at - (random() * 24)::bigint * 3600000 WHERE asked_at IS NOT NULL",
    );
    connection.execute(
        "UPDATE deliveries SET asked_at = ended_at - 700 - abs(random() % 2400) - abs(random() % 8) / 7 * 6000
          WHERE asked_at IS NOT NULL",
        "UPDATE deliveries SET asked_at = ended_at - 700 - (random() * 2400)::bigint WHERE asked_at IS NOT NULL",
    );
}

/// What is to be done, row by row, as the database has it: for the words of a test that waited in vain.
pub(crate) fn waiting_work(world: &World) -> String {
    let mut connection = Connection::open(world);
    let rows: Vec<String> = connection.column(
        "SELECT json_array(kind, thread_id, lane, due_at, token, attempts, ambiguous, held, first, upto) FROM work",
        "SELECT work::text FROM work",
    );
    rows.join("\n")
}

/// Copies the whole log into the database, as another process may do at any time, and writes a little, so that nobody
/// relies on pages that were read before.
pub(crate) fn checkpoint(world: &World) {
    let mut connection = Connection::open(world);
    let change = "UPDATE threads SET updated_at = updated_at + 1";
    connection.execute("PRAGMA busy_timeout = 30000", "SELECT 1");
    connection.execute(change, change);
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)", "SELECT 1");
}

/// How often each delivery was attempted, as the database has it; those that were attempted at all.
pub(crate) fn recorded_attempts(world: &World) -> HashMap<String, u64> {
    let mut connection = Connection::open(world);
    let sql = "SELECT thread_id || '.d' || part || ' ' || attempts FROM deliveries WHERE attempts > 0";
    let rows: Vec<String> = connection.column(sql, sql);
    rows.iter()
        .map(|row| {
            let (delivery, attempts) = row.split_once(' ').unwrap();
            (delivery.to_owned(), attempts.parse().unwrap())
        })
        .collect()
}

/// A number that the database tells.
pub(crate) fn count_rows(world: &World, sql: &'static str) -> i64 {
    let counted: Vec<i64> = Connection::open(world).column(sql, sql);
    counted[0]
}

/// Changes rows, by what is written for the one database or the other.
pub(crate) fn change_rows(world: &World, sqlite: &'static str, postgres: &'static str) {
    let mut connection = Connection::open(world);
    connection.execute("PRAGMA busy_timeout = 30000", "SELECT 1");
    connection.execute(sqlite, postgres);
}
