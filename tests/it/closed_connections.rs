//! Closed: connections that cost nothing to open and are meant to cost us much.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Raw, World};

/// A head may take 10 s, a body 30 s and 10 s between two pieces, a connection may rest for 75 s. A slow machine may
/// be late by this much.
const LATE: Duration = Duration::from_secs(15);

/// How much more memory a daemon may hold under any of these floods.
const SPARE: u64 = 48 * 1024 * 1024;

const MIB: u64 = 1024 * 1024;

fn open(world: &World, count: usize, begin: &str) -> Vec<Raw> {
    let open = |_| {
        let mut raw = Raw::connect(world.daemon().public());
        assert!(raw.send(begin));
        raw
    };
    (0..count).map(open).collect()
}

/// Sends one byte on each connection every half second until all are closed; how long that took.
fn drip(mut all: Vec<Raw>, longest: Duration) -> Duration {
    let begun = Instant::now();
    while !all.is_empty() {
        assert!(
            begun.elapsed() < longest,
            "{} still open after {longest:?}",
            all.len()
        );
        all.retain_mut(|raw| raw.send("x") && !raw.is_closed());
        thread::sleep(Duration::from_millis(500));
    }
    begun.elapsed()
}

/// The slow loris, in all its kinds at once: each is ended in time, and meanwhile nobody else notices.
#[test]
fn slow_heads_and_bodies_end_and_delay_nobody() {
    let world = World::start();
    let post = "POST /slack/events HTTP/1.1\r\nhost: x\r\n";
    let heads = open(&world, 80, "POST /slack/events HTTP/1.1\r\nx-slow: ");
    let bodies = open(&world, 80, &format!("{post}content-length: 1000000\r\n\r\n{{"));
    let chunks = open(
        &world,
        40,
        &format!("{post}transfer-encoding: chunked\r\n\r\nffff\r\n"),
    );
    let stalled = open(&world, 40, &format!("{post}content-length: 10\r\n\r\n{{"));
    let silent = open(&world, 100, "");
    thread::scope(|scope| {
        let head = scope.spawn(|| drip(heads, Duration::from_secs(10) + LATE));
        let body = scope.spawn(|| drip(bodies, Duration::from_secs(30) + LATE));
        let chunk = scope.spawn(|| drip(chunks, Duration::from_secs(30) + LATE));
        let begun = Instant::now();
        world.still_works("among the slow");
        assert!(
            begun.elapsed() < LATE,
            "others are delayed: {:?}",
            begun.elapsed()
        );
        for mut raw in stalled {
            assert_eq!(raw.hear().status, Some(408));
        }
        for mut raw in silent {
            assert_eq!(raw.rest(), "");
        }
        assert!(
            begun.elapsed() < Duration::from_secs(10) + LATE,
            "{:?}",
            begun.elapsed()
        );
        for slow in [head, body, chunk] {
            assert!(slow.join().unwrap() > Duration::from_secs(4));
        }
    });
}

/// Connections that only rest, and others that come and go: the daemon answers as before and holds little for them.
#[test]
fn a_flood_of_connections_costs_little() {
    let world = World::start();
    world.still_works("before");
    let before = world.daemon().memory();
    let mut idle = open(&world, 1500, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    for raw in &mut idle {
        assert_eq!(raw.hear().status, Some(200));
    }
    for _ in 0..1000 {
        drop(Raw::connect(world.daemon().public()));
    }
    let mut busy = Raw::connect(world.daemon().public());
    for _ in 0..2000 {
        assert!(busy.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"));
        assert_eq!(busy.hear().status, Some(200));
    }
    let grown = world.daemon().memory().saturating_sub(before);
    assert!(
        grown < SPARE,
        "{} MiB more for 1,500 idle connections",
        grown / MIB
    );
    world.still_works("among the idle");
    drop(idle);
}

/// Who asks on and on and never reads an answer is not read from any more.
#[test]
fn who_never_reads_an_answer_is_not_listened_to() {
    let world = World::start();
    world.still_works("before");
    let before = world.daemon().memory();
    let mut deaf: Vec<Raw> = open(&world, 8, "");
    for raw in &mut deaf {
        let most = 64 * 1024 * 1024;
        let taken = raw.stuff(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n", most);
        assert!(taken < most, "all of it was taken");
    }
    let grown = world.daemon().memory().saturating_sub(before);
    assert!(grown < SPARE, "{} MiB more", grown / MIB);
    world.still_works("among the deaf");
}
