//! Every statement finds its rows by an index, however large the tables are.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};

use super::{Bench, on_postgres};
use crate::harness::source;

/// The tables that grow with what is remembered or what waits.
const LARGE: [&str; 7] = [
    "threads",
    "aliases",
    "keys",
    "messages",
    "deliveries",
    "work",
    "feedback",
];

/// Statements that look at all rows of a table, and why they may.
const WHOLE: [(&str, &str); 14] = [
    // An operator's list, in the order of the latest events: an index on those would cost every message.
    ("reads: THREADS", "threads"),
    // What waits is counted, and only what waits.
    ("both: BACKLOG", "work"),
    // At the start only, and only what waits.
    ("both: TURN_LANES", "work"),
    ("changes: RECOVER", "work"),
    ("changes: TRY_HELD", "work"),
    // Some thousands of keys that are all read at the start.
    ("fresh: LOAD", "fresh_keys"),
    // One row for each workspace.
    ("both: INSTALLED", "installations"),
    ("both: SEALED", "installations"),
    // Seldom, and for an operator who erases: words of the bridge that name somebody, ratings of a person, the names of
    // one (of which only the ends are known), and the rooms that such words stand in.
    ("both: MENTIONS", "deliveries"),
    ("both: MENTIONS", "threads"),
    ("both: ERASE_RATINGS", "feedback"),
    ("both: NAMES_LIKE", "aliases"),
    // What waits when a store is moved, in the order of the other database.
    ("moving: work", "work"),
    // An operator's page of all accounts.
    ("both: ACCOUNTS", "threads"),
];

/// The modules whose statements each message takes, or each act of a person. What operators look at is planned anew with
/// each look, and may take its time.
const OFTEN: [&str; 7] = ["accept", "acts", "claims", "lanes", "sends", "stops", "turns"];

fn may_scan(statement: &str, table: &str) -> bool {
    WHOLE.contains(&(statement, table))
}

/// The statements of this run's database, and those that read it as a whole when it is moved.
fn statements() -> Vec<(String, String)> {
    let listed = if on_postgres() {
        chatbridge::store::postgres::statements()
    } else {
        chatbridge::store::sqlite::statements()
    };
    let owned = listed
        .iter()
        .map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned()));
    owned.chain(chatbridge::store::moving::statements()).collect()
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let bench = Bench::new().await;
    let scans = if on_postgres() {
        let url = bench.place.settings().url;
        let options: PgConnectOptions = url.parse().unwrap();
        scans_of_postgres(options.connect().await.unwrap()).await
    } else {
        let options = SqliteConnectOptions::new().filename(bench.place.folder.path().join("test.db"));
        scans_of_sqlite(options.connect().await.unwrap()).await
    };
    let forbidden: Vec<_> = scans
        .iter()
        .filter(|(statement, table, _)| LARGE.contains(&table.as_str()) && !may_scan(statement, table))
        .collect();
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

/// A queue is empty most of the time, and that is when the database takes note of how large it is.
#[tokio::test]
async fn plans_that_are_made_for_empty_tables_look_rows_up_by_their_keys() {
    if !on_postgres() {
        // SQLite is told its indexes, or plans by them alone.
        return;
    }
    let bench = Bench::new().await;
    let options: PgConnectOptions = bench.place.settings().url.parse().unwrap();
    let mut through = Vec::new();
    for noted in ["SELECT 1", "VACUUM ANALYZE"] {
        let mut conn = options.connect().await.unwrap();
        for sql in [noted].iter().chain(SETTINGS) {
            conn.execute(*sql).await.unwrap();
        }
        for (name, plan) in plans_of_postgres(&mut conn).await {
            let tables = gone_through(&plan);
            let often = OFTEN
                .iter()
                .any(|module| name.starts_with(&format!("{module}: ")));
            if often && !tables.is_empty() {
                through.push(format!("{name} after {noted}:\n{}", plan.join("\n")));
            }
        }
    }
    assert!(through.is_empty(), "{}", through.join("\n\n"));
}

/// Fills the tables with as much as shows, and asks how each statement is carried out, whatever its values are.
async fn scans_of_postgres(mut conn: PgConnection) -> Vec<(String, String, String)> {
    for sql in FILL.iter().chain(SETTINGS) {
        conn.execute(*sql).await.unwrap();
    }
    let mut scans = Vec::new();
    for (name, plan) in plans_of_postgres(&mut conn).await {
        for line in &plan {
            if let Some((_, scanned)) = line.split_once("Seq Scan on ") {
                scans.push((name.clone(), first_word(scanned), plan.join("\n")));
            }
        }
    }
    scans
}

/// How each statement is carried out, whatever its values are.
async fn plans_of_postgres(conn: &mut PgConnection) -> Vec<(String, Vec<String>)> {
    let mut plans = Vec::new();
    for (name, sql) in statements() {
        let most = (1..20)
            .rev()
            .find(|n| sql.contains(&format!("${n}")))
            .unwrap_or(0);
        let values = vec!["NULL"; most].join(", ");
        let values = if most == 0 {
            String::new()
        } else {
            format!("({values})")
        };
        conn.execute(sqlx::raw_sql(AssertSqlSafe(format!("PREPARE s AS {sql}"))))
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let explain = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN EXECUTE s{values}")));
        let lines = explain.fetch_all(&mut *conn).await;
        let lines = lines.unwrap_or_else(|error| panic!("{name}: {error}"));
        plans.push((name, lines.iter().map(|row| row.get(0)).collect()));
        conn.execute("DEALLOCATE s").await.unwrap();
    }
    plans
}

