//! WhatsApp: who is who, when phone numbers vanish, come back and change hands.

use serde_json::{Value, json};

use crate::harness::{Incoming, NUMBER, Person, World, unix_now, webhook};

/// Where a reply went.
#[derive(Debug, PartialEq)]
enum To {
    Number(String),
    User(String),
}

fn number(text: &str) -> To {
    To::Number(text.to_owned())
}

fn user(text: &str) -> To {
    To::User(text.to_owned())
}

/// The conversation in which this was asked; none if it opened one.
fn conversation(world: &World, text: &str) -> Option<String> {
    world.agent.wait_ask(text).json["conversationId"]
        .as_str()
        .map(str::to_owned)
}

/// Says something and waits for the answer. Returns where it went.
fn talk(world: &World, person: &Person, text: &str) -> To {
    world.text(person, text);
    let sent = world.meta.wait_sent(text);
    match (sent.to, sent.recipient) {
        // Meta goes by the number where both are given.
        (Some(number), _) => To::Number(number),
        (None, id) => To::User(id.unwrap()),
    }
}

/// whatomate#531, chatwoot#13837: messages without a phone number were dropped.
#[test]
fn whatomate_531_someone_without_a_number_is_answered_by_user_id() {
    let world = World::start();
    let person = Person::user("US.13491208655302741918");
    assert_eq!(
        talk(&world, &person, "no number"),
        user("US.13491208655302741918")
    );
    talk(&world, &person, "once more");
    assert_eq!(conversation(&world, "once more"), Some("c1".to_owned()));
}

#[test]
fn a_number_that_vanishes_and_comes_back_is_the_same_person() {
    let world = World::start();
    let (with, without) = (Person::both("15550001111", "US.AAA"), Person::user("US.AAA"));
    assert_eq!(talk(&world, &with, "first"), number("15550001111"));
    assert_eq!(
        talk(&world, &without, "second"),
        user("US.AAA"),
        "the newest identifiers count"
    );
    assert_eq!(talk(&world, &with, "third"), number("15550001111"));
    assert_eq!(conversation(&world, "second"), Some("c1".to_owned()));
    assert_eq!(conversation(&world, "third"), Some("c1".to_owned()));
}

#[test]
fn a_thread_known_by_its_number_learns_the_user_id() {
    let world = World::start();
    talk(&world, &Person::phone("15550001111"), "by number");
    talk(&world, &Person::both("15550001111", "US.AAA"), "by both");
    talk(&world, &Person::user("US.AAA"), "by user id");
    assert_eq!(conversation(&world, "by both"), Some("c1".to_owned()));
    assert_eq!(conversation(&world, "by user id"), Some("c1".to_owned()));
}

/// chatwoot#15098, #15359: a merged look-up of number and user id sent a reply to someone else.
#[test]
fn chatwoot_15098_a_recycled_number_is_another_person() {
    let world = World::start();
    talk(&world, &Person::both("15550001111", "US.AAA"), "Ann's first");
    assert_eq!(
        talk(&world, &Person::both("15550001111", "US.BBB"), "Bob's first"),
        number("15550001111")
    );
    assert_eq!(conversation(&world, "Bob's first"), None, "a new thread");
    // Ann has no number any more: nothing of hers goes to Bob's phone.
    assert_eq!(
        talk(&world, &Person::user("US.AAA"), "Ann's second"),
        user("US.AAA")
    );
    assert_eq!(conversation(&world, "Ann's second"), Some("c1".to_owned()));
    talk(&world, &Person::phone("15550001111"), "Bob's second");
    assert_eq!(conversation(&world, "Bob's second"), Some("c2".to_owned()));
    talk(&world, &Person::both("15550002222", "US.AAA"), "Ann's third");
    assert_eq!(conversation(&world, "Ann's third"), Some("c1".to_owned()));
}

