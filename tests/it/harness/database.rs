//! The daemon's database, touched from outside: as a careless operator or a later version would.

use std::sync::Mutex;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
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
        let options = SqliteConnectOptions::new().filename(world.home().join("chatbridge.db"));
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
    let mut connection = open(world);
    execute(&mut connection, "PRAGMA busy_timeout = 30000");
    execute(
        &mut connection,
        "UPDATE deliveries SET ended_at = ended_at - abs(random() % 24) * abs(random() % 24) / 24 * 3600000
          WHERE asked_at IS NOT NULL",
    );
    execute(
        &mut connection,
        "UPDATE deliveries SET asked_at = ended_at - 700 - abs(random() % 2400) - abs(random() % 8) / 7 * 6000
          WHERE asked_at IS NOT NULL",
    );
}

/// What is to be done, row by row, as the database has it: for the words of a test that waited in vain.
pub(crate) fn waiting_work(world: &World) -> String {
    use sqlx::Row;

    let mut connection = open(world);
    let rows = runtime().block_on(async {
        let sql = "SELECT json_array(kind, thread_id, lane, due_at, token, attempts, ambiguous, held, first, upto) FROM work";
        sqlx::query(sql).fetch_all(&mut connection).await
    });
    let rows = rows.unwrap();
    let rows = rows.iter().map(|row| row.get::<String, _>(0));
    rows.collect::<Vec<_>>().join("\n")
}

/// Copies the whole log into the database, as another process may do at any time, and writes a little, so that nobody
/// relies on pages that were read before.
pub(crate) fn checkpoint(world: &World) {
    let mut connection = open(world);
    execute(&mut connection, "PRAGMA busy_timeout = 30000");
    execute(&mut connection, "UPDATE threads SET updated_at = updated_at + 1");
    execute(&mut connection, "PRAGMA wal_checkpoint(TRUNCATE)");
}

/// A number that the database tells.
pub(crate) fn count_rows(world: &World, sql: &'static str) -> i64 {
    let mut connection = open(world);
    runtime()
        .block_on(sqlx::query_scalar(sql).fetch_one(&mut connection))
        .unwrap()
}
