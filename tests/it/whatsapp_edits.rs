//! WhatsApp: what people change or take back before it is asked. Meta tells of it for numbers that are also used in the
//! Business app.

use serde_json::{Value, json};

use crate::harness::{Fault, Gate, Incoming, NUMBER, Person, World, eventually, unix_now, webhook};

fn ann() -> Person {
    Person::both("15550001111", "US.AAA")
}

fn id(message: &Incoming) -> &str {
    message.message["id"].as_str().unwrap()
}

/// Somebody says this message otherwise.
fn edited(message: &Incoming, by: &Person, content: Value) -> Incoming {
    Incoming::kind(
        by,
        "edit",
        json!({"original_message_id": id(message), "message": content}),
    )
}

fn edited_to(message: &Incoming, text: &str) -> Incoming {
    edited(message, &ann(), json!({"type": "text", "text": {"body": text}}))
}

/// Somebody takes this message back.
fn revoked(message: &Incoming, by: &Person) -> Incoming {
    Incoming::kind(by, "revoke", json!({"original_message_id": id(message)}))
}

fn post(world: &World, messages: &[Incoming]) {
    for message in messages {
        world.whatsapp(&webhook(NUMBER, std::slice::from_ref(message)));
    }
}

/// A world in which Ann's first question waits for the gate: what comes behind it waits.
fn busy() -> (World, Gate) {
    let world = World::start();
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    world.text(&ann(), "the first");
    world.agent.wait_count("ask", 1);
    (world, gate)
}

fn threads(world: &World) -> Vec<Value> {
    let threads = world.cli(&["threads", "list", "--json"]).exits(0).json();
    threads.as_array().unwrap().clone()
}

#[test]
fn an_edited_message_is_asked_in_its_new_form() {
    let (world, gate) = busy();
    let message = Incoming::text(&ann(), "helo ther");
    let image = Incoming::kind(&ann(), "image", json!({"id": "1", "caption": "what is thsi?"}));
    let caption = json!({"type": "image", "image": {"id": "1", "caption": "what is this?"}});
    post(
        &world,
        &[
            message.clone(),
            edited_to(&message, "hello there"),
            image.clone(),
            edited(&image, &ann(), caption),
        ],
    );
    gate.open();
    world.meta.wait_sent("what is this?");
    world.wait_idle();
    assert_eq!(
        world.agent.questions(),
        ["the first", "hello there\nwhat is this?"]
    );
}

#[test]
fn an_older_edit_does_not_undo_a_newer_one() {
    let (world, gate) = busy();
    let message = Incoming::text(&ann(), "one");
    let later = |edit: Incoming, secs: u64| edit.with("timestamp", (unix_now() - 60 + secs).to_string());
    let message = later(message, 0);
    let (second, third) = (
        later(edited_to(&message, "two"), 1),
        later(edited_to(&message, "three"), 2),
    );
    post(&world, &[message, third.clone(), second, third]);
    gate.open();
    world.meta.wait_sent("echo: three");
    assert_eq!(world.agent.questions(), ["the first", "three"]);
}

#[test]
fn a_revoked_message_is_not_asked() {
    let (world, gate) = busy();
    let message = Incoming::text(&ann(), "never mind this");
    let gone = revoked(&message, &ann());
    post(
        &world,
        &[message, Incoming::text(&ann(), "but this"), gone.clone(), gone],
    );
    gate.open();
    world.meta.wait_sent("echo: but this");
    world.wait_idle();
    assert_eq!(world.agent.questions(), ["the first", "but this"]);
    let address = format!("whatsapp/{NUMBER}/15550001111");
    let thread = world
        .cli(&["threads", "show", &address, "--json"])
        .exits(0)
        .json();
    let history = thread["history"].as_array().unwrap();
    let gone: Vec<_> = history.iter().filter(|line| line["state"] == "ignored").collect();
    assert_eq!(gone.len(), 1, "{history:?}");
    assert_eq!(
        (&gone[0]["reason"], &gone[0]["text"]),
        (&json!("deleted"), &json!(""))
    );
}

/// A caption that is taken away takes the question with it; the file was never asked.
#[test]
fn an_edit_that_leaves_no_words_takes_the_message_back() {
    let (world, gate) = busy();
    let image = Incoming::kind(&ann(), "image", json!({"id": "1", "caption": "a slip"}));
    let bare = edited(&image, &ann(), json!({"type": "image", "image": {"id": "1"}}));
    post(&world, &[image, bare, Incoming::text(&ann(), "marker")]);
    gate.open();
    world.meta.wait_sent("echo: marker");
    assert_eq!(world.agent.questions(), ["the first", "marker"]);
}

#[test]
fn once_it_is_asked_nothing_happens_twice() {
    let (world, gate) = busy();
    gate.open();
    world.meta.wait_sent("the first");
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    let message = Incoming::text(&ann(), "as it was");
    post(&world, std::slice::from_ref(&message));
    world.agent.wait_ask("as it was");
    let changes = [edited_to(&message, "as it is now"), revoked(&message, &ann())];
    post(&world, &changes);
    gate.open();
    world.meta.wait_sent("echo: as it was");
    post(&world, &changes);
    post(&world, &[message, Incoming::text(&ann(), "marker")]);
    world.meta.wait_sent("echo: marker");
    world.wait_idle();
    assert_eq!(world.agent.questions(), ["the first", "as it was", "marker"]);
    assert_eq!(world.meta.sent_with("as it was").len(), 1);
}

#[test]
fn what_is_revoked_before_it_arrives_is_not_asked() {
    let world = World::start();
    let late = Incoming::text(&ann(), "too late");
    post(
        &world,
        &[revoked(&late, &ann()), late, Incoming::text(&ann(), "marker")],
    );
    world.meta.wait_sent("marker");
    assert_eq!(world.agent.questions(), ["marker"]);
}

