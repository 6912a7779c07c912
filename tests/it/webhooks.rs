//! What webhooks are answered: only what is signed gets in, nothing that is signed does harm.

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
pub(crate) fn assert_error(reply: &Reply, status: u16, secret_parts: &[&str], case: &str) {
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
