//! WhatsApp: a message comes in, the answer goes out, and every item of a webhook stands for itself.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Fault, Incoming, NUMBER, ONLY_TEXT, Person, SlackEvent, Status, World, batch, eventually, unix_now,
    webhook,
};

fn ann() -> Person {
    Person::both("15550001111", "US.13491208655302741918")
}

#[test]
fn a_text_is_answered() {
    let world = World::start();
    world.text(&ann(), "where is my parcel?");
    let sent = world.meta.wait_sent("where is my parcel?");
    assert_eq!(sent.body, "echo: where is my parcel?");
    assert_eq!(sent.to.as_deref(), Some("15550001111"));
    assert!(sent.recipient.is_none_or(|id| id == "US.13491208655302741918"));
    assert!(
        sent.opaque.is_some_and(|id| id.len() >= 16 && id.len() <= 512),
        "the delivery cannot be recognised"
    );
    let call = sent.call;
    assert_eq!(call.path, format!("/v26.0/{NUMBER}/messages"));
    assert_eq!(call.token(), Some("EAA-test-token"));
    assert!(call.json["context"].is_null(), "it quotes nothing");
    assert_ne!(call.json["text"]["preview_url"], true);

    let ask = world.agent.wait_ask("parcel");
    for (field, value) in [
        ("question", "where is my parcel?"),
        ("agentId", "agent-main"),
        ("messageType", "TEXT"),
        ("responseFormat", "PLAIN"),
        ("integrationType", "WHATSAPP"),
    ] {
        assert_eq!(ask.json[field], value, "{}", ask.json);
    }
    assert!(ask.json.get("ip").is_none_or(Value::is_null));
    world.text(&ann(), "and now?");
    assert_eq!(world.agent.wait_ask("and now?").json["conversationId"], "c1");
}

#[test]
fn the_country_is_told_by_the_number_or_the_user_id() {
    let world = World::start();
    world.text(&Person::phone("4915112345678"), "by number");
    world.text(&Person::user("BR.998877"), "by user id");
    assert_eq!(world.agent.wait_ask("by number").json["country"], "DE");
    assert_eq!(world.agent.wait_ask("by user id").json["country"], "BR");
}

#[test]
fn what_was_chosen_is_asked_like_what_was_written() {
    let world = World::start();
    let cases = [
        (
            "interactive",
            json!({"type": "button_reply", "button_reply": {"id": "b1", "title": "a button"}}),
            "a button",
        ),
        (
            "interactive",
            json!({"type": "list_reply", "list_reply": {"id": "l1", "title": "a list row"}}),
            "a list row",
        ),
        (
            "button",
            json!({"payload": "p1", "text": "a quick reply"}),
            "a quick reply",
        ),
    ];
    for (n, (kind, content, text)) in cases.into_iter().enumerate() {
        let person = Person::phone(&format!("1555000200{n}"));
        world.whatsapp(&webhook(NUMBER, &[Incoming::kind(&person, kind, content)]));
        world.meta.wait_sent(text);
        assert!(
            world.agent.wait_ask(text).json["question"]
                .as_str()
                .unwrap()
                .starts_with(text)
        );
    }
}

#[test]
fn other_kinds_are_not_asked_and_the_person_is_told_once() {
    let world = World::start();
    let media = |kind: &str| json!({"id": "1", "mime_type": format!("{kind}/x"), "sha256": "x"});
    let kinds = [
        ("image", media("image")),
        ("audio", media("audio")),
        ("video", media("video")),
        ("sticker", media("image")),
        ("document", media("application")),
    ];
    for (kind, content) in kinds {
        world.whatsapp(&webhook(NUMBER, &[Incoming::kind(&ann(), kind, content)]));
    }
    world.meta.wait_sent(ONLY_TEXT);
    let other = Person::phone("15550003333");
    world.whatsapp(&webhook(
        NUMBER,
        &[Incoming::kind(&other, "audio", media("audio"))],
    ));
    world.text(&ann(), "in words then");
    world.meta.wait_sent("in words then");
    let notices = world.meta.wait_sents(ONLY_TEXT, 2);
    let told: Vec<_> = notices.iter().filter_map(|sent| sent.to.as_deref()).collect();
    assert_eq!(told, ["15550001111", "15550003333"], "each person once");
    assert_eq!(world.agent.asks().len(), 1, "{:?}", world.agent.questions());
}

