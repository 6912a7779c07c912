//! What a collector sees: the metrics, the dashboard and the alarms that are made of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::tool::{command, content, project, tool};
use crate::harness::{
    APP_TOKEN, Fault, Incoming, Metrics, NUMBER, Person, SlackEvent, Sockets, Status, World, batch,
    enveloped, eventually, post, webhook,
};

/// What a daemon tells that has met everything that is counted.
fn worked() -> String {
    let mut world = World::stopped();
    let sockets = Sockets::of(&world.slack);
    world.config.set("slack.app_token", APP_TOKEN);
    world.config.set("whatsapp.reconcile_wait", "100ms");
    world.launch();
    sockets.wait_open(2);
    sockets.deliver(&enveloped(&SlackEvent::dm("D1", "by the socket")));
    world.slack.wait_post("echo: by the socket");
    let person = Person::phone("15550001111");
    let asked = webhook(NUMBER, &[Incoming::text(&person, "by the hook")]);
    world.whatsapp(&asked);
    world.whatsapp(&asked);
    let wamid = world.meta.wait_sent("echo: by the hook").wamid;
    let bill = Status::of(&wamid, "delivered").with("pricing", json!({"billable": true}));
    world.whatsapp(&batch(NUMBER, &[], &[bill]));
    // One that may have been sent, and is sent again.
    world.meta.fault("messages", 1, Fault::ActThenClose);
    world.text(&person, "lost and found");
    world.meta.wait_sents("echo: lost and found", 2);
    // One that nobody will answer.
    world
        .agent
        .fault("ask", 1, Fault::json(400, json!({"status": "error"})));
    world.text(&person, "a bad question");
    let forged = [("x-hub-signature-256", format!("sha256={}", "0".repeat(64)))];
    let url = format!("{}/whatsapp/webhook", world.daemon().public());
    assert_eq!(post(&url, &forged, b"{}".to_vec()).unwrap().status, 401);
    eventually("everything to be counted", || {
        let metrics = world.metrics();
        let receipts = metrics.has("chatbridge_receipts_total");
        let dead = metrics.count("chatbridge_dead_letters", &[("kind", "message")]) == 1;
        let connected = metrics.count("chatbridge_connections", &[]) == 2;
        let billed = metrics.count("chatbridge_billable_messages_total", &[]) == 1;
        let resent = metrics.count("chatbridge_sends_unknown_total", &[("resolution", "resent")]) == 1;
        (receipts && dead && connected && billed && resent).then_some(())
    });
    counted(&world.metrics());
    world.metrics().to_string()
}

/// What happened stands in the numbers.
#[track_caller]
fn counted(metrics: &Metrics) {
    let whatsapp = ("channel", "whatsapp");
    for (name, labels, count) in [
        (
            "chatbridge_webhooks_rejected_total",
            vec![whatsapp, ("reason", "signature_invalid")],
            1,
        ),
        (
            "chatbridge_messages_total",
            vec![whatsapp, ("outcome", "duplicate")],
            1,
        ),
        (
            "chatbridge_messages_total",
            vec![("channel", "slack"), ("outcome", "queued")],
            1,
        ),
        (
            "chatbridge_receipts_total",
            vec![whatsapp, ("stage", "delivered")],
            1,
        ),
        ("chatbridge_turns_total", vec![whatsapp, ("outcome", "dead")], 1),
        (
            "chatbridge_outbound_calls_total",
            vec![("service", "agent"), ("outcome", "ok")],
            3,
        ),
        (
            "chatbridge_outbound_calls_total",
            vec![("service", "agent"), ("outcome", "refused")],
            1,
        ),
        (
            "chatbridge_outbound_calls_total",
            vec![("service", "whatsapp"), ("outcome", "no_answer")],
            1,
        ),
        (
            "chatbridge_time_to_answer_seconds_count",
            vec![("channel", "slack")],
            1,
        ),
        ("chatbridge_build_info", vec![], 1),
    ] {
        assert_eq!(
            metrics.count(name, &labels),
            count,
            "{name} {labels:?} in\n{metrics}"
        );
    }
    let commits = metrics.count("chatbridge_store_commit_seconds_count", &[]);
    assert!(commits > 5, "{metrics}");
    assert_eq!(
        metrics.count("chatbridge_store_batch_operations_count", &[]),
        commits
    );
    assert!(metrics.sum("chatbridge_process_resident_memory_bytes", &[]) > 1e6);
}

