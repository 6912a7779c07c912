//! Slack: agents, assistants and what they suggest to whoever opens them.

use serde_json::{Value, json};

use crate::harness::{Config, Fault, Gate, SlackEvent, World, eventually};

fn agent(config: &mut Config) {
    config.set("slack.agent_view", true);
}

fn assistant(config: &mut Config) {
    config
        .set("slack.agent_view", "assistant")
        .set("messages.thinking", "is pondering…");
}

/// A question that the agent holds until the gate opens.
fn held(world: &World, event: &SlackEvent, text: &str) -> Gate {
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    world.slack(event);
    world.agent.wait_ask(text);
    gate
}

/// `agents.sessions.setStatus` where the app is an agent, else `assistant.threads.setStatus`.
#[test]
fn an_app_that_is_no_agent_there_gets_an_assistants_status() {
    let world = World::with(agent);
    world.slack.brain(|slack| slack.surface.is_agent = false);
    for n in 0..2 {
        let message = SlackEvent::dm("D1", &format!("question {n}"));
        let gate = held(&world, &message, &format!("question {n}"));
        world.slack.wait_status("D1", &message.ts(), "is thinking…");
        gate.open();
        world.slack.wait_post(&format!("question {n}"));
        eventually("no status", || {
            world.slack.status("D1", &message.ts()).is_none().then_some(())
        });
    }
    assert_eq!(
        world.slack.count("agents.sessions.setStatus"),
        1,
        "it is remembered"
    );
}

#[test]
fn an_assistant_shows_the_operators_words_and_a_title() {
    let world = World::with(assistant);
    let root = SlackEvent::dm("D1", "").ts();
    let message = SlackEvent::dm("D1", &"a long question ".repeat(20)).in_thread(&root);
    let gate = held(&world, &message, "a long question");
    world.slack.wait_status("D1", &root, "is pondering…");
    let title = eventually("a title", || {
        let titles = world.slack.brain(|slack| slack.surface.titles.clone());
        titles.get(&("D1".to_owned(), root.clone())).cloned()
    });
    assert!(
        title.starts_with("a long question a long") && title.ends_with('…'),
        "{title}"
    );
    assert!(title.chars().count() <= 80, "{title}");
    gate.open();
    world.slack.wait_post("a long question");
    eventually("no status", || {
        world.slack.status("D1", &root).is_none().then_some(())
    });
    world.slack(&SlackEvent::dm("D1", "more").in_thread(&root));
    world.slack.wait_post("more");
    world.wait_idle();
    assert_eq!(
        world.slack.count("assistant.threads.setTitle"),
        1,
        "a known thread keeps its title"
    );
    assert_eq!(world.slack.count("agents.sessions.setStatus"), 0);
}

fn suggesting(config: &mut Config) {
    config
        .set(
            "slack.prompts",
            json!(["Where is my order?", "Do you repair zips?"]),
        )
        .set("messages.suggestions", "Ask me:");
}

fn suggested(world: &World, channel: &str, thread: &str) -> Value {
    let place = (channel.to_owned(), thread.to_owned());
    eventually("suggestions", || {
        world
            .slack
            .brain(|slack| slack.surface.suggested.get(&place).cloned())
    })
}

#[test]
fn whoever_opens_an_agent_gets_suggestions() {
    let world = World::with(|config| {
        agent(config);
        suggesting(config);
    });
    world.slack(&SlackEvent::opened("D9", "home"));
    world.slack(&SlackEvent::opened("D1", "messages"));
    let prompts = json!([{"title": "Where is my order?", "message": "Where is my order?"},
        {"title": "Do you repair zips?", "message": "Do you repair zips?"}]);
    assert_eq!(
        suggested(&world, "D1", ""),
        json!({"channel_id": "D1", "title": "Ask me:", "prompts": prompts})
    );
    world.still_works("afterwards");
    assert_eq!(world.slack.count("assistant.threads.setSuggestedPrompts"), 1);
}

#[test]
fn whoever_opens_a_thread_with_an_assistant_gets_suggestions() {
    let world = World::with(|config| {
        assistant(config);
        suggesting(config);
    });
    let started = SlackEvent::gesture("assistant_thread_started").with(
        "assistant_thread",
        json!({"user_id": "U1", "context": {"channel_id": "C1"}, "channel_id": "D1", "thread_ts": "1726133698.626339"}),
    );
    world.slack(&started);
    assert_eq!(
        suggested(&world, "D1", "1726133698.626339")["prompts"][1]["title"],
        "Do you repair zips?"
    );
    // What it shows beside it is no affair of ours.
    world.slack(&SlackEvent::gesture("assistant_thread_context_changed"));
    world.slack(&SlackEvent::gesture("app_context_changed"));
    world.still_works("afterwards");
}

#[test]
fn suggestions_that_slack_refuses_or_never_answers_hold_up_nothing() {
    let world = World::with(|config| {
        agent(config);
        suggesting(config);
    });
    let method = "assistant.threads.setSuggestedPrompts";
    world.slack.fault(method, 1, Fault::Hang);
    world.slack.fault(
        method,
        1,
        Fault::json(200, json!({"ok": false, "error": "channel_not_found"})),
    );
    for channel in ["D1", "D2", "D3"] {
        world.slack(&SlackEvent::opened(channel, "messages"));
    }
    world.still_works("meanwhile");
    world.slack.wait_count(method, 3);
}

#[test]
fn what_does_not_go_together_is_told() {
    for (key, value, beside, wanted) in [
        (
            "slack.prompts",
            json!(["Hello?"]),
            Value::from(false),
            "slack.prompts",
        ),
        (
            "slack.reaction",
            json!("eyes"),
            Value::from(true),
            "slack.reaction",
        ),
        (
            "slack.prompts",
            json!(["1", "2", "3", "4", "5"]),
            Value::from(true),
            "write 4 at most",
        ),
        (
            "slack.reaction",
            json!("two words"),
            Value::from(false),
            "is no emoji",
        ),
        (
            "slack.prompts",
            json!([]),
            json!("agent"),
            "write true or false without quotes, or assistant",
        ),
    ] {
        let mut world = World::stopped();
        world.config.set("slack.agent_view", beside).set(key, value);
        world.write_config();
        let said = world.cli(&["check"]).exits(2).said();
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}