/// Meta puts much into one POST.
#[test]
fn a_message_and_what_became_of_it_may_come_together() {
    let world = World::start();
    let (kept, gone) = (Incoming::text(&ann(), "before"), Incoming::text(&ann(), "a slip"));
    let bad = |content: Value| Incoming::kind(&ann(), "edit", content);
    let all = [
        kept.clone(),
        gone.clone(),
        bad(json!(null)),
        bad(json!({"original_message_id": id(&kept)})),
        bad(json!({"original_message_id": 7, "message": {"type": "text", "text": {"body": "x"}}})),
        bad(json!({"original_message_id": id(&kept), "message": {"type": "text", "text": 7}})),
        bad(json!({"original_message_id": id(&kept), "message": {"type": "edit", "edit": {}}})),
        Incoming::kind(&ann(), "revoke", json!([])),
        edited_to(&kept, "after"),
        revoked(&gone, &ann()),
    ];
    world.whatsapp(&webhook(NUMBER, &all));
    world.meta.wait_sent("echo: after");
    world.wait_idle();
    assert_eq!(world.agent.questions(), ["after"]);
    let labels = [("channel", "whatsapp"), ("outcome", "malformed_item")];
    assert_eq!(world.metrics().count("chatbridge_messages_total", &labels), 6);
}

#[test]
fn changes_survive_a_crash() {
    let (mut world, _gate) = busy();
    let (kept, gone) = (Incoming::text(&ann(), "before"), Incoming::text(&ann(), "a slip"));
    let changes = [edited_to(&kept, "after"), revoked(&gone, &ann())];
    post(&world, &[kept, gone]);
    post(&world, &changes);
    world.crash();
    world.meta.wait_sent("after");
    world.wait_idle();
    assert!(world.agent.asks_with("slip").is_empty() && world.agent.asks_with("before").is_empty());
}

/// An edit finds the message that it is about under any of its writer's names, and names nobody anew.
#[test]
fn an_edit_never_says_whose_a_thread_is() {
    let (world, gate) = busy();
    let phone = Person::phone("15550001111");
    // By the number only, then by a user id that no message has brought yet.
    let first = Incoming::text(&phone, "by number");
    let by_both = Person::both("15550001111", "US.NEW");
    let now = json!({"type": "text", "text": {"body": "by number, edited"}});
    post(&world, &[first.clone(), edited(&first, &by_both, now)]);
    // An edit of a message that never came opens nothing.
    let unknown = Incoming::text(&Person::phone("15550007777"), "never came");
    let stranger = Person::both("15550007777", "US.ZZZ");
    let now = json!({"type": "text", "text": {"body": "of nobody"}});
    post(&world, &[edited(&unknown, &stranger, now.clone())]);
    // Nor does one of a user id alone that no thread has.
    post(&world, &[edited(&first, &Person::user("US.NEW"), now)]);
    gate.open();
    world.meta.wait_sent("by number, edited");
    world.wait_idle();
    assert_eq!(threads(&world).len(), 1);
    let address = format!("whatsapp/{NUMBER}/15550001111");
    let thread = world
        .cli(&["threads", "show", &address, "--json"])
        .exits(0)
        .json();
    let known = thread["aliases"].as_array().unwrap();
    assert_eq!(known.len(), 2, "the number and Ann's user id: {known:?}");
    world
        .cli(&["threads", "show", &format!("whatsapp/{NUMBER}/US.NEW")])
        .exits(1);
    assert_eq!(world.agent.questions(), ["the first", "by number, edited"]);
}

/// The number changed hands while the message waited: its next owner changes nothing of it, and its writer still can.
#[test]
fn who_has_the_number_now_changes_nothing_of_what_another_wrote() {
    let (world, gate) = busy();
    let message = Incoming::text(&ann(), "Ann's own");
    let bob = Person::both("15550001111", "US.BBB");
    let forged = json!({"type": "text", "text": {"body": "Bob's words"}});
    post(&world, std::slice::from_ref(&message));
    world.text(&bob, "Bob's question");
    world.meta.wait_sent("Bob's question");
    post(
        &world,
        &[
            edited(&message, &Person::both("15550001111", "US.BBB"), forged),
            revoked(&message, &Person::phone("15550001111")),
        ],
    );
    let now = json!({"type": "text", "text": {"body": "Ann's own, edited"}});
    post(&world, &[edited(&message, &Person::user("US.AAA"), now)]);
    gate.open();
    let sent = world.meta.wait_sent("Ann's own, edited");
    assert_eq!((sent.to, sent.recipient.as_deref()), (None, Some("US.AAA")));
    assert!(world.agent.asks_with("Bob's words").is_empty());
    assert_eq!(threads(&world).len(), 2);
}

/// As long as the agent refuses to be asked, nobody has read the question.
#[test]
fn a_held_question_may_still_be_revoked() {
    let world = World::start();
    let refused = json!({"status": "error", "message": "no", "code": "UNAUTHORIZED"});
    world.agent.fault("ask", 1, Fault::json(401, refused));
    let message = Incoming::text(&ann(), "never mind this");
    post(&world, std::slice::from_ref(&message));
    eventually("the agent to be held", || {
        (world.metrics().sum("chatbridge_held_agents", &[]) > 0.0).then_some(())
    });
    post(
        &world,
        &[Incoming::text(&ann(), "but this"), revoked(&message, &ann())],
    );
    world.meta.wait_sent("echo: but this");
    world.wait_idle();
    assert_eq!(world.agent.questions(), ["never mind this", "but this"]);
}