/// The names in an expression, each without what a histogram's series add.
fn names(expression: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expression
        .split(|c| !is_part(c))
        .filter(|word| word.starts_with("chatbridge_"))
        .map(str::to_owned)
        .collect()
}

fn series(metrics: &str) -> BTreeSet<String> {
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(str::to_owned)
        .collect()
}

/// All expressions of a JSON document, by where they stand.
fn expressions(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let (true, Some(text)) = (
                    ["expr", "query", "definition"].contains(&name.as_str()),
                    value.as_str(),
                ) {
                    found.push((path.to_owned(), text.to_owned()));
                }
                expressions(value, &format!("{path}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                expressions(item, &format!("{path}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn a_collector_understands_the_metrics_and_the_dashboard_and_the_alarms_ask_for_nothing_else() {
    let text = worked();
    let known = series(&text);
    let rules = std::fs::read_to_string(project("deploy/prometheus/rules.yml")).unwrap();
    let dashboard = std::fs::read_to_string(project("deploy/grafana/chatbridge.json")).unwrap();
    let mut asked = Vec::new();
    expressions(&serde_json::from_str(&dashboard).unwrap(), "", &mut asked);
    assert!(asked.len() > 30, "{asked:#?}");
    let words = ["summary:", "description:"];
    let asking = rules
        .lines()
        .filter(|line| !words.iter().any(|word| line.trim().starts_with(word)));
    asked.extend(asking.map(|line| ("an alarm".to_owned(), line.to_owned())));
    for (place, expression) in &asked {
        let unknown: Vec<String> = names(expression).difference(&known).cloned().collect();
        assert!(
            unknown.is_empty(),
            "{place} asks for {unknown:?}, which are not in\n{text}"
        );
    }
    described(&text);
    if let Some(promtool) = tool("promtool") {
        content(command(&promtool, &["check", "metrics"]), &text);
    }
}

/// Each metric has its words and its type, before its first number, and few series.
#[track_caller]
fn described(text: &str) {
    let mut told: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut many: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let (what, rest) = comment.split_once(' ').unwrap();
            told.entry(rest.split(' ').next().unwrap())
                .or_default()
                .push(what);
            continue;
        }
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|end| name.strip_suffix(end))
            .find(|family| told.contains_key(family));
        let family = family.unwrap_or(name);
        assert_eq!(
            told.get(family),
            Some(&vec!["HELP", "TYPE"]),
            "{family} in\n{text}"
        );
        *many.entry(name.to_owned()).or_default() += 1;
    }
    assert!(many.values().all(|series| *series < 60), "{many:#?}");
}

#[test]
fn the_alarms_ring_for_what_they_are_made_for() {
    let file = |name: &str| project("deploy/prometheus").join(name);
    let rules = std::fs::read_to_string(file("rules.yml")).unwrap();
    let tests = std::fs::read_to_string(file("rules_test.yml")).unwrap();
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        let rings = format!("alertname: {alert}, exp_alerts: [{{");
        assert!(tests.contains(&rings), "no test lets {alert} ring");
    }
    if let Some(promtool) = tool("promtool") {
        let said = content(
            command(&promtool, &["check".into(), "rules".into(), file("rules.yml")]),
            "",
        );
        assert!(said.contains("SUCCESS"), "{said}");
        content(
            command(
                &promtool,
                &["test".into(), "rules".into(), file("rules_test.yml")],
            ),
            "",
        );
    }
}

/// What the documentation lists is what there is.
#[test]
fn the_documentation_lists_every_metric() {
    let table = std::fs::read_to_string(project("docs/operating.md")).unwrap();
    let source = std::fs::read_to_string(project("src/telemetry/names.rs")).unwrap();
    let quoted = |text: &str, open: &str, close: char| -> BTreeSet<String> {
        let begins = text.match_indices(open).map(|(at, _)| &text[at + open.len()..]);
        let words = begins.filter_map(|rest| rest.split(close).next());
        words
            .filter(|word| word.starts_with("chatbridge_"))
            .map(str::to_owned)
            .collect()
    };
    let there = quoted(&source, "&str = \"", '"');
    let listed = quoted(&table, "| `", '`');
    assert!(there.len() > 25);
    assert_eq!(listed, there);
}
