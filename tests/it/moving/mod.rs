//! A whole store is moved into another database, of either kind: it holds the same, whenever the move is cut off, and
//! goes on where it was.
//!
//! Moves into and out of PostgreSQL happen where there is a server (`tests/run` starts one for its second pass).

mod refusing;
mod rows;
mod serving;
mod stopping;

use std::path::Path;

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use crate::harness::postgres::Database;
use crate::harness::{Config, Finished, World};

/// An empty database to move into.
struct Target {
    url: String,
    /// That of the server, which is gone with this.
    server: Option<Database>,
}

impl Target {
    /// A file that is not there yet.
    fn file(home: &Path, name: &str) -> Self {
        Self {
            url: format!("sqlite://{}", home.join(name).display()),
            server: None,
        }
    }

    /// A database of the server, if there is one.
    fn server() -> Option<Self> {
        std::env::var_os("CHATBRIDGE_TEST_POSTGRES")?;
        let database = Database::new()?;
        Some(Self {
            url: database.url(),
            server: Some(database),
        })
    }

    /// One of each kind that there is here.
    fn each(home: &Path, name: &str) -> Vec<Self> {
        std::iter::once(Self::file(home, name))
            .chain(Self::server())
            .collect()
    }

    /// Lets the next start serve it.
    fn serve(&self, config: &mut Config) {
        config.set("store.url", self.url.as_str());
        if self.server.is_some() {
            config
                .set("store.lease", "2s")
                .set("store.secret_key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        }
    }
}

/// The address of the world's own database.
fn url_of(world: &World) -> String {
    let file = || format!("sqlite://{}", world.home().join("chatbridge.db").display());
    world.database.as_ref().map_or_else(file, Database::url)
}

/// Tries to move one database into another.
fn migrate(world: &World, from: &str, to: &str) -> Finished {
    world.cli(&["migrate", "--from", from, "--to", to, "--json"])
}

/// Moves one database into another, and returns its tables with their rows and checksums.
#[track_caller]
fn moved(world: &World, from: &str, to: &str) -> Value {
    migrate(world, from, to).exits(0).json()
}

/// The rows of a table, as a move told them.
fn rows(tables: &Value, name: &str) -> u64 {
    let mut all = tables.as_array().unwrap().iter();
    let table = all.find(|table| table["table"] == name).unwrap();
    table["rows"].as_u64().unwrap()
}

/// Carries out statements in a SQLite file.
async fn execute(url: &str, sql: &str) {
    let options: SqliteConnectOptions = url.parse().unwrap();
    let mut conn: SqliteConnection = options.connect().await.unwrap();
    conn.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())))
        .await
        .unwrap();
    conn.close().await.unwrap();
}

/// The same from a test that is a plain function.
fn execute_in(url: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(execute(url, sql));
}

