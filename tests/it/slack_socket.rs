//! Slack by Socket Mode: what comes over a connection is taken like what is posted, without a secret and an address.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{
    APP_TOKEN, Config, Fault, Gate, Lock, SIGNING_SECRET, SlackEvent, Sockets, World, again, envelope,
    enveloped, eventually,
};

/// A daemon that gets what Slack has by Socket Mode only.
#[track_caller]
pub(crate) fn world(change: impl FnOnce(&mut Config)) -> (World, Sockets) {
    let mut world = World::stopped();
    let sockets = Sockets::of(&world.slack);
    world
        .config
        .set("slack.app_token", APP_TOKEN)
        .unset("slack.signing_secret");
    change(&mut world.config);
    world.launch();
    (world, sockets)
}

/// How many webhooks and envelopes ended so.
pub(crate) fn webhooks(world: &World, outcome: &str) -> usize {
    let labels = [("channel", "slack"), ("outcome", outcome)];
    world.metrics().count("chatbridge_webhooks_total", &labels)
}

/// A message over the socket is answered.
#[track_caller]
pub(crate) fn works(world: &World, sockets: &Sockets, text: &str) {
    sockets.deliver(&enveloped(&SlackEvent::dm("DWORKS", text)));
    world.slack.wait_post(&format!("echo: {text}"));
}

#[test]
fn a_message_is_answered_without_a_secret_and_an_address() {
    let (world, sockets) = world(|_| {});
    let open = sockets.wait_open(2);
    let message = enveloped(&SlackEvent::mention("C1", "do you ship?"));
    assert!(sockets.say_json(open[0], &message));
    assert_eq!(sockets.wait_ack(&message), open[0], "acknowledged where it came");
    let post = world.slack.wait_post("echo: do you ship?");
    assert_eq!(post.channel, "C1");
    assert!(post.thread_ts.is_some());
    assert_eq!(webhooks(&world, "accepted"), 1);
    assert_eq!(sockets.odd(), Vec::<String>::new());
    eventually("both connections to be counted", || {
        (world
            .metrics()
            .count("chatbridge_connections", &[("channel", "slack")])
            == 2)
            .then_some(())
    });
    let ready = world.get("/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready"));
    let calls = world.slack.calls();
    let open = calls.iter().filter(|call| call.kind == "apps.connections.open");
    assert!(open.clone().count() == 2 && open.clone().all(|call| call.token() == Some(APP_TOKEN)));
    let log = world.daemon().log();
    assert!(log.contains("connected to Slack by Socket Mode"), "{log}");
    assert!(!log.contains("xapp-") && !log.contains("ticket="), "{log}");
}

fn command(world: &World, trigger: &str, text: &str) -> Value {
    let respond = format!("{}/commands/T1/{trigger}", world.slack.url());
    envelope(
        "slash_commands",
        json!({"token": "deprecated", "team_id": "T1", "team_domain": "example", "channel_id": "C1",
            "channel_name": "general", "user_id": "U1", "user_name": "ann", "command": "/ask", "text": text,
            "api_app_id": "A1", "is_enterprise_install": "false", "response_url": respond, "trigger_id": trigger}),
    )
}

#[test]
fn a_command_is_acknowledged_without_a_word_and_answered_later() {
    let (world, sockets) = world(|_| {});
    sockets.wait_open(2);
    let asked = command(&world, "t1", "where is 5 < 7?");
    sockets.deliver(&asked);
    sockets.deliver(&again(&asked));
    let answer = world.slack.wait_response("echo: where is 5 &lt; 7?");
    assert_eq!(answer.json["response_type"], "ephemeral");
    sockets.deliver(&command(&world, "t2", "help"));
    world.slack.wait_response("Write /ask and your question.");
    world.wait_idle();
    assert_eq!(world.slack.count("response_url"), 2);
    assert_eq!(
        sockets.odd(),
        Vec::<String>::new(),
        "an acknowledgement holds nothing else"
    );
}

/// The element of this action below a post.
fn element(post: &Value, words: &str) -> Value {
    let blocks = post["blocks"]
        .as_array()
        .unwrap_or_else(|| panic!("no blocks: {post}"));
    let mut elements = blocks
        .iter()
        .filter_map(|block| block["elements"].as_array())
        .flatten();
    let found = elements.find(|element| element.to_string().contains(words));
    found.unwrap_or_else(|| panic!("no {words} in {post}")).clone()
}

