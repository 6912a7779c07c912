//! The agent: what counts as an answer, when it is asked again, and when it is not.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Answer, Fault, Person, SlackEvent, World, eventually, get};

fn unavailable() -> Fault {
    Fault::json(
        503,
        json!({"status": "error", "message": "overloaded", "code": "OVERLOADED"}),
    )
}

fn refused() -> Fault {
    Fault::json(
        401,
        json!({"status": "error", "message": "Unauthorized", "code": "UNAUTHORIZED"}),
    )
}

#[test]
fn an_agent_that_fails_twice_is_asked_again_and_answers_once() {
    let world = World::start();
    world.agent.fault("ask", 2, unavailable());
    world.slack(&SlackEvent::dm("D1", "patience"));
    world.slack.wait_post("echo: patience");
    world.slack(&SlackEvent::dm("D1", "marker"));
    world.slack.wait_post("marker");
    assert_eq!(world.agent.asks_with("patience").len(), 3);
    assert_eq!(world.slack.posts().len(), 2, "{:?}", world.slack.posts());
}

#[test]
fn what_looks_like_success_and_is_none_is_asked_again() {
    let empty =
        json!({"status": "success", "message": "ok", "data": {"conversationId": "c9", "response": ""}});
    let blank =
        json!({"status": "success", "message": "ok", "data": {"conversationId": "c9", "response": " \n "}});
    let cases = [
        (
            "an error",
            Fault::json(
                200,
                json!({"status": "error", "message": "no credit", "code": "X"}),
            ),
        ),
        ("a page", Fault::Answer(Answer::html(200))),
        ("an empty answer", Fault::json(200, empty)),
        ("a blank answer", Fault::json(200, blank)),
        ("no data", Fault::json(200, json!({"status": "success"}))),
        (
            "no JSON",
            Fault::Answer(Answer {
                status: 200,
                headers: Vec::new(),
                body: b"OK".to_vec(),
            }),
        ),
        (
            "a redirect",
            Fault::Answer(Answer::html(302).with("location", "https://login.example/")),
        ),
        ("a gateway's page", Fault::Answer(Answer::html(502))),
        (
            "too many requests",
            Fault::Answer(Answer::json(429, &json!({"status": "error"})).with("retry-after", "1")),
        ),
        ("a cut-off body", Fault::CutOff),
        ("a closed connection", Fault::Close),
    ];
    let world = World::start();
    for (n, (case, fault)) in cases.into_iter().enumerate() {
        world.agent.fault("ask", 1, fault);
        let text = format!("case {n}.");
        world.slack(&SlackEvent::dm("D1", &text));
        world.slack.wait_post(&format!("echo: {text}"));
        let asks = world.agent.asks_with(&text).len();
        // A cut-off answer of a known conversation may have been found by looking.
        let looked_up = case == "a cut-off body" && world.agent.count("look") > 0;
        assert!(
            asks == 2 || (asks == 1 && looked_up),
            "{case}: asked {asks} times"
        );
    }
    assert_eq!(
        world.slack.posts().len(),
        11,
        "one reply each: {:?}",
        world.slack.posts()
    );
}

#[test]
fn a_refused_key_holds_the_queue_and_shows_on_readyz() {
    let world = World::start();
    assert_eq!(world.get("/readyz").status, 200);
    world.agent.fault("ask", usize::MAX, refused());
    world.slack(&SlackEvent::dm("D1", "held one"));
    let asked = world.agent.wait_ask("held one");
    let reply = eventually("/readyz to say that the agent refuses", || {
        let reply = world.get("/readyz");
        (reply.status == 503).then_some(reply)
    });
    assert!(
        asked.at.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked.at.elapsed()
    );
    assert!(reply.body.to_lowercase().contains("agent"), "{reply:?}");
    assert!(
        world.metrics().sum("chatbridge_held_agents", &[]) >= 1.0,
        "{}",
        world.metrics()
    );
    assert_eq!(world.get("/healthz").status, 200, "the process lives");
    // More comes than the schedule has attempts; none of it is burnt.
    for n in 0..8 {
        world.text(&Person::phone(&format!("1555800000{n}")), &format!("held {n}."));
    }
    world.agent.wait("a probe", |log| {
        (log.iter().filter(|call| call.kind == "ask").count() >= 2).then_some(())
    });
    world.agent.heal();
    world.slack.wait_post("echo: held one");
    for n in 0..8 {
        world.meta.wait_sent(&format!("echo: held {n}."));
    }
    eventually("/readyz to be well again", || {
        (world.get("/readyz").status == 200).then_some(())
    });
    assert_eq!(world.cli(&["dead", "list", "--json"]).exits(0).json(), json!([]));
}

#[test]
fn a_held_queue_survives_a_restart() {
    let mut world = World::start();
    world.agent.fault("ask", usize::MAX, refused());
    world.slack(&SlackEvent::dm("D1", "held over"));
    world.agent.wait_ask("held over");
    eventually("/readyz to say that the agent refuses", || {
        (world.get("/readyz").status == 503).then_some(())
    });
    world.terminate();
    world.agent.heal();
    world.launch();
    world.slack.wait_post("echo: held over");
}

#[test]
fn a_held_agent_delays_no_other() {
    let world = World::with(|config| {
        config.append("[[routes]]\nchannel = \"slack\"\nagent_id = \"agent-held\"");
    });
    world
        .agent
        .fault_when(usize::MAX, refused(), |call| call.json["agentId"] == "agent-held");
    for n in 0..5 {
        world.slack(&SlackEvent::dm(&format!("D{n}"), "held"));
    }
    world.agent.wait_ask("held");
    for n in 0..5 {
        world.text(&Person::phone(&format!("1555900000{n}")), &format!("free {n}."));
        world.meta.wait_sent(&format!("echo: free {n}."));
    }
    assert!(world.slack.posts().is_empty());
    world.agent.heal();
    world.slack.wait_posts(5);
}

