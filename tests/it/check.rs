//! `chatbridge check`: each line says how it is, and what to do.

use serde_json::{Value, json};

use crate::harness::{CLIENT, Config, Fault, SCOPES, World, browse};

/// A daemon that runs, with a configuration that names its address; Slack only.
fn running(change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::with(|config| {
        config
            .without("whatsapp")
            .set("server.public_url", "https://bridge.example.com");
        change(config);
    });
    if world.config.to_toml().contains("bot_token") {
        // The daemon has asked on its own account: what a test arranges from here on is for the command.
        world.slack.wait_count("auth.test", 1);
    }
    let public = world.daemon().public().to_owned();
    world.config.set("server.public_url", public);
    world.write_config();
    world
}

/// The checks, by name.
#[track_caller]
fn check(world: &World, code: i32) -> Vec<(String, Value)> {
    let checks = world.cli(&["check", "--json"]).exits(code).json();
    let checks = checks.as_array().unwrap().iter();
    checks
        .map(|check| (check["name"].as_str().unwrap().to_owned(), check.clone()))
        .collect()
}

#[track_caller]
fn one<'a>(checks: &'a [(String, Value)], name: &str) -> &'a Value {
    let found = checks.iter().find(|(other, _)| other == name);
    &found.unwrap_or_else(|| panic!("{name} in {checks:#?}")).1
}

/// The check failed, with these words in what was found and in the remedy.
#[track_caller]
fn failed(checks: &[(String, Value)], name: &str, found: &str, remedy: &str) {
    let check = one(checks, name);
    assert_eq!(check["outcome"], "failed", "{check}");
    for (field, words) in [("found", found), ("remedy", remedy)] {
        assert!(
            check[field].as_str().unwrap().contains(words),
            "{words:?} in {check}"
        );
    }
}

#[test]
fn all_is_well() {
    let world = running(|_| {});
    let checks = check(&world, 0);
    for name in [
        "configuration",
        "slack token",
        "slack bot",
        "slack scopes",
        "slack clock",
        "slack request url",
    ] {
        let check = one(&checks, name);
        assert_eq!(
            (&check["outcome"], &check["remedy"]),
            (&json!("ok"), &Value::Null),
            "{check}"
        );
    }
    assert!(
        one(&checks, "slack token")["found"]
            .as_str()
            .unwrap()
            .contains("T1")
    );
    assert!(
        one(&checks, "slack bot")["found"]
            .as_str()
            .unwrap()
            .contains("U0BOT")
    );
    let said = world.cli(&["check"]).exits(0);
    assert!(
        said.stdout.lines().all(|line| line.starts_with("ok ")),
        "{said:?}"
    );
    assert!(!said.said().contains("xoxb"), "{said:?}");
}

#[test]
fn a_refused_token_is_told_with_the_remedy() {
    let world = running(|_| {});
    world.slack.fault(
        "auth.test",
        10,
        Fault::json(200, json!({"ok": false, "error": "account_inactive"})),
    );
    let checks = check(&world, 1);
    failed(&checks, "slack token", "account_inactive", "slack.bot_token");
    assert_eq!(one(&checks, "slack request url")["outcome"], "ok");
    let said = world.cli(&["check"]).exits(1);
    assert!(
        said.stdout.contains("failed  slack token") && said.stderr.contains("checks failed"),
        "{said:?}"
    );
}

#[test]
fn a_missing_scope_is_named_with_what_it_is_for() {
    let world = running(|_| {});
    world.slack.scopes(&SCOPES.replace("groups:history,", ""));
    let checks = check(&world, 1);
    failed(&checks, "slack scopes", "groups:history", "install the app again");
    assert!(
        !one(&checks, "slack scopes")["found"]
            .as_str()
            .unwrap()
            .contains("chat:write")
    );
    // What only a feature needs that is off is not missed; this one is needed for looking, too.
    world.slack.scopes(&format!("{SCOPES},more:scopes"));
    check(&world, 0);
}

