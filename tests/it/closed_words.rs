//! Closed: what strangers and other services write steers no log, no terminal and no header.

use serde_json::json;

use crate::harness::{
    Answer, Fault, Incoming, NUMBER, Person, Raw, SlackEvent, Status, World, batch, browse, eventually,
    webhook,
};

/// Clears a terminal, sets its title, turns the writing around, and forges a line of a log: in all the ways that
/// characters allow.
const EVIL: &str = "evil\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\n2026-01-01T00:00:00Z ERROR forged\u{2028}\u{202e}\u{0}\u{7f}\u{85}end";

/// What a terminal would obey, or a reader be misled by.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[track_caller]
fn harmless(what: &str, text: &str) {
    let line = text.lines().find(|line| line.contains(steers));
    assert!(line.is_none(), "{what}: {line:?}");
    let forged = text
        .lines()
        .find(|line| line.starts_with("2026-01-01T00:00:00Z ERROR"));
    assert!(forged.is_none(), "{what}: {forged:?}");
}

/// Everybody who can write something that might be repeated, writes it.
fn write_evil(world: &World) {
    let refusal = json!({"error": {"message": EVIL, "type": EVIL, "code": 131_026, "error_data": {"details": EVIL}, "fbtrace_id": EVIL}});
    world.meta.fault("messages", 1, Fault::json(400, refusal));
    let html = Answer::html(500).with("content-type", "text/evil");
    world.meta.fault("messages", 1, Fault::Answer(html));
    world.slack.fault(
        "chat.postMessage",
        4,
        Fault::json(200, json!({"ok": false, "error": EVIL, "needed": EVIL})),
    );
    world.agent.fault(
        "ask",
        1,
        Fault::json(500, json!({"status": "error", "message": EVIL, "code": EVIL})),
    );
    world.agent.fault(
        "ask",
        1,
        Fault::json(200, json!({"status": "error", "message": EVIL, "code": EVIL})),
    );
    let person = Person::phone("15550001111");
    let mut named = webhook(
        NUMBER,
        &[Incoming::text(&person, EVIL), Incoming::text(&person, "plain")],
    );
    named["entry"][0]["changes"][0]["value"]["contacts"][0]["profile"]["name"] = json!(EVIL);
    world.whatsapp(&named);
    let failed = Status::of("wamid.X", "failed").with(
        "errors",
        json!([{"code": 131_026, "title": EVIL, "message": EVIL}]),
    );
    world.whatsapp(&batch(NUMBER, &[], &[failed.with("status", EVIL)]));
    world.slack(&SlackEvent::dm("D1", EVIL));
    world.slack(&SlackEvent::dm(&format!("D1{EVIL}"), "in an evil room"));
    world.slack(&SlackEvent::dm("D1", "by an evil person").with("user", EVIL));
    world.slack(&SlackEvent::dm("D1", "of an evil kind").with("subtype", EVIL));
    world.slack(
        &SlackEvent::dm("D1", "of an evil team")
            .envelope("team_id", EVIL)
            .envelope("authorizations", json!([])),
    );
    let mut errors = batch(NUMBER, &[], &[]);
    errors["entry"][0]["changes"][0]["value"]["errors"] =
        json!([{"code": 130_429, "title": EVIL, "message": EVIL}]);
    world.whatsapp(&errors);
}

