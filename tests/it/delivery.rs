//! Delivery: looking before sending again, giving up in the open, and one slow place that delays no other (P4, P5, P7).

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    APOLOGY, Fault, Gate, Incoming, NUMBER, Person, SlackEvent, Status, World, batch, eventually, webhook,
};

fn ann() -> Person {
    Person::phone("15550001111")
}

#[track_caller]
fn dead_letters(world: &World) -> Vec<Value> {
    world
        .cli(&["dead", "list", "--json"])
        .exits(0)
        .json()
        .as_array()
        .unwrap()
        .clone()
}

#[track_caller]
fn wait_dead(world: &World) -> Value {
    eventually("a dead letter", || dead_letters(world).into_iter().next())
}

#[track_caller]
fn assert_unknown(world: &World, channel: &str, resolution: &str, count: usize) {
    let metrics = world.metrics();
    let found = metrics.count(
        "chatbridge_sends_unknown_total",
        &[("channel", channel), ("resolution", resolution)],
    );
    assert_eq!(found, count, "{channel} {resolution}: {metrics}");
}

/// What Slack does not have never was there: it is sent, and nobody can have got it twice.
#[test]
fn what_was_looked_for_and_is_not_there_is_sent_and_counted_apart() {
    let world = World::start();
    world.slack.fault("chat.postMessage", 1, Fault::Close);
    world.slack(&SlackEvent::dm("D1", "lost"));
    world.slack.wait_post("echo: lost");
    world.wait_idle();
    assert_unknown(&world, "slack", "absent", 1);
    assert_unknown(&world, "slack", "resent", 0);
}

/// openclaw#22780: posts that Slack had taken were sent again.
#[test]
fn openclaw_22780_slack_took_it_without_saying_so_and_it_is_not_posted_twice() {
    let world = World::start();
    world.slack.fault_when(1, Fault::ActThenHang, |call| {
        call.json["text"] == "echo: in a thread"
    });
    world.slack.fault_when(1, Fault::ActThenClose, |call| {
        call.json["text"] == "echo: directly"
    });
    let mention = SlackEvent::mention("C1", "in a thread");
    world.slack(&mention);
    world.slack(&SlackEvent::dm("D1", "directly"));
    world.slack.wait_count("conversations.replies", 1);
    world.slack.wait_count("conversations.history", 1);
    world.slack(&SlackEvent::mention("C1", "marker").in_thread(&mention.ts()));
    world.slack(&SlackEvent::dm("D1", "marker"));
    for (channel, text) in [("C1", "in a thread"), ("D1", "directly")] {
        world.slack.wait(&format!("the marker in {channel}"), |log| {
            let answered =
                |call: &&crate::harness::Call| call.json["channel"] == channel && call.reply.is_some();
            log.iter()
                .filter(answered)
                .any(|call| call.json["text"] == "echo: marker")
                .then_some(())
        });
        assert_eq!(world.slack.posts_with(text).len(), 1, "{text}");
    }
    assert_unknown(&world, "slack", "found", 2);
    assert_unknown(&world, "slack", "resent", 0);
}

#[test]
fn slack_did_not_take_it_and_it_is_posted_after_a_look() {
    let world = World::start();
    world.slack.fault("chat.postMessage", 1, Fault::Close);
    world.slack(&SlackEvent::mention("C1", "closed upon"));
    world.slack.wait_post("closed upon");
    assert_eq!(world.slack.posts().len(), 1);
    assert_eq!(world.agent.asks().len(), 1);
}

#[test]
fn a_crash_in_mid_send_does_not_post_twice_on_slack() {
    let mut world = World::start();
    world.slack.fault("chat.postMessage", 1, Fault::ActThenHang);
    let mention = SlackEvent::mention("C1", "crash");
    world.slack(&mention);
    world.slack.wait_post("crash");
    world.crash();
    world.slack.wait_count("conversations.replies", 1);
    world.slack(&SlackEvent::mention("C1", "marker").in_thread(&mention.ts()));
    world.slack.wait_post("marker");
    assert_eq!(world.slack.posts_with("crash").len(), 1);
    assert_eq!(world.agent.asks_with("crash").len(), 1);
    assert_unknown(&world, "slack", "found", 1);
}

#[test]
fn a_status_settles_what_nobody_knew() {
    let mut world = World::with(|config| {
        config.set("whatsapp.reconcile_wait", "120s");
    });
    world.meta.fault("messages", 1, Fault::ActThenHang);
    world.text(&ann(), "unknown");
    let sent = world.meta.wait_sent("unknown");
    world.crash();
    world.wait_lease();
    let status = Status::of(&sent.wamid, "sent").with("biz_opaque_callback_data", sent.opaque.unwrap());
    world.whatsapp(&batch(NUMBER, &[], &[status]));
    world.text(&ann(), "marker");
    world.meta.wait_sent("marker");
    assert_eq!(world.meta.sent_with("unknown").len(), 1);
    assert_unknown(&world, "whatsapp", "found", 1);
}

