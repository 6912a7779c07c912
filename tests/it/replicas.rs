//! Several equal daemons on one PostgreSQL: any may accept, any may work, and any may die. They run where there is a
//! server (`tests/run` starts one); the run on SQLite has nothing to say of them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::harness::postgres::on_postgres;
use crate::harness::proxy::Wire;
use crate::harness::{
    Answer, Call, Config, Daemon, Fault, Gate, SlackEvent, Webhook, World, eventually, said, seed,
    wait_all_answered,
};

/// A world whose daemon is the first replica; none in the run on SQLite.
fn world(change: impl FnOnce(&mut Config)) -> Option<World> {
    on_postgres().then(|| World::with(change))
}

/// The same without its daemon: another begins.
fn stopped() -> Option<World> {
    on_postgres().then(World::stopped)
}

/// Each thread's messages stand in their order in what was said; side by side repeated only where a send was cut off.
#[track_caller]
fn assert_order(world: &World, threads: usize, messages: usize) {
    let texts = said(world);
    for thread in 0..threads {
        let mut firsts: Vec<&str> = Vec::new();
        let words = texts.iter().flat_map(|text| text.split_whitespace());
        for word in words.filter(|word| word.starts_with(&format!("t{thread}n"))) {
            if !firsts.contains(&word) {
                firsts.push(word);
            }
        }
        let expected: Vec<String> = (0..messages).map(|n| format!("t{thread}n{n}.")).collect();
        assert_eq!(firsts, expected, "thread {thread}");
    }
}