/// chatwoot#15359: where number and user id lead to two threads, neither transcript is shown to the other.
#[test]
fn chatwoot_15359_two_threads_are_never_merged() {
    let world = World::start();
    talk(&world, &Person::phone("15550001111"), "by number only");
    talk(&world, &Person::user("US.AAA"), "by user id only");
    talk(&world, &Person::both("15550001111", "US.AAA"), "by both");
    assert_eq!(
        conversation(&world, "by both"),
        Some("c2".to_owned()),
        "the user id's thread wins"
    );
    talk(&world, &Person::phone("15550001111"), "the number again");
    assert_eq!(
        conversation(&world, "the number again"),
        Some("c2".to_owned()),
        "and it took the number over"
    );
}

#[test]
fn a_changed_number_is_the_same_person() {
    let world = World::start();
    talk(&world, &Person::both("15550001111", "US.OLD"), "before");
    let system = json!({"type": "user_changed_number", "body": "User A changed from 15550001111 to 15550009999",
        "wa_id": "15550009999", "previous_user_id": "US.OLD", "user_id": "US.NEW"});
    let change = Incoming::kind(&Person::phone("15550001111"), "system", system);
    world.whatsapp(&webhook(NUMBER, std::slice::from_ref(&change)));
    world.whatsapp(&webhook(NUMBER, &[change]));
    assert_eq!(
        talk(&world, &Person::both("15550009999", "US.NEW"), "after"),
        number("15550009999")
    );
    assert_eq!(conversation(&world, "after"), Some("c1".to_owned()));
    assert_eq!(
        world.agent.asks().len(),
        2,
        "a change of number is no question: {:?}",
        world.agent.questions()
    );
}

/// With a changed number the user id changes too, even where the platform does not tell it.
#[test]
fn a_changed_number_without_user_ids_is_the_same_person_under_a_new_id() {
    let world = World::start();
    talk(&world, &Person::both("15550001111", "US.OLD"), "before");
    let system = json!({"type": "user_changed_number", "wa_id": "15550009999",
        "body": "User A changed from 15550001111 to 15550009999"});
    let change = Incoming::kind(&Person::phone("15550001111"), "system", system);
    world.whatsapp(&webhook(NUMBER, &[change]));
    assert_eq!(
        talk(&world, &Person::both("15550009999", "US.NEW"), "after"),
        number("15550009999")
    );
    assert_eq!(conversation(&world, "after"), Some("c1".to_owned()));
    talk(&world, &Person::both("15550009999", "US.BBB"), "the next owner");
    assert_eq!(conversation(&world, "the next owner"), None);
    talk(
        &world,
        &Person::phone("15550001111"),
        "the old number's next owner",
    );
    assert_eq!(conversation(&world, "the old number's next owner"), None);
}

#[test]
fn a_changed_user_id_is_the_same_person() {
    let world = World::start();
    talk(&world, &Person::user("IN.OLD"), "before");
    let system = json!({"type": "user_changed_user_id", "previous_user_id": "IN.OLD", "user_id": "IN.NEW"});
    world.whatsapp(&webhook(
        NUMBER,
        &[Incoming::kind(&Person::default(), "system", system)],
    ));
    assert_eq!(talk(&world, &Person::user("IN.NEW"), "after"), user("IN.NEW"));
    assert_eq!(conversation(&world, "after"), Some("c1".to_owned()));
}

/// chatwoot#15098: the reply that waits must not follow the number to its next holder.
#[test]
fn chatwoot_15098_a_waiting_reply_stays_with_its_person() {
    let world = World::start();
    let gate = crate::harness::Gate::closed();
    world
        .agent
        .fault_when(1, crate::harness::Fault::Hold(gate.clone()), |call| {
            call.json["question"] == "Ann's question"
        });
    world.text(&Person::both("15550001111", "US.AAA"), "Ann's question");
    world.agent.wait_ask("Ann's question");
    // While the agent thinks, Ann writes on without a number, and the number is Bob's now.
    world.text(&Person::user("US.AAA"), "Ann's addition");
    talk(&world, &Person::both("15550001111", "US.BBB"), "Bob's question");
    gate.open();
    for text in ["Ann's question", "Ann's addition"] {
        let sent = world.meta.wait_sent(text);
        assert_eq!(
            (sent.to, sent.recipient.as_deref()),
            (None, Some("US.AAA")),
            "{text}"
        );
    }
    assert_eq!(world.meta.sent_with("Bob's question").len(), 1);
}

