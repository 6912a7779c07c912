//! Life: starting, refusing to start, stopping, and what is told meanwhile.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::postgres::on_postgres;
use crate::harness::{
    APP_SECRET, Fault, Gate, Incoming, NUMBER, Person, SIGNING_SECRET, SlackEvent, Status, VERIFY_TOKEN,
    World, batch, get, pretend_newer, run, webhook,
};

#[test]
fn sigterm_finishes_what_is_under_way_and_exits_0() {
    let mut world = World::start();
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    world.slack(&SlackEvent::dm("D1", "under way"));
    world.agent.wait_ask("under way");
    world.daemon().signal("TERM");
    // The agent only answers once the daemon is stopping for sure: it does not accept any more, or says so.
    let public = world.daemon().public().to_owned();
    crate::harness::eventually("the daemon to be stopping", || {
        let ready = get(&format!("{public}/readyz"));
        ready.map_or(true, |reply| reply.status != 200).then_some(())
    });
    gate.open();
    let status = world.daemon_mut().wait_end();
    assert_eq!(status.code(), Some(0), "{}", world.daemon().log());
    assert_eq!(
        world.slack.posts_with("echo: under way").len(),
        1,
        "it ended before the answer was out"
    );
    // Nothing is left to be done twice.
    world.launch();
    world.slack(&SlackEvent::dm("D1", "marker"));
    world.slack.wait_post("marker");
    assert_eq!(world.slack.posts_with("under way").len(), 1);
    assert_eq!(world.agent.times_asked("under way"), 1);
}

#[test]
fn a_second_signal_ends_at_once_and_nothing_is_lost() {
    let mut world = World::with(|config| {
        config
            .set("server.shutdown_grace", "10m")
            .set("agent.timeout", "10m");
    });
    world.agent.fault("ask", 1, Fault::Hang);
    world.slack(&SlackEvent::dm("D1", "interrupted"));
    world.agent.wait_ask("interrupted");
    let begin = Instant::now();
    while world.daemon_mut().ended().is_none() {
        assert!(
            begin.elapsed() < crate::harness::DEADLINE,
            "it waits on in spite of a second signal"
        );
        world.daemon().signal("TERM");
        thread::sleep(Duration::from_millis(300));
    }
    world.launch();
    world.slack.wait_post("echo: interrupted");
}

#[test]
fn the_grace_is_the_longest_that_stopping_takes() {
    let mut world = World::with(|config| {
        config
            .set("server.shutdown_grace", "1s")
            .set("agent.timeout", "10m");
    });
    world.agent.fault("ask", 1, Fault::Hang);
    world.slack(&SlackEvent::dm("D1", "too slow"));
    world.agent.wait_ask("too slow");
    let begin = Instant::now();
    world.daemon().signal("TERM");
    world.daemon_mut().wait_end();
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    world.launch();
    world.slack.wait_post("echo: too slow");
}

#[test]
fn a_database_of_a_later_version_is_refused() {
    let mut world = World::start();
    world.terminate();
    pretend_newer(&world);
    let refused = world.cli(&["serve"]).exits(1);
    let said = refused.said().to_lowercase();
    assert!(
        said.contains("newer") || said.contains("later"),
        "{}",
        refused.said()
    );
    assert!(!said.contains("panicked"), "{}", refused.said());
}

#[test]
fn a_second_daemon_on_the_same_database_is_refused() {
    let world = World::start();
    let refused = world.cli(&["serve"]).exits(1);
    assert!(!refused.said().contains("panicked"), "{}", refused.said());
    assert!(
        refused.said().contains("chatbridge.db"),
        "it names what is in use: {}",
        refused.said()
    );
    world.still_works("afterwards");
}

#[test]
fn an_address_in_use_is_named() {
    let mut world = World::start();
    let taken = world.daemon().public().trim_start_matches("http://").to_owned();
    let other = world.home().join("other.db").display().to_string();
    world
        .config
        .set("server.bind", taken.as_str())
        .set("store.url", format!("sqlite://{other}"));
    world.write_config();
    let refused = world.cli(&["serve"]).exits(1);
    assert!(refused.said().contains(&taken), "{}", refused.said());
}

