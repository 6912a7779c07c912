//! Setting Socket Mode up: what `chatbridge check` finds, and what a configuration must and must not say.

use serde_json::{Value, json};

use crate::harness::{Fault, World, run};
use crate::slack_socket::world;

fn check(world: &World, code: i32) -> Vec<Value> {
    let checks = world.cli(&["check", "--json"]).exits(code).json();
    checks.as_array().unwrap().clone()
}

#[test]
fn check_tries_the_app_token_and_opens_nothing() {
    let (mut world, sockets) = world(|config| {
        config.without("whatsapp");
    });
    sockets.wait_open(2);
    let checks = check(&world, 0);
    let named = |checks: &[Value], name: &str| checks.iter().find(|check| check["name"] == name).cloned();
    assert_eq!(named(&checks, "slack app token").unwrap()["outcome"], "ok");
    assert!(
        named(&checks, "slack request url").is_none(),
        "Slack calls no address"
    );
    assert_eq!(
        sockets.opened(),
        2,
        "a connection of the command would take envelopes away from the daemon"
    );
    for (answer, found, remedy) in [
        (
            json!({"ok": false, "error": "missing_scope"}),
            "missing_scope",
            "connections:write",
        ),
        (
            json!({"ok": false, "error": "not_allowed_token_type"}),
            "not_allowed_token_type",
            "xapp-",
        ),
        (json!({"ok": true}), "cannot be read", "status.slack.com"),
    ] {
        world
            .slack
            .fault("apps.connections.open", 1, Fault::json(200, answer));
        let check = named(&check(&world, 1), "slack app token").unwrap();
        assert_eq!(check["outcome"], "failed");
        assert!(check["found"].as_str().unwrap().contains(found), "{check}");
        assert!(check["remedy"].as_str().unwrap().contains(remedy), "{check}");
    }
    world.terminate();
}

#[test]
fn what_is_wrong_with_the_configuration_is_told() {
    for (secret, token, words) in [
        (None, None, &["slack.signing_secret", "slack.app_token"][..]),
        (
            None,
            Some("xoxb-1-bot"),
            &["slack.app_token", "xapp-", "App-Level Tokens"],
        ),
        (Some("s"), Some("xoxp-1-person"), &["slack.app_token", "xapp-"]),
    ] {
        let mut world = World::stopped();
        world.config.unset("slack.signing_secret");
        for (key, value) in [("slack.signing_secret", secret), ("slack.app_token", token)] {
            if let Some(value) = value {
                world.config.set(key, value);
            }
        }
        let file = world.write_config();
        let said = run(world.home(), &["serve", "--config", &file], &[])
            .exits(2)
            .said();
        for word in words {
            assert!(said.contains(word), "{word} in {said}");
        }
        if let Some(value) = token {
            assert!(!said.contains(value), "{said}");
        }
    }
    let mut world = World::stopped();
    world
        .config
        .set("slack.app_token", "xapp-1-a")
        .set("slack.socket_connections", 11);
    world.write_config();
    let said = world.cli(&["serve"]).exits(2).said();
    assert!(
        said.contains("slack.socket_connections") && said.contains("10"),
        "{said}"
    );
}