/// Rows in all tables, more than go in one batch, with what is at the edges of what a column may hold.
const FILL: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
    INSERT INTO threads (id, account, place, address, state, paused_until, conversation_id, answer_id, route, routed_at,
           country, bound, last_seq, last_part, last_inbound_at, noticed_at, created_at, updated_at)
    SELECT printf('t%05d', i), 'chan/A' || (i % 3), iif(i % 2, 'room' || i, NULL), 'chan/A/' || i,
           iif(i % 7, 'open', 'paused'), iif(i % 14, NULL, i * 1000), iif(i % 5, 'conversation ' || i, NULL),
           iif(i % 6, NULL, 'answer'), '{\"to\":[' || i || ']}', i, iif(i % 4, 'DE', NULL), iif(i % 9, NULL, 'chan/A/u' || i),
           3, 2, i, iif(i % 11, NULL, i), -i, 9223372036854775807 FROM n;
    INSERT INTO aliases (alias, thread_id, strength, since) SELECT address, id, 4, created_at FROM threads;
    INSERT INTO aliases (alias, thread_id, strength, since)
    SELECT bound, id, 1, created_at FROM threads WHERE bound IS NOT NULL;
    INSERT INTO messages (thread_id, seq, platform_id, text, quotes, state, code, reason, turn, attempts, sent_at,
           edited_at, accepted_at, ended_at)
    SELECT t.id, s.value, 'p' || s.value, t.id || ' says \"' || s.value || '\"' || char(10, 9, 92, 228, 128512),
           iif(s.value = 2, 'p1', NULL),
           CASE s.value WHEN 1 THEN 'answered' WHEN 2 THEN iif(last_inbound_at % 10, 'ignored', 'dead')
                        ELSE iif(last_inbound_at % 3, 'handed', 'pending') END,
           iif(s.value = 2, 'code', NULL), iif(s.value = 2, 'reason', NULL), iif(s.value = 1, 1, NULL), s.value,
           -9223372036854775807 - 1, iif(s.value = 1, 5, NULL), last_inbound_at, iif(s.value = 3, NULL, 7)
      FROM threads AS t, json_each('[1,2,3]') AS s;
    UPDATE messages SET text = '' WHERE thread_id = 't00001';
    UPDATE messages SET text = 'a' || char(0) || 'b' WHERE thread_id = 't00002';
    UPDATE messages SET text = hex(zeroblob(300000)) WHERE thread_id = 't00003';
    UPDATE messages SET text = 'chatbridge-sealed:AAAA' WHERE thread_id = 't00004';
    INSERT INTO deliveries (thread_id, part, turn, kind, body, state, attempts, pauses, platform_id, stage, billable, code,
           reason, asked_at, created_at, attempted_at, ended_at)
    SELECT t.id, s.value, iif(s.value = 1, 1, NULL), iif(s.value = 1, 'answer', 'notice'), 'body ' || t.id,
           CASE last_inbound_at % 6 WHEN 0 THEN 'pending' WHEN 1 THEN 'sending' WHEN 2 THEN 'unknown' WHEN 3 THEN 'dead'
                WHEN 4 THEN 'withdrawn' ELSE 'sent' END,
           1, 2, iif(last_inbound_at % 6 = 5, 'q' || t.id || s.value, NULL), last_inbound_at % 5,
           iif(last_inbound_at % 8, NULL, 1), NULL, NULL, iif(s.value = 1, 3, NULL), 4, 5,
           iif(last_inbound_at % 6 < 3, NULL, 6)
      FROM threads AS t, json_each('[1,2]') AS s;
    INSERT INTO work (kind, thread_id, lane, due_at, since, wait, max_wait, token, attempts, ambiguous, held, first, upto,
           reopened)
    SELECT 1, id, 'chan/agent', last_inbound_at, 1, 2, 3, iif(last_inbound_at % 2, NULL, 77), 1, last_inbound_at % 4 = 0,
           iif(last_inbound_at % 2, 'agent', NULL), 3, iif(last_inbound_at % 2, NULL, 3), NULL
      FROM threads WHERE last_inbound_at % 3 = 0;
    INSERT INTO work (kind, thread_id, lane, due_at, since, token, first)
    SELECT 2, id, account, iif(last_inbound_at % 6 = 1, 4000000000000, last_inbound_at), 1,
           iif(last_inbound_at % 6 = 1, 5, NULL), 1
      FROM threads WHERE last_inbound_at % 6 < 3;
    INSERT INTO feedback (thread_id, turn, person, helpful, at)
    SELECT t.id, 1, 'U' || s.value, s.value % 2, 8 FROM threads AS t, json_each('[1,2]') AS s WHERE last_inbound_at % 5 = 0;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO keys (key, hour) SELECT (i - 2500) * 3689348814741910, i FROM n;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
    INSERT INTO fresh_keys (seq, key, hour)
    SELECT i, iif(i <= 100, (i - 2500) * 3689348814741910, (450 - i) * 20496382304121723 + 1), 6000 + i FROM n;
    INSERT INTO fresh_keys (seq, key, hour) VALUES (2000, 9223372036854775807, 1), (2001, -9223372036854775807 - 1, 2);
    INSERT INTO installations (account, since, ended_at, sealed)
    VALUES ('chan/A1', 1, NULL, x'0100ff'), ('chan/A2', 2, 3, NULL), ('chan/A3', 2, 1, x'');
    INSERT INTO spent (mark, until) VALUES ('one', 1), ('two', 2);
    INSERT INTO families (account, family) VALUES ('chan/A1', 'family'), ('chan/A2', 'family');
    INSERT INTO audit (seq, at, what, thread_id, messages, deliveries, names, ratings, pages_at, log_at)
    VALUES (3, 1, 'thread_erased', 'gone', 1, 2, 3, 4, 5, NULL), (8, 2, 'person_erased', NULL, 0, 0, 0, 0, NULL, NULL);
";

/// A SQLite file with [`FILL`] in it.
fn filled(world: &World, name: &str) -> String {
    let url = Target::file(world.home(), name).url;
    let mut config = world.config.clone();
    config.set("store.url", url.as_str());
    let file = world.home().join(format!("{name}.toml"));
    std::fs::write(&file, config.to_toml()).unwrap();
    let made = ["migrate", "--config", file.to_str().unwrap()];
    crate::harness::run(world.home(), &made, &[]).exits(0);
    execute_in(&url, FILL);
    url
}

/// A world whose configuration is written and whose daemon does not run.
fn quiet() -> World {
    let world = World::stopped();
    world.write_config();
    world
}
