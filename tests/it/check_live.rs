//! `chatbridge check --live`: the agent's real answer, and the way through the public address.

use serde_json::{Value, json};

use crate::harness::{Fault, World};

/// A daemon that runs, with Slack only and a configuration that names its address.
fn running() -> World {
    let mut world = World::with(|config| {
        config.without("whatsapp");
    });
    world.slack.wait_count("auth.test", 1);
    let public = world.daemon().public().to_owned();
    world.config.set("server.public_url", public);
    world.write_config();
    world
}

/// The checks by name, without those that `check` makes anyway.
#[track_caller]
fn live(world: &World, code: i32) -> Vec<(String, Value)> {
    let checks = world.cli(&["check", "--live", "--json"]).exits(code).json();
    let checks = checks.as_array().unwrap().iter();
    checks
        .map(|check| (check["name"].as_str().unwrap().to_owned(), check.clone()))
        .collect()
}

#[track_caller]
fn one(checks: &[(String, Value)], name: &str) -> Value {
    let found = checks.iter().find(|(other, _)| other == name);
    found.unwrap_or_else(|| panic!("{name} in {checks:#?}")).1.clone()
}

#[test]
fn each_agent_is_asked_once_in_a_conversation_of_its_own() {
    let mut world = running();
    world
        .config
        .append("[[routes]]\nchannel = \"slack\"\nplace = \"C1\"\nagent_id = \"agent-two\"");
    world.write_config();
    let checks = live(&world, 0);
    for name in [
        "agent agent-main",
        "agent agent-two",
        "public address",
        "slack request url",
        "slack forged post",
    ] {
        assert_eq!(one(&checks, name)["outcome"], "ok");
    }
    // The daemon's address is no https, so there is nothing to read.
    assert_eq!(one(&checks, "public certificate")["outcome"], "skipped");
    let asks = world.agent.asks();
    assert_eq!(asks.len(), 2);
    assert!(
        asks.iter().all(|call| call.json.get("conversationId").is_none()),
        "{asks:#?}"
    );
    assert_eq!(
        world.cli(&["threads", "list", "--json"]).exits(0).json(),
        json!([])
    );
    // Without the flag nobody is asked.
    world.cli(&["check"]).exits(0);
    assert_eq!(world.agent.asks().len(), 2);
}

#[test]
fn an_agent_that_does_not_answer_is_told_with_the_remedy() {
    let mut world = running();
    world.config.set("agent.api_key", "wrong-key");
    world.write_config();
    let check = one(&live(&world, 1), "agent agent-main");
    assert_eq!(check["outcome"], "failed");
    assert!(
        check["remedy"].as_str().unwrap().contains("agent.api_key"),
        "{check}"
    );
    assert!(!check.to_string().contains("wrong-key"), "{check}");
    world.config.set("agent.api_key", "key-test");
    world.write_config();
    world.agent.fault("ask", 1, Fault::Close);
    assert_eq!(one(&live(&world, 1), "agent agent-main")["outcome"], "failed");
    world.config.unset("agent.agent_id");
    world.write_config();
    let check = one(&live(&world, 1), "agent");
    assert!(
        check["found"].as_str().unwrap().contains("agent.agent_id"),
        "{check}"
    );
}

/// Whoever takes in what Slack did not sign is not us.
#[test]
fn a_stranger_at_the_public_address_is_told() {
    let mut world = running();
    let elsewhere = world.agent.url();
    world.config.set("server.public_url", elsewhere);
    world.write_config();
    let checks = live(&world, 1);
    assert!(
        one(&checks, "public address")["found"]
            .as_str()
            .unwrap()
            .contains("not as chatbridge does")
    );
    assert_eq!(one(&checks, "slack request url")["outcome"], "failed");
    world.config.set("server.public_url", "http://127.0.0.1:9");
    world.write_config();
    let check = one(&live(&world, 1), "public address");
    assert!(
        check["found"].as_str().unwrap().contains("could not be reached"),
        "{check}"
    );
    world.config.unset("server.public_url");
    world.write_config();
    assert_eq!(one(&live(&world, 1), "public address")["outcome"], "skipped");
}

/// A certificate that nobody vouches for is refused, with the reason.
#[test]
fn a_certificate_of_nobodys_is_told() {
    let Some(openssl) = crate::harness::tool::tool("openssl") else {
        return;
    };
    let mut world = running();
    let home = world.home().to_owned();
    let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem";
    let mut command = crate::harness::tool::command(&openssl, &make.split(' ').collect::<Vec<_>>());
    command.current_dir(&home);
    crate::harness::tool::content(command, "");
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let serve = format!("s_server -quiet -www -key key.pem -cert cert.pem -accept 127.0.0.1:{port}");
    let mut server = crate::harness::tool::command(&openssl, &serve.split(' ').collect::<Vec<_>>());
    let mut server = server
        .current_dir(&home)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    crate::harness::eventually("the server to listen", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    world
        .config
        .set("server.public_url", format!("https://localhost:{port}"));
    world.write_config();
    let check = one(&live(&world, 1), "public address");
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(
        check["found"].as_str().unwrap().contains("certificate"),
        "{check}"
    );
}