#[test]
fn reactions_system_messages_groups_and_the_unknown_are_not_asked() {
    let world = World::start();
    world.text(&ann(), "hello");
    world.meta.wait_sent("hello");
    let items = [
        Incoming::kind(
            &ann(),
            "reaction",
            json!({"message_id": "wamid.OUT000001", "emoji": "😮"}),
        ),
        Incoming::kind(&ann(), "reaction", json!({"message_id": "wamid.OUT000001"})),
        Incoming::kind(
            &ann(),
            "system",
            json!({"type": "customer_identity_changed", "body": "changed"}),
        ),
        Incoming::kind(&ann(), "unsupported", json!({"type": "poll"})),
        Incoming::kind(&ann(), "request_welcome", json!({})),
        Incoming::kind(&ann(), "hologram", json!({"body": "from the future"})),
        Incoming::text(&ann(), "to a group").with("group_id", "G1"),
    ];
    world.whatsapp(&webhook(NUMBER, &items));
    world.text(&ann(), "marker");
    world.meta.wait_sent("marker");
    world.still_works("afterwards");
    assert_eq!(world.agent.asks().len(), 4, "{:?}", world.agent.questions());
}

/// open-chat-studio#3366: only the first of several messages was read. evolution-api#2573, #2700: one bad item
/// dropped its siblings.
#[test]
fn evolution_api_2700_a_bad_item_never_drops_its_siblings() {
    let world = World::start();
    let person = |n: u32| Person::phone(&format!("1555000400{n}"));
    let good = |n: u32| Incoming::text(&person(n), &format!("good {n}."));
    let mut body = batch(
        NUMBER,
        &[
            good(1),
            Incoming::text(&person(8), "bad").with("text", "no object"),
            good(2),
            Incoming::text(&person(8), "bad").with("id", 17),
            Incoming::text(&person(8), "bad").with("timestamp", json!([])),
            Incoming::text(&person(8), "bad").with("type", json!({"a": 1})),
            good(3),
        ],
        &[
            Status(json!("no object")),
            Status(json!({"id": 5})),
            Status::of("wamid.NOBODY", "exploded"),
        ],
    );
    body["entry"][0]["changes"][0]["value"]["messages"]
        .as_array_mut()
        .unwrap()
        .push(json!("no object"));
    body["entry"][0]["changes"][0]["value"]["contacts"] = json!([{"profile": null}, 7, {"wa_id": []}]);
    let changes = body["entry"][0]["changes"].as_array_mut().unwrap();
    changes.push(json!(null));
    changes.push(
        json!({"field": "messages", "value": {"messages": [{"id": "wamid.M", "from": "1", "type": "text"}]}}),
    );
    changes.push(webhook(NUMBER, &[good(4)])["entry"][0]["changes"][0].clone());
    let entries = body["entry"].as_array_mut().unwrap();
    entries.push(json!({"id": "x", "changes": "none"}));
    entries.push(webhook(NUMBER, &[good(5)])["entry"][0].clone());
    world.whatsapp(&body);
    for n in 1..=5 {
        let sent = world.meta.wait_sent(&format!("good {n}."));
        assert_eq!(sent.to, Some(format!("1555000400{n}")));
    }
}

/// evolution-api#2573: a bad status, or one without a profile, dropped its siblings.
#[test]
fn evolution_api_2573_statuses_are_matched_to_deliveries_one_by_one() {
    let world = World::start();
    world.text(&ann(), "will fail later");
    let failed = world.meta.wait_sent("will fail later");
    world.text(&Person::phone("15550005555"), "will arrive");
    let fine = world.meta.wait_sent("will arrive");
    let error = json!([{"code": 131_026, "title": "Message undeliverable", "message": "Message undeliverable",
        "error_data": {"details": "Receiver is incapable of receiving this message"}}]);
    let statuses = [
        Status(json!({"status": "sent"})),
        Status::of("wamid.STRANGER", "delivered"),
        Status::of(&failed.wamid, "failed").with("errors", error),
        Status(json!(3)),
        Status::of(&fine.wamid, "delivered"),
        Status::of(&fine.wamid, "read"),
    ];
    let mut body = batch(NUMBER, &[], &statuses);
    body["entry"][0]["changes"][0]["value"]["contacts"] = json!([{"user_id": "US.1"}]);
    world.whatsapp(&body);
    let dead = eventually("the failed delivery among the dead letters", || {
        let dead = world.cli(&["dead", "list", "--json"]).exits(0).json();
        dead.as_array()
            .is_some_and(|rows| !rows.is_empty())
            .then_some(dead)
    });
    assert_eq!(dead.as_array().unwrap().len(), 1, "{dead}");
    assert_eq!(dead[0]["kind"], "delivery");
    assert!(dead[0]["code"].as_str().unwrap().contains("131026"), "{dead}");
}

