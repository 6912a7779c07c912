//! Slack: as fast as it takes, and no faster (P7: one busy channel delays no other).

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Call, Fault, SlackEvent, World};

fn posts_in<'c>(log: &'c [Call], channel: &str) -> Vec<&'c Call> {
    log.iter()
        .filter(|call| call.kind == "chat.postMessage" && call.json["channel"] == channel)
        .collect()
}

/// So many go out at once in a channel that was quiet.
const BURST: usize = 60;

#[test]
fn a_busy_channel_gets_its_messages_at_a_pace_and_delays_no_other() {
    let every = Duration::from_secs(3);
    let world = World::with(|config| {
        config.set("slack.pace", "3s");
    });
    for n in 0..BURST + 3 {
        world.slack(&SlackEvent::mention("C1", &format!("number {n}.")));
    }
    world.slack.wait_posts(BURST);
    world.slack(&SlackEvent::mention("C2", "elsewhere"));
    world.slack.wait_posts(BURST + 4);
    world.slack.log(|log| {
        let busy = posts_in(log, "C1");
        assert_eq!(busy.len(), BURST + 3, "nothing is tried in vain");
        let after = |n: usize| busy[n].at - busy[0].at;
        let burst = after(BURST - 1);
        assert!(burst < every, "a burst is let through: {burst:?}");
        for n in BURST..BURST + 3 {
            // The clock of the bucket is in whole milliseconds.
            let least =
                (every * u32::try_from(n + 1 - BURST).unwrap()).saturating_sub(Duration::from_millis(20));
            assert!(after(n) >= least, "{n}: {:?}", after(n));
        }
        let elsewhere = posts_in(log, "C2")[0].at;
        assert!(elsewhere < busy[BURST + 2].at, "another channel waits for nobody");
    });
    // Waiting for one's turn is no attempt.
    assert_eq!(
        world
            .metrics()
            .count("chatbridge_deliveries_total", &[("outcome", "retried")]),
        0
    );
}

#[test]
fn all_of_a_workspace_wait_as_long_as_slack_asks() {
    let world = World::start();
    world.slack(&SlackEvent::dm("D0", "identity is known by now"));
    world.slack.wait_post("identity is known by now");
    let limited = Answer::json(429, &json!({"ok": false, "error": "ratelimited"})).with("retry-after", "3");
    world.slack.fault("chat.postMessage", 1, Fault::Answer(limited));
    let before = world.slack.count("chat.postMessage");
    world.slack(&SlackEvent::dm("D1", "the first"));
    let at = world.slack.wait("the refusal", |log| {
        let refused = |call: &&Call| call.reply.as_ref().is_some_and(|reply| reply.status == 429);
        log.iter().find(refused).map(|call| call.at)
    });
    for n in 0..20 {
        world.slack(&SlackEvent::dm(&format!("D{n}"), &format!("waiting {n}.")));
    }
    world.slack.wait_posts(22);
    world.slack.log(|log| {
        let posts: Vec<_> = log
            .iter()
            .filter(|call| call.kind == "chat.postMessage")
            .collect();
        // One before, the refused one, and everything once after the pause.
        assert_eq!(posts.len(), before + 1 + 21);
        for post in &posts[before + 1..] {
            assert!(post.at - at >= Duration::from_millis(2900), "{:?}", post.at - at);
        }
    });
    assert_eq!(world.slack.posts_with("the first").len(), 1);
    assert!(world.agent.asks().len() == 22, "nothing is asked twice");
}

#[test]
fn look_ups_wait_as_long_as_slack_asks_and_hold_up_no_post() {
    let world = World::start();
    let limited = Answer::json(429, &json!({"ok": false, "error": "ratelimited"})).with("retry-after", "3");
    world
        .slack
        .fault("conversations.history", 1, Fault::Answer(limited));
    world.slack.fault_when(2, Fault::ActThenClose, |call| {
        call.kind == "chat.postMessage"
            && call.json["text"]
                .as_str()
                .is_some_and(|text| text.contains("unclear"))
    });
    world.slack(&SlackEvent::dm("D1", "unclear one"));
    world.slack.wait_count("conversations.history", 1);
    world.slack(&SlackEvent::dm("D2", "unclear two"));
    world.slack(&SlackEvent::dm("D3", "goes through"));
    world.slack.wait_post("goes through");
    assert_eq!(world.slack.count("conversations.history"), 1);
    world.slack.wait_count("conversations.history", 3);
    world.wait_idle();
    world.slack.log(|log| {
        let looks: Vec<_> = log
            .iter()
            .filter(|call| call.kind == "conversations.history")
            .collect();
        assert!(looks[1].at - looks[0].at >= Duration::from_millis(2900));
    });
    assert_eq!(
        world.slack.posts_with("unclear").len(),
        2,
        "found, and not sent twice"
    );
}