#[test]
fn nothing_that_anybody_wrote_steers_a_log_or_a_terminal() {
    for format in ["json", "text"] {
        let world = World::with(|config| {
            config
                .set("log.format", format)
                .set("log.level", "trace")
                .set("retry.delivery", json!(["50ms"]));
        });
        write_evil(&world);
        eventually("dead letters", || {
            let dead = world.cli(&["dead", "list", "--json"]).exits(0).json();
            (dead.as_array().unwrap().len() >= 2).then_some(())
        });
        world.slack.heal();
        world.still_works("after all that");
        harmless(format, &world.daemon().log());
        let list = world.cli(&["threads", "list", "--json"]).exits(0);
        harmless("threads list --json", &list.said());
        for thread in list.json().as_array().unwrap() {
            let address = thread["address"].as_str().unwrap();
            harmless(
                "threads show",
                &world.cli(&["threads", "show", address]).exits(0).said(),
            );
            harmless(
                "threads show --json",
                &world.cli(&["threads", "show", address, "--json"]).exits(0).said(),
            );
        }
        harmless("threads list", &world.cli(&["threads", "list"]).exits(0).said());
        let dead = world.cli(&["dead", "list", "--json"]).exits(0);
        harmless("dead list --json", &dead.said());
        for letter in dead.json().as_array().unwrap() {
            let id = letter["id"].as_str().unwrap();
            harmless("dead show", &world.cli(&["dead", "show", id]).exits(0).said());
        }
        harmless("dead list", &world.cli(&["dead", "list"]).exits(0).said());
        harmless(
            "/metrics",
            &crate::harness::get(&format!("{}/metrics", world.daemon().admin()))
                .unwrap()
                .body,
        );
    }
}

/// What the operator typed or configured may come from a page that lied to them.
#[test]
fn what_was_typed_is_not_obeyed_when_it_is_repeated() {
    let world = World::start();
    let evil = EVIL.replace('\0', "");
    for arguments in [
        vec!["threads", "show", &evil],
        vec!["threads", "pause", &evil],
        vec!["dead", "show", &evil],
        vec!["dead", "replay", &evil],
        vec!["dead", "purge", &evil, "--yes"],
        vec!["simulate", "slack", "hi", "--url", &evil],
    ] {
        let finished = world.cli(&arguments);
        assert_ne!(finished.code, Some(0), "{finished:#?}");
        harmless(&format!("{arguments:?}"), &finished.said());
    }
    let mut wrong = World::stopped();
    wrong.config.append(
        "[slak]\n\"a\\u001b[2J\\u009b\\n2026-01-01T00:00:00Z ERROR forged\" = 1\n[slack.\"\\u0007\"]\n",
    );
    wrong
        .config
        .env("CHATBRIDGE__AGENT__\u{1b}[2J", "x")
        .env("CHATBRIDGE__LOG__LEVEL", &evil);
    wrong.write_config();
    let refused = wrong.cli(&["serve"]).exits(2);
    harmless("a bad configuration", &refused.said());
}

/// Headers of answers are built of our own words only.
#[test]
fn no_header_of_an_answer_is_anybody_elses() {
    let world = crate::harness::slack_door::world();
    let lines = "%0d%0aset-cookie:evil=1%0d%0a%0d%0a%3Cscript%3E";
    for path in [
        format!("/slack/install?team={lines}"),
        format!("/slack/oauth/callback?code={lines}&state={lines}"),
        format!("/slack/oauth/callback?error={lines}&state=x"),
        format!("/whatsapp/webhook?hub.mode=subscribe&hub.verify_token={lines}&hub.challenge={lines}"),
        format!("/nothing{lines}"),
    ] {
        let page = browse(
            &format!("{}{path}", world.daemon().public()),
            &format!("chatbridge_install={}", "x".repeat(99)),
        );
        assert!(
            !format!("{:?}", page.headers).contains("evil"),
            "{path}: {page:?}"
        );
        assert!(!page.body.contains("<script>"), "{path}: {page:?}");
    }
    // The challenge of Meta's handshake is repeated, to whoever knows the token, as plain text.
    let token = crate::harness::VERIFY_TOKEN;
    let path = format!("/whatsapp/webhook?hub.mode=subscribe&hub.verify_token={token}&hub.challenge={lines}");
    let heard = Raw::ask(
        world.daemon().public(),
        format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"),
    );
    assert_eq!(heard.status, Some(200));
    assert!(
        heard.head.contains("content-type: text/plain")
            && heard.head.contains("x-content-type-options: nosniff"),
        "{heard:?}"
    );
    assert!(!heard.head.contains("evil"), "{heard:?}");
}