#[test]
fn a_long_answer_comes_in_parts_of_4096_in_order_one_at_a_time() {
    let world = World::start();
    let words: Vec<String> = (0..2000).map(|n| format!("w{n:04}")).collect();
    let answer = words
        .chunks(11)
        .map(|line| line.join(" "))
        .collect::<Vec<_>>()
        .join("\n\n");
    world.agent.answer_with(move |question| {
        if question == "long" {
            answer.clone()
        } else {
            "👩‍👩‍👧‍👦".repeat(600)
        }
    });
    world
        .meta
        .fault("messages", 10, Fault::Delay(Duration::from_millis(150)));
    world.text(&ann(), "long");
    world.meta.wait_sent("w1999");
    let parts = world.meta.sent();
    assert!((3..=4).contains(&parts.len()), "{} parts", parts.len());
    for pair in parts.windows(2) {
        let (first_done, second_at) = (pair[0].span().1.unwrap(), pair[1].span().0);
        assert!(
            first_done <= second_at,
            "two parts of one thread were in flight at once"
        );
    }
    let joined = parts
        .iter()
        .map(|part| part.body.as_str())
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(joined.split_whitespace().collect::<Vec<_>>(), words);

    // A family is one character to whoever reads, and eleven units to Meta: it is never torn.
    world.text(&Person::phone("15550006666"), "family");
    eventually("all the families", || {
        let parts: Vec<_> = world
            .meta
            .sent()
            .into_iter()
            .filter(|part| part.to.as_deref() == Some("15550006666"))
            .collect();
        for part in &parts {
            assert!(part.body.encode_utf16().count() <= 4096);
            assert_eq!(part.body.replace("👩‍👩‍👧‍👦", ""), "", "a character is torn");
        }
        let joined: String = parts.into_iter().map(|part| part.body).collect();
        (joined == "👩‍👩‍👧‍👦".repeat(600)).then_some(())
    });
}

#[test]
fn a_message_outside_the_window_is_never_asked() {
    let world = World::with(|config| {
        config.set("turn.max_age", "1000h").set("turn.too_old", "answer");
    });
    let old = (unix_now() - 25 * 3600).to_string();
    world.whatsapp(&webhook(
        NUMBER,
        &[Incoming::text(&ann(), "a day late").with("timestamp", old)],
    ));
    let recent = (unix_now() - 20 * 3600).to_string();
    let other = Person::phone("15550007777");
    world.whatsapp(&webhook(
        NUMBER,
        &[Incoming::text(&other, "in time").with("timestamp", recent)],
    ));
    world.meta.wait_sent("in time");
    world.text(&ann(), "marker");
    world.meta.wait_sent("marker");
    assert_eq!(world.agent.times_asked("a day late"), 0);
}

#[test]
fn what_is_too_old_is_recorded_or_apologised_for() {
    for (policy, told) in [("record", false), ("apologise", true)] {
        let world = World::with(|config| {
            config.set("turn.max_age", "1h").set("turn.too_old", policy);
        });
        let old = unix_now() - 2 * 3600;
        world.whatsapp(&webhook(
            NUMBER,
            &[Incoming::text(&ann(), "late").with("timestamp", old.to_string())],
        ));
        world.slack(&SlackEvent::dm("D1", "late as well").with("ts", format!("{old}.000100")));
        world.text(&ann(), "marker");
        world.slack(&SlackEvent::dm("D1", "marker"));
        world.meta.wait_sent("marker");
        world.slack.wait_post("marker");
        assert_eq!(world.agent.times_asked("late"), 0, "{policy}");
        assert_eq!(
            world.meta.sent_with(crate::harness::TOO_OLD).len(),
            usize::from(told),
            "{policy}"
        );
        assert_eq!(
            world.slack.posts_with(crate::harness::TOO_OLD).len(),
            usize::from(told),
            "{policy}"
        );
    }
}

#[test]
fn only_the_operators_numbers_are_served() {
    let world = World::with(|config| {
        config.set("whatsapp.phone_number_ids", json!([NUMBER]));
    });
    world.whatsapp(&webhook("999", &[Incoming::text(&ann(), "to a strange number")]));
    world.text(&ann(), "to ours");
    world.meta.wait_sent("to ours");
    world.still_works("afterwards");
    assert_eq!(world.agent.times_asked("strange"), 0);
}

#[test]
fn each_number_has_its_own_token_agent_and_threads() {
    let world = World::with(|config| {
        config.append("[[whatsapp.numbers]]\nphone_number_id = \"222\"\naccess_token = \"EAA-test-second\"\nagent_id = \"agent-second\"");
    });
    world.text(&ann(), "to the first");
    world.meta.wait_sent("to the first");
    world.whatsapp(&webhook("222", &[Incoming::text(&ann(), "to the second")]));
    let sent = world.meta.wait_sent("to the second");
    assert_eq!(
        (sent.phone_number_id.as_str(), sent.call.token()),
        ("222", Some("EAA-test-second"))
    );
    let ask = world.agent.wait_ask("to the second");
    assert_eq!(ask.json["agentId"], "agent-second");
    assert!(
        ask.json["conversationId"].is_null(),
        "one number's thread is not the other's"
    );
}
