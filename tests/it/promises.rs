//! What comes twice is asked once (P2), every thread keeps its order (P3), and only what is stored is acknowledged (P1).

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use crate::harness::{
    Fault, Lock, SlackEvent, Webhook, World, eventually, said, unix_now, wait_all_answered,
};

/// openwa#464: two deliveries in the same instant beat a check that was not atomic.
#[test]
fn openwa_464_identical_deliveries_at_the_same_instant_are_one_turn() {
    let world = World::start();
    for n in 0..12 {
        for slack in [true, false] {
            let name = format!("same{n}{slack}.");
            let webhook = Webhook::new(slack, n, &name);
            let barrier = Barrier::new(4);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        barrier.wait();
                        assert!(webhook.deliver(&world));
                    });
                }
            });
            assert!(Webhook::new(slack, n, &format!("after{n}{slack}.")).deliver(&world));
        }
    }
    for n in 0..12 {
        world.slack.wait_post(&format!("after{n}true."));
        world.meta.wait_sent(&format!("after{n}false."));
    }
    world.wait_idle();
    for name in (0..12).flat_map(|n| [format!("same{n}true."), format!("same{n}false.")]) {
        assert_eq!(world.agent.times_asked(&name), 1, "{name}");
        assert_eq!(
            said(&world).iter().filter(|text| text.contains(&name)).count(),
            1,
            "{name}"
        );
    }
}

/// openclaw#12053, xagent#1063: ids kept in memory were lost at a restart.
#[test]
fn openclaw_12053_a_redelivery_after_a_restart_is_known() {
    let mut world = World::start();
    let webhooks = [
        Webhook::new(true, 1, "known."),
        Webhook::new(false, 1, "known as well."),
    ];
    for webhook in &webhooks {
        assert!(webhook.deliver(&world));
    }
    world.slack.wait_post("known.");
    world.meta.wait_sent("known as well.");
    world.crash();
    for webhook in &webhooks {
        assert!(webhook.deliver(&world));
    }
    world.terminate();
    world.launch();
    for webhook in &webhooks {
        assert!(webhook.deliver(&world));
    }
    assert!(Webhook::new(true, 1, "marker").deliver(&world));
    assert!(Webhook::new(false, 1, "marker").deliver(&world));
    world.slack.wait_post("marker");
    world.meta.wait_sent("marker");
    assert_eq!(world.agent.times_asked("known"), 2);
}

/// rasa#3882, bolt-python#1027, #868, bolt-js#786: while a slow handler worked, Slack delivered again, and each
/// delivery was handled.
#[test]
fn bolt_python_1027_retries_of_a_slow_handler_are_answered_once() {
    let world = World::start();
    world.agent.fault("ask", 1, Fault::Delay(Duration::from_secs(2)));
    let event = SlackEvent::mention("C1", "slowly");
    for _ in 0..4 {
        world.slack(&event);
    }
    world.slack.wait_post("slowly");
    world.slack(&event);
    world.slack(&SlackEvent::mention("C1", "marker").in_thread(&event.ts()));
    world.slack.wait_post("marker");
    assert_eq!(world.agent.times_asked("slowly"), 1);
    assert_eq!(world.slack.posts_with("slowly").len(), 1);
}

/// vercel/chat#666, agno#10073: every redelivery was dropped by its retry header.
#[test]
fn vercel_chat_666_a_redelivery_of_what_never_arrived_is_answered() {
    let world = World::start();
    let body = SlackEvent::dm("D1", "second try").0.to_string();
    let now = unix_now().to_string();
    let headers = [
        (
            "x-slack-signature",
            crate::harness::slack_signature(crate::harness::SIGNING_SECRET, &now, body.as_bytes()),
        ),
        ("x-slack-request-timestamp", now),
        ("x-slack-retry-num", "1".to_owned()),
        ("x-slack-retry-reason", "http_timeout".to_owned()),
    ];
    let url = format!("{}/slack/events", world.daemon().public());
    assert_eq!(
        crate::harness::post(&url, &headers, body.into_bytes())
            .unwrap()
            .status,
        200
    );
    world.slack.wait_post("second try");
}

/// P3: a hundred threads at once, each in its order, and a crash in the middle of it.
#[test]
fn a_hundred_threads_at_once_each_keep_their_order_across_a_crash() {
    let mut world = World::with(|config| {
        config.set("agent.concurrency", 32);
    });
    world
        .agent
        .fault("ask", usize::MAX, Fault::Delay(Duration::from_millis(20)));
    let send = |world: &World, numbers: std::ops::Range<usize>| {
        thread::scope(|scope| {
            for share in 0..5 {
                let numbers = numbers.clone();
                scope.spawn(move || {
                    for n in numbers {
                        for thread in (share..100).step_by(5) {
                            let webhook = Webhook::new(thread % 2 == 0, thread, &format!("t{thread}n{n}."));
                            assert!(webhook.deliver(world));
                        }
                    }
                });
            }
        });
    };
    send(&world, 0..3);
    world.crash();
    send(&world, 3..6);
    let names: Vec<String> = (0..100)
        .flat_map(|thread| (0..6).map(move |n| format!("t{thread}n{n}.")))
        .collect();
    wait_all_answered(&world, &names);
    let texts = said(&world);
    for thread in 0..100 {
        let of_thread = |word: &&str| word.starts_with(&format!("t{thread}n"));
        let mut order: Vec<&str> = texts
            .iter()
            .flat_map(|text| text.split_whitespace())
            .filter(of_thread)
            .collect();
        // A send that the crash interrupted may be there twice, side by side.
        order.dedup();
        let again = order.len() > 6;
        let mut firsts: Vec<&str> = Vec::new();
        for word in order {
            if !firsts.contains(&word) {
                firsts.push(word);
            }
        }
        let expected: Vec<String> = (0..6).map(|n| format!("t{thread}n{n}.")).collect();
        assert_eq!(firsts, expected, "thread {thread} (repeated: {again})");
    }
}

/// P1 to the letter: no 200 while the store cannot commit; 503, so that the platform delivers again.
/// junior#33: the key was marked seen before the work was queued, so the second delivery was dropped.
#[test]
fn junior_33_what_could_not_be_stored_is_refused_and_taken_when_it_comes_again() {
    let world = World::start();
    let lock = Lock::of(&world);
    let event = SlackEvent::dm("D1", "stored at last");
    let body = event.0.to_string();
    let refused = thread::scope(|scope| {
        let delivery = scope.spawn(|| world.post_slack(body.as_bytes()));
        // Long enough for a daemon that waits for the lock to give up.
        for _ in 0..300 {
            if delivery.is_finished() {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let answered_while_locked = delivery.is_finished();
        if !answered_while_locked {
            lock.release();
        }
        let status = delivery.join().unwrap().unwrap().status;
        assert_eq!(status, if answered_while_locked { 503 } else { 200 });
        answered_while_locked
    });
    if refused {
        lock.release();
    }
    eventually("the next delivery to be acknowledged", || {
        (world.post_slack(body.as_bytes()).unwrap().status == 200).then_some(())
    });
    world.slack.wait_post("stored at last");
    world.slack(&SlackEvent::dm("D1", "marker"));
    world.slack.wait_post("marker");
    assert_eq!(world.agent.times_asked("stored at last"), 1);
}
