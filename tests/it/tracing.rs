//! Traces, as a collector gets them.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::harness::stub::{Brain, Stub};
use crate::harness::{Answer, Call, Fault, Gate, SlackEvent, World, eventually};

/// A collector that takes everything.
struct Collector;

impl Brain for Collector {
    fn kind(&self, call: &Call) -> String {
        format!("{} {}", call.method, call.path)
    }

    fn answer(&mut self, _: &Call) -> Answer {
        Answer::json(200, &json!({}))
    }
}

/// All spans that came, by name; of one name the latest.
fn spans(collector: &Stub<Collector>) -> Vec<Value> {
    let calls = collector.calls();
    let documents = calls.iter().filter(|call| call.kind == "POST /v1/traces");
    documents
        .flat_map(|call| {
            call.json["resourceSpans"][0]["scopeSpans"][0]["spans"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        })
        .collect()
}

fn traced(change: impl FnOnce(&mut World)) -> (World, Stub<Collector>) {
    let collector = Stub::start(Collector);
    let mut world = World::stopped();
    world.config.set("telemetry.otlp_endpoint", collector.url());
    world
        .config
        .set("telemetry.otlp_header", "Authorization: Bearer collector-token");
    change(&mut world);
    world.launch();
    (world, collector)
}

#[track_caller]
fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    spans
        .iter()
        .find(|span| span["name"] == name)
        .unwrap_or_else(|| panic!("{name} in {spans:#?}"))
}

#[test]
fn one_trace_leads_from_the_webhook_to_the_delivery_and_the_agent_is_told() {
    let (world, collector) = traced(|_| {});
    world.slack(&SlackEvent::dm("D1", "a question with secret words"));
    world.slack.wait_post("echo: a question");
    let spans = eventually("the whole trace", || {
        Some(spans(&collector)).filter(|spans| spans.iter().any(|span| span["name"] == "question"))
    });
    let root = named(&spans, "question");
    assert!(root.get("parentSpanId").is_none(), "{root}");
    let by_id: HashMap<&str, &Value> = spans
        .iter()
        .map(|span| (span["spanId"].as_str().unwrap(), span))
        .collect();
    for span in &spans {
        assert_eq!(span["traceId"], root["traceId"], "{span}");
        assert!(
            span["startTimeUnixNano"].as_str() <= span["endTimeUnixNano"].as_str(),
            "{span}"
        );
        if let Some(parent) = span["parentSpanId"].as_str() {
            assert!(by_id.contains_key(parent), "the parent of {span}");
        }
    }
    for name in ["webhook", "turn", "delivery"] {
        assert_eq!(named(&spans, name)["parentSpanId"], root["spanId"], "{name}");
    }
    // The call to the agent is below the turn, and the agent was told which it is.
    let turn = named(&spans, "turn");
    let call = spans
        .iter()
        .find(|span| span["name"] == "call" && span["parentSpanId"] == turn["spanId"])
        .unwrap();
    let asked = world.agent.wait_ask("a question");
    let told = format!(
        "00-{}-{}-01",
        call["traceId"].as_str().unwrap(),
        call["spanId"].as_str().unwrap()
    );
    assert_eq!(asked.header("traceparent"), Some(told.as_str()));
    // Slack is told nothing of it.
    assert!(
        world
            .slack
            .calls()
            .iter()
            .all(|call| call.header("traceparent").is_none())
    );
    let all = json!(spans).to_string();
    assert!(!all.contains("secret words") && !all.contains("xoxb"), "{all}");
    let call = collector.calls().remove(0);
    assert_eq!(call.header("authorization"), Some("Bearer collector-token"));
}

/// The trace is the turn's own, whoever carries it on: after a crash its spans join those from before.
#[test]
fn a_trace_goes_on_after_a_crash() {
    let (mut world, collector) = traced(|_| {});
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    world.slack(&SlackEvent::dm("D1", "before the crash"));
    let first = world
        .agent
        .wait_ask("before the crash")
        .header("traceparent")
        .unwrap()
        .to_owned();
    world.crash();
    gate.open();
    world.slack.wait_post("echo: before the crash");
    let trace = first.split('-').nth(1).unwrap();
    eventually("the rest of the trace", || {
        let spans = spans(&collector);
        let mine = spans.iter().filter(|span| span["traceId"] == trace);
        let names: Vec<&str> = mine.filter_map(|span| span["name"].as_str()).collect();
        ["turn", "delivery", "question"]
            .iter()
            .all(|name| names.contains(name))
            .then_some(())
    });
}

/// A collector that is down stops nothing.
#[test]
fn without_a_collector_people_are_answered_all_the_same() {
    let (world, _) = traced(|world| {
        world.config.set("telemetry.otlp_endpoint", "http://127.0.0.1:9");
    });
    world.slack(&SlackEvent::dm("D1", "a question"));
    world.slack.wait_post("echo: a question");
    eventually("the spans to be dropped and counted", || {
        (world.metrics().sum("chatbridge_spans_dropped_total", &[]) >= 4.0).then_some(())
    });
}
