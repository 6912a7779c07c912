//! A day's traffic in little time (in the long run 12,000 messages, eight in each minute of a day): memory, open files
//! and the log stay flat, and what is done leaves no work behind. On PostgreSQL the log is the server's; there the tables
//! through which all work passes must stay small, though each message leaves dead rows in them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::json;

use super::{report, size};
use crate::harness::files::Files;
use crate::harness::{Talk, World, count_rows, eventually, judge, wait_all_answered};

/// So many people write, half of them on each platform.
const PEOPLE: usize = 120;
/// A look is taken after each of so many parts of the traffic.
const PARTS: usize = 10;
/// SQLite's log is cut back to 32 MiB after a copy, and a copy may be under way. PostgreSQL's tables of work hold the
/// dead rows of a minute: so often a server looks whether to vacuum.
const MOST_PASSING: i64 = 48 * 1024 * 1024;
/// How much more memory the last parts may need than the earlier ones, in KiB: allocators keep some.
const MORE_MEMORY: u64 = 10 * 1024;

/// So many places the agent has.
const PLACES: usize = 32;
/// So many sends an account has under way at once.
const SENDS: usize = 64;
/// So many connections to PostgreSQL a daemon has: three write, four read (the one that listens among them), and one may
/// just be making room for another.
const TO_DATABASE: usize = 8;
/// So many deliver at the same time.
const DELIVERERS: usize = 8;

/// What a PostgreSQL server has on its disk of what is kept, and of what passes.
const KEPT: &str = "SELECT sum(pg_total_relation_size(t::regclass))::bigint
    FROM unnest(ARRAY['threads', 'aliases', 'keys', 'messages', 'deliveries']) AS t";
const WORK: &str = "SELECT pg_total_relation_size('work') + pg_total_relation_size('lanes')";

/// What a look found.
#[derive(Debug)]
struct Look {
    memory: u64,
    files: Files,
    /// SQLite's log, or PostgreSQL's tables of work, in bytes.
    passing: i64,
    /// SQLite's keys in memory.
    fresh_keys: i64,
    /// What is kept, in bytes.
    kept: i64,
}

#[test]
fn a_days_traffic_leaves_memory_files_and_log_flat() {
    let since = Instant::now();
    let messages = size(1_200, 12_000);
    let world = World::with(|config| {
        config
            .set("agent.concurrency", PLACES)
            .set("retry.agent", json!(vec!["100ms"; 20]));
    });
    let mut talks: Vec<Talk> = (0..PEOPLE).map(|n| Talk::new(n % 2 == 0, n)).collect();
    let looks: Vec<Look> = (0..PARTS)
        .map(|part| {
            write(&world, &mut talks, part, messages / PARTS / PEOPLE);
            world.wait_idle();
            look(&world)
        })
        .collect();
    println!("{looks:#?}");
    let names: Vec<String> = talks.iter().flat_map(|talk| talk.acknowledged.clone()).collect();
    wait_all_answered(&world, &names);
    let figures = judge(&world, &talks, &[]);
    let (early, last) = (&looks[PARTS / 2 - 1], &looks[PARTS - 1]);
    let most_early = looks[..PARTS / 2].iter().map(|look| look.memory).max().unwrap();
    let most_late = looks[PARTS / 2..].iter().map(|look| look.memory).max().unwrap();
    let passing = looks.iter().map(|look| look.passing).max().unwrap();
    let called = match world.database {
        Some(_) => "tables of work, at most (KiB)",
        None => "log, at most (KiB)",
    };
    report(
        "Endurance",
        since,
        &[
            ("messages", &figures.messages),
            (
                "messages a second",
                &(figures.messages as u64 / since.elapsed().as_secs().max(1)),
            ),
            ("memory in the first half, at most (KiB)", &most_early),
            ("memory in the second half, at most (KiB)", &most_late),
            (
                "open files and connections, half way and at the end",
                &format!("{} and {}", early.files.count(), last.files.count()),
            ),
            (
                "of these, all but connections",
                &format!("{} and {}", early.files.standing, last.files.standing),
            ),
            (called, &(passing / 1024)),
            ("rows of work after each part", &0),
            (
                "database (bytes for each message)",
                &(last.kept / i64::try_from(figures.messages).unwrap()),
            ),
        ],
    );
    assert!(most_late < most_early + MORE_MEMORY, "memory: {looks:?}");
    are_bounded(&world, &looks);
    assert!(passing < MOST_PASSING, "log, or tables of work: {looks:?}");
    // These are in memory until they go over into the large table.
    assert!(
        looks.iter().all(|look| look.fresh_keys < 100_000),
        "fresh keys: {looks:?}"
    );
    // What was said is kept; at the end it takes no more for each message than before.
    let (half, all) = (early.kept - looks[0].kept, last.kept - looks[0].kept);
    assert!(all < half * 3, "kept: {looks:?}");
    assert_eq!((figures.twice, figures.asked_twice), (0, 0));
}

/// Files are as many in each look as in the first. Connections come and go (one that nobody needs is kept for 50 s); of them
/// there are never more than what may be under way at once.
#[track_caller]
fn are_bounded(world: &World, looks: &[Look]) {
    let (agent, slack, meta) = (world.agent.port(), world.slack.port(), world.meta.port());
    for look in looks {
        assert_eq!(look.files.standing, looks[0].files.standing, "{looks:?}");
        assert!(
            look.files.taken <= 2 * DELIVERERS,
            "from the platforms: {looks:?}"
        );
        for (port, count) in &look.files.made {
            let most = match *port {
                port if port == agent => PLACES,
                port if port == slack || port == meta => SENDS,
                _ => TO_DATABASE,
            };
            assert!(*count <= most, "to {port}: {looks:?}");
        }
    }
}

/// Everybody writes so many messages; a few deliver at the same time.
fn write(world: &World, talks: &mut [Talk], part: usize, each: usize) {
    for talk in &mut *talks {
        for n in 0..each {
            talk.say(&format!("t{}p{part}n{n}.", talk.thread));
        }
    }
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for share in talks.chunks_mut(PEOPLE / DELIVERERS) {
            let refused = &refused;
            scope.spawn(move || {
                for talk in share {
                    while !talk.deliver(world) {
                        refused.fetch_add(1, Ordering::SeqCst);
                        thread::sleep(std::time::Duration::from_millis(50));
                    }
                }
            });
        }
    });
    assert_eq!(refused.into_inner(), 0, "the store refuses what it could take");
}

fn look(world: &World) -> Look {
    let work = || count_rows(world, "SELECT count(*) FROM work");
    eventually("no work to be left", || (work() == 0).then_some(()));
    let (passing, fresh_keys, kept) = if world.database.is_some() {
        (count_rows(world, WORK), 0, count_rows(world, KEPT))
    } else {
        let log = std::fs::metadata(world.home().join("chatbridge.db-wal"));
        (
            i64::try_from(log.map_or(0, |log| log.len())).unwrap(),
            count_rows(world, "SELECT count(*) FROM fresh_keys"),
            count_rows(
                world,
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            ),
        )
    };
    Look {
        memory: world.daemon().memory(),
        files: world.daemon().open_files(),
        passing,
        fresh_keys,
        kept,
    }
}
