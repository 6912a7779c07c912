//! WhatsApp: the person sees that an answer is on its way, and nobody waits for that.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Answer, Call, Fault, Gate, Incoming, NUMBER, Person, World, webhook};

fn ann() -> Person {
    Person::both("15550001111", "US.AAA")
}

#[track_caller]
fn wait_shown(world: &World, count: usize) -> Vec<Call> {
    world.meta.wait_count("mark_read", count);
    world
        .meta
        .calls()
        .into_iter()
        .filter(|call| call.kind == "mark_read")
        .collect()
}

/// A gate that holds every question with this text.
fn hold(world: &World, text: &'static str) -> Gate {
    let gate = Gate::closed();
    world
        .agent
        .fault_when(usize::MAX, Fault::Hold(gate.clone()), move |call| {
            call.json["question"]
                .as_str()
                .is_some_and(|asked| asked.contains(text))
        });
    gate
}

#[test]
fn a_turn_that_begins_is_shown_as_read_and_typing_in_one_call() {
    let world = World::with(|config| {
        config.set("turn.wait", "300ms");
    });
    let gate = hold(&world, "two");
    let messages = [Incoming::text(&ann(), "one"), Incoming::text(&ann(), "two")];
    world.whatsapp(&webhook(NUMBER, &messages));
    let shown = wait_shown(&world, 1);
    assert!(world.meta.sent().is_empty());
    assert_eq!(shown[0].path, format!("/v26.0/{NUMBER}/messages"));
    assert_eq!(shown[0].token(), Some("EAA-test-token"));
    assert_eq!(
        shown[0].json,
        json!({"messaging_product": "whatsapp", "status": "read", "message_id": messages[1].message["id"],
            "typing_indicator": {"type": "text"}})
    );
    gate.open();
    world.meta.wait_sent("two");
    assert_eq!(world.meta.count("mark_read"), 1);
}

/// Meta stops showing it after 25 seconds.
#[test]
fn it_is_shown_anew_while_a_slow_agent_works() {
    let world = World::start();
    let gate = hold(&world, "slow");
    world.text(&ann(), "slow");
    let shown = wait_shown(&world, 2);
    let between = shown[1].at - shown[0].at;
    assert!(
        (Duration::from_secs(18)..Duration::from_secs(25)).contains(&between),
        "{between:?}"
    );
    gate.open();
    world.meta.wait_sent("slow");
}

#[test]
fn what_goes_wrong_with_it_neither_delays_nor_fails_the_turn() {
    let world = World::start();
    world.meta.fault("mark_read", 1, Fault::Hang);
    world.meta.fault("mark_read", 1, Fault::Close);
    world.meta.fault("mark_read", 1, Fault::Answer(Answer::html(500)));
    world.meta.fault(
        "mark_read",
        1,
        Fault::json(400, json!({"error": {"code": 100, "message": "no such message"}})),
    );
    let begin = Instant::now();
    for n in 0..4 {
        let gate = hold(&world, "attempt");
        world.text(&ann(), &format!("attempt {n}."));
        wait_shown(&world, n + 1);
        gate.open();
        world.agent.heal();
        world.meta.wait_sent(&format!("attempt {n}."));
    }
    assert!(
        begin.elapsed() < Duration::from_secs(9),
        "something waited for a call that hangs: {:?}",
        begin.elapsed()
    );
    assert_eq!(world.agent.asks().len(), 4);
}

#[test]
fn it_is_not_shown_where_no_answer_will_come() {
    let mut world = World::start();
    let paused = world.cli(&["threads", "pause", &format!("whatsapp/{NUMBER}/15550002222")]);
    paused.exits(0);
    world.text(&Person::phone("15550002222"), "to a colleague");
    world.whatsapp(&webhook(
        NUMBER,
        &[Incoming::kind(&ann(), "sticker", json!({"id": "1"}))],
    ));
    world.text(&ann(), "marker");
    world.meta.wait_sent("marker");
    let shown = wait_shown(&world, 1);
    assert_eq!(shown.len(), 1, "{shown:?}");

    // The agent refuses everybody: whoever is asked for as a probe is not shown anything.
    world.config.set("agent.api_key", "a wrong key");
    world.terminate();
    world.launch();
    world.text(&ann(), "first refused");
    world.agent.wait("a refusal", |log| {
        log.iter()
            .any(|call| call.reply.as_ref().is_some_and(|reply| reply.status == 401))
            .then_some(())
    });
    let before = world.meta.count("mark_read");
    world.agent.wait("two probes", |log| {
        (log.iter()
            .filter(|call| call.reply.as_ref().is_some_and(|reply| reply.status == 401))
            .count()
            >= 3)
            .then_some(())
    });
    assert!(
        world.meta.count("mark_read") <= before.max(2),
        "{}",
        world.meta.count("mark_read")
    );
}
