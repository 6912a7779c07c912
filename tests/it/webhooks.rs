//! What webhooks are answered: only what is signed gets in, nothing that is signed does harm.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{
    APP_SECRET, Incoming, NUMBER, Person, Reply, SIGNING_SECRET, SlackEvent, VERIFY_TOKEN, World, post,
    slack_signature, unix_now, webhook, whatsapp_signature,
};

fn to_slack(world: &World, headers: &[(&str, String)], body: &[u8]) -> Reply {
    post(
        &format!("{}/slack/events", world.daemon().public()),
        headers,
        body.to_vec(),
    )
    .unwrap()
}

fn to_whatsapp(world: &World, headers: &[(&str, String)], body: &[u8]) -> Reply {
    post(
        &format!("{}/whatsapp/webhook", world.daemon().public()),
        headers,
        body.to_vec(),
    )
    .unwrap()
}

/// An error's body names a code and a remedy, and holds no signature that would have been right.
#[track_caller]
fn assert_error(reply: &Reply, status: u16, secret_parts: &[&str], case: &str) {
    assert_eq!(reply.status, status, "{case}: {reply:?}");
    let error = &reply.json()["error"];
    for field in ["code", "message"] {
        assert!(
            error[field].as_str().is_some_and(|text| !text.is_empty()),
            "{case}: {reply:?}"
        );
    }
    for part in secret_parts {
        let hex = part.rsplit('=').next().unwrap();
        assert!(!reply.body.contains(hex), "{case}: the answer holds a signature");
    }
}

/// chatwoot#14280, zeptoclaw#317, camel#24034: webhooks that anyone could forge. And the token leak: an error that
/// prints the signature it computed.
#[test]
fn chatwoot_14280_forged_slack_events_are_refused() {
    let world = World::start();
    let body = SlackEvent::dm("D1", "forged").0.to_string().into_bytes();
    let now = unix_now();
    let at = |time: u64| time.to_string();
    let signed = |time: u64| slack_signature(SIGNING_SECRET, &at(time), &body);
    let right = signed(now);
    let cases: Vec<(&str, Option<String>, Option<String>)> = vec![
        ("no signature", None, Some(at(now))),
        ("no time", Some(right.clone()), None),
        ("neither", None, None),
        (
            "another secret",
            Some(slack_signature("wrong", &at(now), &body)),
            Some(at(now)),
        ),
        (
            "another body",
            Some(slack_signature(SIGNING_SECRET, &at(now), b"{}")),
            Some(at(now)),
        ),
        ("another time", Some(signed(now - 7)), Some(at(now))),
        ("six minutes old", Some(signed(now - 360)), Some(at(now - 360))),
        ("six minutes ahead", Some(signed(now + 360)), Some(at(now + 360))),
        (
            "upper case",
            Some(right.to_uppercase().replace("V0", "v0")),
            Some(at(now)),
        ),
        ("no version", Some(right.replace("v0=", "")), Some(at(now))),
        (
            "cut short",
            Some(right[..right.len() - 2].to_owned()),
            Some(at(now)),
        ),
        ("empty", Some(String::new()), Some(at(now))),
        (
            "no number as time",
            Some(slack_signature(SIGNING_SECRET, "soon", &body)),
            Some("soon".to_owned()),
        ),
        ("a huge time", Some(right.clone()), Some("9".repeat(40))),
        ("a negative time", Some(right.clone()), Some("-1".to_owned())),
    ];
    for (case, signature, time) in cases {
        let mut headers = Vec::new();
        headers.extend(signature.map(|signature| ("x-slack-signature", signature)));
        headers.extend(time.map(|time| ("x-slack-request-timestamp", time)));
        let reply = to_slack(&world, &headers, &body);
        assert_error(
            &reply,
            401,
            &[&right, &signed(now - 360), &signed(now + 360)],
            case,
        );
    }
    // Four and a half minutes either way are within Slack's five.
    for time in [now - 270, now + 270] {
        let event = SlackEvent::dm("D1", &format!("clock {time}"))
            .0
            .to_string()
            .into_bytes();
        let signature = slack_signature(SIGNING_SECRET, &at(time), &event);
        let headers = [
            ("x-slack-signature", signature),
            ("x-slack-request-timestamp", at(time)),
        ];
        assert_eq!(to_slack(&world, &headers, &event).status, 200);
        world.slack.wait_post(&format!("clock {time}"));
    }
    assert!(world.agent.asks_with("forged").is_empty());
    let log = world.daemon().log();
    assert!(
        !log.contains(right.trim_start_matches("v0=")),
        "the log holds a signature"
    );
}

