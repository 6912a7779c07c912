//! A day's traffic in little time (in the long run 12,000 messages, eight in each minute of a day): memory, open files
//! and the log stay flat, and what is done leaves no work behind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::json;

use super::{report, size};
use crate::harness::{Counted, Talk, World, count_rows, eventually, judge, wait_all_answered};

/// So many people write, half of them on each platform.
const PEOPLE: usize = 120;
/// A look is taken after each of so many parts of the traffic.
const PARTS: usize = 10;
/// The log is cut back to 32 MiB after a copy, and a copy may be under way.
const LONGEST_LOG: u64 = 48 * 1024 * 1024;
/// How much more memory the last parts may need than the earlier ones, in KiB: allocators keep some.
const MORE_MEMORY: u64 = 10 * 1024;

/// What a look found.
#[derive(Debug, Clone, Copy)]
struct Look {
    memory: u64,
    files: usize,
    log: u64,
    keys: i64,
    pages: i64,
}

#[test]
fn a_days_traffic_leaves_memory_files_and_log_flat() {
    let since = Instant::now();
    let messages = size(1_200, 12_000);
    let world = World::with(|config| {
        config
            .set("agent.concurrency", 32)
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
    let figures = judge(&world, &talks, &[], Counted::by(&world));
    let (early, last) = (looks[PARTS / 2 - 1], looks[PARTS - 1]);
    let most_early = looks[..PARTS / 2].iter().map(|look| look.memory).max().unwrap();
    let most_late = looks[PARTS / 2..].iter().map(|look| look.memory).max().unwrap();
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
                "open files, half way and at the end",
                &format!("{} and {}", early.files, last.files),
            ),
            (
                "log, at most (KiB)",
                &(looks.iter().map(|look| look.log).max().unwrap() / 1024),
            ),
            ("rows of work after each part", &0),
            (
                "database (bytes for each message)",
                &(last.pages * 4096 / i64::try_from(figures.messages).unwrap()),
            ),
        ],
    );
    assert!(most_late < most_early + MORE_MEMORY, "memory: {looks:?}");
    assert!(last.files <= early.files + 8, "open files: {looks:?}");
    assert!(looks.iter().all(|look| look.log < LONGEST_LOG), "log: {looks:?}");
    // These are in memory until they go over into the large table.
    assert!(
        looks.iter().all(|look| look.keys < 100_000),
        "fresh keys: {looks:?}"
    );
    // What was said is kept; at the end it takes no more for each message than before.
    let (half, all) = (early.pages - looks[0].pages, last.pages - looks[0].pages);
    assert!(all < half * 3, "pages: {looks:?}");
    assert_eq!((figures.twice, figures.asked_twice), (0, 0));
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
        for share in talks.chunks_mut(PEOPLE / 8) {
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
    let length = |name: &str| std::fs::metadata(world.home().join(name)).map_or(0, |data| data.len());
    Look {
        memory: world.daemon().memory(),
        files: world.daemon().open_files(),
        log: length("chatbridge.db-wal"),
        keys: count_rows(world, "SELECT count(*) FROM fresh_keys"),
        pages: count_rows(world, "SELECT page_count FROM pragma_page_count"),
    }
}
