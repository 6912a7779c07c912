//! Closed: what was sent before, or is another's, gets nowhere. (`webhooks` holds the forgeries.)

use serde_json::{Value, json};

use crate::harness::slack_door::{answered, install, world as with_workspaces};
use crate::harness::{
    APP_SECRET, Incoming, NUMBER, Person, Reply, SIGNING_SECRET, SlackEvent, Status, World, batch, post,
    slack_signature, unix_now, webhook, whatsapp_signature,
};

/// Posts exactly what somebody has recorded on the wire.
fn replay(world: &World, path: &str, headers: &[(&str, String)], body: &[u8]) -> Reply {
    post(
        &format!("{}{path}", world.daemon().public()),
        headers,
        body.to_vec(),
    )
    .unwrap()
}

fn slack_headers(at: u64, body: &[u8]) -> Vec<(&'static str, String)> {
    let at = at.to_string();
    vec![
        ("content-type", "application/json".to_owned()),
        ("x-slack-signature", slack_signature(SIGNING_SECRET, &at, body)),
        ("x-slack-request-timestamp", at),
    ]
}

#[test]
fn a_recorded_slack_request_is_one_turn_for_five_minutes_and_nothing_after() {
    let mut world = World::start();
    let body = SlackEvent::dm("D1", "recorded").0.to_string().into_bytes();
    let headers = slack_headers(unix_now(), &body);
    for _ in 0..3 {
        assert_eq!(replay(&world, "/slack/events", &headers, &body).status, 200);
    }
    world.slack.wait_post("echo: recorded");
    world.crash();
    assert_eq!(replay(&world, "/slack/events", &headers, &body).status, 200);
    // What was signed for one moment is worth nothing at another, either way.
    for at in [unix_now() - 302, unix_now() + 310] {
        let reply = replay(&world, "/slack/events", &slack_headers(at, &body), &body);
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (401, &json!("timestamp_stale"))
        );
        let (mut mixed, fresh) = (slack_headers(at, &body), unix_now().to_string());
        mixed[2].1 = fresh;
        assert_eq!(replay(&world, "/slack/events", &mixed, &body).status, 401);
    }
    world.still_works("after the replays");
    assert_eq!(world.agent.times_asked("recorded"), 1);
}

/// Meta signs no time: a recorded webhook fits for ever, and is known by its ids.
#[test]
fn a_recorded_whatsapp_webhook_is_one_turn_however_old() {
    let mut world = World::start();
    let ann = Person::phone("15550001111");
    let body = webhook(NUMBER, &[Incoming::text(&ann, "recorded")])
        .to_string()
        .into_bytes();
    let headers = [("x-hub-signature-256", whatsapp_signature(APP_SECRET, &body))];
    for _ in 0..3 {
        assert_eq!(replay(&world, "/whatsapp/webhook", &headers, &body).status, 200);
    }
    world.meta.wait_sent("echo: recorded");
    world.crash();
    assert_eq!(replay(&world, "/whatsapp/webhook", &headers, &body).status, 200);
    // What is so old that its key may be forgotten is too old to be asked.
    let nine_days = (unix_now() - 9 * 86_400).to_string();
    let ancient = Incoming::text(&ann, "ancient").with("timestamp", nine_days.as_str());
    world.whatsapp(&webhook(NUMBER, &[ancient]));
    world.still_works("after the replays");
    assert_eq!(
        (
            world.agent.times_asked("recorded"),
            world.agent.times_asked("ancient")
        ),
        (1, 0)
    );
}

#[test]
fn a_signature_that_is_there_twice_or_is_the_other_platforms_opens_nothing() {
    let world = World::start();
    let body = SlackEvent::dm("D1", "twice").0.to_string().into_bytes();
    for doubled in [1, 2] {
        let mut headers = slack_headers(unix_now(), &body);
        headers.push(headers[doubled].clone());
        assert_eq!(replay(&world, "/slack/events", &headers, &body).status, 401);
    }
    let right = whatsapp_signature(APP_SECRET, &body);
    let meta = [
        ("x-hub-signature-256", right.clone()),
        ("x-hub-signature-256", right),
    ];
    assert_eq!(replay(&world, "/whatsapp/webhook", &meta, &body).status, 401);
    // One platform's secret is none of the other's, in whatever header.
    let by_meta = slack_signature(APP_SECRET, &unix_now().to_string(), &body);
    let mut headers = slack_headers(unix_now(), &body);
    headers[1].1 = by_meta;
    assert_eq!(replay(&world, "/slack/events", &headers, &body).status, 401);
    let by_slack = [("x-hub-signature-256", whatsapp_signature(SIGNING_SECRET, &body))];
    assert_eq!(replay(&world, "/whatsapp/webhook", &by_slack, &body).status, 401);
    world.still_works("afterwards");
    assert_eq!(world.agent.times_asked("twice"), 0);
}

