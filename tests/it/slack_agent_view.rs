//! Slack: people see that the bot is at work, and nobody waits for that.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{APOLOGY, Answer, Config, Fault, Gate, SlackEvent, World, eventually};

fn agent(config: &mut Config) {
    config.set("slack.agent_view", true);
}

/// The statuses that a thread was given, in order.
fn given(world: &World, thread: &str) -> Vec<String> {
    world.slack.log(|log| {
        let calls = log.iter().filter(|call| {
            call.kind.ends_with(".setStatus") && call.json["thread_ts"] == thread && call.said["ok"] == true
        });
        calls
            .map(|call| call.json["status"].as_str().unwrap().to_owned())
            .collect()
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

/// The log has this once. It is read beside the daemon, so that the last lines may come a little later.
fn said_once(world: &World, what: &str) {
    let log = eventually("a word in the log", || {
        Some(world.daemon().log()).filter(|log| log.contains(what))
    });
    assert_eq!(log.matches(what).count(), 1, "{log}");
}

#[test]
fn an_agents_session_is_processing_while_the_turn_runs() {
    let world = World::with(agent);
    let mention = SlackEvent::mention("C1", "where  is\nmy order?");
    let gate = held(&world, &mention, "order");
    world.slack.wait_status("C1", &mention.ts(), "processing");
    assert!(world.slack.posts().is_empty());
    gate.open();
    world.slack.wait_post("echo: where");
    world.slack.wait_status("C1", &mention.ts(), "active");
    assert_eq!(given(&world, &mention.ts()), ["processing", "active"]);
    let titles = world.slack.brain(|slack| slack.surface.titles.clone());
    let place = ("C1".to_owned(), mention.ts());
    assert_eq!(titles[&place], "where is my order?");
    assert_eq!(
        world.slack.count("assistant.threads.setStatus"),
        0,
        "one or the other"
    );
}

#[test]
fn each_message_to_an_agent_is_the_root_of_a_thread() {
    let world = World::with(agent);
    let message = SlackEvent::dm("D1", "hello");
    world.slack(&message);
    assert_eq!(world.slack.wait_post("hello").thread_ts, Some(message.ts()));
    world.slack(&SlackEvent::dm("D1", "and then?").in_thread(&message.ts()));
    assert_eq!(world.slack.wait_post("and then?").thread_ts, Some(message.ts()));
    assert_eq!(world.agent.wait_ask("and then?").json["conversationId"], "c1");
    let other = SlackEvent::dm("D1", "something else");
    world.slack(&other);
    assert_eq!(
        world.slack.wait_post("something else").thread_ts,
        Some(other.ts())
    );
    assert!(world.agent.wait_ask("something else").json["conversationId"].is_null());
    world.slack.wait_status("D1", &other.ts(), "active");
}

#[test]
fn a_message_to_an_agent_is_edited_and_taken_back_before_it_is_asked() {
    let world = World::with(|config| {
        agent(config);
        config.set("slack.turn_wait", "2s");
    });
    let message = SlackEvent::dm("D1", "slip");
    world.slack(&message);
    let gone = SlackEvent::dm("D1", "")
        .with("subtype", "message_deleted")
        .with("deleted_ts", message.ts())
        .with("previous_message", message.0["event"].clone());
    world.slack(&gone);
    world.slack(&SlackEvent::dm("D1", "meant"));
    world.slack.wait_post("meant");
    world.wait_idle();
    assert_eq!(world.agent.questions(), ["meant"]);
    assert!(given(&world, &message.ts()).is_empty());
}

/// Every end of a turn, and every way to put it off.
#[test]
fn the_status_is_taken_back_whatever_comes_of_the_turn() {
    let world = World::with(agent);
    let refusal = || {
        Fault::json(
            400,
            json!({"status": "error", "message": "no", "code": "VALIDATION"}),
        )
    };
    world.agent.fault("ask", 1, refusal());
    let given_up = SlackEvent::mention("C1", "given up");
    world.slack(&given_up);
    world.slack.wait_post(APOLOGY);
    world.slack.wait_status("C1", &given_up.ts(), "active");

    // Put off: taken back for the time in between, and shown anew for each attempt.
    world.agent.fault("ask", 2, Fault::Answer(Answer::html(503)));
    let retried = SlackEvent::mention("C1", "tried again");
    world.slack(&retried);
    world.slack.wait_post("echo: tried again");
    world.slack.wait_status("C1", &retried.ts(), "active");
    eventually("the last status", || {
        let wanted = ["processing", "active"].repeat(3);
        (given(&world, &retried.ts()) == wanted).then_some(())
    });

    // A person takes over meanwhile: the answer comes too late.
    let handed = SlackEvent::mention("C1", "handed over");
    let gate = held(&world, &handed, "handed over");
    world.slack.wait_status("C1", &handed.ts(), "processing");
    let address = format!("slack/T1/C1/{}", handed.ts());
    world.cli(&["threads", "pause", &address]).exits(0);
    gate.open();
    world.slack.wait_status("C1", &handed.ts(), "active");
    assert!(world.slack.posts_with("echo: handed over").is_empty());

    // The agent refuses everybody: the question is kept.
    world.agent.fault("ask", 1, Fault::Answer(Answer::html(401)));
    let kept = SlackEvent::mention("C1", "kept");
    world.slack(&kept);
    world.slack.wait_status("C1", &kept.ts(), "active");
    world.slack.wait_post("echo: kept");
}

#[test]
fn the_status_is_taken_back_when_the_daemon_ends_and_shown_when_it_goes_on() {
    let mut world = World::with(|config| {
        agent(config);
        config.set("server.shutdown_grace", "500ms");
    });
    let mention = SlackEvent::mention("C1", "slow");
    let gate = held(&world, &mention, "slow");
    world.slack.wait_status("C1", &mention.ts(), "processing");
    world.terminate();
    assert_eq!(world.slack.status("C1", &mention.ts()).as_deref(), Some("active"));
    gate.open();
    world.launch();
    world.slack.wait_post("echo: slow");
    world.slack.wait_status("C1", &mention.ts(), "active");
    assert_eq!(given(&world, &mention.ts()), ["processing", "active"].repeat(2));
}

#[test]
fn a_crash_leaves_no_status_behind() {
    let mut world = World::with(agent);
    let mention = SlackEvent::mention("C1", "slow");
    let _gate = held(&world, &mention, "slow");
    world.slack.wait_status("C1", &mention.ts(), "processing");
    world.crash();
    world.slack.wait_post("echo: slow");
    world.slack.wait_status("C1", &mention.ts(), "active");
}

/// Killed after the answer was stored and before anybody could be shown that it is there.
#[test]
fn a_crash_after_the_answer_leaves_no_status_behind_either() {
    let mut world = World::with(agent);
    world.slack.fault("chat.postMessage", 1, Fault::ActThenHang);
    world
        .slack
        .fault_when(1, Fault::Hang, |call| call.json["status"] == "active");
    let mention = SlackEvent::mention("C1", "unlucky");
    world.slack(&mention);
    world.slack.wait_post("echo: unlucky");
    world.slack.wait("the status to be taken back", |log| {
        log.iter()
            .any(|call| call.json["status"] == "active")
            .then_some(())
    });
    assert_eq!(
        world.slack.status("C1", &mention.ts()).as_deref(),
        Some("processing")
    );
    world.crash();
    world.slack.wait_status("C1", &mention.ts(), "active");
    world.wait_idle();
    assert_eq!(world.slack.posts_with("echo: unlucky").len(), 1);
}

#[test]
fn what_goes_wrong_with_it_neither_delays_nor_fails_the_turn() {
    let world = World::with(agent);
    let method = "agents.sessions.setStatus";
    world.slack.fault(method, 1, Fault::Hang);
    world.slack.fault(method, 1, Fault::Close);
    world.slack.fault(method, 1, Fault::Answer(Answer::html(500)));
    world.slack.fault(
        method,
        1,
        Fault::json(200, json!({"ok": false, "error": "channel_not_found"})),
    );
    let begin = Instant::now();
    for n in 0..4 {
        world.slack(&SlackEvent::mention("C1", &format!("attempt {n}.")));
        world.slack.wait_post(&format!("attempt {n}."));
    }
    assert!(
        begin.elapsed() < Duration::from_secs(9),
        "something waited for a call that hangs: {:?}",
        begin.elapsed()
    );
    assert_eq!(world.agent.asks().len(), 4);
}

#[test]
fn a_status_that_cannot_be_taken_back_at_once_is_taken_back_later() {
    let world = World::with(agent);
    let limited = Answer::json(429, &json!({"ok": false, "error": "ratelimited"})).with("retry-after", "1");
    for fault in [
        Fault::Close,
        Fault::Answer(Answer::html(502)),
        Fault::Answer(limited),
    ] {
        let back = |call: &crate::harness::Call| call.json["status"] == "active";
        world.slack.fault_when(1, fault, back);
        let mention = SlackEvent::mention("C1", "stubborn");
        world.slack(&mention);
        world.slack.wait_status("C1", &mention.ts(), "active");
    }
}

/// Slack wants a pause: it gets one, of this method and workspace, and the questions go on.
#[test]
fn a_limit_of_the_status_holds_up_nothing_else() {
    let world = World::with(agent);
    let limited = Answer::json(429, &json!({"ok": false, "error": "ratelimited"})).with("retry-after", "60");
    let method = "agents.sessions.setStatus";
    world.slack.fault(method, 1, Fault::Answer(limited));
    world.slack(&SlackEvent::mention("C1", "first"));
    world.slack.wait_post("echo: first");
    for n in 0..3 {
        world.slack(&SlackEvent::mention("C1", &format!("later {n}")));
        world.slack.wait_post(&format!("later {n}"));
    }
    assert_eq!(world.slack.count(method), 1, "a limited method is left alone");
}

#[test]
fn an_app_that_may_not_show_it_says_so_once() {
    let world = World::with(agent);
    let method = "agents.sessions.setStatus";
    let refused = json!({"ok": false, "error": "missing_scope", "needed": "chat:write"});
    world.slack.fault(method, 9, Fault::json(200, refused));
    for n in 0..3 {
        world.slack(&SlackEvent::mention("C1", &format!("question {n}")));
        world.slack.wait_post(&format!("question {n}"));
    }
    assert_eq!(world.slack.count(method), 1, "a refused method rests");
    said_once(&world, "Slack does not show people what the bot does");
}

#[test]
fn who_sees_no_stop_button_is_told() {
    let world = World::with(agent);
    world.slack.brain(|slack| slack.surface.has_stop_button = false);
    for n in 0..2 {
        let mention = SlackEvent::mention("C1", &format!("question {n}"));
        world.slack(&mention);
        world.slack.wait_status("C1", &mention.ts(), "active");
    }
    said_once(&world, "people see no stop button");
}

#[test]
fn a_plain_bot_reacts_while_it_works_if_the_operator_wants_that() {
    let world = World::with(|config| {
        config.set("slack.reaction", ":eyes:");
    });
    let mention = SlackEvent::mention("C1", "look");
    let gate = held(&world, &mention, "look");
    let on = |event: &SlackEvent, channel: &str| {
        let place = (channel.to_owned(), event.ts());
        world
            .slack
            .brain(|slack| slack.surface.reactions.get(&place).cloned())
    };
    eventually("an emoji", || (on(&mention, "C1")? == "eyes").then_some(()));
    gate.open();
    world.slack.wait_post("echo: look");
    eventually("no emoji", || on(&mention, "C1").is_none().then_some(()));
    // At the top level of a direct message too, whose thread has no root.
    let direct = SlackEvent::dm("D1", "directly");
    let gate = held(&world, &direct, "directly");
    eventually("an emoji", || on(&direct, "D1").map(drop));
    gate.open();
    assert_eq!(world.slack.wait_post("echo: directly").thread_ts, None);
    eventually("no emoji", || on(&direct, "D1").is_none().then_some(()));
    assert_eq!(world.slack.count("agents.sessions.setStatus"), 0);
}

#[test]
fn a_plain_bot_shows_nothing_otherwise() {
    let world = World::start();
    world.slack(&SlackEvent::opened("D1", "messages"));
    world.slack(&SlackEvent::stopped("C1", "1766458026.240809"));
    world.slack(&SlackEvent::mention("C1", "quiet"));
    world.still_works("afterwards");
    world.wait_idle();
    let methods = ["auth.test", "chat.postMessage"];
    let others: Vec<_> = world.slack.calls();
    let others: Vec<_> = others
        .iter()
        .filter(|call| !methods.contains(&call.kind.as_str()))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn the_command_shows_nothing_and_works() {
    let world = World::with(agent);
    let respond = format!("{}/commands/T1/t1", world.slack.url());
    let fields = [
        ("team_id", "T1"),
        ("channel_id", "C1"),
        ("user_id", "U1"),
        ("command", "/ask"),
        ("text", "by command"),
        ("response_url", &respond),
        ("trigger_id", "t1"),
    ];
    world.slack_form("/slack/commands", &fields);
    world.slack.wait_response("by command");
    assert_eq!(world.slack.count("agents.sessions.setStatus"), 0);
}
