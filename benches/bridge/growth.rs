//! What becomes of the accept rate, and of the start, when much is stored already.
//!
//! The rows are written by SQLite itself, as the daemon would have left them behind an answered message each: a thread
//! with its root, a message, a delivery and the keys of three identifiers, spread over their range as digests are. The
//! messages came evenly over some days; of those that came more than ten days ago the janitor has removed the keys.

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

/// What is stored already.
#[derive(Clone, Copy)]
struct Stock {
    messages: usize,
    /// The days over which they came.
    days: usize,
}

/// From none to speak of to much. The last two only at full scale: each makes a file of about 10 GB.
const STOCKS: [Stock; 4] = [
    Stock {
        messages: 1_000,
        days: 1,
    },
    Stock {
        messages: 100_000,
        days: 100,
    },
    Stock {
        messages: 10_000_000,
        days: 100,
    },
    Stock {
        messages: 10_000_000,
        days: 10,
    },
];

/// So many days the janitor keeps keys.
const KEPT_DAYS: usize = 10;

/// From so many messages on, a database is not copied for each run: it hardly grows.
const LARGE: usize = 10_000_000;

/// Messages that one statement writes.
const STEP: usize = 500_000;

/// Identifiers of one message that are kept so that it is known again.
const KEYS: usize = 3;

/// Numbers from ?1 up to, and without, ?2.
const NUMBERS: &str =
    "WITH RECURSIVE numbers (n) AS (VALUES (?1) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2),
    rows (n, id, ts, at) AS (
        SELECT n, '01900000-0000-7000-8000-' || printf('%012x', n),
               printf('%d.%06d', (?3 + n * ?6 / 1000) / 1000, n % 1000000), ?3 + n * ?6 / 1000 FROM numbers)";

/// Each table's rows, made of the numbers. ?3 is when the first came, in milliseconds, and ?6 how many microseconds later
/// each next one did; ?4 the distance of two keys, ?5 half their count.
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
    "INSERT INTO keys (key, hour) SELECT (n - ?5) * ?4, unixepoch() / 3600 - n * 7919 % 239 FROM numbers",
];

/// Prints the accept rates and the start-up times.
pub(crate) async fn growth() {
    println!("\n## Accepting with much stored, 64 connections\n");
    println!(
        "| messages stored | of days | file | accepted/s | p50 | p99 | of the smallest | first 200 after |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let folder = tempfile::tempdir().unwrap();
    let stocks = &STOCKS[..if scale() < 1.0 { 2 } else { STOCKS.len() }];
    for &stock in stocks {
        let begin = Instant::now();
        fill(&file(folder.path(), stock), stock).await;
        let took = begin.elapsed().as_secs_f64();
        eprintln!(
            "{} messages of {} days written in {took:.0} s",
            stock.messages, stock.days
        );
    }
    let mut runs: Vec<Vec<(Accepting, Duration)>> = stocks.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for (&stock, runs) in stocks.iter().zip(&mut runs) {
            runs.push(accepting(folder.path(), stock, round).await);
        }
    }
    let mut smallest = None;
    for (&stock, runs) in stocks.iter().zip(runs) {
        let (runs, mut ups): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
        ups.sort();
        let run = median(runs);
        let rate = *smallest.get_or_insert(run.rate);
        println!(
            "| {} | {} | {} MiB | {:.0} | {} | {} | {:.2} | {} |",
            stock.messages,
            stock.days,
            std::fs::metadata(file(folder.path(), stock)).unwrap().len() >> 20,
            run.rate,
            millis(run.p50),
            millis(run.p99),
            run.rate / rate,
            millis(ups[ups.len() / 2])
        );
    }
}

fn file(folder: &Path, stock: Stock) -> std::path::PathBuf {
    folder.join(format!("{}-{}.db", stock.messages, stock.days))
}

/// One run. A small database is copied first, so that it stays as small as it is called.
async fn accepting(folder: &Path, stock: Stock, round: usize) -> (Accepting, Duration) {
    let (full, copy) = (file(folder, stock), folder.join("copy.db"));
    let database = if stock.messages >= LARGE { &full } else { &copy };
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
async fn fill(file: &Path, stock: Stock) {
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
    write(&mut connection, stock).await;
    let journal = "PRAGMA journal_mode = WAL";
    sqlx::query(journal).execute(&mut connection).await.unwrap();
}

async fn write(connection: &mut SqliteConnection, stock: Stock) {
    let number = |count: usize| i64::try_from(count).unwrap();
    let span = Duration::from_hours(24) * u32::try_from(stock.days).unwrap();
    let apart = number(usize::try_from(span.as_micros()).unwrap() / stock.messages);
    let began = jiff::Timestamp::now().as_millisecond() - i64::try_from(span.as_millis()).unwrap();
    // All keys of 64 bits, in as many equal distances as there are keys.
    let kept = stock.messages * KEPT_DAYS.min(stock.days) / stock.days;
    let keys = kept * KEYS;
    let distance = i64::try_from(u64::MAX / u64::try_from(keys).unwrap()).unwrap();
    for (table, rows) in ROWS.iter().enumerate() {
        let last = if table == ROWS.len() - 1 {
            keys
        } else {
            stock.messages
        };
        for from in (0..last).step_by(STEP) {
            let statement = format!("{NUMBERS} {rows}");
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .bind(number(from))
                .bind(number((from + STEP).min(last)))
                .bind(began)
                .bind(distance)
                .bind(number(keys / 2))
                .bind(apart)
                .execute(&mut *connection)
                .await
                .unwrap();
        }
    }
}
