//! Slack: commands and buttons, acknowledged at once and worked on as durably as any message.

use serde_json::{Value, json};

use crate::harness::{
    Answer, FILE_NOT_READ, Fault, Gate, SlackEvent, SlackStub, World, eventually, post, slack_signature,
    unix_now,
};

/// Gives the command in a channel.
fn command(world: &World, trigger: &str, channel: &str, text: &str) {
    let respond = format!("{}/commands/T1/{trigger}", world.slack.url());
    command_to(world, trigger, channel, text, &respond);
}

fn command_to(world: &World, trigger: &str, channel: &str, text: &str, respond: &str) {
    let fields = [
        ("token", "deprecated"),
        ("team_id", "T1"),
        ("team_domain", "example"),
        ("channel_id", channel),
        ("channel_name", "general"),
        ("user_id", "U1"),
        ("user_name", "ann"),
        ("command", "/ask"),
        ("text", text),
        ("api_app_id", "A1"),
        ("is_enterprise_install", "false"),
        ("response_url", respond),
        ("trigger_id", trigger),
    ];
    world.slack_form("/slack/commands", &fields);
}

/// Somebody presses the button of a message that holds this action.
fn press(world: &World, post: &Value, kind: &str, positive: bool, at: &str, user: &str) {
    let blocks = post["blocks"]
        .as_array()
        .unwrap_or_else(|| panic!("no buttons: {post}"));
    let elements = blocks
        .iter()
        .filter_map(|block| block["elements"].as_array())
        .flatten();
    let element = elements.clone().find(|element| element["type"] == kind);
    let element = element.unwrap_or_else(|| panic!("no {kind}: {post}"));
    let value = match (kind, positive) {
        ("button", _) => &element["value"],
        (_, true) => &element["positive_button"]["value"],
        (_, false) => &element["negative_button"]["value"],
    };
    let payload = json!({
        "type": "block_actions", "user": {"id": user, "username": "ann", "team_id": "T1"}, "api_app_id": "A1",
        "token": "deprecated", "trigger_id": format!("1.{at}"), "team": {"id": "T1", "domain": "example"},
        "enterprise": null, "is_enterprise_install": false, "channel": {"id": post["channel"], "name": "general"},
        "container": {"type": "message", "message_ts": "1766458031.632339", "channel_id": post["channel"],
            "is_ephemeral": false, "thread_ts": post["thread_ts"]},
        "response_url": format!("{}/commands/actions", world.slack.url()),
        "actions": [{"type": kind, "action_id": element["action_id"], "block_id": "b1", "value": value,
            "action_ts": at}],
    });
    world.slack_form("/slack/interactivity", &[("payload", &payload.to_string())]);
}

fn with_feedback() -> World {
    World::with(|config| {
        config.set("slack.feedback", true);
        config.set("slack.alert_channel", "CALERT");
    })
}

fn thread(world: &World, address: &str) -> Value {
    world.cli(&["threads", "show", address, "--json"]).exits(0).json()
}

#[test]
fn a_command_is_answered_for_the_eyes_of_whoever_gave_it() {
    let world = World::start();
    command(&world, "t1", "C1", "where is 5 < 7 & more?");
    let answer = world.slack.wait_response("echo: where is 5 &lt; 7 &amp; more?");
    assert_eq!(answer.path, "/commands/T1/t1");
    assert_eq!(answer.json["response_type"], "ephemeral");
    assert!(answer.token().is_none(), "no token goes to such an address");
    // The conversation goes on, and the answer goes where it was asked last.
    command(&world, "t2", "C1", "and then?");
    assert_eq!(world.slack.wait_response("and then?").path, "/commands/T1/t2");
    assert_eq!(world.agent.wait_ask("and then?").json["conversationId"], "c1");
    assert_eq!(world.slack.count("chat.postMessage"), 0);
}

#[test]
fn one_command_is_one_turn_and_survives_a_crash() {
    let mut world = World::start();
    world.agent.fault("ask", 1, Fault::Hold(Gate::closed()));
    command(&world, "t1", "C1", "important");
    command(&world, "t1", "C1", "important");
    world.agent.wait_count("ask", 1);
    world.crash();
    world.slack.wait_response("echo: important");
    world.wait_idle();
    assert_eq!(world.slack.count("response_url"), 1);
}

#[test]
fn help_and_reset_are_answered() {
    let world = World::start();
    for text in ["", "help"] {
        command(&world, &format!("help {text}"), "C1", text);
    }
    world.slack.wait_count("response_url", 2);
    world.slack.wait_response("Write /ask and your question.");

    command(&world, "t1", "C1", "first");
    world.slack.wait_response("first");
    world.slack(&SlackEvent::dm("D1", "directly"));
    world.slack.wait_post("directly");
    command(&world, "t2", "C1", "reset");
    world.slack.wait_response("forgotten");
    command(&world, "t3", "C1", "second");
    assert!(world.agent.wait_ask("second").json["conversationId"].is_null());
    // Given in a direct message, it is that conversation that is forgotten.
    world.slack(&SlackEvent::dm("D1", "still known"));
    assert_eq!(world.agent.wait_ask("still known").json["conversationId"], "c2");
    world.slack.wait_post("still known");
    command(&world, "t4", "D1", "reset");
    world.slack.wait_count("response_url", 6);
    world.slack(&SlackEvent::dm("D1", "begun anew"));
    assert!(world.agent.wait_ask("begun anew").json["conversationId"].is_null());
}

