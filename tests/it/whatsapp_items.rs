//! WhatsApp: what else stands in webhooks. Statuses and errors of every sort, fields and numbers that are none of ours,
//! people with few names, and shapes that nobody expects: each by itself, and never at the cost of what is beside it.

use serde_json::{Value, json};

use crate::harness::{Incoming, NUMBER, ONLY_TEXT, Person, Status, World, batch, eventually, webhook};

/// A second number that is served, and one that is not.
const SECOND: &str = "222";
const FOREIGN: &str = "999";

fn ann() -> Person {
    Person::both("15550001111", "US.AAA")
}

fn outcome(world: &World, outcome: &str) -> usize {
    let labels = [("channel", "whatsapp"), ("outcome", outcome)];
    world.metrics().count("chatbridge_messages_total", &labels)
}

fn statuses(world: &World, statuses: &[Status]) {
    for status in statuses {
        world.whatsapp(&batch(NUMBER, &[], std::slice::from_ref(status)));
    }
}

fn dead(world: &World) -> Vec<Value> {
    let dead = world.cli(&["dead", "list", "--json"]).exits(0).json();
    dead.as_array().unwrap().clone()
}

#[test]
fn a_failure_is_the_last_word_in_whatever_order_statuses_come() {
    let world = World::start();
    let error = json!([{"code": 131_026, "title": "Message undeliverable"}]);
    for (n, order) in [
        ["read", "delivered", "sent", "failed"],
        ["sent", "failed", "delivered", "read"],
        ["failed", "read", "sent", "failed"],
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("question {n}.");
        world.text(&ann(), &text);
        let sent = world.meta.wait_sent(&text);
        let told = order.map(|stage| {
            let status = Status::of(&sent.wamid, stage);
            if stage == "failed" {
                status.with("errors", error.clone())
            } else {
                status.with("pricing", json!({"billable": true}))
            }
        });
        statuses(&world, &told);
        statuses(&world, &told);
        let dead = eventually("the failure among the dead letters", || {
            let dead = dead(&world);
            (dead.len() == n + 1).then(|| dead[n].clone())
        });
        assert_eq!(dead["code"], "131026", "{order:?}");
        let reason = dead["reason"].as_str().unwrap();
        assert!(
            reason.contains("cannot be delivered to this person") && reason.contains("Message undeliverable"),
            "the remedy and Meta's words: {reason}"
        );
        assert_eq!(
            world.meta.sent_with(&text).len(),
            1,
            "nothing is sent again by itself"
        );
    }
}

#[test]
fn a_status_is_known_by_its_id_or_by_ours_and_never_by_its_recipient() {
    let world = World::start();
    world.text(&ann(), "hello");
    let sent = world.meta.wait_sent("hello");
    let stranger = |name: &str, value: Value| {
        Status::of("wamid.ELSEWHERE", "failed")
            .with("recipient_id", "15550001111")
            .with(name, value)
    };
    statuses(
        &world,
        &[
            stranger("recipient_user_id", json!("US.AAA")),
            stranger("biz_opaque_callback_data", json!("job-42")),
            stranger("biz_opaque_callback_data", json!(7)),
            Status::of(&sent.wamid, "warning"),
        ],
    );
    // The same message to Meta under another number's name is another's.
    world.whatsapp(&batch(SECOND, &[], &[Status::of(&sent.wamid, "failed")]));
    world.still_works("afterwards");
    assert!(dead(&world).is_empty());
    assert_eq!(outcome(&world, "other_status"), 1);
    let ours =
        Status::of("wamid.LATER.NAME", "failed").with("biz_opaque_callback_data", sent.opaque.unwrap());
    statuses(&world, &[ours]);
    eventually("the failure among the dead letters", || {
        (dead(&world).len() == 1).then_some(())
    });
}

#[test]
fn errors_of_a_number_are_told_and_those_of_a_message_are_the_messages() {
    let world = World::start();
    let mut body = webhook(NUMBER, &[Incoming::text(&ann(), "beside an error")]);
    body["entry"][0]["changes"][0]["value"]["errors"] = json!([
        {"code": 130_429, "title": "Rate limit hit", "message": "Rate limit hit",
            "error_data": {"details": "too many messages sent from +1 555 000 1234567"}},
        "no object", null]);
    world.whatsapp(&body);
    world.meta.wait_sent("beside an error");
    assert_eq!(outcome(&world, "account_error"), 3);
    let log = world.daemon().log();
    assert!(
        log.contains("Rate limit hit") && log.contains("more messages a second"),
        "{log}"
    );
    assert!(!log.contains("1234567"), "no phone number in the log");
    // What cannot be carried is the person's message all the same, whatever the code.
    for (n, code) in [131_051, 131_060].into_iter().enumerate() {
        let person = Person::phone(&format!("1555000300{n}"));
        let errors = json!([{"code": code, "title": "Message type unknown", "message": "Message type unknown",
            "error_data": {"details": "Message type is currently not supported."}}]);
        let message =
            Incoming::kind(&person, "unsupported", json!({"type": "poll_creation"})).with("errors", errors);
        world.whatsapp(&webhook(NUMBER, &[message]));
        world.meta.wait_sents(ONLY_TEXT, n + 1);
    }
    assert_eq!(outcome(&world, "unsupported"), 2);
    // A good message may carry errors too.
    let media = Incoming::text(&ann(), "with an error").with("errors", json!([{"code": 131_052}]));
    world.whatsapp(&webhook(NUMBER, &[media.with("hidden", true)]));
    world.meta.wait_sent("with an error");
}

