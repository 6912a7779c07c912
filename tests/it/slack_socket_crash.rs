//! Socket Mode under load: SIGKILL loses nothing acknowledged, and connections that come and go lose nothing at all.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::harness::{
    Fault, SlackEvent, Sockets, World, again, enveloped, eventually, replies, seed, wait_all_answered,
};
use crate::slack_socket::world;

/// Sends from several senders until `stop`; returns the names with their envelopes, acknowledged and not.
fn load(sockets: &Sockets, round: usize, stop: &AtomicBool) -> (Vec<String>, Vec<(String, Value)>) {
    let (acknowledged, open) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for sender in 0..6 {
            let (acknowledged, open) = (&acknowledged, &open);
            scope.spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let name = format!("r{round}s{sender}n{n}.");
                    let channel = format!("D{:03}", sender * 10 + n % 7);
                    let envelope = enveloped(&SlackEvent::dm(&channel, &name));
                    if sockets.send(&envelope) && sockets.acked_or_cut_off(&envelope) {
                        acknowledged.lock().unwrap().push(name);
                    } else {
                        open.lock().unwrap().push((name, envelope));
                    }
                }
            });
        }
    });
    (acknowledged.into_inner().unwrap(), open.into_inner().unwrap())
}

fn all_once(world: &World, names: &[String]) {
    wait_all_answered(world, names);
    for (name, count) in replies(world, names) {
        assert_eq!(count, 1, "{name} is answered {count} times");
    }
}

#[test]
fn nothing_acknowledged_over_a_socket_is_lost_to_sigkill() {
    let mut random = StdRng::seed_from_u64(seed());
    let (mut world, sockets) = world(|config| {
        config
            .set("agent.concurrency", 16)
            .set("slack.socket_connections", 3);
    });
    let slowly = |time| Fault::Delay(Duration::from_millis(time));
    world.agent.fault("ask", usize::MAX, slowly(15));
    world.slack.fault("chat.postMessage", usize::MAX, slowly(10));
    let mut names = Vec::new();
    for round in 0..4 {
        sockets.wait_open(3);
        let life = Duration::from_millis(random.random_range(300..1500));
        let stop = Arc::new(AtomicBool::new(false));
        // A killer beside the senders: it ends the process by its id, wherever it is.
        let killer = {
            let (stop, kill) = (stop.clone(), world.daemon().killer());
            thread::spawn(move || {
                thread::sleep(life);
                kill();
                stop.store(true, Ordering::SeqCst);
            })
        };
        let (acknowledged, open) = load(&sockets, round, &stop);
        killer.join().unwrap();
        world.crash();
        println!(
            "round {round}: {life:?}, {} acknowledged, {} not",
            acknowledged.len(),
            open.len()
        );
        names.extend(acknowledged);
        sockets.wait_open(3);
        for (name, envelope) in open {
            sockets.deliver(&again(&envelope));
            names.push(name);
        }
        all_once(&world, &names);
    }
    assert!(names.len() > 100, "only {} messages: no load", names.len());
}

#[test]
fn connections_that_come_and_go_under_load_lose_nothing() {
    let mut random = StdRng::seed_from_u64(seed());
    let (world, sockets) = world(|config| {
        config.set("slack.socket_connections", 3);
    });
    sockets.wait_open(3);
    let messages: Vec<(String, Value)> = (0..600)
        .map(|n| {
            let name = format!("n{n}.");
            let envelope = enveloped(&SlackEvent::dm(&format!("D{:03}", n % 40), &name));
            (name, envelope)
        })
        .collect();
    let mut left = HashSet::new();
    for (n, (_, envelope)) in messages.iter().enumerate() {
        // One after the other is refreshed or broken, while the messages go on.
        if n % 150 == 75 {
            sockets.wait_opened(3 + n / 150);
            // One that is left already is replaced no more.
            let open = eventually("a connection", || {
                let mut open = sockets.open();
                open.retain(|line| !left.contains(line));
                Some(open).filter(|open| !open.is_empty())
            });
            let line = open[random.random_range(0..open.len())];
            left.insert(line);
            match random.random_range(0..3) {
                0 => sockets.hang_up(line),
                1 => drop(sockets.try_goodbye(line, "warning")),
                _ => drop(sockets.try_goodbye(line, "refresh_requested")),
            }
        }
        eventually("a connection to send over", || {
            sockets.send(envelope).then_some(())
        });
    }
    // Slack delivers again what is not acknowledged after a while.
    let names: Vec<String> = messages.iter().map(|(name, _)| name.clone()).collect();
    eventually("all to be acknowledged", || {
        let left: Vec<_> = messages
            .iter()
            .filter(|(_, envelope)| !sockets.acked(envelope))
            .collect();
        for (_, envelope) in &left {
            sockets.send(&again(envelope));
        }
        thread::sleep(Duration::from_millis(200));
        left.is_empty().then_some(())
    });
    all_once(&world, &names);
    sockets.wait_opened(7);
}
