//! A move that is killed goes on where it was, and ends as one that was left alone.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::{Target, filled, migrate, moved, quiet};
use crate::harness::{World, binary, eventually, seed};

/// What a move that is left alone tells.
fn undisturbed(world: &World, from: &str, kind: &Target) -> Value {
    let other = match kind.server {
        Some(_) => Target::server().unwrap(),
        None => Target::file(world.home(), "undisturbed.db"),
    };
    moved(world, from, &other.url)
}

/// Before and after each commit in turn.
#[cfg(debug_assertions)]
#[test]
fn a_move_that_dies_at_any_commit_goes_on() {
    let mut world = quiet();
    let from = filled(&world, "filled.db");
    for target in Target::each(world.home(), "target.db") {
        let whole = undisturbed(&world, &from, &target);
        let mut deaths = 0;
        let done = loop {
            // Each run dies one commit further, or a step before it.
            let (side, nth) = (["before", "after"][deaths % 2], 2 + deaths % 3);
            let point = format!("{side}.move:{nth}");
            world.config.env("CHATBRIDGE_CRASH_AT", &point);
            let ended = migrate(&world, &from, &target.url);
            world.config.unset_env("CHATBRIDGE_CRASH_AT");
            if ended.code == Some(0) {
                break ended;
            }
            assert_eq!(ended.code, None, "{point}: {ended:?}");
            deaths += 1;
            assert!(deaths < 100, "it gets no further: {ended:?}");
            if deaths > 3 {
                assert!(ended.stderr.contains("an earlier run has moved"), "{ended:?}");
            }
        };
        assert!(deaths >= 8, "it died {deaths} times only");
        assert_eq!(done.json(), whole, "after {deaths} deaths");
    }
}

/// At any moment.
#[test]
fn a_move_that_is_killed_at_random_goes_on() {
    let mut random = StdRng::seed_from_u64(seed());
    let world = quiet();
    let from = filled(&world, "filled.db");
    for target in Target::each(world.home(), "target.db") {
        let whole = undisturbed(&world, &from, &target);
        let mut kills = 0;
        for _ in 0..12 {
            let arguments = ["migrate", "--from", &from, "--to", &target.url];
            let mut command = binary(env!("CARGO_BIN_EXE_chatbridge"), world.home(), &arguments, &[]);
            let mut child = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            thread::sleep(Duration::from_millis(random.random_range(10..300)));
            let ended = child.try_wait().unwrap();
            let _ = child.kill();
            let _ = child.wait();
            if ended.is_some() {
                break;
            }
            kills += 1;
        }
        println!("killed {kills} times");
        // Whatever a dead one had under way in the server is over a moment later. One that was killed as it ended has ended.
        let ended = eventually("the move to end", || {
            let ended = migrate(&world, &from, &target.url);
            let over = ended.code == Some(0) || ended.stderr.contains("is not empty");
            over.then_some(ended)
        });
        if ended.code == Some(0) {
            assert_eq!(ended.json(), whole);
            continue;
        }
        // Then what arrived is what a further move sends.
        let on = Target::file(world.home(), &format!("on{kills}.db"));
        let sent = moved(&world, &target.url, &on.url);
        let counts = |tables: &Value| -> Vec<Value> {
            let all = tables.as_array().unwrap().iter();
            all.map(|table| table["rows"].clone()).collect()
        };
        assert_eq!(counts(&sent), counts(&whole));
    }
}
