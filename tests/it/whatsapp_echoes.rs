//! WhatsApp: a colleague answers in the Business app, and the bot is silent there for a while.

use serde_json::{Value, json};

use crate::harness::{Fault, Gate, NUMBER, Person, World, echo, eventually, unix_now};

fn ann() -> Person {
    Person::both("15550001111", "US.AAA")
}

/// What a colleague wrote to somebody just now.
fn wrote(names: Value, id: &str) -> Value {
    let mut item = json!({"from": "15550000000", "id": id, "timestamp": unix_now().to_string(),
        "type": "text", "text": {"body": "a colleague's words"}});
    item.as_object_mut()
        .unwrap()
        .extend(names.as_object().unwrap().clone());
    echo(NUMBER, item)
}

/// The state of the thread at this address.
fn state(world: &World, name: &str) -> String {
    let address = format!("whatsapp/{NUMBER}/{name}");
    let thread = world
        .cli(&["threads", "show", &address, "--json"])
        .exits(0)
        .json();
    let thread = thread.get(0).cloned().unwrap_or(thread);
    thread["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_colleagues_message_silences_the_bot_on_that_thread_for_a_while() {
    let world = World::with(|config| {
        config.set("whatsapp.echo_pause", "6s");
    });
    world.text(&ann(), "before");
    world.meta.wait_sent("before");
    world.whatsapp(&wrote(json!({"to": "15550001111"}), "wamid.E1"));
    assert_eq!(state(&world, "15550001111"), "paused");
    world.text(&ann(), "to the colleague");
    world.text(&Person::phone("15550002222"), "somebody else");
    world.meta.wait_sent("somebody else");
    eventually("the pause to end by itself", || {
        (state(&world, "15550001111") == "open").then_some(())
    });
    world.text(&ann(), "afterwards");
    world.meta.wait_sent("afterwards");
    assert_eq!(world.agent.times_asked("to the colleague"), 0);
    let handed = [("channel", "whatsapp"), ("outcome", "handed")];
    assert_eq!(world.metrics().count("chatbridge_messages_total", &handed), 1);
    assert!(!world.daemon().log().contains("a colleague's words"));
}

#[test]
fn an_answer_that_comes_after_the_colleagues_is_not_sent() {
    let world = World::start();
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    world.text(&ann(), "who is first?");
    world.agent.wait_ask("who is first?");
    world.whatsapp(&wrote(json!({"to_user_id": "US.AAA"}), "wamid.E1"));
    gate.open();
    world.text(&Person::phone("15550002222"), "marker");
    world.meta.wait_sent("marker");
    world.wait_idle();
    assert!(world.meta.sent_with("who is first?").is_empty());
    // An operator may end the pause before its time.
    world
        .cli(&["threads", "resume", &format!("whatsapp/{NUMBER}/15550001111")])
        .exits(0);
    world.text(&ann(), "once more");
    world.meta.wait_sent("once more");
}

#[test]
fn a_colleague_may_be_the_first_to_write() {
    let world = World::start();
    let both = json!({"to": "15550003333", "to_user_id": "US.CCC"});
    world.whatsapp(&wrote(both, "wamid.E1"));
    world.text(&Person::user("US.CCC"), "thanks for writing");
    world.text(&ann(), "marker");
    world.meta.wait_sent("marker");
    assert_eq!(world.agent.questions(), ["marker"]);
    assert_eq!(state(&world, "US.CCC"), "paused");
}

#[test]
fn what_is_no_answer_of_a_colleagues_silences_nobody() {
    let world = World::start();
    world.text(&ann(), "first");
    let ours = world.meta.wait_sent("first");
    world.wait_idle();
    // Our own message, an old one that comes late, a reaction, nonsense, and the standby of Meta's own agent.
    world.whatsapp(&wrote(json!({"to": "15550001111"}), &ours.wamid));
    let hours_ago = (unix_now() - 2 * 3600).to_string();
    let late = json!({"to": "15550001111", "timestamp": hours_ago});
    world.whatsapp(&wrote(late, "wamid.E2"));
    world.whatsapp(&wrote(
        json!({"to": "15550001111", "type": "reaction"}),
        "wamid.E3",
    ));
    world.whatsapp(&wrote(json!({"to": 7, "to_user_id": []}), "wamid.E4"));
    let mut standby = wrote(json!({"to": "15550001111"}), "wamid.E5");
    standby["entry"][0]["changes"][0]["field"] = json!("standby");
    world.whatsapp(&standby);
    world.text(&ann(), "second");
    world.meta.wait_sent("second");
    let outcome = |name| [("channel", "whatsapp"), ("outcome", name)];
    let metrics = world.metrics();
    assert_eq!(
        metrics.count("chatbridge_messages_total", &outcome("own_echo")),
        1
    );
    assert_eq!(metrics.count("chatbridge_messages_total", &outcome("standby")), 1);
}

#[test]
fn an_operators_own_pause_is_not_shortened_and_no_pause_is_no_pause() {
    let world = World::with(|config| {
        config.set("whatsapp.echo_pause", "1s");
    });
    let address = format!("whatsapp/{NUMBER}/15550001111");
    world.cli(&["threads", "pause", &address]).exits(0);
    world.whatsapp(&wrote(json!({"to": "15550001111"}), "wamid.E1"));
    let later = std::time::Instant::now() + std::time::Duration::from_secs(2);
    eventually("two seconds to pass", || {
        (std::time::Instant::now() > later).then_some(())
    });
    assert_eq!(state(&world, "15550001111"), "paused");

    let world = World::with(|config| {
        config.set("whatsapp.echo_pause", "0s");
    });
    world.whatsapp(&wrote(json!({"to": "15550001111"}), "wamid.E1"));
    world.text(&ann(), "answered all the same");
    world.meta.wait_sent("answered all the same");
}