/// Writes to all replicas in turn, each thread's messages one after the other. What is not acknowledged is delivered
/// again, to the next.
fn load(replicas: &[&Daemon], threads: usize, messages: usize, delivered: &AtomicUsize) -> Vec<String> {
    let names = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for share in 0..5 {
            let names = &names;
            scope.spawn(move || {
                for n in 0..messages {
                    for thread in (share..threads).step_by(5) {
                        let name = format!("t{thread}n{n}.");
                        let webhook = Webhook::new(thread % 2 == 0, thread, &name);
                        let mut tries = (thread + n)..;
                        while !webhook.deliver_to(replicas[tries.next().unwrap() % replicas.len()]) {
                            thread::sleep(Duration::from_millis(20));
                        }
                        delivered.fetch_add(1, Ordering::SeqCst);
                        names.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
    names.into_inner().unwrap()
}

/// Nothing is lost, nothing comes in another order, and what came twice was counted, though one is killed in mid-load.
fn one_of_several_is_killed(count: usize) {
    let Some(world) = world(|config| {
        // Longer than usual: on a busy machine the living must not lose theirs, for the dead one's counts are gone.
        config.set("agent.concurrency", 16).set("store.lease", "6s");
    }) else {
        return;
    };
    let mut random = StdRng::seed_from_u64(seed());
    world
        .agent
        .fault("ask", usize::MAX, Fault::Delay(Duration::from_millis(15)));
    let others: Vec<Daemon> = (1..count)
        .map(|n| world.replica(&format!("replica{n}.toml"), |_| {}))
        .collect();
    let replicas: Vec<&Daemon> = std::iter::once(world.daemon()).chain(&others).collect();
    let (threads, messages) = (60, 6);
    let (victim, when) = (
        random.random_range(1..count),
        random.random_range(60..threads * messages - 60),
    );
    let delivered = AtomicUsize::new(0);
    let names = thread::scope(|scope| {
        let kill = others[victim - 1].killer();
        scope.spawn(|| {
            while delivered.load(Ordering::SeqCst) < when {
                thread::sleep(Duration::from_millis(1));
            }
            kill();
        });
        load(&replicas, threads, messages, &delivered)
    });
    wait_all_answered(&world, &names);
    assert_order(&world, threads, messages);
    let posts = world.slack.posts();
    let words: Vec<&str> = posts
        .iter()
        .flat_map(|post| post.text.split_whitespace())
        .collect();
    for name in names {
        let times = words.iter().filter(|word| **word == name).count();
        assert!(
            times <= 1,
            "{name} is posted {times} times on Slack, which can be asked"
        );
    }
    let sent = world.meta.sent();
    let mut once: Vec<_> = sent.iter().map(|sent| &sent.opaque).collect();
    once.sort();
    once.dedup();
    let alive = replicas.iter().enumerate().filter(|(n, _)| *n != victim);
    let resent: usize = alive
        .map(|(_, replica)| {
            let metrics = replica.metrics();
            metrics.count("chatbridge_sends_unknown_total", &[("resolution", "resent")])
        })
        .sum();
    assert!(
        sent.len() - once.len() <= resent,
        "what is there twice is counted"
    );
}

#[test]
fn of_two_one_is_killed_in_mid_load() {
    one_of_several_is_killed(2);
}

#[test]
fn of_three_one_is_killed_in_mid_load() {
    one_of_several_is_killed(3);
}

#[test]
fn twins_that_reach_two_replicas_at_once_are_one_message() {
    let Some(world) = world(|_| {}) else { return };
    let other = world.replica("other.toml", |_| {});
    let names: Vec<String> = (0..120).map(|n| format!("twin{n}.")).collect();
    // All of them are of new people, whom both replicas meet at the same time.
    let twins: Vec<Webhook> = (0..120).map(|n| Webhook::new(n % 2 == 0, n, &names[n])).collect();
    thread::scope(|scope| {
        for daemon in [world.daemon(), &other] {
            let twins = &twins;
            scope.spawn(move || {
                for twin in twins {
                    while !twin.deliver_to(daemon) {
                        thread::sleep(Duration::from_millis(10));
                    }
                }
            });
        }
    });
    wait_all_answered(&world, &names);
    for name in &names {
        assert_eq!(world.agent.times_asked(name), 1, "{name}");
        assert_eq!(said(&world).iter().filter(|text| text.contains(name)).count(), 1);
    }
}

/// A gate before each question that holds this word.
fn hold(world: &World, about: &'static str) -> Gate {
    let gate = Gate::closed();
    let asked = move |call: &Call| {
        call.json["question"]
            .as_str()
            .is_some_and(|text| text.contains(about))
    };
    world.agent.fault_when(1, Fault::Hold(gate.clone()), asked);
    gate
}

fn leases_lost(daemon: &Daemon) -> f64 {
    daemon.metrics().sum("chatbridge_leases_lost_total", &[])
}

/// A replica whose way to the database can be cut.
fn far(world: &World) -> (Daemon, Wire) {
    let database = world.database.as_ref().unwrap();
    let wire = Wire::to(database.port());
    let url = database.url_at(Some(wire.port()));
    let far = world.replica("far.toml", |config| {
        config.set("store.url", url);
    });
    (far, wire)
}

/// Cut off for longer than its lease while the agent thinks: the other takes the turn over, and the one that was cut
/// off gives up by itself, long before it hears of that.
#[test]
fn whoever_is_cut_off_notices_before_it_sends() {
    let Some(mut world) = stopped() else { return };
    let (far, wire) = far(&world);
    let gate = hold(&world, "held");
    let webhook = Webhook::new(true, 1, "held.");
    assert!(webhook.deliver_to(&far));
    world.agent.wait_ask("held.");
    wire.cut();
    world.launch();
    eventually("the far one to notice", || {
        (leases_lost(&far) >= 1.0).then_some(())
    });
    world.slack.wait_post("held.");
    // Late enough, its own answer comes.
    gate.open();
    // While it is cut off it acknowledges nothing.
    assert!(!Webhook::new(true, 2, "refused.").deliver_to(&far));
    wire.mend();
    // It finds back by itself.
    eventually("the far one to take webhooks again", || {
        Webhook::new(true, 3, "back.").deliver_to(&far).then_some(())
    });
    world.slack.wait_post("back.");
    world.wait_idle();
    assert_eq!(world.slack.posts_with("held.").len(), 1);
    assert_eq!(world.agent.times_asked("held."), 2, "asked anew by the near one");
}

/// Cut off in the middle of a send, of which it never hears: the other looks for the part and finds it, and neither sends
/// it again.
#[test]
fn whoever_is_cut_off_in_mid_send_leaves_it_to_the_other() {
    let Some(mut world) = stopped() else { return };
    let (far, wire) = far(&world);
    let sent = |call: &Call| {
        call.kind == "chat.postMessage"
            && call.json["text"]
                .as_str()
                .is_some_and(|text| text.contains("held."))
    };
    world.slack.fault_when(1, Fault::ActThenHang, sent);
    assert!(Webhook::new(true, 1, "held.").deliver_to(&far));
    world.slack.wait_post("held.");
    wire.cut();
    world.launch();
    eventually("the far one to notice", || {
        (leases_lost(&far) >= 1.0).then_some(())
    });
    let found = [("channel", "slack"), ("resolution", "found")];
    eventually("the near one to find it", || {
        let metrics = world.metrics();
        (metrics.sum("chatbridge_sends_unknown_total", &found) >= 1.0).then_some(())
    });
    wire.mend();
    eventually("the far one to take webhooks again", || {
        Webhook::new(true, 2, "back.").deliver_to(&far).then_some(())
    });
    world.slack.wait_post("back.");
    world.wait_idle();
    assert_eq!(world.slack.calls().iter().filter(|call| sent(call)).count(), 1);
}

/// The same, stopped as a whole: it wakes up in the middle of a call and must look at the clock first.
#[test]
fn whoever_was_stopped_notices_before_it_sends() {
    let Some(mut world) = stopped() else { return };
    let gate = hold(&world, "held");
    let sleeper = world.replica("sleeper.toml", |_| {});
    assert!(Webhook::new(true, 1, "held.").deliver_to(&sleeper));
    world.agent.wait_ask("held.");
    sleeper.signal("STOP");
    world.launch();
    // Its answer waits for it in the socket when it wakes up.
    gate.open();
    world.slack.wait_post("held.");
    sleeper.signal("CONT");
    eventually("it to notice", || (leases_lost(&sleeper) >= 1.0).then_some(()));
    assert!(Webhook::new(true, 2, "marker.").deliver_to(&sleeper));
    world.slack.wait_post("marker.");
    world.wait_idle();
    assert_eq!(world.slack.posts_with("held.").len(), 1);
}

/// A call that takes longer than the lease keeps it, as long as the replica lives.
#[test]
fn a_long_question_is_asked_once() {
    let Some(world) = world(|_| {}) else { return };
    let _other = world.replica("other.toml", |_| {});
    world.agent.fault("ask", 1, Fault::Delay(Duration::from_secs(7)));
    world.slack(&SlackEvent::dm("D1", "think long"));
    world.slack.wait_post("think long");
    assert_eq!(world.agent.times_asked("think long"), 1);
}

/// What a platform wants is kept by all, because one at a time sends for an account.
#[test]
fn a_pause_holds_for_all_replicas() {
    let Some(world) = world(|_| {}) else { return };
    let other = world.replica("other.toml", |_| {});
    let limited = Answer::json(429, &json!({"ok": false, "error": "ratelimited"})).with("retry-after", "3");
    world.slack.fault("chat.postMessage", 1, Fault::Answer(limited));
    assert!(Webhook::new(true, 0, "first.").deliver_to(&other));
    let at = world.slack.wait("the refusal", |log| {
        let refused = |call: &&Call| call.reply.as_ref().is_some_and(|reply| reply.status == 429);
        log.iter().find(refused).map(|call| call.at)
    });
    let names: Vec<String> = (1..21).map(|n| format!("waiting{n}.")).collect();
    for (n, name) in names.iter().enumerate() {
        let daemon = if n % 2 == 0 { world.daemon() } else { &other };
        assert!(Webhook::new(true, 2 * n + 2, name).deliver_to(daemon));
    }
    wait_all_answered(&world, &names);
    world.slack.log(|log| {
        let early = log.iter().filter(|call| {
            call.kind == "chat.postMessage" && call.at > at && call.at - at < Duration::from_millis(2900)
        });
        assert_eq!(early.count(), 0, "somebody did not wait");
    });
}

/// The server goes away and comes back: 503 meanwhile, then all goes on by itself.
#[test]
fn a_database_that_goes_away_and_comes_back() {
    let Some(world) = world(|_| {}) else { return };
    let database = world.database.as_ref().unwrap();
    world.still_works("before");
    world.wait_idle();
    // Connections that were cut are made anew, unseen.
    database.disconnect_all();
    assert!(Webhook::new(true, 1, "cut.").deliver_to(world.daemon()));
    world.slack.wait_post("cut.");
    database.close(true);
    let began = Instant::now();
    let refused = Webhook::new(true, 2, "refused.");
    assert!(!refused.deliver_to(world.daemon()));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(world.get("/readyz").status, 503);
    database.close(false);
    eventually("webhooks to be taken again", || {
        refused.deliver_to(world.daemon()).then_some(())
    });
    world.slack.wait_post("refused.");
    eventually("it to be ready", || {
        (world.get("/readyz").status == 200).then_some(())
    });
    assert_eq!(world.agent.times_asked("refused."), 1);
}

/// A neighbour of the next version has been there, and only added: both work.
#[test]
fn a_neighbour_of_the_next_version_is_lived_with() {
    let Some(mut world) = world(|_| {}) else { return };
    world.terminate();
    let database = world.database.as_ref().unwrap();
    database.execute(
        "ALTER TABLE threads ADD COLUMN news TEXT;
         INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99991231235959, 'from the next version', true, '\\x00', 0)",
    );
    world.launch();
    world.still_works("beside a newer one");
    world.cli(&["threads", "list"]).exits(0);
}

/// Two that start on an empty database at once bring it up to date once, and both work.
#[test]
fn several_start_on_an_empty_database_at_once() {
    if !on_postgres() {
        return;
    }
    let world = World::stopped();
    let failed = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        for n in 0..4 {
            let (world, failed) = (&world, failed.clone());
            scope.spawn(move || {
                let daemon = world.replica(&format!("replica{n}.toml"), |_| {});
                let name = format!("started{n}.");
                let taken = Webhook::new(true, n, &name).deliver_to(&daemon);
                world.slack.wait_post(&name);
                failed.fetch_or(!taken, Ordering::SeqCst);
            });
        }
    });
    assert!(!failed.load(Ordering::SeqCst));
}
