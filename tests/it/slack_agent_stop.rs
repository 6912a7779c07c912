//! Slack: the stop button. What was asked before it is not answered after it, whenever it comes.

use serde_json::Value;

use crate::harness::{Fault, Gate, SlackEvent, World};

fn world() -> World {
    World::with(|config| {
        config
            .set("slack.agent_view", true)
            .set("messages.stopped", "I have <stopped>.");
    })
}

/// A question that the agent holds until the gate opens.
fn held(world: &World, event: &SlackEvent, text: &str) -> Gate {
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    world.slack(event);
    world.agent.wait_ask(text);
    gate
}

/// The messages of a thread, as they ended: state and reason.
fn ends(world: &World, root: &str) -> Vec<(String, String)> {
    let address = format!("slack/T1/C1/{root}");
    let thread = world
        .cli(&["threads", "show", &address, "--json"])
        .exits(0)
        .json();
    let lines = thread["history"].as_array().unwrap().iter();
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    lines
        .filter(|line| line["kind"] == "message")
        .map(|line| (text(line, "state"), text(line, "reason")))
        .collect()
}

fn stopped() -> (String, String) {
    ("ignored".to_owned(), "stopped".to_owned())
}

const SAID: &str = "I have &lt;stopped&gt;.";

#[test]
fn the_question_is_dropped_and_no_answer_comes_later() {
    let world = World::with(|config| {
        config
            .set("slack.agent_view", true)
            .set("agent.concurrency", 1)
            .set("messages.stopped", "I have <stopped>.");
    });
    let mention = SlackEvent::mention("C1", "never mind");
    let gate = held(&world, &mention, "never mind");
    world.slack.wait_status("C1", &mention.ts(), "processing");
    world.slack(&SlackEvent::stopped("C1", &mention.ts()));
    let said = world.slack.wait_post(SAID);
    assert_eq!(
        (said.channel.as_str(), said.thread_ts),
        ("C1", Some(mention.ts()))
    );
    world.slack.wait_status("C1", &mention.ts(), "active");
    // The agent's only place is free again, although it still thinks.
    let elsewhere = SlackEvent::mention("C2", "elsewhere");
    world.slack(&elsewhere);
    world.slack.wait_post("echo: elsewhere");
    gate.open();
    world.still_works("afterwards");
    world.wait_idle();
    assert_eq!(ends(&world, &mention.ts()), [stopped()]);
    assert!(world.slack.posts_with("echo: never mind").is_empty());
    assert_eq!(world.slack.posts_with(SAID).len(), 1);
    let turns = [("channel", "slack"), ("outcome", "stopped")];
    assert_eq!(world.metrics().count("chatbridge_turns_total", &turns), 1);
}

#[test]
fn pressed_twice_and_delivered_again_it_stops_once() {
    let world = world();
    let mention = SlackEvent::mention("C1", "never mind");
    let gate = held(&world, &mention, "never mind");
    let stop = SlackEvent::stopped("C1", &mention.ts());
    world.slack(&stop);
    world.slack(&stop);
    world.slack(&stop.again());
    world.slack(&SlackEvent::stopped("C1", &mention.ts()));
    gate.open();
    world.still_works("afterwards");
    world.wait_idle();
    assert_eq!(ends(&world, &mention.ts()), [stopped()]);
    assert_eq!(world.slack.posts_with(SAID).len(), 1);
    world.slack.wait_status("C1", &mention.ts(), "active");
}

#[test]
fn what_waits_behind_the_turn_is_stopped_with_it() {
    let world = world();
    let mention = SlackEvent::mention("C1", "first");
    let gate = held(&world, &mention, "first");
    world.slack(&SlackEvent::message("C1", "second").in_thread(&mention.ts()));
    world.slack(&SlackEvent::stopped("C1", &mention.ts()));
    world.slack.wait_post(SAID);
    gate.open();
    world.wait_idle();
    assert_eq!(ends(&world, &mention.ts()), [stopped(), stopped()]);
    assert_eq!(world.agent.questions(), ["first"]);
}

#[test]
fn what_is_written_after_it_is_asked_at_once() {
    let world = world();
    let mention = SlackEvent::mention("C1", "first");
    let gate = held(&world, &mention, "first");
    let stop = SlackEvent::stopped("C1", &mention.ts());
    // A second later; a person is not faster than a thousandth.
    let (secs, fraction) = stop.0["event"]["event_ts"]
        .as_str()
        .unwrap()
        .split_once('.')
        .unwrap();
    let later = format!("{}.{fraction}", secs.parse::<u64>().unwrap() + 1);
    world.slack(
        &SlackEvent::message("C1", "second")
            .in_thread(&mention.ts())
            .with("ts", later),
    );
    // Slack may deliver it after what was written later.
    world.slack(&stop);
    assert_eq!(
        world.slack.wait_post("echo: second").thread_ts,
        Some(mention.ts())
    );
    world.slack.wait_status("C1", &mention.ts(), "active");
    gate.open();
    world.wait_idle();
    assert_eq!(
        ends(&world, &mention.ts()),
        [stopped(), ("answered".to_owned(), String::new())]
    );
    assert!(world.slack.posts_with("echo: first").is_empty());
}