/// The status can be faster than the news that the call failed.
#[test]
fn a_status_that_comes_at_once_settles_as_well() {
    let world = World::with(|config| {
        config.set("whatsapp.reconcile_wait", "120s");
    });
    for n in 0..5 {
        world.meta.fault("messages", 1, Fault::ActThenClose);
        let person = Person::phone(&format!("1555004000{n}"));
        world.text(&person, &format!("unknown {n}."));
        let sent = world.meta.wait_sent(&format!("unknown {n}."));
        let status =
            Status::of(&sent.wamid, "delivered").with("biz_opaque_callback_data", sent.opaque.unwrap());
        world.whatsapp(&batch(NUMBER, &[], &[status]));
        world.text(&person, &format!("marker {n}."));
        world.meta.wait_sent(&format!("marker {n}."));
    }
    assert_eq!(world.meta.sent_with("unknown").len(), 5);
}

#[test]
fn without_a_status_it_is_sent_again_and_counted() {
    let world = World::start();
    world.meta.fault("messages", 1, Fault::ActThenClose);
    world.text(&ann(), "unknown");
    world.text(&ann(), "marker");
    world.meta.wait_sent("marker");
    let sent = world.meta.wait_sents("unknown", 2);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].opaque, sent[1].opaque, "it is one delivery");
    // The wait is counted from before the first attempt left.
    assert!(
        sent[1].span().0 - sent[0].span().0 >= Duration::from_millis(1500),
        "a status is waited for"
    );
    assert_unknown(&world, "whatsapp", "resent", 1);
}

#[test]
fn without_a_status_it_is_parked_where_the_operator_prefers_that() {
    let world = World::with(|config| {
        config.set("whatsapp.unknown", "park");
    });
    world.meta.fault("messages", 1, Fault::ActThenClose);
    world.text(&ann(), "unknown");
    let dead = wait_dead(&world);
    assert_eq!(dead["kind"], "delivery", "{dead}");
    world.text(&ann(), "marker");
    world.meta.wait_sent("marker");
    assert_eq!(world.meta.sent_with("unknown").len(), 1);
    assert_unknown(&world, "whatsapp", "parked", 1);
}

/// chatwoot#12379: the agent failed and nobody learned of it.
#[test]
fn chatwoot_12379_an_agent_that_fails_for_good_is_no_secret() {
    let world = World::start();
    world.agent.fault(
        "ask",
        usize::MAX,
        Fault::json(500, json!({"status": "error", "message": "broken"})),
    );
    world.text(&ann(), "unanswerable");
    let mention = SlackEvent::mention("C1", "unanswerable as well");
    world.slack(&mention);
    assert_eq!(world.meta.wait_sent(APOLOGY).to.as_deref(), Some("15550001111"));
    assert_eq!(world.slack.wait_post(APOLOGY).thread_ts, Some(mention.ts()));
    assert_eq!(
        world.agent.asks_with("unanswerable").len(),
        8,
        "each as often as its schedule says"
    );
    let dead = eventually("both dead letters", || {
        Some(dead_letters(&world)).filter(|rows| rows.len() == 2)
    });
    for letter in &dead {
        assert_eq!(
            (&letter["kind"], &letter["attempts"]),
            (&json!("message"), &json!(4)),
            "{letter}"
        );
        for field in ["id", "thread", "address", "at", "code", "reason"] {
            assert!(
                letter[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field}: {letter}"
            );
        }
    }
    let log = world.daemon().log();
    assert!(
        log.contains("WARN") || log.contains("ERROR"),
        "the log says nothing:\n{log}"
    );

    world.agent.heal();
    for letter in &dead {
        world
            .cli(&["dead", "replay", letter["id"].as_str().unwrap()])
            .exits(0);
    }
    assert_eq!(
        world.meta.wait_sent("echo: unanswerable").to.as_deref(),
        Some("15550001111")
    );
    assert_eq!(
        world.slack.wait_post("echo: unanswerable as well").thread_ts,
        Some(mention.ts())
    );
    assert!(dead_letters(&world).is_empty());
    assert_eq!(world.meta.sent_with(APOLOGY).len(), 1);
    world.cli(&["dead", "replay", "no-such-id"]).exits(1);
}

