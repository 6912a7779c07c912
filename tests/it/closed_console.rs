//! Closed: what others wrote is words on the operator's pages, and what is searched for there is no statement.

use std::fmt::Write;

use serde_json::json;

use crate::closed_names::STATEMENTS;
use crate::console::{ann, console, world};
use crate::console_door::log_in;
use crate::harness::{
    Fault, Incoming, NUMBER, Page, SlackEvent, World, browse, dead_letters, eventually, webhook,
};

/// What a browser would run if it stood on a page as it is, in text, in an attribute and in an address.
const EVIL: &str = "'\"><script>alert(1)</script><img src=x onerror=alert(2)>javascript:alert(3)";

/// The beginnings of tags that no page has of its own.
const ALIVE: [&str; 3] = ["<script>", "<img src=x", "href=\"javascript:"];

/// A page of the console, which must say what it says and do nothing else.
#[track_caller]
fn harmless(world: &World, path: &str, cookie: &str) -> Page {
    let page = browse(&format!("{}{path}", console(world)), cookie);
    for tag in ALIVE {
        assert!(!page.body.contains(tag), "{path}: {tag}: {page:?}");
    }
    let policy = page.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{path}: {rule}: {policy}");
    }
    assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
    page
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        write!(encoded, "%{byte:02X}").unwrap();
    }
    encoded
}

#[test]
fn what_others_wrote_does_nothing_on_the_operators_pages() {
    let world = world();
    world
        .agent
        .fault("ask", 1, Fault::json(403, json!({"message": EVIL, "code": EVIL})));
    let refusal = json!({"error": {"message": EVIL, "code": 131_026, "error_data": {"details": EVIL}}});
    world.meta.fault("messages", 2, Fault::json(400, refusal));
    let mut named = webhook(NUMBER, &[Incoming::text(&ann(), EVIL)]);
    named["entry"][0]["changes"][0]["value"]["contacts"][0]["profile"]["name"] = json!(EVIL);
    world.whatsapp(&named);
    eventually("a dead letter", || {
        (!dead_letters(&world).is_empty()).then_some(())
    });
    world.slack(&SlackEvent::dm("D1", EVIL));
    world.slack.wait_post("alert(1)");
    let cookie = log_in(&world);
    let list = world.cli(&["threads", "list", "--json"]).exits(0).json();
    let ids = list.as_array().unwrap().iter().map(|thread| &thread["id"]);
    let mut told = 0;
    for id in ids {
        let page = harmless(&world, &format!("/threads/{}", id.as_str().unwrap()), &cookie);
        assert_eq!(page.status, 200);
        told += page.body.matches("&lt;script&gt;alert(1)").count();
    }
    assert!(told >= 3, "both questions and an answer are read there: {told}");
    let evil = encoded(EVIL);
    for (path, status) in [
        (String::new(), 200),
        ("/dead".to_owned(), 200),
        ("/accounts".to_owned(), 200),
        ("/settings".to_owned(), 200),
        ("/erase".to_owned(), 200),
        ("/erased".to_owned(), 200),
        (format!("/threads?q={evil}&channel={evil}&state={evil}"), 200),
        (format!("/dead?done={evil}&kind={evil}"), 200),
        (format!("/erase?person={evil}"), 200),
        (format!("/threads/{evil}"), 404),
        (format!("/{evil}"), 404),
    ] {
        assert_eq!(harmless(&world, &path, &cookie).status, status, "{path}");
    }
    assert_eq!(harmless(&world, &format!("/login?to={evil}"), "").status, 200);
}

#[test]
fn a_statement_that_is_searched_for_finds_nothing() {
    let world = world();
    world.text(&ann(), "hello");
    world.meta.wait_sent("hello");
    let cookie = log_in(&world);
    let shows = |query: &str| {
        let page = harmless(&world, &format!("/threads?{query}"), &cookie);
        assert_eq!(page.status, 200, "{query}");
        page.body.contains("id=\"t-")
    };
    assert!(shows("q=15550001111"));
    for statement in STATEMENTS {
        for field in ["channel", "state"] {
            let query = format!("{field}={}", encoded(statement));
            assert!(!shows(&query), "{field}: {statement}");
        }
        // An underscore is a letter of an address like any other, and none is in Ann's.
        assert!(!shows(&format!("q={}", encoded(statement))), "{statement}");
    }
    assert!(shows("q=15550001111"));
}
