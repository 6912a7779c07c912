//! What is to be forgotten is gone whole or not at all, and in the end it is gone.

use std::sync::LazyLock;

use serde_json::Value;

use super::scenes::{Dies, Scene, command};
use crate::harness::{
    SlackEvent, Talk, World, change_rows, count_rows, deliver_all, eventually, wait_all_answered,
};

/// Somebody who is to be forgotten, and what they write.
const PLACE: &str = "D098";
const ADDRESS: &str = "slack/T1/D098";
const WORDS: &str = "forget-me.";

/// The rows in which the words, or the name of the one who wrote them, still stand.
const TRACES: &str = "SELECT (SELECT count(*) FROM messages WHERE text LIKE '%forget-me.%')
     + (SELECT count(*) FROM deliveries WHERE body LIKE '%forget-me.%')
     + (SELECT count(*) FROM aliases WHERE alias LIKE '%/D098')
     + (SELECT count(*) FROM threads WHERE address LIKE '%/D098')";
/// Those with the words alone.
const TEXTS: &str = "SELECT (SELECT count(*) FROM messages WHERE text LIKE '%forget-me.%')
     + (SELECT count(*) FROM deliveries WHERE body LIKE '%forget-me.%')";

/// An operator's command that erases dies beside the daemon; then it is given again.
pub(super) fn erasing() -> Scene {
    Scene {
        earlier: Some(|world, talks| {
            world.launch();
            is_answered(world, talks);
            assert_eq!(count_rows(world, TRACES), 4);
        }),
        dies: Dies::Command(|_| command(&["threads", "erase", ADDRESS, "--yes"])),
        then: |world, _| {
            let left = count_rows(world, TRACES);
            assert!(left == 4 || left == 0, "it is erased in part: {left} of 4");
            let again = world.cli(&["threads", "erase", ADDRESS, "--yes"]);
            assert_eq!(again.code, Some(i32::from(left == 0)), "{again:?}");
            assert_eq!(count_rows(world, TRACES), 0);
            assert_eq!(audit(world).len(), 1, "it is told of once");
            // What the files still held of it goes by itself, if the command that died had no time for it.
            if world.database.is_none() {
                eventually("the files to be clear", || {
                    audit(world)[0]["cleared_at"].is_string().then_some(())
                });
                for name in ["chatbridge.db", "chatbridge.db-wal"] {
                    let file = std::fs::read(world.home().join(name)).unwrap_or_default();
                    let found = file.windows(WORDS.len()).any(|words| words == WORDS.as_bytes());
                    assert!(!found, "{name} holds what was erased");
                }
            }
            comes_again(world);
        },
        ..Scene::usual()
    }
}

/// Somebody's words are older than they may be, and the janitor dies as it comes to them.
pub(super) fn expiring() -> Scene {
    Scene {
        set: |world| {
            world.config.set("store.retention_days", 1);
        },
        earlier: Some(|world, talks| {
            world.launch();
            is_answered(world, talks);
            world.terminate();
            for (sqlite, postgres) in AGED {
                change_rows(world, sqlite, postgres);
            }
        }),
        // It comes by ten seconds after the start.
        dies: Dies::Serving(|_, _| {}),
        then: |world, _| {
            let left = count_rows(world, TEXTS);
            assert!(left == 2 || left == 0, "it is removed in part: {left} of 2");
            eventually("the old texts to be gone", || {
                (count_rows(world, TEXTS) == 0).then_some(())
            });
            let shown = world.cli(&["threads", "show", ADDRESS, "--json"]).exits(0).json();
            let states: Vec<&str> = shown["history"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["state"].as_str().unwrap())
                .collect();
            assert_eq!(states, ["answered", "sent"], "what it was is known still");
            comes_again(world);
        },
        ..Scene::usual()
    }
}

/// Three days have gone by since.
const AGED: [(&str, &str); 2] = [
    (
        "UPDATE messages SET ended_at = ended_at - 259200000 WHERE text LIKE '%forget-me.%'",
        "UPDATE messages SET ended_at = ended_at - 259200000 WHERE text LIKE '%forget-me.%'",
    ),
    (
        "UPDATE deliveries SET ended_at = ended_at - 259200000 WHERE body LIKE '%forget-me.%'",
        "UPDATE deliveries SET ended_at = ended_at - 259200000 WHERE body LIKE '%forget-me.%'",
    ),
];

/// What they write: the same whenever it comes.
static EVENT: LazyLock<SlackEvent> = LazyLock::new(|| SlackEvent::dm(PLACE, WORDS));

/// Everybody writes, the one who is to be forgotten too, and is answered.
fn is_answered(world: &World, talks: &mut [Talk]) {
    deliver_all(world, talks);
    world.slack(&EVENT);
    let mut names: Vec<String> = talks.iter().flat_map(|talk| talk.acknowledged.clone()).collect();
    names.push(WORDS.to_owned());
    wait_all_answered(world, &names);
}

/// What is delivered again is known still, by its digest alone.
fn comes_again(world: &World) {
    world.slack(&EVENT);
    world.still_works("afterwards");
    assert_eq!(world.agent.times_asked(WORDS), 1);
    assert_eq!(world.slack.posts_with(WORDS).len(), 1);
}

fn audit(world: &World) -> Vec<Value> {
    let lines = world.cli(&["threads", "audit", "--json"]).exits(0).json();
    lines.as_array().unwrap().clone()
}
