//! What becomes of the accept rate, and of the start, when much is stored already.
//!
//! The rows are written by SQLite itself, as the daemon would have left them behind an answered message each: a thread
//! with its root, a message, a delivery and the keys of three identifiers, spread over their range as digests are.

use std::path::Path;
use std::time::{Duration, Instant};

use chatbridge::store::Store;
use chatbridge::store::sqlite::{Mode, SqliteStore};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use crate::load::Load;
use crate::report::{Accepting, median, millis};
use crate::servers::{Kind, Server};
use crate::stubs::Stubs;
use crate::{ROUNDS, scale, scaled};

/// Messages that are stored already. The last only at full scale: it makes a file of about 10 GB.
const SIZES: [usize; 3] = [1_000, 100_000, 10_000_000];

/// Messages that one statement writes.
const STEP: usize = 500_000;

/// Identifiers of one message that are kept so that it is known again.
const KEYS: usize = 3;

/// Numbers from ?1 up to, and without, ?2.
const NUMBERS: &str =
    "WITH RECURSIVE numbers (n) AS (VALUES (?1) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2),
    rows (n, id, ts, at) AS (
        SELECT n, '01900000-0000-7000-8000-' || printf('%012x', n),
               printf('%d.%06d', ?3 / 1000 - 86400 + n / 1000000, n % 1000000), ?3 - 86400000 FROM numbers)";

/// Each table's rows, made of the numbers. ?3 is now, in milliseconds; ?4 the distance of two keys.
const ROWS: [&str; 5] = [
    "INSERT INTO threads (id, account, place, address, conversation_id, answer_id, route, last_seq, last_part,
            last_inbound_at, created_at, updated_at)
        SELECT id, 'slack/T00BENCH', 'C00BENCHCHAN', 'slack/T00BENCH/C00BENCHCHAN/' || ts, 'conv-' || n, 'r-' || n,
            '{\"channel\":\"C00BENCHCHAN\",\"thread_ts\":\"' || ts || '\"}', 1, 1, at, at, at FROM rows",
    "INSERT INTO aliases (alias, thread_id, strength, since)
        SELECT 'slack/T00BENCH/C00BENCHCHAN/' || ts, id, 4, at FROM rows",
    "INSERT INTO messages (thread_id, seq, platform_id, text, state, turn, attempts, sent_at, accepted_at, ended_at)
        SELECT id, 1, ts, 'bench ' || n || ' When do you open on Saturdays, and may I bring the shoes back that I bought last week?',
            'answered', 1, 1, at, at, at FROM rows",
    "INSERT INTO deliveries (thread_id, part, turn, kind, body, state, attempts, platform_id, stage, asked_at, created_at,
            attempted_at, ended_at)
        SELECT id, 1, 1, 'answer', 'bench ' || n || ' We open at nine on Saturdays, and you may bring shoes back within 30 days.',
            'sent', 1, printf('1700000000.%08d', n), 0, at, at, at, at FROM rows",
    "INSERT INTO keys (key, hour) SELECT (n - ?5) * ?4, at / 3600000 FROM rows",
];

/// Prints the accept rates and the start-up times.
pub(crate) async fn growth() {
    println!("\n## Accepting with much stored, 64 connections\n");
    println!("| messages stored | file | accepted/s | p50 | p99 | of the smallest | first 200 after |");
    println!("|---|---|---|---|---|---|---|");
    let folder = tempfile::tempdir().unwrap();
    let sizes = &SIZES[..if scale() < 1.0 { 2 } else { 3 }];
    for &size in sizes {
        let begin = Instant::now();
        fill(&file(folder.path(), size), size).await;
        eprintln!(
            "{size} messages written in {:.0} s",
            begin.elapsed().as_secs_f64()
        );
    }
    let mut runs: Vec<Vec<(Accepting, Duration)>> = sizes.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for (&size, runs) in sizes.iter().zip(&mut runs) {
            runs.push(accepting(folder.path(), size, round).await);
        }
    }
    let mut smallest = None;
    for (&size, runs) in sizes.iter().zip(runs) {
        let (runs, mut ups): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
        ups.sort();
        let run = median(runs);
        let rate = *smallest.get_or_insert(run.rate);
        println!(
            "| {size} | {} MiB | {:.0} | {} | {} | {:.2} | {} |",
            std::fs::metadata(file(folder.path(), size)).unwrap().len() >> 20,
            run.rate,
            millis(run.p50),
            millis(run.p99),
            run.rate / rate,
            millis(ups[ups.len() / 2])
        );
    }
}

fn file(folder: &Path, size: usize) -> std::path::PathBuf {
    folder.join(format!("{size}.db"))
}

/// One run. A small database is copied first, so that it stays as small as it is called; the largest hardly grows.
async fn accepting(folder: &Path, size: usize, round: usize) -> (Accepting, Duration) {
    let (full, copy) = (file(folder, size), folder.join("copy.db"));
    let database = if size == SIZES[2] { &full } else { &copy };
    if database == &copy {
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{ending}", copy.display()));
        }
        std::fs::copy(&full, &copy).unwrap();
    }
    let events = scaled(100_000);
    let stubs = Stubs::start(Duration::ZERO, 0).await;
    let begin = Instant::now();
    let server = Server::start_on(Kind::Accept, &stubs, database).await;
    let up_after = begin.elapsed().saturating_sub(Server::SETTLING);
    let load = Load::new(server.address, 64, events).from(round * events);
    (load.run().await, up_after)
}

/// Makes a database with so many answered messages.
async fn fill(file: &Path, size: usize) {
    let url = format!("sqlite://{}", file.display());
    let settings = serde_json::from_value(serde_json::json!({ "url": url })).unwrap();
    let store = SqliteStore::open(&settings, Mode::Serve).await.unwrap();
    store.close().await;
    let mut connection = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .foreign_keys(false)
        .connect()
        .await
        .unwrap();
    write(&mut connection, size).await;
    let journal = "PRAGMA journal_mode = WAL";
    sqlx::query(journal).execute(&mut connection).await.unwrap();
}

async fn write(connection: &mut SqliteConnection, size: usize) {
    let now = jiff::Timestamp::now().as_millisecond();
    // All keys of 64 bits, in as many equal distances as there are keys.
    let keys = size * KEYS;
    let distance = i64::try_from(u64::MAX / u64::try_from(keys).unwrap()).unwrap();
    for (table, rows) in ROWS.iter().enumerate() {
        let last = if table == ROWS.len() - 1 { keys } else { size };
        for from in (0..last).step_by(STEP) {
            let statement = format!("{NUMBERS} {rows}");
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .bind(i64::try_from(from).unwrap())
                .bind(i64::try_from((from + STEP).min(last)).unwrap())
                .bind(now)
                .bind(distance)
                .bind(i64::try_from(keys / 2).unwrap())
                .execute(&mut *connection)
                .await
                .unwrap();
        }
    }
}