/// chatwoot#14280 and its like, on WhatsApp.
#[test]
fn chatwoot_14280_forged_whatsapp_webhooks_are_refused() {
    let world = World::start();
    let body = webhook(NUMBER, &[Incoming::text(&Person::phone("15550001111"), "forged")])
        .to_string()
        .into_bytes();
    let right = whatsapp_signature(APP_SECRET, &body);
    let cases = [
        ("none", None),
        ("another secret", Some(whatsapp_signature("wrong", &body))),
        ("another body", Some(whatsapp_signature(APP_SECRET, b"{}"))),
        (
            "upper case",
            Some(right.to_uppercase().replace("SHA256", "sha256")),
        ),
        ("no prefix", Some(right.replace("sha256=", ""))),
        ("another algorithm", Some(right.replace("sha256=", "sha1="))),
        ("cut short", Some(right[..right.len() - 1].to_owned())),
        ("empty", Some(String::new())),
    ];
    for (case, signature) in cases {
        let headers: Vec<_> = signature
            .map(|signature| ("x-hub-signature-256", signature))
            .into_iter()
            .collect();
        assert_error(&to_whatsapp(&world, &headers, &body), 401, &[&right], case);
    }
    world.still_works("after forgeries");
    assert!(world.agent.asks_with("forged").is_empty());
    assert!(
        !world.daemon().log().contains(right.trim_start_matches("sha256=")),
        "the log holds a signature"
    );
}

#[test]
fn two_live_secrets_are_accepted_while_one_is_being_replaced() {
    let world = World::with(|config| {
        config.set(
            "slack.signing_secret",
            json!(["new-slack-secret", SIGNING_SECRET]),
        );
        config.set("whatsapp.app_secret", json!(["new-meta-secret", APP_SECRET]));
    });
    for (secret, word) in [("new-slack-secret", "fresh"), (SIGNING_SECRET, "former")] {
        let body = SlackEvent::dm("D1", word).0.to_string().into_bytes();
        let now = unix_now().to_string();
        let headers = [
            ("x-slack-signature", slack_signature(secret, &now, &body)),
            ("x-slack-request-timestamp", now),
        ];
        assert_eq!(to_slack(&world, &headers, &body).status, 200);
        world.slack.wait_post(word);
    }
    for (secret, word) in [("new-meta-secret", "fresh"), (APP_SECRET, "former")] {
        let message = Incoming::text(&Person::phone("15550001111"), word);
        let body = webhook(NUMBER, &[message]).to_string().into_bytes();
        let headers = [("x-hub-signature-256", whatsapp_signature(secret, &body))];
        assert_eq!(to_whatsapp(&world, &headers, &body).status, 200);
        world.meta.wait_sent(word);
    }
    let body = b"{}".to_vec();
    let headers = [("x-hub-signature-256", whatsapp_signature("an older one", &body))];
    assert_eq!(to_whatsapp(&world, &headers, &body).status, 401);
}

/// n8n#22776, n8n#19113: Slack's challenge failed, so the app could not be set up.
#[test]
fn n8n_22776_slacks_challenge_is_answered() {
    let world = World::start();
    let challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";
    let body = json!({"token": "x", "challenge": challenge, "type": "url_verification"}).to_string();
    let reply = world.post_slack(body.as_bytes()).unwrap();
    assert_eq!(reply.status, 200);
    let plain = reply.body == challenge;
    assert!(plain || reply.json()["challenge"] == challenge, "{reply:?}");
    assert_eq!(
        to_slack(&world, &[], body.as_bytes()).status,
        401,
        "nothing unsigned is answered"
    );
}