#[test]
fn a_missing_key_holds_and_nothing_is_lost() {
    let mut world = World::with(|config| {
        config.unset("agent.api_key");
    });
    eventually("/readyz to name the missing key", || {
        // Nothing was asked yet: the first message may be what tells.
        world.slack(&SlackEvent::dm("D1", "without a key"));
        let reply = world.get("/readyz");
        (reply.status == 503).then_some(())
    });
    world.terminate();
    world.config.set("agent.api_key", "key-test");
    world.launch();
    world.slack.wait_post("echo: without a key");
}

#[test]
fn an_unknown_conversation_is_forgotten_and_asked_once_more() {
    let world = World::start();
    world.text(&Person::phone("15550001111"), "first");
    world.meta.wait_sent("first");
    world.agent.forget();
    world.text(&Person::phone("15550001111"), "second");
    world.meta.wait_sent("echo: second");
    world.text(&Person::phone("15550001111"), "third");
    world.meta.wait_sent("echo: third");
    let conversations: Vec<_> = world
        .agent
        .asks()
        .iter()
        .map(|ask| ask.json["conversationId"].clone())
        .collect();
    assert_eq!(
        conversations,
        [json!(null), json!("c1"), json!(null), json!("c2")]
    );
    assert_eq!(world.meta.sent().len(), 3);
}

#[test]
fn a_platform_that_fails_after_the_agent_answered_causes_no_second_question() {
    let world = World::start();
    let broken = Fault::json(503, json!({"ok": false, "error": "service_unavailable"}));
    world.slack.fault("chat.postMessage", 2, broken);
    let throttled =
        json!({"error": {"code": 130_429, "message": "Rate limit hit", "type": "OAuthException"}});
    world.meta.fault("messages", 2, Fault::json(429, throttled));
    world.slack(&SlackEvent::dm("D1", "asked once"));
    world.text(&Person::phone("15550001111"), "asked once too");
    world.slack.wait_post("echo: asked once");
    world.meta.wait_sent("echo: asked once too");
    assert_eq!(world.agent.asks().len(), 2, "{:?}", world.agent.questions());
}

/// Each question is charged: what a time-out may have left behind is looked up before it is asked again.
#[test]
fn a_time_out_in_a_known_conversation_looks_before_it_asks_again() {
    let world = World::with(|config| {
        config.set("agent.timeout", "2s");
    });
    world.slack(&SlackEvent::dm("D1", "first"));
    world.slack.wait_post("echo: first");
    world
        .agent
        .fault_when(1, Fault::ActThenHang, |call| call.json["question"] == "second");
    world.slack(&SlackEvent::dm("D1", "second"));
    world.slack.wait_post("echo: second");
    assert_eq!(world.agent.asks_with("second").len(), 1);
    assert!(world.agent.count("look") >= 1);
}

#[test]
fn a_time_out_without_an_answer_behind_it_is_asked_again() {
    let world = World::with(|config| {
        config.set("agent.timeout", "2s");
    });
    world.slack(&SlackEvent::dm("D1", "first"));
    world.slack.wait_post("echo: first");
    world.agent.fault("ask", 1, Fault::Hang);
    world.slack(&SlackEvent::dm("D1", "second"));
    world.slack.wait_post("echo: second");
    assert_eq!(world.agent.asks_with("second").len(), 2);
}

/// The answer that the same words once got is no answer to them today.
#[test]
fn the_same_words_again_are_a_question_of_their_own() {
    let world = World::with(|config| {
        config.set("agent.timeout", "2s");
    });
    world.slack(&SlackEvent::dm("D1", "are you there?"));
    world.slack.wait_post("are you there?");
    world.agent.fault("ask", 1, Fault::Hang);
    world.slack(&SlackEvent::dm("D1", "are you there?"));
    world.slack.wait_posts(2);
    assert_eq!(world.agent.asks_with("are you there?").len(), 3);
}

#[test]
fn no_more_questions_at_once_than_the_operator_allows() {
    let world = World::with(|config| {
        config.set("agent.concurrency", 3);
    });
    world
        .agent
        .fault("ask", usize::MAX, Fault::Delay(Duration::from_millis(120)));
    for n in 0..15 {
        world.text(&Person::phone(&format!("155570000{n:02}")), &format!("many {n}."));
    }
    for n in 0..15 {
        world.meta.wait_sent(&format!("many {n}."));
    }
    let spans: Vec<(Instant, Instant)> = world
        .agent
        .asks()
        .iter()
        .map(|ask| (ask.at, ask.done_at.unwrap()))
        .collect();
    let at_once = |moment: Instant| {
        spans
            .iter()
            .filter(|(from, to)| *from <= moment && moment < *to)
            .count()
    };
    let most = spans.iter().map(|(from, _)| at_once(*from)).max().unwrap();
    assert!((2..=3).contains(&most), "{most} questions at once");
}

#[test]
fn the_probes_tell_the_process_from_its_work() {
    let world = World::start();
    assert_eq!(world.get("/healthz").status, 200);
    assert_eq!(world.get("/readyz").status, 200);
    assert_eq!(world.get("/metrics").status, 404, "metrics are the operator's");
    let admin = get(&format!("{}/slack/events", world.daemon().admin())).unwrap();
    assert!(admin.status >= 400, "webhooks come to the public listener only");
}