#[test]
fn a_missing_file_and_wrong_usage_are_2() {
    let world = World::stopped();
    let home = world.home();
    let missing = run(home, &["serve", "--config", "no-such-file.toml"], &[]).exits(2);
    assert!(missing.said().contains("no-such-file.toml"), "{}", missing.said());
    run(home, &["serve", "--no-such-flag"], &[]).exits(2);
    run(home, &["no-such-command"], &[]).exits(2);
    let help = run(home, &["--help"], &[]).exits(0);
    for command in ["serve", "demo", "simulate", "threads", "dead", "migrate"] {
        assert!(help.stdout.contains(command), "{command}: {}", help.stdout);
        run(home, &[command, "--help"], &[]).exits(0);
    }
    assert!(
        run(home, &["--version"], &[])
            .exits(0)
            .stdout
            .contains(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn several_mistakes_are_told_at_once_with_their_names() {
    let mut world = World::stopped();
    world
        .config
        .set("turn.wayt", "1s")
        .set("agent.timeout", "soon")
        .set("server.bind", 7)
        .append("[slak]\nx = 1");
    world.config.env("CHATBRIDGE__RETRY__AGENT", "1s,never");
    world.write_config();
    let refused = world.cli(&["serve"]).exits(2).said();
    for name in [
        "turn.wayt",
        "agent.timeout",
        "server.bind",
        "slak",
        "chatbridge.toml",
        "CHATBRIDGE__RETRY__AGENT",
    ] {
        assert!(refused.contains(name), "{name} is not named:\n{refused}");
    }
}

/// chatwoot#14280: the signature check was off where no secret was set.
#[test]
fn chatwoot_14280_a_channel_without_its_secret_does_not_start() {
    for (key, empty) in [
        ("slack.signing_secret", json!(null)),
        ("slack.signing_secret", json!("")),
        ("slack.signing_secret", json!([])),
        ("whatsapp.app_secret", json!(null)),
        ("whatsapp.app_secret", json!([""])),
        ("whatsapp.verify_token", json!("")),
    ] {
        let mut world = World::stopped();
        if empty.is_null() {
            world.config.unset(key)
        } else {
            world.config.set(key, empty.clone())
        };
        world.write_config();
        let refused = world.cli(&["serve"]).exits(2);
        assert!(
            refused.said().contains(key),
            "{key} = {empty}: {}",
            refused.said()
        );
    }
}

#[test]
fn secrets_come_from_files_and_keys_from_the_environment() {
    let mut world = World::stopped();
    let file = world.home().join("secret");
    std::fs::write(&file, format!("{SIGNING_SECRET}\n")).unwrap();
    world
        .config
        .unset("slack.signing_secret")
        .set("agent.agent_id", "from-the-file");
    world.config.env(
        "CHATBRIDGE__SLACK__SIGNING_SECRET_FILE",
        &file.display().to_string(),
    );
    world
        .config
        .env("CHATBRIDGE__AGENT__AGENT_ID", "from-the-environment");
    world.launch();
    world.slack(&SlackEvent::dm("D1", "by file"));
    world.slack.wait_post("by file");
    assert_eq!(
        world.agent.wait_ask("by file").json["agentId"],
        "from-the-environment"
    );
}

#[test]
fn a_channel_without_a_section_is_off_and_says_so() {
    let world = World::with(|config| {
        config.without("slack");
    });
    let off = |line: &str| line.to_lowercase().contains("slack") && line.to_lowercase().contains("off");
    assert!(world.daemon().log().lines().any(off), "{}", world.daemon().log());
    let status = world
        .post_slack(SlackEvent::dm("D1", "anyone?").0.to_string().as_bytes())
        .unwrap()
        .status;
    assert_eq!(status, 404);
    world.text(&Person::phone("15550001111"), "whatsapp works");
    world.meta.wait_sent("whatsapp works");
}

/// P6: nothing of what people write, of their numbers, or of the operator's secrets is in the logs, at any level.
#[test]
fn the_log_holds_no_text_no_number_and_no_secret() {
    let mut world = World::with(|config| {
        config
            .set("log.level", "trace")
            .set("admin.token", "admin-token-9d2");
    });
    let broken = Fault::json(500, json!({"status": "error", "message": "Xenophon failed"}));
    world.agent.fault("ask", 5, broken);
    world.meta.fault("messages", 1, Fault::ActThenClose);
    world
        .slack
        .fault("chat.postMessage", 1, Fault::json(503, json!({"ok": false})));
    let person = Person::both("15550001111", "US.13491208655302741918");
    world.slack(&SlackEvent::mention("C1", "Xenophon asks"));
    world.text(&person, "Xenophon writes");
    world.whatsapp(&webhook(
        NUMBER,
        &[Incoming::text(&person, "Xenophon errs").with("text", 5)],
    ));
    let forged = world.post_slack(b"Xenophon forges").unwrap();
    assert_eq!(forged.status, 400);
    world.slack.wait_post("Xenophon asks");
    let sent = world.meta.wait_sents("Xenophon writes", 2);
    world.whatsapp(&batch(NUMBER, &[], &[Status::of(&sent[0].wamid, "failed")]));
    world.still_works("Xenophon");
    world.crash();
    world.terminate();
    let log = world.daemon().log().to_lowercase();
    for secret in [
        "xenophon",
        "15550001111",
        "15559990000",
        "13491208655302741918",
        SIGNING_SECRET,
        APP_SECRET,
        VERIFY_TOKEN,
        "xoxb-test-token",
        "eaa-test-token",
        "key-test",
        "admin-token-9d2",
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(
            line.is_none(),
            "{secret} is in the log: {}",
            line.unwrap_or_default()
        );
    }
}

#[test]
fn the_log_tells_which_message_went_where() {
    let world = World::start();
    world.slack(&SlackEvent::dm("D1", "traced"));
    world.slack.wait_post("traced");
    let thread = world.cli(&["threads", "list", "--json"]).exits(0).json()[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    crate::harness::eventually("the thread's id in the log", || {
        world.daemon().log().contains(&thread).then_some(())
    });
}

#[test]
fn the_metrics_have_the_names_of_the_contract() {
    let world = World::start();
    world.still_works("for the metrics");
    let wamid = world.meta.wait_sent("for the metrics").wamid;
    let pricing = json!({"billable": true, "pricing_model": "PMP", "type": "regular", "category": "service"});
    world.whatsapp(&batch(
        NUMBER,
        &[],
        &[Status::of(&wamid, "delivered").with("pricing", pricing)],
    ));
    world.wait_idle();
    crate::harness::eventually("all metrics of the contract", || {
        let metrics = world.metrics();
        for name in [
            "webhooks_total",
            "messages_total",
            "turns_total",
            "deliveries_total",
        ] {
            for channel in ["slack", "whatsapp"] {
                let count = metrics.sum(&format!("chatbridge_{name}"), &[("channel", channel)]);
                if count < 1.0 {
                    return None;
                }
            }
        }
        let gauges = ["waiting_messages", "oldest_waiting_seconds", "held_agents"];
        let all = gauges
            .iter()
            .all(|name| metrics.has(&format!("chatbridge_{name}")));
        let timed = ["", "_count", "_sum"]
            .iter()
            .any(|suffix| metrics.has(&format!("chatbridge_time_to_answer_seconds{suffix}")));
        let billed = metrics.sum("chatbridge_billable_messages_total", &[("number", NUMBER)]) >= 1.0;
        (all && timed && billed).then_some(())
    });
}

#[test]
fn migrate_prepares_a_database_and_can_be_repeated() {
    let mut world = World::stopped();
    world.write_config();
    world.cli(&["migrate"]).exits(0);
    assert!(on_postgres() || world.home().join("chatbridge.db").exists());
    world.cli(&["migrate"]).exits(0);
    world.launch();
    world.still_works("after migrate");
}