/// elizaOS/eliza#17823: Meta's handshake comes without a signature.
#[test]
fn eliza_17823_metas_handshake_needs_the_token_and_no_signature() {
    let world = World::with(|config| {
        config.set("whatsapp.verify_token", "to ken+&=%");
    });
    let path = |mode: &str, token: &str| {
        format!("/whatsapp/webhook?hub.mode={mode}&hub.challenge=1158201444&hub.verify_token={token}")
    };
    let reply = world.get(&path("subscribe", "to%20ken%2B%26%3D%25"));
    assert_eq!((reply.status, reply.body.as_str()), (200, "1158201444"));
    for wrong in [
        path("subscribe", "wrong"),
        path("subscribe", ""),
        path("unsubscribe", "to%20ken%2B%26%3D%25"),
        "/whatsapp/webhook".to_owned(),
        "/whatsapp/webhook?hub.verify_token=%FF%FE".to_owned(),
    ] {
        let reply = world.get(&wrong);
        assert_eq!(reply.status, 403, "{wrong}: {reply:?}");
        assert!(!reply.body.contains("1158201444"));
    }
    // Another order, and a parameter that nobody knows.
    let usual = World::start();
    let reply = usual.get(&format!(
        "/whatsapp/webhook?hub.verify_token={VERIFY_TOKEN}&x=1&hub.challenge=7&hub.mode=subscribe"
    ));
    assert_eq!((reply.status, reply.body.as_str()), (200, "7"));
}

#[test]
fn a_body_over_the_limit_is_413_and_metas_largest_is_not() {
    let world = World::start();
    // Meta sends up to 3 MB; the default limit is 4 MiB.
    let mut large = webhook(NUMBER, &[Incoming::text(&Person::phone("15550001111"), "large")]);
    large["padding"] = Value::String("x".repeat(3_000_000));
    world.whatsapp(&large);
    world.meta.wait_sent("echo: large");

    let small = World::with(|config| {
        config.set("server.body_limit", "16KiB");
    });
    let mut body = SlackEvent::dm("D1", "too large");
    body.0["padding"] = Value::String("x".repeat(17_000));
    let reply = small.post_slack(body.0.to_string().as_bytes()).unwrap();
    assert_error(&reply, 413, &[], "Slack");
    let reply = small.post_whatsapp(body.0.to_string().as_bytes()).unwrap();
    assert_error(&reply, 413, &[], "WhatsApp");
    small.still_works("after too much");
    assert!(small.agent.asks_with("too large").is_empty());
}

