//! Every row of every table arrives, with every value that a column may hold.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Row};

use super::{Target, execute, filled, moved, quiet, rows};
use chatbridge::store::{Settings, moving};

/// What a move leaves behind on purpose: what counts the migrations, the table of PostgreSQL that its first migration
/// fills, the lanes of replicas that run, and keys that arrive among the others.
const LEFT: [&str; 4] = ["_sqlx_migrations", "bridge", "lanes", "fresh_keys"];

#[test]
fn everything_arrives_and_comes_back() {
    let world = quiet();
    let from = filled(&world, "filled.db");
    let first = Target::file(world.home(), "first.db");
    let sent = moved(&world, &from, &first.url);
    for (table, count) in [
        ("threads", 2500),
        ("messages", 7500),
        ("deliveries", 5000),
        // Of the fresh ones, a hundred have gone over already.
        ("keys", 5802),
        ("installations", 3),
        ("audit", 2),
    ] {
        assert_eq!(rows(&sent, table), count, "{table}: {sent}");
    }
    // What was moved is moved on as it is.
    let second = Target::file(world.home(), "second.db");
    assert_eq!(moved(&world, &first.url, &second.url), sent);
    let Some(server) = Target::server() else { return };
    let there = moved(&world, &from, &server.url);
    // The one text with a NUL in it reads otherwise there.
    assert_eq!(differing(&sent, &there), BTreeSet::from(["messages"]));
    let other = Target::server().unwrap();
    let mut on = moved(&world, &server.url, &other.url);
    // Claims that come from a file are over when they arrive.
    assert_eq!(differing(&there, &on), BTreeSet::from(["work"]));
    let back = Target::file(world.home(), "back.db");
    let came = moved(&world, &other.url, &back.url);
    assert_eq!(came, on);
    let again = Target::server().unwrap();
    on = moved(&world, &back.url, &again.url);
    assert_eq!(differing(&came, &on), BTreeSet::new());
}

fn differing<'t>(one: &'t Value, other: &'t Value) -> BTreeSet<&'t str> {
    let (one, other) = (one.as_array().unwrap(), other.as_array().unwrap());
    let pairs = one.iter().zip(other).filter(|(one, other)| one != other);
    pairs.map(|(one, _)| one["table"].as_str().unwrap()).collect()
}

/// A database of the server numbers the audit on behind what was moved.
#[test]
fn the_audit_goes_on() {
    let world = quiet();
    let Some(server) = Target::server() else { return };
    moved(&world, &filled(&world, "filled.db"), &server.url);
    let database = server.server.as_ref().unwrap();
    database.execute(
        "INSERT INTO audit (at, what, messages, deliveries, names, ratings) VALUES (1, 'thread_erased', 0, 0, 0, 0)",
    );
    assert_eq!(database.count("SELECT max(seq) FROM audit"), 9);
    assert_eq!(
        database.count("SELECT count(*) FROM work WHERE token IS NOT NULL AND due_at > 2000000000000"),
        0
    );
}

/// A column that a migration adds is moved too, or this fails.
#[tokio::test]
async fn no_table_and_no_column_is_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let listed: BTreeSet<String> = moving::tables()
        .iter()
        .flat_map(|(table, columns)| columns.iter().map(move |column| format!("{table}.{column}")))
        .collect();
    for target in Target::each(home.path(), "new.db") {
        let settings = Settings {
            url: target.url.clone(),
            ..Settings::default()
        };
        chatbridge::store::migrate(&settings).await.unwrap();
        let found: Vec<(String, String)> = if target.server.is_some() {
            columns_of_server(&target.url).await
        } else {
            columns_of_file(&target.url).await
        };
        let found: BTreeSet<String> = found
            .into_iter()
            .filter(|(table, _)| !LEFT.contains(&table.as_str()))
            .map(|(table, column)| format!("{table}.{column}"))
            .collect();
        assert_eq!(found, listed, "{}", target.url);
    }
}

async fn columns_of_file(url: &str) -> Vec<(String, String)> {
    let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
    let mut conn: SqliteConnection = options.connect().await.unwrap();
    let rows = sqlx::query(
        "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'",
    );
    let rows = rows.fetch_all(&mut conn).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn columns_of_server(url: &str) -> Vec<(String, String)> {
    let options: PgConnectOptions = url.parse().unwrap();
    let mut conn: PgConnection = options.connect().await.unwrap();
    let rows = sqlx::query(
        "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'",
    );
    let rows = rows.fetch_all(&mut conn).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// What a person reads of it: the table, and which keys the new database needs. Tokens and texts stay encrypted.
#[test]
fn a_move_says_what_it_moved_and_which_keys_it_takes() {
    let world = quiet();
    let from = filled(&world, "filled.db");
    let key = world.home().join("filled.db.key");
    std::fs::write(&key, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n").unwrap();
    let to = Target::file(world.home(), "to.db");
    let done = world.cli(&["migrate", "--from", &from, "--to", &to.url]).exits(0);
    for words in [
        "TABLE",
        "messages       7500",
        "every row was read back and compared",
        "store.secret_key",
        "filled.db.key",
        "to.db.key",
        "store.text_key",
        "filled.db is as it was",
    ] {
        assert!(done.stdout.contains(words), "{words}: {done:?}");
    }
    assert!(done.stderr.contains("moving "), "{done:?}");
}

/// An empty store is a store too.
#[tokio::test]
async fn an_empty_store_is_moved() {
    let home = tempfile::tempdir().unwrap();
    let settings = |target: &Target| Settings {
        url: target.url.clone(),
        ..Settings::default()
    };
    let from = Target::file(home.path(), "from.db");
    chatbridge::store::migrate(&settings(&from)).await.unwrap();
    for to in Target::each(home.path(), "to.db") {
        let open = moving::Move::open(&settings(&from), &settings(&to))
            .await
            .unwrap();
        let done = open.run(&mut |_| {}).await.unwrap();
        assert!(done.tables.iter().all(|table| table.rows == 0), "{done:?}");
    }
    execute(&from.url, "INSERT INTO spent (mark, until) VALUES ('m', 1)").await;
}
