//! The daemon's database, touched from outside: as a careless operator or a later version would.

use std::sync::Mutex;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Executor};

use super::World;
use super::web::runtime;

fn open(world: &World) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(world.home().join("chatbridge.db"));
    runtime().block_on(options.connect()).unwrap()
}

fn execute(connection: &mut SqliteConnection, sql: &'static str) {
    runtime().block_on(connection.execute(sql)).unwrap();
}

/// Holds the database's write lock: nothing can be committed until it is released.
pub(crate) struct Lock(Mutex<SqliteConnection>);

impl Lock {
    /// Takes the lock.
    pub(crate) fn of(world: &World) -> Self {
        let mut connection = open(world);
        execute(&mut connection, "PRAGMA busy_timeout = 30000");
        execute(&mut connection, "BEGIN IMMEDIATE");
        Self(Mutex::new(connection))
    }

    /// Gives it back.
    pub(crate) fn release(&self) {
        execute(&mut self.0.lock().unwrap(), "ROLLBACK");
    }
}

/// Makes the database look as if a later version had written it: it ran a migration that nobody knows here.
pub(crate) fn pretend_newer(world: &World) {
    let mut connection = open(world);
    execute(
        &mut connection,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99991231235959, 'from the future', 1, x'00', 0)",
    );
    execute(&mut connection, "PRAGMA user_version = 2000000000");
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