/// Bodies that are signed and no JSON.
fn no_json() -> Vec<(&'static str, Vec<u8>)> {
    let whole = SlackEvent::dm("D1", "broken").0.to_string().into_bytes();
    let half = whole[..whole.len() / 2].to_vec();
    let text = String::from_utf8(whole.clone()).unwrap();
    let mut invalid = text.replace("broken", "@").into_bytes();
    let at = invalid.iter().position(|byte| *byte == b'@').unwrap();
    invalid[at] = 0xFF;
    vec![
        ("empty", Vec::new()),
        ("words", b"payload".to_vec()),
        ("a form", b"payload=%7B%7D".to_vec()),
        ("cut off", half),
        ("twice", [whole.clone(), whole].concat()),
        ("invalid UTF-8", invalid),
        ("a bare NUL", b"{\"type\":\"\0\"}".to_vec()),
        ("only opening brackets", vec![b'['; 200_000]),
        ("only opening braces", br#"{"a":"#.repeat(100_000)),
        ("a bare NaN", b"{\"type\":NaN}".to_vec()),
    ]
}

#[test]
fn what_is_signed_and_no_json_is_400() {
    let world = World::start();
    for (case, body) in no_json() {
        let signature = slack_signature(SIGNING_SECRET, "0", &body);
        assert_error(&world.post_slack(&body).unwrap(), 400, &[&signature], case);
        let signature = whatsapp_signature(APP_SECRET, &body);
        assert_error(&world.post_whatsapp(&body).unwrap(), 400, &[&signature], case);
    }
    world.still_works("after nonsense");
}

/// JSON at the edge of what JSON is: no 5xx, and what comes next works.
#[test]
fn strange_but_signed_json_does_no_harm() {
    let world = World::start();
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let deep_event = format!(r#"{{"type":"event_callback","event":{deep}}}"#);
    let bodies = [
        "[]".to_owned(),
        "null".to_owned(),
        "7".to_owned(),
        r#""text""#.to_owned(),
        deep,
        deep_event,
        // Half of a surrogate pair is JSON by its grammar and no text.
        SlackEvent::dm("D1", "@").0.to_string().replace('@', "\\ud800"),
        webhook(NUMBER, &[Incoming::text(&Person::phone("15550001111"), "@")])
            .to_string()
            .replace('@', "\\udc00"),
        format!(
            r#"{{"type":"event_callback","event":{{"n":{}}}}}"#,
            "9".repeat(5000)
        ),
    ];
    for body in &bodies {
        let shown: String = body.chars().take(80).collect();
        for reply in [
            world.post_slack(body.as_bytes()),
            world.post_whatsapp(body.as_bytes()),
        ] {
            let status = reply.unwrap().status;
            assert!(status == 200 || status == 400, "{status} to {shown}");
        }
    }
    world.still_works("after strange things");
}

#[test]
fn what_is_not_for_us_is_200_and_counted() {
    let world = World::start();
    let unknown = SlackEvent::dm("D1", "unknown kind").with("type", "reaction_removed_by_a_ghost");
    world.slack(&unknown);
    world.slack(&SlackEvent::dm("D1", "unknown envelope").envelope("type", "brand_new"));
    let reply = world.post_slack(b"{}").unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    for body in [
        json!({}),
        json!({"object": "page", "entry": []}),
        json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
            {"field": "account_update", "value": {"event": "VERIFIED_ACCOUNT"}}]}]}),
    ] {
        world.whatsapp(&body);
    }
    world.still_works("after foreign events");
    assert_eq!(world.agent.asks().len(), 2, "{:?}", world.agent.questions());
    let metrics = world.metrics();
    for (channel, least) in [("slack", 4.0), ("whatsapp", 4.0)] {
        let seen = metrics.sum("chatbridge_webhooks_total", &[("channel", channel)]);
        assert!(seen >= least, "{channel}: {metrics}");
    }
}

/// A NUL is a character like any other to JSON, and none to many databases.
#[test]
fn nul_characters_reach_the_agent_or_are_dropped_and_break_nothing() {
    let world = World::start();
    world.slack(&SlackEvent::dm("D1", "before\0after"));
    world.text(&Person::phone("15550001111"), "vorher\0nachher");
    world.agent.wait_ask("after");
    world.agent.wait_ask("nachher");
    world.slack.wait_post("after");
    world.meta.wait_sent("nachher");
}

/// Raw bodies as Meta writes them: escaped, and signed as escaped. Re-serialising would break the signature
/// (tawn33y/whatsapp-cloud-api#60, Secreto31126/whatsapp-api-js#290).
#[test]
fn the_signature_is_of_the_bytes_that_came() {
    let world = World::start();
    let body = webhook(NUMBER, &[Incoming::text(&Person::phone("15550001111"), "MARK")]).to_string();
    let body = body
        .replace("MARK", r"gr\u00fc\u00dfe \ud83d\ude2e \u0040home \/slash")
        .replace(',', " ,\n ");
    assert_eq!(world.post_whatsapp(body.as_bytes()).unwrap().status, 200);
    world.meta.wait_sent("echo: grüße 😮 @home /slash");
    // Twice the same key: the last one counts, or neither; nothing breaks.
    let twice = SlackEvent::dm("D1", "one")
        .0
        .to_string()
        .replacen('{', r#"{"type":"other","#, 1);
    assert_eq!(world.post_slack(twice.as_bytes()).unwrap().status, 200);
    world.still_works("after escapes");
}

/// Every field once with every wrong type, and once missing.
fn mutations(good: &Value) -> Vec<Value> {
    let wrong = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("x y/\u{1f600}\u{0}"),
        json!([]),
        json!([[[]]]),
        json!({}),
        json!({"a": {"b": [1]}}),
        json!("9".repeat(400)),
    ];
    let mut paths = Vec::new();
    walk(good, String::new(), &mut paths);
    let mut all = Vec::new();
    for path in paths {
        for value in &wrong {
            let mut mutant = good.clone();
            *mutant.pointer_mut(&path).unwrap() = value.clone();
            all.push(mutant);
        }
        let (parent, key) = path.rsplit_once('/').unwrap();
        let mut mutant = good.clone();
        if let Some(Value::Object(fields)) = mutant.pointer_mut(parent) {
            fields.remove(key);
            all.push(mutant);
        }
    }
    all
}