/// What the list shows: the address of each thread and its conversation.
fn addresses(world: &World) -> Vec<(String, String)> {
    let threads = world.cli(&["threads", "list", "--json"]).exits(0).json();
    let text = |thread: &Value, name: &str| thread[name].as_str().unwrap().to_owned();
    let mut all: Vec<_> = threads
        .as_array()
        .unwrap()
        .iter()
        .map(|thread| (text(thread, "conversation_id"), text(thread, "address")))
        .collect();
    all.sort();
    all
}

/// The conversation of the thread that an operator sees under this name.
fn shown(world: &World, name: &str) -> String {
    let thread = world.cli(&["threads", "show", name, "--json"]).exits(0).json();
    thread["conversation_id"].as_str().unwrap().to_owned()
}

fn at(name: &str) -> String {
    format!("whatsapp/{NUMBER}/{name}")
}

#[test]
fn an_address_names_the_thread_that_has_the_number_now() {
    let world = World::start();
    talk(&world, &Person::both("15550001111", "US.AAA"), "Ann's first");
    assert_eq!(addresses(&world), [("c1".to_owned(), at("15550001111"))]);
    talk(&world, &Person::both("15550001111", "US.BBB"), "Bob's first");
    let now = [
        ("c1".to_owned(), at("US.AAA")),
        ("c2".to_owned(), at("15550001111")),
    ];
    assert_eq!(addresses(&world), now);
    // What Ann wrote before arrives late: her old number is no name of hers.
    let late = Incoming::text(&Person::both("15550001111", "US.AAA"), "Ann's late one")
        .with("timestamp", (unix_now() - 600).to_string());
    world.whatsapp(&webhook(NUMBER, &[late]));
    world.meta.wait_sent("Ann's late one");
    assert_eq!(addresses(&world), now);
    for (conversation, address) in &now {
        assert_eq!(shown(&world, address), *conversation);
    }
    // The operator means Bob, and Ann is still answered.
    world.cli(&["threads", "pause", &at("15550001111")]).exits(0);
    talk(&world, &Person::user("US.AAA"), "Ann's third");
    world.text(&Person::both("15550001111", "US.BBB"), "Bob's second");
    talk(&world, &Person::user("US.AAA"), "Ann's fourth");
    assert!(world.agent.asks_with("Bob's second").is_empty());
}

#[test]
fn a_thread_without_any_name_is_marked_and_still_found() {
    let world = World::start();
    talk(&world, &Person::phone("15550001111"), "by number only");
    talk(&world, &Person::user("US.AAA"), "by user id only");
    talk(&world, &Person::both("15550001111", "US.AAA"), "by both");
    let all = addresses(&world);
    let (former, now) = (&all[0].1, &all[1].1);
    assert!(former.starts_with(&at("15550001111/former-")), "{former}");
    assert_eq!(*now, at("15550001111"));
    assert_eq!(shown(&world, former), "c1");
    assert_eq!(shown(&world, now), "c2");
    assert_eq!(shown(&world, &at("US.AAA")), "c2");
}

/// Who changed their number is listed under the new one, and the next owner of the old one under that.
#[test]
fn a_changed_number_moves_the_address_too() {
    let world = World::start();
    talk(&world, &Person::both("15550001111", "US.OLD"), "Ann's first");
    let system = json!({"type": "user_changed_number", "wa_id": "15550009999",
        "previous_user_id": "US.OLD", "user_id": "US.NEW"});
    let change = Incoming::kind(&Person::phone("15550001111"), "system", system);
    world.whatsapp(&webhook(NUMBER, &[change]));
    assert_eq!(addresses(&world), [("c1".to_owned(), at("15550009999"))]);
    world.cli(&["threads", "show", &at("15550001111")]).exits(1);
    talk(&world, &Person::both("15550001111", "US.BBB"), "Bob's first");
    // Then Bob has the new number as well.
    talk(&world, &Person::both("15550009999", "US.BBB"), "Bob's second");
    assert_eq!(
        addresses(&world),
        [
            ("c1".to_owned(), at("US.NEW")),
            ("c2".to_owned(), at("15550009999"))
        ]
    );
}
