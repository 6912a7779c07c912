//! Under load and under the hardest of ends: nothing acknowledged is lost (P1), and what is sent twice is counted (P4).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::harness::{Answer, Call, Fault, Webhook, World, replies, seed, wait_all_answered};

/// Writes from several senders until `stop`; returns what was acknowledged and what the platforms will deliver again.
fn load(world: &World, round: usize, stop: &AtomicBool) -> (Vec<String>, Vec<(String, Webhook)>) {
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
                    let webhook = Webhook::new(sender % 2 == 0, sender * 10 + n % 7, &name);
                    if webhook.deliver(world) {
                        acknowledged.lock().unwrap().push(name);
                    } else {
                        open.lock().unwrap().push((name, webhook));
                    }
                }
            });
        }
    });
    (acknowledged.into_inner().unwrap(), open.into_inner().unwrap())
}

/// P1, and openclaw#42157 (200 sent, then restarted), junior#33 (the key is marked before the work is queued).
#[test]
fn openclaw_42157_nothing_acknowledged_is_lost_to_sigkill() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut world = World::with(|config| {
        config.set("agent.concurrency", 16);
    });
    world
        .agent
        .fault("ask", usize::MAX, Fault::Delay(Duration::from_millis(15)));
    world.slack.fault(
        "chat.postMessage",
        usize::MAX,
        Fault::Delay(Duration::from_millis(10)),
    );
    world
        .meta
        .fault("messages", usize::MAX, Fault::Delay(Duration::from_millis(10)));
    let mut names = Vec::new();
    let mut resent = 0;
    for round in 0..5 {
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
        let (acknowledged, open) = load(&world, round, &stop);
        killer.join().unwrap();
        world.crash();
        println!(
            "round {round}: {life:?}, {} acknowledged, {} not",
            acknowledged.len(),
            open.len()
        );
        names.extend(acknowledged);
        for (name, webhook) in open {
            assert!(
                webhook.deliver(&world),
                "a delivery after the restart is not acknowledged"
            );
            names.push(name);
        }
        wait_all_answered(&world, &names);
        resent += world
            .metrics()
            .count("chatbridge_sends_unknown_total", &[("resolution", "resent")]);
    }
    assert!(names.len() > 100, "only {} messages: no load", names.len());
    // Slack can be asked what it has: everything is there once.
    let slack = world
        .slack
        .posts()
        .into_iter()
        .map(|post| post.text)
        .collect::<Vec<_>>();
    // WhatsApp cannot: a delivery may be there twice, but it is the same delivery, and it was counted.
    let sent = world.meta.sent();
    let once: HashMap<_, _> = sent.iter().map(|sent| (&sent.opaque, &sent.body)).collect();
    let twice = sent.len() - once.len();
    let texts = slack.iter().chain(once.into_values());
    let words: Vec<&str> = texts.flat_map(|text| text.split_whitespace()).collect();
    for name in &names {
        let count = words.iter().filter(|word| *word == name).count();
        assert_eq!(count, 1, "{name} is answered {count} times");
    }
    println!(
        "{} messages, {twice} replies twice on WhatsApp, {resent} counted as sent again",
        names.len()
    );
    assert!(
        twice <= resent,
        "{twice} replies are there twice, but only {resent} are counted as sent again"
    );
}

/// Under everything at once: a flaky agent and flaky platforms; each message still is answered exactly once, as none
/// of these faults leaves anything unknown.
#[test]
fn faults_that_leave_nothing_unknown_repeat_nothing() {
    let world = World::with(|config| {
        config
            .set("retry.agent", json!(vec!["50ms"; 40]))
            .set("retry.delivery", json!(vec!["50ms"; 40]));
    });
    let random = Arc::new(Mutex::new(StdRng::seed_from_u64(seed())));
    let answer = |status: u16, body| Fault::Answer(Answer::json(status, &body));
    for (stub, kind) in [
        ("agent", "ask"),
        ("slack", "chat.postMessage"),
        ("meta", "messages"),
    ] {
        let random = random.clone();
        let matches = move |call: &Call| call.kind == kind && random.lock().unwrap().random_bool(0.4);
        match stub {
            "agent" => world
                .agent
                .fault_when(300, answer(503, json!({"status": "error"})), matches),
            "slack" => world.slack.fault_when(
                300,
                answer(200, json!({"ok": false, "error": "ratelimited"})),
                matches,
            ),
            _ => {
                let throttled = json!({"error": {"code": 130_429, "message": "Rate limit hit"}});
                // Few: each pauses the whole number, for twice as long if none was taken in between.
                world.meta.fault_when(20, answer(429, throttled), matches);
            }
        }
    }
    let names: Vec<String> = (0..120).map(|n| format!("m{n}.")).collect();
    for (n, name) in names.iter().enumerate() {
        assert!(Webhook::new(n % 2 == 0, n % 24, name).deliver(&world));
    }
    wait_all_answered(&world, &names);
    assert!(replies(&world, &names).values().all(|count| *count == 1));
}
