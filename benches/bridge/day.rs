//! A day's traffic, as fast as it goes: nothing is lost, nothing is answered twice, and nothing grows that should not.

use std::time::{Duration, Instant};

use crate::load::Load;
use crate::report::millis;
use crate::scaled;
use crate::servers::{Kind, Server};
use crate::stubs::Stubs;

/// Messages of the day.
const MESSAGES: usize = 1_000_000;

/// Prints how a day's messages went.
pub(crate) async fn day() {
    let events = scaled(MESSAGES);
    let stubs = Stubs::start(Duration::ZERO, events).await;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("day.db");
    let server = Server::start_on(Kind::Durable, &stubs, &database).await;
    println!("\n## {events} messages, 64 connections, agent 0 ms\n");
    println!("| answered | after | resident | open files | database | its log |");
    println!("|---|---|---|---|---|---|");
    let begin = Instant::now();
    let load = tokio::spawn(Load::new(server.address, 64, events).run());
    let mut next = events / 10;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let answered = stubs.tally().answered;
        if answered < next {
            let quiet = stubs.latest().unwrap_or(begin).elapsed();
            assert!(
                quiet < Duration::from_mins(1),
                "nothing is answered any more: {:?}",
                stubs.tally()
            );
            continue;
        }
        let size = |ending: &str| {
            let file = format!("{}{ending}", database.display());
            std::fs::metadata(file).map_or(0, |file| file.len() >> 20)
        };
        println!(
            "| {answered} | {:.0} s | {:.0} MiB | {} | {} MiB | {} MiB |",
            begin.elapsed().as_secs_f64(),
            server.resident(),
            server.open_files(),
            size(""),
            size("-wal")
        );
        if answered == events {
            break;
        }
        next = (next + events / 10).min(events);
    }
    let accepted = load.await.unwrap();
    stubs.all_answered(Duration::from_mins(1)).await;
    println!(
        "\naccepted at {:.0}/s, p99 {}; never answered: 0, answered twice: 0",
        accepted.rate,
        millis(accepted.p99)
    );
}