fn walk(value: &Value, path: String, paths: &mut Vec<String>) {
    if !path.is_empty() {
        paths.push(path.clone());
    }
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, inner)| walk(inner, format!("{path}/{key}"), paths)),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, inner)| walk(inner, format!("{path}/{at}"), paths));
        }
        _ => {}
    }
}

/// Sends everything from a few threads and expects 200 for all of it: it is signed, and it is an object.
fn all_acknowledged(bodies: &[Value], send: impl Fn(&[u8]) -> Result<Reply, String> + Sync) {
    let send = &send;
    thread::scope(|scope| {
        for share in bodies.chunks(bodies.len().div_ceil(6)) {
            scope.spawn(move || {
                for body in share {
                    let reply = send(body.to_string().as_bytes()).unwrap();
                    assert_eq!(reply.status, 200, "{reply:?} to {body}");
                }
            });
        }
    });
}

#[test]
fn wrong_types_in_every_field_of_a_slack_event_do_no_harm() {
    let world = World::start();
    let bodies = mutations(
        &SlackEvent::mention("C1", "mutant")
            .in_thread("1700000000.000100")
            .0,
    );
    assert!(bodies.len() > 200);
    all_acknowledged(&bodies, |body| world.post_slack(body));
    world.still_works("after mutants");
}

#[test]
fn wrong_types_in_every_field_of_a_whatsapp_webhook_do_no_harm() {
    let world = World::start();
    let person = Person::both("15550001111", "US.1349");
    let message = Incoming::text(&person, "mutant").with("context", json!({"from": "1", "id": "wamid.X"}));
    let mut bodies = mutations(&webhook(NUMBER, &[message]));
    let system = json!({"type": "user_changed_user_id", "body": "x", "previous_user_id": "US.1349", "user_id": "US.2"});
    bodies.extend(mutations(&webhook(
        NUMBER,
        &[Incoming::kind(&person, "system", system)],
    )));
    assert!(bodies.len() > 400);
    all_acknowledged(&bodies, |body| world.post_whatsapp(body));
    world.still_works("after mutants");
}

#[test]
fn a_thousand_messages_in_one_webhook_are_all_asked() {
    let world = World::start();
    let people: Vec<Person> = (0..250)
        .map(|n| Person::phone(&format!("1555100{n:04}")))
        .collect();
    let messages: Vec<Incoming> = (0..1000)
        .map(|n| Incoming::text(&people[n % 250], &format!("#{n:04}.")))
        .collect();
    world.whatsapp(&webhook(NUMBER, &messages));
    world.agent.wait("a thousand messages to be asked", |log| {
        let asked: String = log
            .iter()
            .filter_map(|call| call.json["question"].as_str())
            .collect();
        (0..1000)
            .all(|n| asked.contains(&format!("#{n:04}.")))
            .then_some(())
    });
    world.meta.wait("250 people to be answered", |log| {
        let numbers: std::collections::HashSet<_> = log
            .iter()
            .filter(|call| call.reply.is_some())
            .filter_map(|call| call.json["to"].as_str())
            .collect();
        (numbers.len() == 250).then_some(())
    });
}
