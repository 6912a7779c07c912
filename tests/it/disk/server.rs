//! A PostgreSQL server at its worst: killed, frozen, read-only, out of connections, out of space. Each has a server of its
//! own; the run on SQLite has nothing to say of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{SmallDisk, ask, goes_on, say, talks, until_refused};
use crate::harness::postgres::Database;
use crate::harness::server::{Server, give};
use crate::harness::{Talk, World, deliver_all, deliver_twice, eventually, judge, seed, wait_all_answered};

/// What the log says where an answer comes that cannot be stored.
const WAITS: &str = "the outcome of a turn cannot be stored yet";

/// A daemon whose claims outlive what happens to the server: nothing is to be done twice because of it.
fn world(database: Database) -> World {
    let mut world = World::on(database);
    world.config.set("store.lease", "2m");
    world.launch();
    world
}

/// Something happens to the server while a question is under way, and is over again. In between nothing is acknowledged,
/// and the operator reads these words; what was to be stored meanwhile waits.
fn survives(world: &World, happens: impl FnOnce(), words: &[&str], is_over: impl FnOnce()) {
    let mut talks = talks();
    say(&mut talks, "before");
    deliver_all(world, &mut talks);
    let names: Vec<String> = talks.iter().flat_map(|talk| talk.acknowledged.clone()).collect();
    wait_all_answered(world, &names);
    let gate = ask(world, &mut talks);
    happens();
    until_refused(world, &mut talks);
    gate.open();
    for words in words {
        world.daemon().wait_log(words);
    }
    is_over();
    goes_on(world, talks);
}

#[test]
fn a_server_that_is_killed_is_503_and_all_goes_on_when_it_is_started() {
    let Some(server) = Server::start() else { return };
    let world = world(server.database());
    let refused = ["Connection refused", WAITS];
    survives(&world, || server.kill9(), &refused, || server.up());
}

/// It takes connections and statements, and answers none.
#[test]
fn a_server_that_is_frozen_is_503_within_a_bound_and_all_goes_on_when_it_thaws() {
    let Some(server) = Server::start() else { return };
    let world = world(server.database());
    let bounded = || {
        server.freeze(true);
        let (since, mut one) = (Instant::now(), Talk::new(true, 999));
        one.say("into the ice.");
        assert!(!one.deliver(&world), "what is not stored is not acknowledged");
        assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    };
    survives(&world, bounded, &["no connection within", WAITS], || {
        server.freeze(false);
    });
}

/// As a standby is, or a server that its keeper has closed for a while.
#[test]
fn a_server_that_takes_no_writes_is_503_and_goes_on_by_itself() {
    let Some(server) = Server::start() else { return };
    let world = world(server.database());
    survives(
        &world,
        || server.set("SET default_transaction_read_only = on"),
        &["read-only transaction", WAITS],
        || server.set("RESET default_transaction_read_only"),
    );
}

/// Others have taken all connections, and the daemon's are cut.
#[test]
fn a_server_out_of_connections_is_503_and_goes_on_by_itself() {
    let Some(server) = Server::start() else { return };
    let world = world(server.database());
    let database = world.database.as_ref().unwrap();
    let limit = |count: i32| {
        server.keep(&format!(
            "ALTER DATABASE {} CONNECTION LIMIT {count}",
            database.name()
        ));
    };
    let taken = || {
        limit(0);
        server.keep("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bridge'");
    };
    survives(&world, taken, &["too many connections", WAITS], || limit(-1));
}

#[test]
fn a_server_whose_disk_is_full_is_503_and_goes_on_by_itself() {
    let Some(server) = Server::start() else { return };
    let Some(disk) = SmallDisk::mount("size=24m") else {
        return;
    };
    give(disk.0.path());
    let folder = disk.0.path().join("tables");
    std::fs::create_dir(&folder).unwrap();
    give(&folder);
    server.keep(&format!(
        "CREATE TABLESPACE small LOCATION '{}'",
        folder.display()
    ));
    let world = world(server.database_in("small"));
    let filler = std::cell::OnceCell::new();
    survives(
        &world,
        || drop(filler.set(disk.fill())),
        // There may be room in a page for the answer.
        &["No space left on device"],
        || std::fs::remove_file(filler.get().unwrap()).unwrap(),
    );
    drop(world);
    server.kill9();
}

/// The server is killed and started again and again under load. Of a commit that it was told to make nobody knows then
/// whether it was made; in the end nothing is lost, out of order, or in two turns, and what is there twice was counted.
#[test]
fn whatever_moment_the_server_is_killed_at_nothing_is_lost() {
    const KILLS: usize = 6;
    let Some(server) = Server::start() else { return };
    let mut random = StdRng::seed_from_u64(seed());
    let mut world = World::on(server.database());
    world
        .config
        .set("agent.concurrency", 16)
        .set("retry.agent", serde_json::json!(vec!["100ms"; 60]))
        .set("retry.delivery", serde_json::json!(vec!["100ms"; 60]));
    world.launch();
    let stop = AtomicBool::new(false);
    let mut talks: Vec<Talk> = thread::scope(|scope| {
        let talkers: Vec<_> = (0..8)
            .map(|n| {
                let (world, stop) = (&world, &stop);
                scope.spawn(move || go_on_talking(world, n, stop))
            })
            .collect();
        for _ in 0..KILLS {
            thread::sleep(Duration::from_millis(random.random_range(300..1_500)));
            server.kill9();
            thread::sleep(Duration::from_millis(random.random_range(0..500)));
            server.up();
            eventually("the daemon to be ready", || {
                (world.get("/readyz").status == 200).then_some(())
            });
        }
        stop.store(true, Ordering::SeqCst);
        talkers.into_iter().map(|talker| talker.join().unwrap()).collect()
    });
    deliver_twice(&world, &mut talks);
    let names: Vec<String> = talks.iter().flat_map(|talk| talk.acknowledged.clone()).collect();
    assert!(names.len() > 50, "only {} messages: no load", names.len());
    wait_all_answered(&world, &names);
    println!("{:?}", judge(&world, &talks, &[]));
}

/// A person writes, and the platform delivers until it is thanked.
fn go_on_talking(world: &World, n: usize, stop: &AtomicBool) -> Talk {
    let mut talk = Talk::new(n.is_multiple_of(2), n);
    for m in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        talk.say(&format!("t{n}m{m}."));
        while !talk.deliver(world) && !stop.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(Duration::from_millis(20));
    }
    talk
}
