//! Closed: names that are paths, patterns or statements are names and nothing else.

use serde_json::json;

use crate::harness::{Incoming, NUMBER, Person, Raw, SlackEvent, World, webhook};

/// Statements and patterns that have opened other databases.
pub(crate) const STATEMENTS: [&str; 9] = [
    "' OR 1=1",
    "' OR '1'='1' --",
    "x'; DROP TABLE threads; --",
    "x\" OR \"1\"=\"1",
    "%",
    "_",
    "slack/%",
    "?1",
    "$1",
];

#[test]
fn a_statement_as_a_name_names_nothing() {
    let world = World::start();
    world.still_works("first");
    for name in STATEMENTS {
        for command in ["show", "reset", "pause", "resume"] {
            let finished = world.cli(&["threads", command, name]);
            assert_eq!(finished.code, Some(1), "{command} {name}: {finished:#?}");
        }
        assert_eq!(world.cli(&["dead", "show", name]).code, Some(1), "{name}");
        assert_eq!(world.cli(&["dead", "replay", name]).code, Some(1), "{name}");
        assert_eq!(
            world.cli(&["dead", "purge", name, "--yes"]).code,
            Some(1),
            "{name}"
        );
        let list = world
            .cli(&["threads", "list", "--channel", name, "--json"])
            .exits(0)
            .json();
        assert_eq!(list, json!([]), "{name} is no channel");
    }
    assert_eq!(
        world
            .cli(&["threads", "list", "--json"])
            .exits(0)
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    world.still_works("afterwards");
}

/// Signed by the platform, and still believed only as far as keys, addresses and paths can be built of it.
#[test]
fn ids_that_are_paths_or_statements_reach_no_key_and_no_path() {
    let world = World::start();
    for id in STATEMENTS.into_iter().chain([
        "../../T2/C2",
        "C1/../C2",
        "C1?x=1",
        "C1#x",
        "C1%2f..%2fC2",
        "\\..\\C2",
        "",
        "C 1",
    ]) {
        for event in [
            SlackEvent::dm("D1", &format!("room {id}")).with("channel", id),
            SlackEvent::dm("D1", &format!("user {id}")).with("user", id),
            SlackEvent::dm("D1", &format!("thread {id}")).with("thread_ts", id),
            SlackEvent::dm("D1", &format!("team {id}"))
                .envelope("team_id", id)
                .envelope("authorizations", json!([])),
        ] {
            world.slack(&event);
        }
        let person = Person::phone("15550001111");
        world.whatsapp(&webhook(id, &[Incoming::text(&person, &format!("number {id}"))]));
        let named = Person::both("15550001111", "US.1");
        world.whatsapp(&webhook(
            NUMBER,
            &[Incoming::text(&named, &format!("id {id}")).with("from_user_id", id)],
        ));
        world.whatsapp(&webhook(
            NUMBER,
            &[Incoming::text(&person, &format!("from {id}")).with("from", id)],
        ));
    }
    world.still_works("afterwards");
    world.wait_idle();
    // The paths of the Graph API hold a number and nothing else.
    for call in world.meta.calls() {
        let parts: Vec<&str> = call.path.split('/').collect();
        let plain = parts[2..]
            .iter()
            .all(|part| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        assert!(
            plain && call.query.is_empty(),
            "{} {}?{}",
            call.method,
            call.path,
            call.query
        );
    }
    let odd = world.cli(&["threads", "list", "--json"]).exits(0).json();
    for thread in odd.as_array().unwrap() {
        let address = thread["address"].as_str().unwrap();
        assert!(
            address.split('/').all(|part| !part.is_empty() && part != ".."),
            "{address}"
        );
        assert_eq!(
            world.cli(&["threads", "show", address]).code,
            Some(0),
            "{address} is found again"
        );
    }
}

#[test]
fn a_path_leads_to_its_route_or_nowhere() {
    let world = World::start();
    for path in [
        "/../etc/passwd",
        "/slack/events/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//slack/events",
        "/slack//events",
        "/slack/events/",
        "/slack/events%00",
        "/slack/events;x=1",
        "/SLACK/events",
        "/slack%2fevents",
        "/whatsapp/webhook/../../metrics",
        "/metrics",
        "/console",
        "/api/threads",
        "/.env",
    ] {
        let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}");
        let heard = Raw::ask(world.daemon().public(), request);
        assert_eq!(heard.status, Some(404), "{path}: {heard:?}");
        assert!(!heard.body.contains("root:"), "{path}");
    }
}