#[test]
fn the_command_has_the_operators_name_or_none() {
    for name in ["/frag", ""] {
        let world = World::with(|config| {
            config.set("slack.command", name);
        });
        command(&world, "t1", "C1", "under the usual name");
        world.still_works("afterwards");
        assert!(world.agent.asks_with("usual name").is_empty());
        assert_eq!(world.slack.count("response_url"), 0);
    }
}

#[test]
fn answers_go_to_slacks_own_hosts_only() {
    let world = World::start();
    let elsewhere = SlackStub::start();
    command_to(
        &world,
        "t1",
        "C1",
        "lured",
        &format!("{}/commands/T1/t1", elsewhere.url()),
    );
    command(&world, "t2", "C1", "honest");
    world.slack.wait_response("honest");
    world.wait_idle();
    assert!(elsewhere.calls().is_empty());
}

#[test]
fn forms_are_verified_like_events() {
    let world = World::start();
    let body = b"command=%2Fask&text=forged&team_id=T1&channel_id=C1&user_id=U1&trigger_id=t&response_url=x";
    let now = unix_now();
    for path in ["/slack/commands", "/slack/interactivity"] {
        let url = format!("{}{path}", world.daemon().public());
        let signed = |secret: &str, at: u64| {
            let at = at.to_string();
            vec![
                ("x-slack-signature", slack_signature(secret, &at, body)),
                ("x-slack-request-timestamp", at),
            ]
        };
        for headers in [
            vec![],
            signed("wrong", now),
            signed(crate::harness::SIGNING_SECRET, now - 600),
        ] {
            assert_eq!(post(&url, &headers, body.to_vec()).unwrap().status, 401, "{path}");
        }
        for garbage in [&b"{}"[..], b"", b"\xff\xfe=x"] {
            let kind = "application/x-www-form-urlencoded";
            let status = world.post_slack_to(path, kind, garbage).unwrap().status;
            assert_eq!(status, 400, "{path}");
        }
    }
    world.still_works("afterwards");
}

#[test]
fn an_address_that_is_used_up_makes_a_dead_letter() {
    let world = World::start();
    let gone = Answer {
        status: 404,
        headers: Vec::new(),
        body: b"used_url".to_vec(),
    };
    world.slack.fault("response_url", 9, Fault::Answer(gone));
    command(&world, "t1", "C1", "too late");
    let letter = eventually("a dead letter", || {
        let list = world.cli(&["dead", "list", "--json"]).exits(0).json();
        list.as_array().unwrap().first().cloned()
    });
    assert_eq!(
        (&letter["code"], &letter["kind"]),
        (&json!("used_url"), &json!("delivery"))
    );
    assert_eq!(world.slack.count("response_url"), 1);
}

#[test]
fn there_are_no_buttons_unless_the_operator_wants_them() {
    let world = World::start();
    world.slack(&SlackEvent::dm("D1", "plain"));
    assert!(world.slack.wait_post("plain").json.get("blocks").is_none());
}