#[test]
fn other_fields_and_other_numbers_are_counted_and_left() {
    let world = World::with(|config| {
        config.set("whatsapp.phone_number_ids", json!([NUMBER, SECOND]));
    });
    let preferences = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550000000", "phone_number_id": NUMBER},
        "contacts": [{"wa_id": "15550001111"}],
        "user_preferences": [{"wa_id": "15550001111", "category": "marketing_messages", "value": "stop"}]});
    let mut body = webhook(NUMBER, &[Incoming::text(&ann(), "at the first")]);
    let mut second = webhook(SECOND, &[Incoming::text(&ann(), "at the second")]);
    let foreign = webhook(FOREIGN, &[Incoming::text(&ann(), "at a stranger's")]);
    let changes = body["entry"][0]["changes"].as_array_mut().unwrap();
    changes.push(json!({"field": "user_preferences", "value": preferences}));
    changes.push(json!({"field": "account_update", "value": {"event": "VERIFIED_ACCOUNT"}}));
    changes.push(json!({"field": "business_username_update", "value": {"username": "shop"}}));
    changes.push(foreign["entry"][0]["changes"][0].clone());
    let more = second["entry"][0].take();
    body["entry"].as_array_mut().unwrap().push(more);
    world.whatsapp(&body);
    for (number, text) in [(NUMBER, "at the first"), (SECOND, "at the second")] {
        assert_eq!(world.meta.wait_sent(text).phone_number_id, number);
    }
    world.wait_idle();
    assert!(world.agent.asks_with("stranger").is_empty());
    assert_eq!(
        (outcome(&world, "other_field"), outcome(&world, "other_number")),
        (3, 1)
    );
    // The two numbers' threads with one person are two.
    let conversations: Vec<_> = ["at the first", "at the second"]
        .map(|text| world.agent.wait_ask(text).json["conversationId"].clone())
        .into();
    assert_eq!(conversations, [Value::Null, Value::Null]);
}

#[test]
fn people_with_few_names_are_answered() {
    let world = World::start();
    // Nobody is introduced: no contacts at all.
    for (message, to, recipient) in [
        (
            Incoming::text(&Person::phone("15550001111"), "by number"),
            Some("15550001111"),
            None,
        ),
        (
            Incoming::text(&Person::user("US.BBB"), "by user id"),
            None,
            Some("US.BBB"),
        ),
        (
            Incoming::text(&Person::default(), "by the parent's").with("from_parent_user_id", "US.ENT.CCC"),
            None,
            Some("US.ENT.CCC"),
        ),
    ] {
        let mut body = webhook(NUMBER, std::slice::from_ref(&message));
        let value = &mut body["entry"][0]["changes"][0]["value"];
        value.as_object_mut().unwrap().remove("contacts");
        world.whatsapp(&body);
        let text = message.message["text"]["body"].as_str().unwrap();
        let sent = world.meta.wait_sent(text);
        assert_eq!(
            (sent.to.as_deref(), sent.recipient.as_deref()),
            (to, recipient),
            "{text}"
        );
    }
    // The parent's id leads to the same person as soon as the own one comes with it.
    let both = Incoming::text(&Person::user("US.CCC"), "by both").with("from_parent_user_id", "US.ENT.CCC");
    world.whatsapp(&webhook(NUMBER, &[both]));
    assert_eq!(
        world.meta.wait_sent("by both").recipient.as_deref(),
        Some("US.CCC")
    );
    assert_eq!(world.agent.wait_ask("by both").json["conversationId"], "c3");
    // Nobody at all is no person.
    world.whatsapp(&webhook(
        NUMBER,
        &[Incoming::text(&Person::default(), "by nobody")],
    ));
    world.still_works("afterwards");
    assert!(world.agent.asks_with("nobody").is_empty());
    assert_eq!(outcome(&world, "malformed_item"), 1);
}

