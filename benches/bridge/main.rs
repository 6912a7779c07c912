//! What the bridge does in a second, and what it adds to the agent's own time.
//!
//! `cargo bench` runs `accept`, `answer`, `latency` and `memory`; a name behind `--` runs that part alone. What takes long
//! or installs something runs only when it is named: `startup`, `growth`, `day`, `replicas`, `rivals` (or `rivals-slack`, `rivals-whatsapp`). Everything runs on this machine: the
//! load, the stubs of agent and platform, and the server, which is a process of its own. What is compared runs in turn,
//! several times, and the medians count, because machines drift.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot run says why"
)]

mod contest;
mod day;
mod events;
mod growth;
mod install;
mod load;
mod memory_store;
mod processes;
mod replicas;
mod report;
mod rivals;
mod servers;
mod stubs;
mod wire;

use std::time::Duration;

use events::Platform;
use load::Load;
use report::{Accepting, median, row};
use servers::{Kind, Server};
use stubs::Stubs;

/// Rounds of what is compared; the medians count.
const ROUNDS: usize = 3;

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if arguments.first().is_some_and(|argument| argument == "--serve") {
        return runtime.block_on(servers::serve(&arguments[1..]));
    }
    let wanted: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let runs = |name: &str| wanted.is_empty() || wanted.contains(&name);
    runtime.block_on(async {
        if wanted.contains(&"profile-accept") {
            let run = accepting(Kind::Accept, 64, scaled(300_000)).await;
            println!("{:.0}/s, {}", run.rate, report::millis(run.p99));
        }
        if wanted.contains(&"profile-answer") {
            println!("{:.0}/s", answered(Kind::Durable, scaled(100_000)).await);
        }
        if runs("accept") {
            accept().await;
        }
        if runs("answer") {
            answer().await;
        }
        if runs("latency") {
            latency().await;
        }
        if runs("memory") {
            memory().await;
        }
        if wanted.contains(&"startup") {
            rivals::startup().await;
        }
        if wanted.contains(&"growth") {
            growth::growth().await;
        }
        if wanted.contains(&"day") {
            day::day().await;
        }
        if wanted.contains(&"replicas") {
            replicas::replicas().await;
        }
        for (name, platform) in [
            ("rivals-slack", Platform::Slack),
            ("rivals-whatsapp", Platform::WhatsApp),
        ] {
            if wanted.contains(&"rivals") || wanted.contains(&name) {
                rivals::rivals(platform).await;
            }
        }
    });
}

/// What `BENCH_SCALE` says, 1 by default: less for a quick look.
fn scale() -> f64 {
    let text = std::env::var("BENCH_SCALE").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(1.0)
}

/// How many events to send, scaled.
fn scaled(events: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a count"
    )]
    let events = (events as f64 * scale()) as usize;
    events.max(500)
}

async fn accepting(kind: Kind, connections: usize, events: usize) -> Accepting {
    let stubs = Stubs::start(Duration::ZERO, 0).await;
    let server = Server::start(kind, &stubs).await;
    Load::new(server.address, connections, events).run().await
}

/// Accepted a second and acknowledgement times: signature check only, the real accept path, a transaction each.
async fn accept() {
    println!("\n## Accepting\n");
    println!("| connections | path | accepted/s | p50 | p99 | of signature only |");
    println!("|---|---|---|---|---|---|");
    for connections in [1, 16, 64, 256] {
        let events = scaled(if connections == 64 {
            300_000
        } else {
            5_000 + connections * 500
        });
        let (mut signed, mut durable) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            signed.push(accepting(Kind::Signature, connections, events).await);
            durable.push(accepting(Kind::Accept, connections, events).await);
        }
        let (signed, durable) = (median(signed), median(durable));
        row(connections, "signature check only", &signed, &signed);
        row(connections, "stored, full sync", &durable, &signed);
        if connections == 64 {
            let each = accepting(Kind::AcceptEach, connections, scaled(20_000)).await;
            row(connections, "stored, a transaction each", &each, &signed);
            println!("\nstored ÷ a transaction each: {:.1}\n", durable.rate / each.rate);
        }
    }
}

/// Answered a second, end to end: durable, and the same pipeline without storage.
async fn answer() {
    println!("\n## Answering, 64 connections, agent 0 ms\n");
    println!("| store | answered/s |");
    println!("|---|---|");
    let events = scaled(100_000);
    let (mut durable, mut none) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        durable.push(answered(Kind::Durable, events).await);
        none.push(answered(Kind::NoStore, events).await);
    }
    for rates in [&mut durable, &mut none] {
        rates.sort_by(f64::total_cmp);
    }
    println!("| SQLite, full sync | {:.0} |", durable[ROUNDS / 2]);
    println!("| none | {:.0} |", none[ROUNDS / 2]);
    println!(
        "\ndurable ÷ without storage: {:.2}",
        durable[ROUNDS / 2] / none[ROUNDS / 2]
    );
}

async fn answered(kind: Kind, events: usize) -> f64 {
    let stubs = Stubs::start(Duration::ZERO, events).await;
    let server = Server::start(kind, &stubs).await;
    let begin = std::time::Instant::now();
    Load::new(server.address, 64, events).run().await;
    stubs.all_answered(Duration::from_mins(5)).await;
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let count = events as f64;
    count / begin.elapsed().as_secs_f64()
}

/// What the bridge adds to the agent's own time at 50 messages a second.
async fn latency() {
    println!("\n## Added to the agent's own time, 50 messages a second\n");
    println!("| agent | p50 | p99 |");
    println!("|---|---|---|");
    for agent in [Duration::ZERO, Duration::from_millis(200)] {
        let events = scaled(1_500);
        let stubs = Stubs::start(agent, events).await;
        let server = Server::start(Kind::Durable, &stubs).await;
        let sent = Load::new(server.address, 8, events).at_rate(50).run().await.sent;
        stubs.all_answered(Duration::from_mins(1)).await;
        let added = stubs.added(&sent, 0);
        println!(
            "| {agent:?} | {} | {} |",
            report::millis(added.0),
            report::millis(added.1)
        );
    }
}

/// Resident memory of the real binary: idle, and saturated over time.
async fn memory() {
    println!("\n## Resident memory of the daemon\n");
    println!("| when | MiB |");
    println!("|---|---|");
    let events = scaled(200_000);
    let stubs = Stubs::start(Duration::ZERO, events).await;
    let server = Server::start(Kind::Durable, &stubs).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("| idle | {:.1} |", server.resident());
    let load = tokio::spawn(Load::new(server.address, 64, events).run());
    let mut second = 0;
    while !load.is_finished() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        second += 1;
        if second % 4 == 0 {
            println!("| saturated, after {second} s | {:.1} |", server.resident());
        }
    }
    stubs.all_answered(Duration::from_mins(5)).await;
    println!("| all {events} answered | {:.1} |", server.resident());
}