#[test]
fn buttons_stand_below_the_last_part_only() {
    let world = with_feedback();
    world.agent.answer_with(|_| "many words ".repeat(900));
    world.slack(&SlackEvent::dm("D1", "long"));
    let posts = world.slack.wait_posts(3);
    let with: Vec<bool> = posts
        .iter()
        .map(|post| post.json.get("blocks").is_some())
        .collect();
    assert_eq!(with, [false, false, true]);
    // What stands in the blocks is what stands in the text.
    let said: String = posts[2].json["blocks"][0]["elements"][0]["elements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|element| element["text"].as_str().unwrap())
        .collect();
    assert_eq!(said, posts[2].text);
}

#[test]
fn a_slack_that_takes_no_blocks_still_gets_the_answer() {
    let world = with_feedback();
    let refusal = Fault::json(200, json!({"ok": false, "error": "invalid_blocks"}));
    world
        .slack
        .fault_when(1, refusal, |call| call.json.get("blocks").is_some());
    world.slack(&SlackEvent::dm("D1", "without buttons"));
    assert!(
        world
            .slack
            .wait_post("without buttons")
            .json
            .get("blocks")
            .is_none()
    );
}

#[test]
fn what_people_think_of_an_answer_is_kept_with_it_and_counted() {
    let world = with_feedback();
    let mention = SlackEvent::mention("C1", "judge me");
    world.slack(&mention);
    let post = world.slack.wait_post("judge me").json;
    press(&world, &post, "feedback_buttons", true, "1766458040.1", "U1");
    press(&world, &post, "feedback_buttons", true, "1766458040.1", "U1");
    press(&world, &post, "feedback_buttons", false, "1766458041.2", "U1");
    press(&world, &post, "feedback_buttons", true, "1766458042.3", "U2");
    let metrics = world.metrics();
    let count = |verdict| {
        let labels = [("channel", "slack"), ("verdict", verdict)];
        metrics.count("chatbridge_feedback_total", &labels)
    };
    assert_eq!((count("helpful"), count("not_helpful")), (2, 1), "{metrics}");
    // The last word of each person counts.
    let shown = thread(&world, &format!("slack/T1/C1/{}", mention.ts()));
    let mut said: Vec<_> = shown["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["kind"] == "feedback")
        .map(|line| line["state"].as_str().unwrap())
        .collect();
    said.sort_unstable();
    assert_eq!(said, ["helpful", "not_helpful"], "{shown}");
    world.still_works("afterwards");
}

#[test]
fn whoever_wants_a_person_gets_silence_and_an_alert() {
    let mut world = with_feedback();
    let mention = SlackEvent::mention("C1", "I am lost");
    world.slack(&mention);
    let post = world.slack.wait_post("I am lost").json;
    press(&world, &post, "button", true, "1766458040.1", "U1");
    press(&world, &post, "button", true, "1766458041.1", "U2");
    let said = world.slack.wait_post("asked for a person");
    assert_eq!(
        (said.channel.as_str(), said.thread_ts),
        ("C1", Some(mention.ts()))
    );
    let address = format!("slack/T1/C1/{}", mention.ts());
    let alert = world.slack.wait_post(&address);
    assert_eq!(
        (alert.channel.as_str(), alert.thread_ts.as_ref()),
        ("CALERT", None)
    );
    assert!(
        alert.text.contains("<@U1>") && alert.text.contains("<#C1>"),
        "{}",
        alert.text
    );
    assert!(
        alert
            .text
            .contains("https://example.slack.com/archives/C1/p1766458031632339")
    );

    // The bot is silent there, also after a crash, until it is told to go on.
    world.crash();
    world.slack(&SlackEvent::message("C1", "is anybody here?").in_thread(&mention.ts()));
    world.still_works("elsewhere");
    world.wait_idle();
    assert!(world.agent.asks_with("anybody").is_empty());
    assert_eq!(thread(&world, &address)["state"], "paused");
    assert_eq!(world.slack.posts_with("asked for a person").len(), 1);
    assert_eq!(world.slack.posts_with("chatbridge threads resume").len(), 1);
    world.cli(&["threads", "resume", &address]).exits(0);
    world.slack(&SlackEvent::message("C1", "and now?").in_thread(&mention.ts()));
    assert_eq!(world.slack.wait_post("and now?").thread_ts, Some(mention.ts()));
}

#[test]
fn a_person_is_called_while_the_bot_thinks() {
    let world = with_feedback();
    world.slack(&SlackEvent::dm("D1", "first"));
    let post = world.slack.wait_post("first").json;
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    world.slack(&SlackEvent::dm("D1", "second"));
    world.agent.wait_ask("second");
    press(&world, &post, "button", true, "1766458040.1", "U1");
    world.slack.wait_post("asked for a person");
    gate.open();
    world.wait_idle();
    assert!(world.slack.posts_with("echo: second").is_empty());
}

#[test]
fn a_press_that_leads_nowhere_is_acknowledged() {
    let world = with_feedback();
    let nowhere = "0190a0b0-0000-7000-8000-000000000000.d1";
    for (action, value) in [
        ("chatbridge_person", nowhere),
        ("chatbridge_person", "odd"),
        ("chatbridge_judge", "great"),
        ("another", "x"),
    ] {
        let payload = json!({"type": "block_actions", "user": {"id": "U1"}, "team": {"id": "T1"},
            "channel": {"id": "C1"}, "actions": [{"action_id": action, "value": value, "action_ts": "1.2"}]});
        world.slack_form("/slack/interactivity", &[("payload", &payload.to_string())]);
    }
    world.slack_form(
        "/slack/interactivity",
        &[("payload", "{\"type\":\"view_submission\"}")],
    );
    world.slack_form("/slack/interactivity", &[("payload", "[]")]);
    world.still_works("afterwards");
}

#[test]
fn the_person_is_told_that_a_file_was_not_read() {
    let world = World::start();
    let files = json!([{"id": "F1", "name": "image.png", "mimetype": "image/png", "size": 10}]);
    let with_file = |text: &str| {
        SlackEvent::dm("D1", text)
            .with("subtype", "file_share")
            .with("files", files.clone())
    };
    world.slack(&with_file("see the picture"));
    world.slack.wait_post("echo: see the picture");
    world.slack.wait_post(FILE_NOT_READ);
    world.slack(&with_file("and this one"));
    world.slack.wait_post("echo: and this one");
    world.wait_idle();
    assert_eq!(world.slack.posts_with(FILE_NOT_READ).len(), 1);
}
