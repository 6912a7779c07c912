//! Several equal daemons on one PostgreSQL.
//!
//! `CHATBRIDGE_BENCH_POSTGRES` names a server (`postgres://USER@HOST:PORT`) whose user may make databases: each run gets one of
//! its own. What the daemons sent to it is read from their metrics.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::load::Load;
use crate::report::millis;
use crate::servers::{Kind, Server};
use crate::stubs::Stubs;
use crate::wire::Wire;
use crate::{ROUNDS, scaled};

/// The environment variable that names the server.
const SERVER: &str = "CHATBRIDGE_BENCH_POSTGRES";

/// How many daemons share the work.
const REPLICAS: [usize; 3] = [1, 2, 4];

/// What some daemons did in one round.
#[derive(Clone, Copy)]
struct Run {
    accepted: f64,
    p99: Duration,
    answered: f64,
    /// Statements and round trips for each answered message.
    statements: f64,
}

/// Prints what one, two and four daemons do.
pub(crate) async fn replicas() {
    let Ok(server) = std::env::var(SERVER) else {
        println!("\nThe replicas are left out: {SERVER} names no PostgreSQL server.");
        return;
    };
    println!("\n## Replicas on PostgreSQL, 64 connections, agent 0 ms\n");
    println!("| daemons | accepted/s | p99 | answered/s | of one daemon | statements a message |");
    println!("|---|---|---|---|---|---|");
    let mut runs = vec![Vec::new(); REPLICAS.len()];
    for round in 0..ROUNDS {
        for (&daemons, runs) in REPLICAS.iter().zip(&mut runs) {
            let name = format!("bench_{}_{round}_{daemons}", std::process::id());
            make(&server, &name).await;
            runs.push(run(&format!("{server}/{name}"), daemons).await);
            drop_database(&server, &name).await;
        }
    }
    let mut alone = None;
    for (daemons, mut runs) in REPLICAS.into_iter().zip(runs) {
        runs.sort_by(|a, b| a.answered.total_cmp(&b.answered));
        let run = runs[ROUNDS / 2];
        let of_one = run.answered / *alone.get_or_insert(run.answered);
        println!(
            "| {daemons} | {:.0} | {} | {:.0} | {of_one:.2} | {:.2} |",
            run.accepted,
            millis(run.p99),
            run.answered,
            run.statements
        );
    }
}

async fn make(server: &str, name: &str) {
    let mut connection = PgConnection::connect(&format!("{server}/postgres"))
        .await
        .unwrap();
    let make = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(make).execute(&mut connection).await.unwrap();
}

async fn drop_database(server: &str, name: &str) {
    let mut connection = PgConnection::connect(&format!("{server}/postgres"))
        .await
        .unwrap();
    let drop = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
    sqlx::query(drop).execute(&mut connection).await.unwrap();
}

/// One round: the load is shared out evenly, as a balancer does.
async fn run(url: &str, daemons: usize) -> Run {
    let events = scaled(20_000) / daemons * daemons;
    let stubs = Stubs::start(Duration::ZERO, events).await;
    let mut servers = Vec::new();
    for _ in 0..daemons {
        servers.push(Server::start_with_url(Kind::Durable, &stubs, url).await);
    }
    let before = statements(&servers).await;
    let begin = Instant::now();
    let share = events / daemons;
    let loads: Vec<_> = servers
        .iter()
        .enumerate()
        .map(|(place, server)| {
            let load = Load::new(server.address, 64 / daemons, share).from(place * share);
            tokio::spawn(load.run())
        })
        .collect();
    let (mut accepted, mut p99) = (0.0, Duration::ZERO);
    for load in loads {
        let done = load.await.unwrap();
        accepted += done.rate;
        p99 = p99.max(done.p99);
    }
    stubs.all_answered(Duration::from_mins(5)).await;
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let count = events as f64;
    Run {
        accepted,
        p99,
        answered: count / begin.elapsed().as_secs_f64(),
        statements: (statements(&servers).await - before) / count,
    }
}

/// How many statements all of them have sent.
async fn statements(servers: &[Server]) -> f64 {
    let mut sum = 0.0;
    for server in servers {
        let mut wire = Wire::connect(server.admin.expect("the real binary"))
            .await
            .unwrap();
        wire.send(b"GET /metrics HTTP/1.1\r\nhost: bench\r\n\r\n")
            .await
            .unwrap();
        let page = wire.message().await.expect("the metrics");
        let line = page
            .body
            .lines()
            .find_map(|line| line.strip_prefix("chatbridge_store_statements_total "));
        sum += line.map_or(0.0, |count| count.trim().parse::<f64>().unwrap());
    }
    sum
}
