//! What the operator does beside the running daemon: threads and dead letters.

use serde_json::{Value, json};

use crate::harness::{Fault, NUMBER, Person, SlackEvent, World};

fn ann() -> Person {
    Person::phone("15550001111")
}

fn threads(world: &World) -> Vec<Value> {
    world
        .cli(&["threads", "list", "--json"])
        .exits(0)
        .json()
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn threads_are_listed_with_the_names_of_the_contract() {
    let world = World::start();
    assert_eq!(threads(&world), Vec::<Value>::new());
    let mention = SlackEvent::mention("C1", "hello");
    world.slack(&mention);
    world.slack.wait_post("hello");
    world.slack(&SlackEvent::dm("D1", "direct"));
    world.slack.wait_post("direct");
    world.text(&ann(), "text");
    world.meta.wait_sent("text");
    let rows = threads(&world);
    let addresses = [
        format!("slack/T1/C1/{}", mention.ts()),
        "slack/T1/D1".to_owned(),
        format!("whatsapp/{NUMBER}/15550001111"),
    ];
    assert_eq!(rows.len(), 3, "{rows:?}");
    for (n, address) in addresses.iter().enumerate() {
        let row = rows
            .iter()
            .find(|row| row["address"] == *address)
            .unwrap_or_else(|| panic!("{address}: {rows:?}"));
        assert_eq!(row["conversation_id"], format!("c{}", n + 1), "{row}");
        assert_eq!(row["state"], "open", "{row}");
        assert_eq!(row["channel"], address.split('/').next().unwrap(), "{row}");
        assert_eq!(row["account"], address.split('/').nth(1).unwrap(), "{row}");
        let at: jiff::Timestamp = row["last_at"].as_str().unwrap().parse().unwrap();
        assert!(
            jiff::Timestamp::now().duration_since(at).as_secs().abs() < 600,
            "{row}"
        );
        // By its address and by its id.
        for name in [address.as_str(), row["id"].as_str().unwrap()] {
            assert!(
                world
                    .cli(&["threads", "show", name])
                    .exits(0)
                    .stdout
                    .contains(address)
            );
        }
    }
    assert!(
        world
            .cli(&["threads", "list"])
            .exits(0)
            .stdout
            .contains(&addresses[0]),
        "the table for people"
    );
    world.cli(&["threads", "show", "no-such-thread"]).exits(1);
}

/// chatwoot#11363, evo-crm-community#82: human and bot talked at once. fazer-ai/agents#452: the bot stayed silent
/// after it was handed back.
#[test]
fn chatwoot_11363_a_paused_thread_is_a_persons_until_it_is_handed_back() {
    let world = World::start();
    let address = format!("whatsapp/{NUMBER}/15550001111");
    world.text(&ann(), "before");
    world.meta.wait_sent("before");
    world.cli(&["threads", "pause", &address]).exits(0);
    assert_eq!(threads(&world)[0]["state"], "paused");
    world.text(&ann(), "for the colleague");
    // The others go on.
    world.still_works("meanwhile");
    world.cli(&["threads", "resume", &address]).exits(0);
    world.text(&ann(), "for the bot");
    world.meta.wait_sent("for the bot");
    assert_eq!(world.agent.times_asked("colleague"), 0);
    assert_eq!(world.agent.wait_ask("for the bot").json["conversationId"], "c1");
    let resumed = threads(&world)
        .into_iter()
        .find(|row| row["address"] == address)
        .unwrap();
    assert_eq!(resumed["state"], "open");
}

/// evolution-api#2536: nobody could pause before a conversation existed.
#[test]
fn evolution_api_2536_an_address_that_never_wrote_can_be_paused() {
    let world = World::start();
    world.cli(&["threads", "pause", "slack/T1/D7"]).exits(0);
    world
        .cli(&["threads", "pause", &format!("whatsapp/{NUMBER}/15550001111")])
        .exits(0);
    world.slack(&SlackEvent::dm("D7", "to a person"));
    world.text(&ann(), "to a person");
    world.still_works("meanwhile");
    assert_eq!(world.agent.times_asked("to a person"), 0);
    world.cli(&["threads", "resume", "slack/T1/D7"]).exits(0);
    world.slack(&SlackEvent::dm("D7", "to the bot"));
    world.slack.wait_post("to the bot");
    for change in ["pause", "resume", "reset"] {
        world
            .cli(&["threads", change, "0190b0b0-0000-7000-8000-000000000000"])
            .exits(1);
    }
}

#[test]
fn a_reset_thread_begins_a_new_conversation() {
    let world = World::start();
    world.slack(&SlackEvent::dm("D1", "first"));
    world.slack.wait_post("first");
    world.cli(&["threads", "reset", "slack/T1/D1"]).exits(0);
    world.slack(&SlackEvent::dm("D1", "second"));
    world.slack.wait_post("second");
    assert_eq!(world.agent.wait_ask("second").json["conversationId"], Value::Null);
}

#[test]
fn dead_letters_are_shown_and_purged() {
    let world = World::start();
    world.agent.fault(
        "ask",
        usize::MAX,
        Fault::json(500, json!({"status": "error", "message": "broken"})),
    );
    world.slack(&SlackEvent::dm("D1", "hopeless"));
    world.slack.wait_post(crate::harness::APOLOGY);
    world.agent.heal();
    let dead = world.cli(&["dead", "list", "--json"]).exits(0).json();
    let (letter, id) = (&dead[0], dead[0]["id"].as_str().unwrap());
    assert_eq!(letter["address"], "slack/T1/D1", "{dead}");
    assert!(
        world
            .cli(&["dead", "list"])
            .exits(0)
            .stdout
            .contains("slack/T1/D1")
    );
    assert!(world.cli(&["dead", "show", id]).exits(0).stdout.contains(id));
    // Without a terminal nobody can be asked.
    world.cli(&["dead", "purge", id]).exits(2);
    world.cli(&["dead", "purge", id, "--yes"]).exits(0);
    assert_eq!(world.cli(&["dead", "list", "--json"]).exits(0).json(), json!([]));
    world.cli(&["dead", "show", id]).exits(1);
    world.cli(&["dead", "purge", id, "--yes"]).exits(1);
    world.slack(&SlackEvent::dm("D1", "marker"));
    world.slack.wait_post("marker");
    assert_eq!(world.slack.posts_with("hopeless").len(), 0);
}
