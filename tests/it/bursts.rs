//! Bursts: several quick messages are one question, and nothing gets stranded between two of them.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Fault, Gate, Incoming, NUMBER, Person, SlackEvent, World, webhook};

fn ann() -> Person {
    Person::phone("15550001111")
}

/// vercel/chat#208, chatwoot#15430, typebot#1453: three quick messages got three answers.
#[test]
fn vercel_chat_208_three_quick_messages_get_one_answer() {
    let world = World::with(|config| {
        config.set("turn.wait", "2s");
    });
    for text in ["one", "two", "three"] {
        world.text(&ann(), text);
    }
    world.meta.wait_sent("three");
    assert_eq!(world.agent.questions(), ["one\ntwo\nthree"]);
    world.text(&ann(), "marker");
    world.meta.wait_sent("marker");
    assert_eq!(world.meta.sent().len(), 2, "{:?}", world.meta.sent());
}

/// chatwoot#15430: each further message waits for the next anew.
#[test]
fn chatwoot_15430_the_wait_begins_again_with_each_message() {
    let world = World::with(|config| {
        config.set("turn.wait", "3s").set("turn.max_wait", "60s");
    });
    let first = Instant::now();
    let mut sent = 0;
    // Together longer than one wait, each well within it.
    while first.elapsed() < Duration::from_secs(4) {
        sent += 1;
        world.text(&ann(), &format!("bit {sent}."));
        thread::sleep(Duration::from_millis(400));
    }
    world.agent.wait_ask(&format!("bit {sent}."));
    assert_eq!(world.agent.asks().len(), 1, "{:?}", world.agent.questions());
}

#[test]
fn a_burst_without_end_is_asked_after_max_wait() {
    let world = World::with(|config| {
        config.set("turn.wait", "1s").set("turn.max_wait", "3s");
    });
    let begin = Instant::now();
    for n in 0.. {
        assert!(
            begin.elapsed() < crate::harness::DEADLINE,
            "nothing was asked while the burst went on"
        );
        world.text(&ann(), &format!("bit {n}."));
        if world.agent.count("ask") > 0 {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    world.agent.wait_ask("bit 0.");
}

/// hermes-agent#22602: five seconds of silence before a lone message is even asked annoy.
#[test]
fn hermes_agent_22602_a_lone_message_is_asked_within_seconds_by_default() {
    let world = World::with(|config| {
        config.unset("turn.wait");
    });
    let begin = Instant::now();
    world.text(&ann(), "lone");
    let waited = world.agent.wait_ask("lone").at - begin;
    assert!(
        waited >= Duration::from_secs(1),
        "WhatsApp collects bursts by default: {waited:?}"
    );
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    let begin = Instant::now();
    world.slack(&SlackEvent::dm("D1", "at once"));
    let waited = world.agent.wait_ask("at once").at - begin;
    assert!(
        waited < Duration::from_secs(1),
        "Slack does not wait by default: {waited:?}"
    );
}

/// rasa#3882 and its like: what arrives during a turn neither starts a second one beside it nor gets lost.
#[test]
fn what_arrives_during_a_turn_forms_the_next() {
    let world = World::start();
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    world.text(&ann(), "first");
    world.agent.wait_ask("first");
    for text in ["second", "third", "fourth"] {
        world.text(&ann(), text);
    }
    // Somebody else is not kept waiting meanwhile.
    world.text(&Person::phone("15550002222"), "bystander");
    world.meta.wait_sent("bystander");
    assert_eq!(world.agent.asks().len(), 2);
    gate.open();
    world.meta.wait_sent("fourth");
    assert_eq!(
        world.agent.questions(),
        ["first", "bystander", "second\nthird\nfourth"]
    );
    let bodies: Vec<String> = world.meta.sent().into_iter().map(|sent| sent.body).collect();
    assert_eq!(
        bodies,
        ["echo: bystander", "echo: first", "echo: second\nthird\nfourth"]
    );
}

/// openclaw#52998: a collected burst was overtaken by a later message.
#[test]
fn openclaw_52998_a_burst_is_not_overtaken() {
    let world = World::with(|config| {
        config.set("turn.wait", "300ms");
    });
    let total = 24;
    for n in 0..total {
        world.text(&ann(), &format!("{n:02}."));
        // Now within a burst, now after it.
        thread::sleep(Duration::from_millis(if n % 6 == 5 { 450 } else { 20 }));
    }
    world.meta.wait_sent(&format!("{:02}.", total - 1));
    let lines: Vec<String> = world
        .agent
        .questions()
        .iter()
        .flat_map(|question| question.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let expected: Vec<String> = (0..total).map(|n| format!("{n:02}.")).collect();
    assert_eq!(lines, expected);
    let said: String = world
        .meta
        .sent()
        .into_iter()
        .map(|sent| sent.body.replace("echo: ", "") + "\n")
        .collect();
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        expected,
        "the answers keep the order as well"
    );
}

/// openclaw#112001: another sender in the same thread split a burst and its order.
#[test]
fn openclaw_112001_two_people_in_one_thread_keep_their_order() {
    let world = World::with(|config| {
        config.set("turn.wait", "0s").set("slack.turn_wait", "2s");
    });
    let root = SlackEvent::mention("C1", "opening");
    world.slack(&root);
    world.slack.wait_post("opening");
    for (user, text) in [("U1", "alpha"), ("U2", "beta"), ("U1", "gamma")] {
        world.slack(&SlackEvent::message("C1", text).in_thread(&root.ts()).by(user));
    }
    world.slack.wait_post("gamma");
    let asked = world.agent.wait_ask("gamma").json["question"]
        .as_str()
        .unwrap()
        .to_owned();
    let at = |word: &str| {
        asked
            .find(word)
            .unwrap_or_else(|| panic!("{word} is not in {asked:?}"))
    };
    assert!(at("alpha") < at("beta") && at("beta") < at("gamma"), "{asked:?}");
}

/// vercel/chat#928: a message that arrived between "queue empty" and "lock released" was stranded.
#[test]
fn vercel_chat_928_no_message_is_stranded_as_a_turn_ends() {
    let world = World::start();
    thread::scope(|scope| {
        for lane in 0..4 {
            let world = &world;
            scope.spawn(move || {
                let person = Person::phone(&format!("1555011000{lane}"));
                for n in 0..30 {
                    let text = format!("{lane}-{n}.");
                    world.text(&person, &text);
                    // The next comes in the very moment in which this one's turn ends.
                    world.agent.wait(&text, |log| {
                        let asked = |question: &str| question.contains(&text);
                        log.iter()
                            .any(|call| {
                                call.reply.is_some() && call.json["question"].as_str().is_some_and(asked)
                            })
                            .then_some(())
                    });
                }
                world.meta.wait_sent(&format!("{lane}-29."));
            });
        }
    });
    assert_eq!(world.agent.times_asked("."), 120);
}

#[test]
fn a_burst_within_one_webhook_is_one_question_in_its_order() {
    let world = World::start();
    let messages: Vec<Incoming> = (0..5)
        .map(|n| Incoming::text(&ann(), &format!("line {n}")))
        .collect();
    world.whatsapp(&webhook(NUMBER, &messages));
    world.meta.wait_sent("line 4");
    assert_eq!(
        world.agent.questions(),
        ["line 0\nline 1\nline 2\nline 3\nline 4"]
    );
}
