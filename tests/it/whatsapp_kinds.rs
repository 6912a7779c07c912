//! WhatsApp: every kind of message, and what becomes of it.

use serde_json::{Value, json};

use crate::harness::{FILE_NOT_READ, Incoming, NUMBER, ONLY_TEXT, Person, Status, World, batch, webhook};

fn ann() -> Person {
    Person::both("15550001111", "US.AAA")
}

/// Sends one message, and returns the whole question that holds `part`.
#[track_caller]
fn question(world: &World, message: Incoming, part: &str) -> String {
    world.whatsapp(&webhook(NUMBER, &[message]));
    let asked = world.agent.wait_ask(part);
    world.meta.wait_sent(part);
    asked.json["question"].as_str().unwrap().to_owned()
}

#[test]
fn places_contacts_orders_and_forms_are_asked_in_words() {
    let world = World::start();
    let place =
        json!({"latitude": 48.137_154, "longitude": 11.576_124, "name": "Marienplatz", "address": "Munich"});
    let contacts = json!([
        {"name": {"formatted_name": "Bob Bee"}, "phones": [{"phone": "+1 650 555", "wa_id": "1650555"}]},
        {"phones": [{"phone": "112"}]}]);
    let order = json!({"catalog_id": "1", "text": "by Friday?", "product_items": [
        {"product_retailer_id": "MUG", "quantity": 2, "item_price": 9.9, "currency": "EUR"},
        {"product_retailer_id": "HAT", "quantity": "1", "item_price": "20", "currency": "EUR"}]});
    let form = json!({"type": "nfm_reply", "nfm_reply": {"name": "booking", "body": "Sent",
        "response_json": r#"{"flow_token":"secret","city":"Rome","guests":2}"#}});
    let cases: [(&str, Value, &str); 4] = [
        (
            "location",
            place,
            "Location: Marienplatz, Munich (48.137154, 11.576124)",
        ),
        ("contacts", contacts, "Contact: Bob Bee, +1 650 555\nContact: 112"),
        (
            "order",
            order,
            "Order:\n2 × MUG, 9.9 EUR each\n1 × HAT, 20 EUR each\nby Friday?",
        ),
        ("interactive", form, "Form booking:\ncity: Rome\nguests: 2"),
    ];
    for (kind, content, expected) in cases {
        let asked = question(&world, Incoming::kind(&ann(), kind, content), expected);
        assert_eq!(asked, expected);
    }
    assert!(world.meta.sent_with(ONLY_TEXT).is_empty());
}

#[test]
fn a_caption_is_asked_and_the_person_is_told_once_that_the_file_was_not_read() {
    let world = World::start();
    for (n, kind) in ["image", "video", "document"].into_iter().enumerate() {
        let caption = format!("what about number {n}?");
        let content =
            json!({"id": "1", "mime_type": "x/y", "sha256": "x", "filename": "f", "caption": caption});
        assert_eq!(
            question(&world, Incoming::kind(&ann(), kind, content), &caption),
            caption
        );
    }
    // It was a notice like the others: one in 24 hours is enough.
    world.whatsapp(&webhook(
        NUMBER,
        &[Incoming::kind(&ann(), "audio", json!({"id": "2", "voice": true}))],
    ));
    world.text(&ann(), "marker");
    world.meta.wait_sent("marker");
    assert_eq!(world.meta.wait_sents(FILE_NOT_READ, 1).len(), 1);
    assert!(world.meta.sent_with(ONLY_TEXT).is_empty());
}

#[test]
fn what_a_reply_refers_to_is_given_to_the_agent_if_it_is_known_there() {
    let world = World::start();
    world.agent.answer_with(|question| {
        if question == "first" {
            "We have blue mugs.\nAnd green ones.".to_owned()
        } else {
            format!("echo: {question}")
        }
    });
    let first = Incoming::text(&ann(), "first");
    let first_id = first.message["id"].as_str().unwrap().to_owned();
    world.whatsapp(&webhook(NUMBER, &[first]));
    let ours = world.meta.wait_sent("blue mugs");
    // Nobody replies before Meta's answer to the sending is stored.
    world.wait_idle();
    let reply = |person: &Person, id: &str, text: &str| {
        Incoming::text(person, text).with("context", json!({"from": "15550000000", "id": id}))
    };
    assert_eq!(
        question(&world, reply(&ann(), &ours.wamid, "how much?"), "how much?"),
        "> We have blue mugs.\n> And green ones.\nhow much?"
    );
    assert_eq!(
        question(&world, reply(&ann(), &first_id, "my own"), "my own"),
        "> first\nmy own"
    );
    assert_eq!(
        question(&world, reply(&ann(), "wamid.LONG.AGO", "unknown"), "unknown"),
        "unknown"
    );
    // What was said to Ann is not told to Bob.
    let bob = Person::both("15550002222", "US.BBB");
    assert_eq!(
        question(&world, reply(&bob, &ours.wamid, "Bob asks"), "Bob asks"),
        "Bob asks"
    );
}

#[test]
fn where_a_message_came_from_is_told_to_the_agent() {
    let world = World::start();
    let referral = json!({"source_type": "ad", "source_id": "1", "source_url": "https://fb.me/xyz",
        "headline": "Blue mugs", "body": "Half price", "ctwa_clid": "secret-click"});
    assert_eq!(
        question(
            &world,
            Incoming::text(&ann(), "still there?").with("referral", referral),
            "still there?"
        ),
        "[From the advertisement: Blue mugs – Half price – https://fb.me/xyz]\nstill there?"
    );
    for flag in ["forwarded", "frequently_forwarded"] {
        let text = format!("is it true? ({flag})");
        assert_eq!(
            question(
                &world,
                Incoming::text(&ann(), &text).with("context", json!({flag: true})),
                &text
            ),
            format!("[Forwarded]\n{text}")
        );
    }
    let product = json!({"from": "1", "id": "wamid.P", "referred_product":
        {"catalog_id": "1", "product_retailer_id": "MUG-7"}});
    assert_eq!(
        question(
            &world,
            Incoming::text(&ann(), "in red?").with("context", product),
            "in red?"
        ),
        "[About the product MUG-7]\nin red?"
    );
}

/// Meta puts up to 1,000 updates into one POST. All of it is one transaction, and a broken one costs nobody else.
#[test]
fn of_a_thousand_mixed_updates_each_good_one_is_answered() {
    let world = World::start();
    let person = |n: usize| Person::phone(&format!("1555200{n:04}"));
    let mut good = Vec::new();
    let messages: Vec<Incoming> = (0..700)
        .map(|n| {
            let text = format!("#{n:04}.");
            let message = match n % 7 {
                0 => Incoming::text(&person(n), &text).with("text", json!([text])),
                1 => Incoming::kind(
                    &person(n),
                    "reaction",
                    json!({"message_id": "wamid.X", "emoji": "👍"}),
                ),
                2 => Incoming::text(&person(n), &text).with("id", n),
                3 => Incoming::kind(&person(n), "image", json!({"id": "1", "caption": text})),
                4 => Incoming::kind(
                    &person(n),
                    "interactive",
                    json!({"type": "button_reply", "button_reply": {"id": "1", "title": text}}),
                ),
                _ => Incoming::text(&person(n), &text),
            };
            if n % 7 > 2 {
                good.push(n);
            }
            message
        })
        .collect();
    let statuses: Vec<Status> = (0..300)
        .map(|n| match n % 3 {
            0 => Status::of("wamid.STRANGER", "delivered"),
            1 => Status(json!({"id": n})),
            _ => Status(json!(null)),
        })
        .collect();
    world.whatsapp(&batch(NUMBER, &messages, &statuses));
    for n in good {
        let sent = world.meta.wait_sent(&format!("#{n:04}."));
        assert_eq!(sent.to, Some(format!("1555200{n:04}")));
    }
    world.still_works("afterwards");
}