#[test]
fn a_question_that_was_put_off_is_stopped() {
    let world = World::with(|config| {
        config
            .set("slack.agent_view", true)
            .set("retry.agent", serde_json::json!(["2s", "2s"]))
            .set("messages.stopped", "");
    });
    world
        .agent
        .fault("ask", 1, Fault::Answer(crate::harness::Answer::html(503)));
    let mention = SlackEvent::mention("C1", "later");
    world.slack(&mention);
    world.agent.wait_ask("later");
    world.slack.wait_status("C1", &mention.ts(), "active");
    world.slack(&SlackEvent::stopped("C1", &mention.ts()));
    world.wait_idle();
    world.still_works("afterwards");
    assert_eq!(ends(&world, &mention.ts()), [stopped()]);
    assert_eq!(world.agent.asks_with("later").len(), 1);
    assert_eq!(world.slack.posts().len(), 1, "an empty text is not said");
}

#[test]
fn after_the_answer_nothing_is_left_to_stop() {
    let world = world();
    let mention = SlackEvent::mention("C1", "quick");
    world.slack(&mention);
    world.slack.wait_post("echo: quick");
    world.slack.wait_status("C1", &mention.ts(), "active");
    world.slack(&SlackEvent::stopped("C1", &mention.ts()));
    world.slack.wait("one more word about the status", |log| {
        let back = log.iter().filter(|call| call.json["status"] == "active");
        (back.count() >= 2).then_some(())
    });
    world.still_works("afterwards");
    assert_eq!(
        ends(&world, &mention.ts()),
        [("answered".to_owned(), String::new())]
    );
    assert!(world.slack.posts_with(SAID).is_empty());
}

#[test]
fn a_thread_that_nobody_knows_gets_its_status_back_and_nothing_else() {
    let world = world();
    world.slack(&SlackEvent::stopped("C7", "1766458026.240809"));
    world.slack.wait_status("C7", "1766458026.240809", "active");
    for odd in ["channel", "thread_ts", "user"] {
        world.slack(&SlackEvent::stopped("C7", "1766458027.240809").without(odd));
    }
    world.still_works("afterwards");
    world
        .cli(&["threads", "show", "slack/T1/C7/1766458026.240809"])
        .exits(1);
    assert!(world.slack.posts_with(SAID).is_empty());
}

/// What is left of the answer stays unsent; what was sent, was sent.
#[test]
fn parts_that_wait_stay_unsent() {
    let world = world();
    world.agent.answer_with(|_| "many words ".repeat(900));
    let gate = Gate::closed();
    world
        .slack
        .fault("chat.postMessage", 1, Fault::Hold(gate.clone()));
    let mention = SlackEvent::mention("C1", "tell me everything");
    world.slack(&mention);
    world.slack.wait_count("chat.postMessage", 1);
    world.slack(&SlackEvent::stopped("C1", &mention.ts()));
    gate.open();
    world.slack.wait_post(SAID);
    world.wait_idle();
    assert_eq!(world.slack.posts_with("many words").len(), 1);
}

#[test]
fn it_holds_across_a_crash() {
    let mut world = world();
    let mention = SlackEvent::mention("C1", "never mind");
    let gate = held(&world, &mention, "never mind");
    world.slack.wait_status("C1", &mention.ts(), "processing");
    world.slack(&SlackEvent::stopped("C1", &mention.ts()));
    world.crash();
    gate.open();
    world.slack.wait_post(SAID);
    world.still_works("afterwards");
    world.wait_idle();
    assert_eq!(ends(&world, &mention.ts()), [stopped()]);
    assert!(world.slack.posts_with("echo: never mind").is_empty());
    assert_eq!(world.slack.posts_with(SAID).len(), 1);
}

#[test]
fn only_those_whom_the_bot_answers_stop_it() {
    let world = World::with(|config| {
        config
            .set("slack.agent_view", true)
            .set("slack.deny_users", serde_json::json!(["UOUT"]));
    });
    let mention = SlackEvent::mention("C1", "go on");
    let gate = held(&world, &mention, "go on");
    world.slack(&SlackEvent::stopped("C1", &mention.ts()).by("UOUT"));
    gate.open();
    world.slack.wait_post("echo: go on");
}