/// A press as a workspace's Slack would sign it.
fn press(world: &World, team: &str, room: &str, action: &str, value: &str) {
    let payload = json!({
        "type": "block_actions", "user": {"id": "U9", "team_id": team}, "team": {"id": team, "domain": "evil"},
        "channel": {"id": room}, "container": {"type": "message", "message_ts": "1766458031.632339",
            "channel_id": room},
        "actions": [{"type": "button", "action_id": action, "value": value,
            "action_ts": format!("{}.1", unix_now())}],
    });
    world.slack_form("/slack/interactivity", &[("payload", &payload.to_string())]);
}

fn shown(world: &World, address: &str) -> Value {
    world.cli(&["threads", "show", address, "--json"]).exits(0).json()
}

#[test]
fn a_button_that_names_another_workspaces_answer_does_nothing() {
    let mut world = with_workspaces();
    world.config.set("slack.feedback", true);
    world.crash();
    install(&world, "T1", "xoxb-one");
    install(&world, "T2", "xoxb-two");
    answered(&world, "T1", "xoxb-one", "a question of the first");
    let threads = world.cli(&["threads", "list", "--json"]).exits(0).json();
    let of_first = |thread: &&Value| thread["address"].as_str().unwrap().starts_with("slack/T1/");
    let thread = threads.as_array().unwrap().iter().find(of_first).unwrap();
    let address = thread["address"].as_str().unwrap();
    let delivery = format!("{}.d1", thread["id"].as_str().unwrap());
    let posts = world.slack.posts().len();

    press(&world, "T2", "C2", "chatbridge_person", &delivery);
    press(
        &world,
        "T2",
        "C2",
        "chatbridge_judge",
        &format!("not_helpful {delivery}"),
    );
    answered(&world, "T2", "xoxb-two", "a question of the second");
    let after = shown(&world, address);
    assert_eq!(after["state"], "open", "{after}");
    assert!(!after.to_string().contains("not_helpful"), "{after}");
    assert_eq!(world.slack.posts().len(), posts + 1);

    // The workspace's own press counts.
    press(&world, "T1", "DT1", "chatbridge_person", &delivery);
    crate::harness::eventually("the thread to be paused", || {
        (shown(&world, address)["state"] == "paused").then_some(())
    });
}

#[test]
fn a_status_of_another_number_settles_nothing() {
    let world = World::with(|config| {
        config.set("whatsapp.reconcile_wait", "2s");
    });
    world.text(&Person::phone("15550001111"), "whose");
    let sent = world.meta.wait_sent("echo: whose");
    let foreign = [Status::of(&sent.wamid, "failed").with(
        "biz_opaque_callback_data",
        sent.opaque.clone().unwrap_or_default(),
    )];
    world.whatsapp(&batch("999999999999999", &[], &foreign));
    world.still_works("after a foreign status");
    assert_eq!(world.cli(&["dead", "list", "--json"]).exits(0).json(), json!([]));
}

/// Two apps, each with a number of its own: what one of them signs counts for its own numbers only.
#[test]
fn one_apps_secret_does_not_speak_for_anothers_number() {
    const OWN: &str = "333333333333333";
    let world = World::with(|config| {
        config.append(&format!(
            "[[whatsapp.numbers]]\nphone_number_id = \"{OWN}\"\napp_secret = [\"app-b-secret\", \"app-b-next\"]\n"
        ));
    });
    let ann = Person::phone("15550001111");
    let say = |number: &str, secret: &str, text: &str| {
        let body = webhook(number, &[Incoming::text(&ann, text)])
            .to_string()
            .into_bytes();
        let headers = [("x-hub-signature-256", whatsapp_signature(secret, &body))];
        replay(&world, "/whatsapp/webhook", &headers, &body).status
    };
    assert_eq!(say(OWN, APP_SECRET, "of A for B"), 200);
    assert_eq!(say(NUMBER, "app-b-secret", "of B for A"), 200);
    assert_eq!(say(OWN, "nobody's", "of nobody"), 401);
    for (number, secret, text) in [
        (OWN, "app-b-secret", "of B for B"),
        (OWN, "app-b-next", "of B's next for B"),
        (NUMBER, APP_SECRET, "of A for A"),
    ] {
        assert_eq!(say(number, secret, text), 200);
        world.meta.wait_sent(&format!("echo: {text}"));
    }
    assert!(world.agent.asks_with("of A for B").is_empty() && world.agent.asks_with("of B for A").is_empty());
    let dropped = [("channel", "whatsapp"), ("outcome", "other_app")];
    assert_eq!(world.metrics().count("chatbridge_messages_total", &dropped), 2);
}
