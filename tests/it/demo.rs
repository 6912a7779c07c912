//! `chatbridge demo` and `chatbridge simulate`.

use std::net::TcpListener;

use rand::RngExt;

use crate::harness::{Incoming, NUMBER, Person, SlackEvent, World, run, webhook};

#[test]
fn the_demo_answers_on_both_platforms_and_exits_0() {
    let home = tempfile::tempdir().unwrap();
    let shown = run(home.path(), &["demo", "--exit"], &[]).exits(0);
    let lower = shown.stdout.to_lowercase();
    for word in ["slack", "whatsapp", "ms"] {
        assert!(lower.contains(word), "{word} is not shown:\n{}", shown.said());
    }
    assert!(!shown.said().contains("panicked"), "{}", shown.said());
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "the demo leaves files behind: {left:?}");
}

/// A port below those that the system hands out by itself, free at this moment: `simulate` finds the daemon by its
/// configuration, so the port must be known before the start.
fn free_port() -> u16 {
    std::iter::repeat_with(|| rand::rng().random_range(20_000..30_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

fn listening_world() -> World {
    World::with(|config| {
        config.set("server.bind", format!("127.0.0.1:{}", free_port()));
    })
}

#[test]
fn simulate_writes_to_a_running_daemon() {
    let world = listening_world();
    let told = world.cli(&["simulate", "whatsapp", "simulated text"]).exits(0);
    assert!(told.stdout.contains("200"), "{}", told.said());
    world.meta.wait_sent("simulated text");
    let told = world.cli(&["simulate", "slack", "simulated message"]).exits(0);
    assert!(told.stdout.contains("200"), "{}", told.said());
}

#[test]
fn simulate_sends_a_recorded_webhook() {
    let world = listening_world();
    let recorded = |name: &str, body: String| {
        let file = world.home().join(name);
        std::fs::write(&file, body).unwrap();
        file.display().to_string()
    };
    let slack = recorded(
        "slack.json",
        SlackEvent::dm("D1", "recorded in Slack").0.to_string(),
    );
    world.cli(&["simulate", "slack", "--payload", &slack]).exits(0);
    world.slack.wait_post("recorded in Slack");
    let text = Incoming::text(&Person::phone("15550001111"), "recorded on WhatsApp");
    let whatsapp = recorded("whatsapp.json", webhook(NUMBER, &[text]).to_string());
    world
        .cli(&["simulate", "whatsapp", "--payload", &whatsapp])
        .exits(0);
    world.meta.wait_sent("recorded on WhatsApp");
    world
        .cli(&["simulate", "slack", "--payload", "no-such-file.json"])
        .exits(2);
}

#[test]
fn simulate_without_a_daemon_is_1() {
    let mut world = World::stopped();
    world
        .config
        .set("server.bind", format!("127.0.0.1:{}", free_port()));
    world.write_config();
    let told = world.cli(&["simulate", "slack", "anyone?"]).exits(1);
    assert!(told.said().contains("127.0.0.1"), "{}", told.said());
}
