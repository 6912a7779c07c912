//! People write without end while the daemon is killed again and again: at any moment, and at random crash points.

use std::os::unix::process::ExitStatusExt;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::{report, size};
use crate::harness::{Call, Fault, Figures, Talk, World, deliver_twice, judge, seed, wait_all_answered};

/// So often the daemon is killed before all is judged and a new world begins.
const KILLS: usize = 25;
/// So many people write in each world, half of them on each platform.
const PEOPLE: usize = 12;
/// So many worlds are there at once in the long run.
const WORLDS_AT_ONCE: usize = 4;

/// What the lives of a world came to.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    kills: usize,
    at_points: usize,
    faults: usize,
    figures: Figures,
}

/// P1 to P4 through random kills, with the neighbours failing now and then.
#[test]
fn whatever_moment_it_is_killed_at_nothing_is_lost_and_nothing_is_out_of_order() {
    let since = Instant::now();
    let seed = seed();
    let worlds = size(1, 1_000 / KILLS + 1);
    let next = AtomicUsize::new(0);
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let workers: Vec<_> = (0..size(1, WORLDS_AT_ONCE))
            .map(|_| {
                scope.spawn(|| {
                    let mut done = Vec::new();
                    loop {
                        let n = next.fetch_add(1, Ordering::SeqCst);
                        if n >= worlds {
                            return done;
                        }
                        done.push(live(seed.wrapping_add(n as u64)));
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    let mut all = Tally::default();
    for tally in tallies {
        all.kills += tally.kills;
        all.at_points += tally.at_points;
        all.faults += tally.faults;
        all.figures += tally.figures;
    }
    assert!(all.kills >= worlds * KILLS);
    report(
        "Kills",
        since,
        &[
            ("seed", &seed),
            ("kills", &all.kills),
            ("of these at crash points", &all.at_points),
            ("faults of the agent and the platforms", &all.faults),
            ("messages acknowledged", &all.figures.messages),
            ("lost, out of order, or in two turns (one would end the run)", &0),
            ("replies that a person got twice", &all.figures.twice),
            (
                "counted by the daemon: sent again without knowing (P4)",
                &all.figures.resent,
            ),
            (
                "of these, those that had never arrived: the rest is what was there twice",
                &all.figures.never_arrived,
            ),
            (
                "sent again because the platform did not have it",
                &all.figures.absent,
            ),
            ("questions that the agent got twice", &all.figures.asked_twice),
        ],
    );
}

/// The lives of one world.
fn live(seed: u64) -> Tally {
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::stopped();
    world
        .config
        .set("agent.concurrency", 16)
        .set("retry.agent", json!(vec!["100ms"; 60]))
        .set("retry.delivery", json!(vec!["100ms"; 60]));
    let faults = misbehave(&world, seed);
    world.launch();
    let world = RwLock::new(world);
    let (stop, mut tally) = (AtomicBool::new(false), Tally::default());
    let mut talks: Vec<Talk> = thread::scope(|scope| {
        let talkers: Vec<_> = (0..PEOPLE)
            .map(|n| {
                let (world, stop) = (&world, &stop);
                scope.spawn(move || talk(world, n, stop))
            })
            .collect();
        while tally.kills < KILLS {
            end_a_life(&world, &mut random, &mut tally);
        }
        stop.store(true, Ordering::SeqCst);
        talkers.into_iter().map(|talker| talker.join().unwrap()).collect()
    });
    let world = world.into_inner().unwrap();
    deliver_twice(&world, &mut talks);
    let names: Vec<String> = talks.iter().flat_map(|talk| talk.acknowledged.clone()).collect();
    wait_all_answered(&world, &names);
    tally.figures = judge(&world, &talks, &[]);
    tally.faults = faults();
    println!("{tally:?}");
    tally
}

/// A person writes, and the platform delivers until it is thanked.
fn talk(world: &RwLock<World>, n: usize, stop: &AtomicBool) -> Talk {
    let mut talk = Talk::new(n.is_multiple_of(2), n);
    for m in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        talk.say(&format!("t{n}m{m}."));
        while !talk.deliver(&world.read().unwrap()) && !stop.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(Duration::from_millis(20));
    }
    talk
}

/// Lets the daemon live for a while, kills it, and starts the next life, with a crash point or without.
fn end_a_life(world: &RwLock<World>, random: &mut StdRng, tally: &mut Tally) {
    // Now and then long enough for what the life before left open to be looked for.
    let life = match tally.kills % 8 {
        7 => 3_500,
        _ => random.random_range(0..600),
    };
    thread::sleep(Duration::from_millis(life));
    let kill = world.read().unwrap().daemon().killer();
    kill();
    let mut world = world.write().unwrap();
    loop {
        let status = world.daemon_mut().kill9();
        tally.kills += 1;
        tally.at_points += usize::from(status.signal() == Some(6));
        world.config.unset_env("CHATBRIDGE_CRASH_AT");
        if tally.kills < KILLS && random.random_bool(0.5) {
            let point = some_point(random);
            world.config.env("CHATBRIDGE_CRASH_AT", &point);
        }
        if world.try_launch().is_none() {
            return;
        }
    }
}

/// A place that this traffic passes.
fn some_point(random: &mut StdRng) -> String {
    const DEEDS: [&str; 13] = [
        "recover",
        "accept",
        "accept",
        "claim_turns",
        "complete_turn",
        "settle",
        "claim_sends",
        "defer_turn",
        "ask",
        "send@slack",
        "send@whatsapp",
        "look_for_send",
        "acknowledge",
    ];
    let side = ["before", "after"][random.random_range(0..2)];
    let deed = DEEDS[random.random_range(0..DEEDS.len())];
    let nth = if deed == "recover" {
        1
    } else {
        random.random_range(1..15)
    };
    format!("{side}.{deed}:{nth}")
}

/// The neighbours take a moment for everything, and fail now and then. Returns what counts how often they did.
fn misbehave(world: &World, seed: u64) -> impl Fn() -> usize + use<> {
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let faulty = |kind: &'static str, salt: u64, chance: f64| {
        let count = count.clone();
        let random = std::sync::Mutex::new(StdRng::seed_from_u64(seed ^ salt));
        move |call: &Call| {
            let now = call.kind == kind && random.lock().unwrap().random_bool(chance);
            count.fetch_add(usize::from(now), Ordering::SeqCst);
            now
        }
    };
    let overloaded = json!({"status": "error", "message": "overloaded", "code": "OVERLOADED"});
    let unavailable = json!({"ok": false, "error": "service_unavailable"});
    let (agent, slack, meta) = (&world.agent, &world.slack, &world.meta);
    agent.fault_when(usize::MAX, Fault::json(503, overloaded), faulty("ask", 1, 0.02));
    agent.fault_when(usize::MAX, Fault::ActThenClose, faulty("ask", 2, 0.01));
    slack.fault_when(
        usize::MAX,
        Fault::json(503, unavailable),
        faulty("chat.postMessage", 3, 0.02),
    );
    slack.fault_when(
        usize::MAX,
        Fault::ActThenClose,
        faulty("chat.postMessage", 4, 0.02),
    );
    meta.fault_when(usize::MAX, Fault::ActThenClose, faulty("messages", 5, 0.02));
    let moment = || Fault::Delay(Duration::from_millis(10));
    agent.fault("ask", usize::MAX, moment());
    slack.fault("chat.postMessage", usize::MAX, moment());
    meta.fault("messages", usize::MAX, moment());
    move || count.load(Ordering::SeqCst)
}