#[test]
fn what_a_platform_will_never_take_is_a_dead_letter() {
    let world = World::start();
    world.slack.fault(
        "chat.postMessage",
        1,
        Fault::json(200, json!({"ok": false, "error": "is_archived"})),
    );
    let undeliverable = json!({"error": {"code": 131_026, "message": "Message undeliverable", "type": "OAuthException",
        "error_data": {"messaging_product": "whatsapp", "details": "Not a WhatsApp user"}}});
    world.meta.fault("messages", 1, Fault::json(400, undeliverable));
    world.slack(&SlackEvent::mention("C1", "archived"));
    world.text(&ann(), "undeliverable");
    let dead = eventually("both dead letters", || {
        Some(dead_letters(&world)).filter(|rows| rows.len() == 2)
    });
    assert!(dead.iter().all(|letter| letter["kind"] == "delivery"), "{dead:?}");
    let code = |code: &str| {
        dead.iter()
            .find(|letter| letter["code"].as_str().unwrap().contains(code))
            .cloned()
    };
    let (archived, undeliverable) = (code("is_archived").unwrap(), code("131026").unwrap());
    // The next message is not held up by it, and once it can be sent, it is.
    world.text(&ann(), "next");
    world.meta.wait_sent("next");
    for letter in [archived, undeliverable] {
        world
            .cli(&["dead", "replay", letter["id"].as_str().unwrap()])
            .exits(0);
    }
    world.slack.wait_post("archived");
    world.meta.wait_sent("undeliverable");
    assert_eq!(
        world.agent.asks().len(),
        3,
        "a replayed delivery asks nothing: {:?}",
        world.agent.questions()
    );
}

/// P7: one account whose platform hangs delays no other account, channel or thread.
#[test]
fn a_hanging_account_delays_no_other() {
    let world = World::start();
    let gate = Gate::closed();
    world
        .meta
        .fault_when(usize::MAX, Fault::Hold(gate.clone()), |call| {
            call.path.contains(NUMBER)
        });
    for n in 0..40 {
        world.text(
            &Person::phone(&format!("155502200{n:02}")),
            &format!("stuck {n}."),
        );
    }
    world.meta.wait_count("messages", 1);
    for n in 0..5 {
        world.whatsapp(&webhook(
            "222",
            &[Incoming::text(&ann(), &format!("other number {n}."))],
        ));
        world.meta.wait_sent(&format!("other number {n}."));
        world.slack(&SlackEvent::dm("D1", &format!("other channel {n}.")));
        world.slack.wait_post(&format!("other channel {n}."));
    }
    assert!(world.meta.sent_with("stuck").is_empty());
    gate.open();
    for n in 0..40 {
        world.meta.wait_sent(&format!("stuck {n}."));
    }
}

/// P7: one thread whose reply hangs delays no other thread of the same account.
#[test]
fn a_hanging_thread_delays_no_other() {
    let world = World::start();
    let gate = Gate::closed();
    world
        .slack
        .fault_when(usize::MAX, Fault::Hold(gate.clone()), |call| {
            call.json["channel"] == "CSLOW"
        });
    world
        .agent
        .fault_when(usize::MAX, Fault::Hold(gate.clone()), |call| {
            call.json["question"] == "ponder this"
        });
    world.slack(&SlackEvent::mention("CSLOW", "slow channel"));
    world.slack.wait_count("chat.postMessage", 1);
    world.slack(&SlackEvent::dm("DSLOW", "ponder this"));
    world.agent.wait_ask("ponder this");
    for n in 0..5 {
        world.slack(&SlackEvent::mention("C1", &format!("quick {n}.")));
        world.slack.wait_post(&format!("quick {n}."));
    }
    gate.open();
    world.slack.wait_post("slow channel");
    world.slack.wait_post("ponder this");
}

#[test]
fn a_platforms_wish_to_wait_is_granted() {
    let world = World::start();
    let limited = crate::harness::Answer::json(429, &json!({"ok": false, "error": "ratelimited"}));
    world.slack.fault(
        "chat.postMessage",
        1,
        Fault::Answer(limited.with("retry-after", "2")),
    );
    world.slack(&SlackEvent::mention("C1", "limited"));
    world.slack.wait_post("limited");
    let calls: Vec<_> = world
        .slack
        .calls()
        .into_iter()
        .filter(|call| call.kind == "chat.postMessage")
        .map(|call| call.at)
        .collect();
    assert_eq!(calls.len(), 2);
    assert!(
        calls[1] - calls[0] >= Duration::from_secs(2),
        "{:?}",
        calls[1] - calls[0]
    );
}

/// A refused token is the operator's to mend: the replies wait for it.
#[test]
fn a_refused_token_keeps_the_replies() {
    let world = World::start();
    let refused =
        json!({"error": {"code": 190, "message": "Invalid OAuth access token.", "type": "OAuthException"}});
    world
        .meta
        .fault("messages", usize::MAX, Fault::json(401, refused));
    for n in 0..6 {
        world.text(&Person::phone(&format!("1555033000{n}")), &format!("kept {n}."));
    }
    world.meta.wait_count("messages", 2);
    assert!(dead_letters(&world).is_empty());
    world.meta.heal();
    for n in 0..6 {
        world.meta.wait_sent(&format!("kept {n}."));
    }
    assert_eq!(world.agent.asks().len(), 6);
}
