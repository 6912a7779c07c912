//! Slack: what people change or take back before it is asked, and what looks like it and is not.

use serde_json::{Value, json};

use crate::harness::{Fault, Gate, SlackEvent, World, eventually};

/// The event that tells of a change of this message.
fn changed(message: &SlackEvent, text: &str) -> SlackEvent {
    let before = message.0["event"].clone();
    let mut after = before.clone();
    after["text"] = json!(text);
    after["edited"] = json!({"user": after["user"], "ts": SlackEvent::dm("D0", "").ts()});
    about(message, "message_changed")
        .with("message", after)
        .with("previous_message", before)
}

/// The event that tells that this message is gone.
fn deleted(message: &SlackEvent) -> SlackEvent {
    about(message, "message_deleted")
        .with("deleted_ts", message.ts())
        .with("previous_message", message.0["event"].clone())
}

/// An event about a message, in the same place.
fn about(message: &SlackEvent, subtype: &str) -> SlackEvent {
    let news = SlackEvent::dm("D0", "");
    let ts = news.ts();
    message
        .clone()
        .again()
        .with("type", "message")
        .with("subtype", subtype)
        .with("hidden", true)
        .with("ts", ts.as_str())
        .with("event_ts", ts)
        .without("user")
        .without("text")
        .without("thread_ts")
        .without("client_msg_id")
}

/// A world in which the first question waits for the gate: what comes behind it waits.
fn busy() -> (World, Gate) {
    let world = World::start();
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    world.slack(&SlackEvent::dm("D1", "the first"));
    world.agent.wait_count("ask", 1);
    (world, gate)
}

fn history(world: &World, address: &str) -> Vec<Value> {
    let thread = world.cli(&["threads", "show", address, "--json"]).exits(0).json();
    thread["history"].as_array().unwrap().clone()
}

#[test]
fn an_edited_message_is_asked_in_its_new_form() {
    let (world, gate) = busy();
    let message = SlackEvent::dm("D1", "helo ther");
    world.slack(&message);
    world.slack(&changed(&message, "hello &amp; good day"));
    gate.open();
    world.slack.wait_post("echo: hello &amp; good day");
    world.wait_idle();
    assert_eq!(world.agent.questions(), ["the first", "hello & good day"]);
}

#[test]
fn an_older_edit_does_not_undo_a_newer_one() {
    let (world, gate) = busy();
    let message = SlackEvent::dm("D1", "one");
    let (second, third) = (changed(&message, "two"), changed(&message, "three"));
    world.slack(&message);
    world.slack(&third);
    world.slack(&second);
    world.slack(&third);
    gate.open();
    world.slack.wait_post("echo: three");
    assert_eq!(world.agent.questions(), ["the first", "three"]);
}

#[test]
fn a_deleted_message_is_not_asked() {
    let (world, gate) = busy();
    let message = SlackEvent::dm("D1", "never mind this");
    world.slack(&message);
    world.slack(&SlackEvent::dm("D1", "but this"));
    world.slack(&deleted(&message));
    world.slack(&deleted(&message));
    gate.open();
    world.slack.wait_post("echo: but this");
    world.wait_idle();
    assert_eq!(world.agent.questions(), ["the first", "but this"]);
    let lines = history(&world, "slack/T1/D1");
    let gone: Vec<_> = lines.iter().filter(|line| line["state"] == "ignored").collect();
    assert_eq!(gone.len(), 1, "{lines:?}");
    assert_eq!(
        (&gone[0]["reason"], &gone[0]["text"]),
        (&json!("deleted"), &json!(""))
    );
}

/// Nothing is left to do then, and the next message is asked as usual.
#[test]
fn a_burst_of_which_all_is_deleted_is_not_asked() {
    let world = World::with(|config| {
        config.set("slack.turn_wait", "2s");
    });
    let mention = SlackEvent::mention("C1", "a slip");
    world.slack(&mention);
    world.slack(&deleted(&mention));
    world.wait_idle();
    world.slack(&SlackEvent::mention("C1", "the real one").in_thread(&mention.ts()));
    world.slack.wait_post("the real one");
    assert_eq!(world.agent.questions(), ["the real one"]);
}

#[test]
fn a_root_with_replies_is_deleted_as_well() {
    let world = World::with(|config| {
        config.set("slack.turn_wait", "2s");
    });
    let mention = SlackEvent::mention("C1", "a slip");
    world.slack(&mention);
    let stone = json!({"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "ts": mention.ts(),
        "thread_ts": mention.ts(), "text": "This message was deleted.", "hidden": true});
    world.slack(
        &about(&mention, "message_changed")
            .with("message", stone)
            .with("previous_message", mention.0["event"].clone()),
    );
    world.wait_idle();
    world.still_works("afterwards");
    assert!(world.agent.asks_with("a slip").is_empty());
}