#[test]
fn buttons_are_taken_too() {
    let (world, sockets) = world(|config| {
        config
            .set("slack.feedback", true)
            .set("slack.alert_channel", "CALERT");
    });
    sockets.wait_open(2);
    works(&world, &sockets, "help me");
    let post = world.slack.wait_post("echo: help me").json;
    let button = element(&post, "Talk to a person");
    let pressed = envelope(
        "interactive",
        json!({"type": "block_actions", "user": {"id": "U1", "username": "ann", "team_id": "T1"}, "api_app_id": "A1",
            "team": {"id": "T1", "domain": "example"}, "enterprise": null, "is_enterprise_install": false,
            "channel": {"id": post["channel"], "name": "directmessage"},
            "container": {"type": "message", "message_ts": "1766458031.632339", "channel_id": post["channel"]},
            "actions": [{"type": "button", "action_id": button["action_id"], "block_id": "b1",
                "value": button["value"], "action_ts": "1766458035.5"}]}),
    );
    sockets.deliver(&pressed);
    sockets.deliver(&again(&pressed));
    world.slack.wait_post("I have asked for a person.");
    assert_eq!(world.slack.wait_post("asks for a person").channel, "CALERT");
    world.wait_idle();
    assert_eq!(world.slack.posts_with("asks for a person").len(), 1);
}

/// P2: an envelope that comes twice, the mention that comes as two events, on whichever connection.
#[test]
fn what_comes_twice_is_asked_once_and_acknowledged_twice() {
    let (world, sockets) = world(|_| {});
    let open = sockets.wait_open(2);
    let mention = SlackEvent::mention("C1", "only once");
    let first = enveloped(&mention);
    for (line, envelope) in [
        (open[0], first.clone()),
        (open[1], again(&first)),
        (open[1], enveloped(&mention)),
        (open[0], enveloped(&mention.twin())),
    ] {
        assert!(sockets.say_json(line, &envelope));
        sockets.wait_ack(&envelope);
    }
    world.slack.wait_post("echo: only once");
    world.wait_idle();
    assert_eq!(world.agent.asks_with("only once").len(), 1);
    assert_eq!(world.slack.posts_with("only once").len(), 1);
}

#[test]
fn what_nobody_understands_is_counted_and_harms_nothing() {
    let (world, sockets) = world(|config| {
        config.set("slack.socket_connections", 1);
    });
    let line = sockets.wait_open(1)[0];
    for broken in ["{", "", "null", "[]", "\u{0}", "{\"type\":\"events_api\"}"] {
        assert!(sockets.say(line, broken));
    }
    assert!(sockets.say(line, Message::Binary(vec![0xff, 0xfe].into())));
    assert!(sockets.say(line, Message::Ping(b"Ping from applink".to_vec().into())));
    // These have an id: whatever they hold, Slack need not deliver them again.
    for odd in [
        envelope("of_tomorrow", json!({"a": 1})),
        envelope("events_api", json!(null)),
        envelope("events_api", json!({"type": "event_callback", "event": 7})),
        envelope("slash_commands", json!("text")),
        envelope("slash_commands", json!({"command": "/ask"})),
        envelope("interactive", json!([])),
        json!({"envelope_id": "57d6a792-bare"}),
    ] {
        assert!(sockets.say_json(line, &odd));
        sockets.wait_ack(&odd);
    }
    works(&world, &sockets, "still there");
    assert!(sockets.is_open(line) && sockets.opened() == 1);
    assert_eq!(webhooks(&world, "malformed"), 5, "{}", world.metrics());
    assert_eq!(webhooks(&world, "ignored"), 6, "{}", world.metrics());
    let unknown = [("channel", "slack"), ("outcome", "unknown_envelope")];
    assert_eq!(world.metrics().count("chatbridge_messages_total", &unknown), 2);
}

#[test]
fn what_is_too_large_ends_its_connection_and_nothing_else() {
    let (world, sockets) = world(|config| {
        config
            .set("server.body_limit", "16KiB")
            .set("slack.socket_connections", 1);
    });
    let line = sockets.wait_open(1)[0];
    sockets.say_json(line, &enveloped(&SlackEvent::dm("D1", &"x".repeat(64 * 1024))));
    sockets.wait_closed(line);
    sockets.wait_opened(2);
    sockets.wait_open(1);
    works(&world, &sockets, "small enough");
    assert_eq!(webhooks(&world, "too_large"), 1);
    let labels = [("channel", "slack"), ("reason", "too_large")];
    assert_eq!(world.metrics().count("chatbridge_reconnects_total", &labels), 1);
    assert!(world.daemon().log().contains("server.body_limit"));
}