#[test]
fn a_persons_token_is_no_bots() {
    let world = running(|_| {});
    let person = json!({"ok": true, "team_id": "T1", "team": "Example", "user_id": "U1"});
    world.slack.fault("auth.test", 1, Fault::json(200, person));
    failed(&check(&world, 1), "slack bot", "not a bot's", "xoxb-");
}

#[test]
fn a_wrong_clock_is_told() {
    let world = running(|_| {});
    let late = json!({"ok": true, "team_id": "T1", "team": "Example", "user_id": "U1", "bot_id": "B1"});
    let answer = crate::harness::Answer::json(200, &late)
        .with("date", "Sun, 06 Nov 1994 08:49:37 GMT")
        .with("x-oauth-scopes", SCOPES);
    world.slack.fault("auth.test", 1, Fault::Answer(answer));
    failed(&check(&world, 1), "slack clock", "s from Slack's", "clock");
}

#[test]
fn the_way_from_slack_is_tried() {
    let mut world = running(|_| {});
    // The daemon that answers has another secret.
    world.config.set("slack.signing_secret", "another");
    world.write_config();
    failed(
        &check(&world, 1),
        "slack request url",
        "401 signature_invalid",
        "slack.signing_secret",
    );
    world
        .config
        .set("slack.signing_secret", crate::harness::SIGNING_SECRET);
    // Something else answers there.
    let elsewhere = world.agent.url();
    world.config.set("server.public_url", elsewhere);
    world.write_config();
    failed(&check(&world, 1), "slack request url", "answered 4", "/slack/");
    // Nobody does.
    world.config.set("server.public_url", "http://127.0.0.1:9");
    world.write_config();
    failed(
        &check(&world, 1),
        "slack request url",
        "no answer",
        "start chatbridge",
    );
    world.config.unset("server.public_url");
    world.write_config();
    failed(&check(&world, 1), "slack request url", "not set", "https");
}

#[test]
fn without_any_token_the_remedy_is_named() {
    let world = running(|config| {
        config.unset("slack.bot_token");
    });
    failed(
        &check(&world, 1),
        "slack token",
        "there is none",
        "slack.bot_token",
    );
}

#[test]
fn each_installation_is_looked_at() {
    let world = running(|config| {
        config
            .set("slack.client_id", CLIENT.0)
            .set("slack.client_secret", CLIENT.1);
    });
    for (team, token) in [("T2", "xoxb-two"), ("T3", "xoxb-three")] {
        world.slack.grants(token, team, token);
        let out = browse(&format!("{}/slack/install", world.daemon().public()), "");
        let cookie = out.header("set-cookie").split(';').next().unwrap().to_owned();
        let (_, state) = out.header("location").split_once("&state=").unwrap();
        let back = format!(
            "{}/slack/oauth/callback?code={token}&state={state}",
            world.daemon().public()
        );
        assert_eq!(browse(&back, &cookie).status, 200);
    }
    let checks = check(&world, 0);
    for name in ["slack token", "slack token T2", "slack scopes T2", "slack bot T3"] {
        assert_eq!(one(&checks, name)["outcome"], "ok");
    }
    world.slack.kill("xoxb-three", "token_revoked");
    let checks = check(&world, 1);
    failed(&checks, "slack token T3", "token_revoked", "install the app anew");
    assert_eq!(one(&checks, "slack token T2")["outcome"], "ok");
}

#[test]
fn a_configuration_that_does_not_load_is_told_line_by_line() {
    let mut world = World::stopped();
    world
        .config
        .set("slack.client_id", "1.2")
        .set("server.bind", "nowhere");
    world.write_config();
    let finished = world.cli(&["check", "--json"]).exits(2);
    let checks = finished.json();
    let names: Vec<&str> = checks
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"configuration server.bind"), "{names:?}");
    assert!(names.contains(&"configuration slack.client_id"), "{names:?}");
    assert!(finished.stderr.contains("server.bind"), "{finished:?}");
}