#[test]
fn a_reaction_that_is_given_or_taken_away_says_nothing() {
    let world = World::start();
    let target = "wamid.OUT000001";
    let reactions = [
        json!({"message_id": target, "emoji": "👍"}),
        json!({"message_id": target, "emoji": ""}),
        json!({"message_id": target}),
        json!({}),
        json!(null),
    ];
    for reaction in &reactions {
        world.whatsapp(&webhook(
            NUMBER,
            &[Incoming::kind(&ann(), "reaction", reaction.clone())],
        ));
    }
    world.still_works("afterwards");
    assert_eq!(outcome(&world, "reaction"), 5);
    assert!(world.meta.sent_with(ONLY_TEXT).is_empty());
}

#[test]
fn what_has_less_than_usual_is_asked_as_far_as_it_goes() {
    let world = World::start();
    let products =
        json!([{"product_retailer_id": "MUG", "quantity": 2, "item_price": 9.9, "currency": "EUR"}]);
    let form =
        |json: &str| json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "response_json": json}});
    let cases = [
        (
            "order",
            json!({"catalog_id": "1", "product_items": products}),
            "Order:\n2 × MUG, 9.9 EUR each",
        ),
        (
            "order",
            json!({"catalog_id": "1", "text": "only words"}),
            "only words",
        ),
        ("button", json!({"text": "no payload"}), "no payload"),
        ("interactive", form(r#"{"city":"Oslo"}"#), "Form:\ncity: Oslo"),
        (
            "location",
            json!({"latitude": "59.9", "longitude": "10.7"}),
            "Location: (59.9, 10.7)",
        ),
        (
            "contacts",
            json!([{"name": {"formatted_name": "Bo"}, "origin": "other"}]),
            "Contact: Bo",
        ),
    ];
    for (kind, content, expected) in cases {
        world.whatsapp(&webhook(NUMBER, &[Incoming::kind(&ann(), kind, content)]));
        assert_eq!(world.agent.wait_ask(expected).json["question"], expected);
        world.meta.wait_sent(expected);
    }
    // A button pressed below one of ours quotes it; a forwarded message has a context without an id.
    let ours = world.meta.wait_sent("only words");
    let pressed = Incoming::kind(&ann(), "button", json!({"payload": "p", "text": "Yes"}))
        .with("context", json!({"from": "15550000000", "id": ours.wamid}));
    world.whatsapp(&webhook(NUMBER, &[pressed]));
    world.agent.wait_ask("> echo: only words\nYes");
    for (n, context) in [json!({"id": null}), json!([]), json!("x"), json!({"id": "a b"})]
        .into_iter()
        .enumerate()
    {
        let text = format!("odd context {n}.");
        world.whatsapp(&webhook(
            NUMBER,
            &[Incoming::text(&ann(), &text).with("context", context)],
        ));
        assert_eq!(world.agent.wait_ask(&text).json["question"], text);
        world.meta.wait_sent(&text);
    }
    assert!(world.meta.sent_with(ONLY_TEXT).is_empty());
}

/// Whatever somebody manages to put into one item, the others are answered.
#[test]
fn shapes_that_nobody_expects_cost_nobody_else_anything() {
    let world = World::start();
    let person = |n: usize| Person::phone(&format!("155530{n:05}"));
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let many = format!("[{}]", vec!["{\"x\":[1,2]}"; 20_000].join(","));
    let odd = [
        deep,
        many,
        "1e999".to_owned(),
        "\"\\ud83d\"".to_owned(),
        "-0.0".to_owned(),
        "{\"\\udead\":{\"\":null}}".to_owned(),
        format!("\"{}\"", "x".repeat(100_000)),
    ];
    let mut n = 0;
    for shape in &odd {
        let mut places = Vec::new();
        for field in [
            "from",
            "id",
            "timestamp",
            "type",
            "text",
            "context",
            "referral",
            "errors",
            "group_id",
        ] {
            places.push(Incoming::text(&person(99_999), "odd").with(field, "ODD"));
        }
        let mut messages = Vec::new();
        let mut good = Vec::new();
        for odd in places {
            n += 1;
            good.push(n);
            messages.push(Incoming::text(&person(n), &format!("good {n}.")));
            messages.push(odd);
        }
        let mut body = batch(NUMBER, &messages, &[Status(json!("ODD"))]);
        let value = &mut body["entry"][0]["changes"][0]["value"];
        value["errors"] = json!("ODD");
        value["contacts"].as_array_mut().unwrap().push(json!("ODD"));
        body["entry"].as_array_mut().unwrap().push(json!("ODD"));
        let body = body.to_string().replace("\"ODD\"", shape);
        let reply = world.post_whatsapp(body.as_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        for n in good {
            world.meta.wait_sent(&format!("good {n}."));
        }
    }
}