/// P1: while nothing can be committed, nothing is acknowledged; Slack delivers again, and one answer comes of it.
#[test]
fn nothing_is_acknowledged_that_is_not_on_the_disk() {
    let (world, sockets) = world(|_| {});
    sockets.wait_open(2);
    let lock = Lock::of(&world);
    let kept = enveloped(&SlackEvent::dm("D1", "keep me"));
    assert!(sockets.send(&kept));
    eventually("the store to give up", || {
        (webhooks(&world, "store_unavailable") == 1).then_some(())
    });
    assert!(!sockets.acked(&kept));
    lock.release();
    assert_eq!(
        sockets.wait_open(2).len(),
        2,
        "a failing store costs no connection"
    );
    sockets.deliver(&again(&kept));
    world.slack.wait_post("echo: keep me");
    world.wait_idle();
    assert_eq!(world.slack.posts_with("keep me").len(), 1);
}

#[test]
fn a_crash_before_the_commit_leaves_it_to_the_next_delivery() {
    let (mut world, sockets) = world(|_| {});
    sockets.wait_open(2);
    let lock = Lock::of(&world);
    let kept = enveloped(&SlackEvent::dm("D1", "keep me"));
    let line = sockets.wait_open(2)[0];
    assert!(sockets.say_json(line, &kept));
    // It has been read when what follows it is answered.
    assert!(sockets.say(line, "{"));
    eventually("the envelope to be read", || {
        (webhooks(&world, "malformed") == 1).then_some(())
    });
    world.kill9();
    sockets.wait_open(0);
    assert!(!sockets.acked(&kept));
    lock.release();
    world.launch();
    sockets.wait_open(2);
    sockets.deliver(&again(&kept));
    world.slack.wait_post("echo: keep me");
    world.wait_idle();
    assert_eq!(world.slack.posts_with("keep me").len(), 1);
}

#[test]
fn webhooks_are_taken_only_with_a_secret() {
    let (mut world, sockets) = world(|_| {});
    sockets.wait_open(2);
    for path in ["/slack/events", "/slack/commands", "/slack/interactivity"] {
        let reply = world.post_slack_to(path, "application/json", b"{}").unwrap();
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (401, &json!("socket_mode")),
            "{path}"
        );
        assert!(reply.body.contains("slack.signing_secret"), "{reply:?}");
    }
    world.terminate();
    world.config.set("slack.signing_secret", SIGNING_SECRET);
    world.launch();
    sockets.wait_open(2);
    works(&world, &sockets, "by socket");
    world.slack(&SlackEvent::dm("D2", "by webhook"));
    world.slack.wait_post("echo: by webhook");
}

#[test]
fn a_slow_agent_and_a_busy_thread_delay_no_acknowledgement() {
    let (world, sockets) = world(|_| {});
    sockets.wait_open(2);
    let gate = Gate::closed();
    world.agent.fault("ask", usize::MAX, Fault::Hold(gate.clone()));
    let messages: Vec<Value> = (0..40)
        .map(|n| enveloped(&SlackEvent::dm("D1", &format!("message {n}."))))
        .collect();
    for message in &messages {
        assert!(sockets.send(message));
    }
    for message in &messages {
        sockets.wait_ack(message);
    }
    gate.open();
    for n in 0..40 {
        world.agent.wait_ask(&format!("message {n}."));
    }
    world.wait_idle();
}

#[test]
fn messages_of_one_connection_are_asked_in_their_order() {
    let (world, sockets) = world(|config| {
        config.set("slack.socket_connections", 1);
    });
    let line = sockets.wait_open(1)[0];
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    sockets.deliver(&enveloped(&SlackEvent::dm("D1", "first")));
    world.agent.wait_ask("first");
    let messages: Vec<Value> = (0..30)
        .map(|n| enveloped(&SlackEvent::dm("D1", &format!("n{n}."))))
        .collect();
    for message in &messages {
        assert!(sockets.say_json(line, message));
    }
    sockets.wait_ack(&messages[29]);
    eventually("all to be acknowledged", || {
        messages.iter().all(|m| sockets.acked(m)).then_some(())
    });
    gate.open();
    world.wait_idle();
    let asked: String = world
        .agent
        .asks_with("n29.")
        .iter()
        .map(|ask| ask.json.to_string())
        .collect();
    let places: Vec<usize> = (0..30)
        .map(|n| asked.find(&format!("n{n}.")).unwrap_or(usize::MAX))
        .collect();
    assert!(places.is_sorted(), "{places:?} in {asked}");
}