#[test]
fn once_it_is_asked_nothing_happens_twice() {
    let (world, gate) = busy();
    let message = SlackEvent::dm("D2", "as it was");
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    world.slack(&message);
    world.agent.wait_ask("as it was");
    world.slack(&changed(&message, "as it is now"));
    world.slack(&deleted(&message));
    gate.open();
    world.slack.wait_post("echo: as it was");
    world.slack(&changed(&message, "as it is later"));
    world.slack(&deleted(&message));
    world.slack(&SlackEvent::dm("D2", "marker"));
    world.slack.wait_post("echo: marker");
    world.wait_idle();
    assert_eq!(world.agent.questions(), ["the first", "as it was", "marker"]);
    assert_eq!(world.slack.posts_with("as it was").len(), 1);
}

/// CopilotKit#6717: Slack also calls it a change when it unfurls a link.
#[test]
fn copilotkit_6717_an_unfurled_link_changes_nothing() {
    let (world, gate) = busy();
    let message = SlackEvent::dm("D1", "see <https://a.example>");
    world.slack(&message);
    let mut unfurled = message.0["event"].clone();
    unfurled["attachments"] = json!([{"from_url": "https://a.example", "text": "A page"}]);
    let news = about(&message, "message_changed").with("previous_message", message.0["event"].clone());
    world.slack(&news.clone().with("message", unfurled.clone()));
    // Not even if somebody else seems to have changed it.
    unfurled["text"] = json!("words of another");
    unfurled["edited"] = json!({"user": "U9", "ts": SlackEvent::dm("D0", "").ts()});
    world.slack(&news.with("message", unfurled));
    gate.open();
    world.slack.wait_post("echo: see https://a.example");
    assert_eq!(world.agent.questions(), ["the first", "see https://a.example"]);
}

#[test]
fn what_is_deleted_before_it_arrives_is_not_asked() {
    let world = World::start();
    world.slack(&SlackEvent::dm("D1", "hello"));
    world.slack.wait_post("hello");
    let late = SlackEvent::dm("D1", "too late");
    world.slack(&deleted(&late));
    world.slack(&late);
    world.slack(&SlackEvent::dm("D1", "marker"));
    world.slack.wait_post("marker");
    assert_eq!(world.agent.questions(), ["hello", "marker"]);
}

#[test]
fn an_edited_mention_is_enough_where_nothing_else_is_heard() {
    let world = World::with(|config| {
        config.set("slack.turn_wait", "2s");
    });
    let mention = SlackEvent::mention("C1", "wrold");
    world.slack(&mention);
    let edited = json!({"user": "U1", "ts": SlackEvent::dm("D0", "").ts()});
    world.slack(
        &mention
            .clone()
            .again()
            .with("text", "<@U0BOT> world")
            .with("edited", edited),
    );
    world.slack.wait_post("echo: world");
    world.wait_idle();
    assert_eq!(world.agent.questions(), ["world"]);
}

#[test]
fn changes_survive_a_crash() {
    let (mut world, _gate) = busy();
    let (edited, gone) = (SlackEvent::dm("D1", "before"), SlackEvent::dm("D1", "a slip"));
    for event in [&edited, &gone, &changed(&edited, "after"), &deleted(&gone)] {
        world.slack(event);
    }
    world.crash();
    world.slack.wait_post("echo: after");
    world.wait_idle();
    assert!(world.agent.asks_with("slip").is_empty() && world.agent.asks_with("before").is_empty());
}

/// As long as the agent refuses to be asked, nobody has read the question.
#[test]
fn a_held_question_may_still_be_taken_back() {
    let world = World::start();
    world.agent.fault(
        "ask",
        1,
        Fault::json(
            401,
            json!({"status": "error", "message": "no", "code": "UNAUTHORIZED"}),
        ),
    );
    let message = SlackEvent::dm("D1", "never mind this");
    world.slack(&message);
    eventually("the agent to be held", || {
        (world.metrics().sum("chatbridge_held_agents", &[]) > 0.0).then_some(())
    });
    world.slack(&SlackEvent::dm("D1", "but this"));
    world.slack(&deleted(&message));
    world.slack.wait_post("echo: but this");
    world.wait_idle();
    assert_eq!(world.agent.questions(), ["never mind this", "but this"]);
}
