//! WhatsApp: 24 hours after a person's last message only templates are taken.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Fault, Gate, Incoming, NUMBER, Person, World, eventually, unix_now, webhook};

const DAY: u64 = 24 * 3600;

fn ann() -> Person {
    Person::both("15550001111", "US.AAA")
}

/// A message that was written so long ago that the window closes in about `seconds`, and when it surely has.
fn late_text(person: &Person, text: &str, seconds: u64) -> (Incoming, Instant) {
    let message = Incoming::text(person, text).with("timestamp", (unix_now() - DAY + seconds).to_string());
    (message, Instant::now() + Duration::from_secs(seconds + 1))
}

/// Asks something whose answer comes when the window has closed.
fn answer_too_late(world: &World, person: &Person, text: &'static str) {
    let gate = Gate::closed();
    world.agent.fault_when(1, Fault::Hold(gate.clone()), move |call| {
        call.json["question"] == text
    });
    let (message, closed) = late_text(person, text, 3);
    world.whatsapp(&webhook(NUMBER, &[message]));
    world.agent.wait_ask(text);
    thread::sleep(closed.saturating_duration_since(Instant::now()));
    gate.open();
}

#[track_caller]
fn wait_dead(world: &World, count: usize) -> Vec<Value> {
    eventually("dead letters", || {
        let dead = world.cli(&["dead", "list", "--json"]).exits(0).json();
        let dead = dead.as_array().unwrap().clone();
        (dead.len() == count).then_some(dead)
    })
}

fn tried(world: &World) -> usize {
    world.meta.count("messages")
}

#[test]
fn a_reply_outside_the_window_is_not_tried_and_waits_for_a_person() {
    let world = World::start();
    answer_too_late(&world, &ann(), "too late");
    let dead = wait_dead(&world, 1).remove(0);
    assert_eq!(
        (&dead["kind"], &dead["code"]),
        (&json!("delivery"), &json!("window_closed"))
    );
    let reason = dead["reason"].as_str().unwrap();
    assert!(
        reason.contains("24 hours") && reason.contains("whatsapp.window_template"),
        "{reason}"
    );
    assert_eq!(tried(&world), 0);

    // A replay is no way around it, until the person writes again.
    let id = dead["id"].as_str().unwrap();
    world.cli(&["dead", "replay", id]).exits(0);
    eventually("the replayed letter to be dead again", || {
        let log = world.daemon().log();
        (log.matches("given up: the part is a dead letter").count() == 2).then_some(())
    });
    assert_eq!(wait_dead(&world, 1)[0]["code"], "window_closed");
    assert_eq!(tried(&world), 0);
    world.text(&ann(), "here again");
    world.meta.wait_sent("here again");
    world.cli(&["dead", "replay", id]).exits(0);
    world.meta.wait_sent("echo: too late");
    wait_dead(&world, 0);
}

#[test]
fn a_reply_outside_the_window_goes_out_as_the_operators_template() {
    let world = World::with(|config| {
        config.set("whatsapp.window_template", "late_reply/en_US");
    });
    world
        .agent
        .answer_with(|question| format!("About   {question}:\n\nsorry that it took\tso long."));
    answer_too_late(&world, &ann(), "too late");
    let sent = world.meta.wait_sent("so long");
    assert_eq!(sent.body, "About too late: sorry that it took so long.");
    assert_eq!(sent.to.as_deref(), Some("15550001111"));
    assert_eq!(sent.call.json["type"], "template");
    assert!(sent.opaque.is_some());
    assert_eq!(
        sent.call.json["template"],
        json!({"name": "late_reply", "language": {"code": "en_US"}, "components": [{"type": "body",
            "parameters": [{"type": "text", "text": sent.body}]}]})
    );
    // Within the window it is a plain text again.
    world.text(&ann(), "in time");
    assert_eq!(world.meta.wait_sent("in time").call.json["type"], "text");

    // What no template can carry waits for a person.
    world.agent.answer_with(|_| "word ".repeat(300));
    answer_too_late(&world, &Person::phone("15550002222"), "at length");
    let dead = wait_dead(&world, 1).remove(0);
    assert_eq!(dead["code"], "window_closed");
    assert!(dead["reason"].as_str().unwrap().contains("too long"), "{dead}");
}

#[test]
fn a_retry_looks_at_the_window_again() {
    let world = World::with(|config| {
        config.set("retry.delivery", json!(["5s", "5s"]));
    });
    let busy = json!({"error": {"code": 131_016, "message": "Service unavailable"}});
    world.meta.fault("messages", 1, Fault::json(400, busy));
    let (message, _) = late_text(&ann(), "on the brink", 4);
    world.whatsapp(&webhook(NUMBER, &[message]));
    assert_eq!(wait_dead(&world, 1)[0]["code"], "window_closed");
    assert_eq!(
        tried(&world),
        1,
        "the first attempt was in time, the second would not have been"
    );
}