/// The large tables of which a plan reads all rows, or all of a kind, be it along an index.
fn gone_through(plan: &[String]) -> Vec<String> {
    let mut through = Vec::new();
    let mut heap = String::new();
    for (line, next) in plan
        .iter()
        .zip(plan.iter().skip(1).map(String::as_str).chain([""]))
    {
        if let Some((_, scanned)) = line.split_once("Bitmap Heap Scan on ") {
            heap = first_word(scanned);
        }
        let table = if let Some((_, scanned)) = line.split_once("Seq Scan on ") {
            through.push(first_word(scanned));
            continue;
        } else if line.contains("Bitmap Index Scan on ") {
            heap.clone()
        } else if line.contains("Index Scan ") || line.contains("Index Only Scan ") {
            first_word(line.split_once(" on ").unwrap().1)
        } else {
            continue;
        };
        let by = next.split_once("Index Cond: ").map_or("", |(_, by)| by);
        let mut parts = by.split(" AND ").map(|part| part.trim_start_matches('('));
        if parts.all(|part| part.is_empty() || part.starts_with("kind ")) {
            through.push(table);
        }
    }
    through.retain(|table| LARGE.contains(&table.as_str()));
    through
}

fn first_word(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Some hundred thousand rows.
const FILL: &[&str] = &[
    "INSERT INTO threads (id, account, address, route, last_inbound_at, created_at, updated_at)
     SELECT 't' || n, 'c/A', 'c/A/' || n, 'null', n, n, n FROM generate_series(1, 50000) AS n",
    "INSERT INTO aliases SELECT 'c/A/' || n, 't' || n, 4, n FROM generate_series(1, 50000) AS n",
    "INSERT INTO keys SELECT n * 7919, n FROM generate_series(1, 100000) AS n",
    "INSERT INTO messages (thread_id, seq, platform_id, text, state, sent_at, accepted_at)
     SELECT 't' || n, s, 'p' || n, 'x', CASE WHEN n % 1000 = 0 THEN 'dead' ELSE 'answered' END, n, n
       FROM generate_series(1, 50000) AS n, generate_series(1, 3) AS s",
    "INSERT INTO deliveries (thread_id, part, kind, body, state, platform_id, created_at)
     SELECT 't' || n, s, 'answer', 'x', CASE WHEN n % 1000 = 0 THEN 'dead' ELSE 'sent' END, 'q' || n || '.' || s, n
       FROM generate_series(1, 50000) AS n, generate_series(1, 3) AS s",
    "INSERT INTO work (kind, thread_id, lane, due_at, since, first)
     SELECT 1 + n % 2, 't' || n, 'lane' || n % 10, n, n, 1 FROM generate_series(1, 20000) AS n",
    "INSERT INTO feedback SELECT 't' || n, 1, 'p', 1, n FROM generate_series(1, 20000) AS n",
    "ANALYZE",
];

/// As the daemon's transactions have them, and no plan is made for one value.
const SETTINGS: &[&str] = &[
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET plan_cache_mode = force_generic_plan",
];

async fn scans_of_sqlite(mut conn: SqliteConnection) -> Vec<(String, String, String)> {
    let mut scans = Vec::new();
    for (name, text) in statements() {
        for sql in text.split(';').filter(|sql| !sql.trim().is_empty()) {
            let aliases = aliases_of(sql);
            let explain = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
            let plan: Vec<String> = explain
                .fetch_all(&mut conn)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}"))
                .iter()
                .map(|row| row.get("detail"))
                .collect();
            for line in plan
                .iter()
                .filter(|line| line.starts_with("SCAN ") && !line.contains(" INDEX "))
            {
                let scanned = line.split(' ').nth(1).unwrap();
                let table = aliases.get(scanned).map_or(scanned, String::as_str);
                scans.push((name.clone(), table.to_owned(), plan.join("\n")));
            }
        }
    }
    scans
}

/// What `TABLE AS ALIAS` says in a statement.
fn aliases_of(sql: &str) -> BTreeMap<String, String> {
    let words: Vec<&str> = sql
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    words
        .windows(3)
        .filter(|words| words[1] == "AS" && LARGE.contains(&words[0]))
        .map(|words| (words[2].to_owned(), words[0].to_owned()))
        .collect()
}

/// A statement that is not in the list is looked at by nobody.
#[test]
fn the_lists_hold_all_statements() {
    for (folder, listed) in [
        ("src/store/sqlite", chatbridge::store::sqlite::statements()),
        ("src/store/postgres", chatbridge::store::postgres::statements()),
    ] {
        for source in source::rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
            let path = source.name.trim_start_matches(folder).trim_start_matches('/');
            let module = path.trim_end_matches(".rs").replace('/', "::");
            let constants = source.text.lines().filter_map(|line| {
                let rest = line.split("const ").nth(1)?;
                rest.split_once(": &str")
            });
            for (constant, _) in constants {
                let name = format!("{module}: {constant}");
                let exempt = ["connect: ", "tx: BEGIN", "hints: "]
                    .iter()
                    .any(|it| name.starts_with(it));
                assert!(
                    exempt || listed.iter().any(|(listed, _)| *listed == name),
                    "{name} of {folder} is not in its list of statements"
                );
            }
        }
    }
}
