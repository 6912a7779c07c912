//! What an operator does for people's privacy, and for the day on which the disk is gone.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::postgres::on_postgres;
use crate::harness::{Fault, Gate, Incoming, NUMBER, Person, SlackEvent, World, eventually, webhook};

const TEXT_KEY: &str = "YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqYWI=";

fn ann() -> Person {
    Person::phone("15550001111")
}

fn address(phone: &str) -> String {
    format!("whatsapp/{NUMBER}/{phone}")
}

/// The database's files in which a text stands.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let holds = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        path.display().to_string().contains("chatbridge.db")
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    files
        .filter(holds)
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn an_erased_thread_leaves_nothing_and_is_answered_no_more() {
    let world = World::start();
    world.text(&ann(), "first secret");
    world.meta.wait_sent("first secret");
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    let redelivered = webhook(NUMBER, &[Incoming::text(&ann(), "second secret")]);
    world.whatsapp(&redelivered);
    world.agent.wait_ask("second secret");
    let name = address("15550001111");
    world.cli(&["threads", "erase", &name]).exits(2);
    world
        .cli_on_terminal(&["threads", "erase", &name], "n\n")
        .exits(1);
    world.cli(&["threads", "show", &name]).exits(0);
    let erased = world
        .cli(&["threads", "erase", &name, "--yes", "--json"])
        .exits(0)
        .json();
    let expected =
        json!({"address": name, "conversation_id": "c1", "messages": 2, "deliveries": 1, "ratings": 0});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&erased["erased"][0][key], value, "{erased}");
    }
    gate.open();
    world.still_works("meanwhile");
    world.cli(&["threads", "show", &name]).exits(1);
    world.cli(&["threads", "erase", &name, "--yes"]).exits(1);
    // Delivered again, it is known by its digest alone.
    world.whatsapp(&redelivered);
    world.still_works("afterwards");
    assert!(
        world
            .meta
            .sent()
            .iter()
            .all(|sent| !sent.body.contains("second secret"))
    );
    assert_eq!(world.agent.times_asked("second secret"), 1);
    let audit = world.cli(&["threads", "audit", "--json"]).exits(0).json();
    assert_eq!(audit.as_array().unwrap().len(), 1, "{audit}");
    assert_eq!(
        (&audit[0]["what"], &audit[0]["thread"]),
        (&json!("thread_erased"), &erased["erased"][0]["id"])
    );
    let shown = world.cli(&["threads", "audit"]).exits(0).stdout;
    assert!(
        shown.contains("thread_erased") && !shown.contains("15550001111"),
        "{shown}"
    );
    if on_postgres() {
        assert_eq!(erased["traces"], "server");
        return;
    }
    assert_eq!(erased["traces"], "none");
    assert!(audit[0]["cleared_at"].is_string(), "{audit}");
    for secret in ["first secret", "second secret", "15550001111"] {
        assert_eq!(files_with(world.home(), secret), Vec::<String>::new(), "{secret}");
    }
}

#[test]
fn a_person_is_erased_by_a_number_as_people_write_it() {
    let world = World::start();
    world.text(&ann(), "hello there");
    world.meta.wait_sent("hello there");
    world.text(&Person::phone("25550001111"), "not me");
    world.meta.wait_sent("not me");
    world
        .cli(&["threads", "erase", "--person", "+1 555 999", "--yes"])
        .exits(1);
    let done = world
        .cli(&["threads", "erase", "--person", "+1 (555) 000-1111", "--yes"])
        .exits(0);
    assert!(
        done.stdout.contains(&address("15550001111")) && done.stdout.contains("c1"),
        "{}",
        done.stdout
    );
    world.cli(&["threads", "show", &address("15550001111")]).exits(1);
    world.cli(&["threads", "show", &address("25550001111")]).exits(0);
    world.still_works("afterwards");
}

#[test]
fn texts_are_encrypted_in_the_files_and_plain_for_people() {
    let world = World::with(|config| {
        config.set("store.text_key", TEXT_KEY);
    });
    world.text(&ann(), "sealed words");
    world.meta.wait_sent("sealed words");
    world.wait_idle();
    let shown = world
        .cli(&["threads", "show", &address("15550001111")])
        .exits(0)
        .stdout;
    assert!(shown.contains("sealed words"), "{shown}");
    if !on_postgres() {
        assert_eq!(files_with(world.home(), "sealed words"), Vec::<String>::new());
    }
}

/// What waited when the copy was made goes on; what was answered is asked no second time.
#[test]
fn a_copy_of_a_running_daemon_is_restored_and_goes_on() {
    let mut world = World::start();
    let copy = world.home().join("copy.db");
    let file = copy.display().to_string();
    if on_postgres() {
        let refused = world.cli(&["backup", &file]).exits(1);
        assert!(refused.stderr.contains("pg_dump"), "{}", refused.stderr);
        return;
    }
    world.slack(&SlackEvent::dm("D1", "answered before"));
    world.slack.wait_post("answered before");
    world.wait_idle();
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    let waiting = SlackEvent::dm("D2", "waits meanwhile");
    world.slack(&waiting);
    world.agent.wait_ask("waits meanwhile");
    let said = world.cli(&["backup", &file]).exits(0).stdout;
    assert!(
        said.contains("chatbridge.db.key") && said.contains("whole and checked"),
        "{said}"
    );
    world.cli(&["backup", &file]).exits(1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let parts = std::fs::read_dir(world.home())
        .unwrap()
        .map(|file| file.unwrap().file_name());
    assert!(
        parts
            .into_iter()
            .all(|name| !name.to_string_lossy().ends_with(".part"))
    );
    // The disk fails; the copy takes its place.
    world.kill9();
    for name in ["chatbridge.db", "chatbridge.db-wal", "chatbridge.db-shm"] {
        let _ = std::fs::remove_file(world.home().join(name));
    }
    std::fs::rename(&copy, world.home().join("chatbridge.db")).unwrap();
    gate.open();
    world.launch();
    eventually("the answer to what waited", || {
        (!world.slack.posts_with("waits meanwhile").is_empty()).then_some(())
    });
    world.slack(&waiting);
    world.still_works("afterwards");
    assert_eq!(world.agent.times_asked("answered before"), 1);
    assert_eq!(world.slack.posts_with("waits meanwhile").len(), 1);
}

#[test]
fn a_backup_says_what_is_in_its_way() {
    if on_postgres() {
        return;
    }
    let mut world = World::stopped();
    world.write_config();
    let early = world.cli(&["backup", "copy.db"]).exits(1);
    assert!(early.stderr.contains("there is no database"), "{}", early.stderr);
    world.launch();
    let nowhere = world.cli(&["backup", "no/such/folder/copy.db"]).exits(1);
    assert!(
        nowhere.stderr.contains("no/such/folder/copy.db"),
        "{}",
        nowhere.stderr
    );
}

fn dead(world: &World, filter: &[&str]) -> Vec<Value> {
    let list = world
        .cli(&[&["dead", "list", "--json"], filter].concat())
        .exits(0)
        .json();
    list.as_array().unwrap().clone()
}

#[test]
fn dead_letters_are_replayed_and_purged_by_what_they_have() {
    let mut world = World::with(|config| {
        config.set("retry.agent", json!(["10ms"]));
    });
    let refused = Fault::json(500, json!({"status": "error", "message": "broken"}));
    world.agent.fault("ask", usize::MAX, refused);
    for (place, text) in [("D1", "one"), ("D1", "two"), ("D2", "three"), ("D3", "four")] {
        let before = dead(&world, &[]).len();
        world.slack(&SlackEvent::dm(place, text));
        eventually("a dead letter", || {
            (dead(&world, &[]).len() > before).then_some(())
        });
    }
    world.text(&ann(), "five");
    eventually("the last dead letter", || {
        (dead(&world, &[]).len() == 5).then_some(())
    });
    each_filter_finds_its_own(&world);
    let letters = dead(&world, &[]);
    let id = |n: usize| letters[n]["id"].as_str().unwrap();
    let turned = world
        .cli(&["dead", "replay", &format!("{}..{}", id(2), id(0))])
        .exits(1);
    assert!(
        turned.stderr.contains("turn the range round"),
        "{}",
        turned.stderr
    );
    world.agent.heal();
    let done = world
        .cli(&["dead", "replay", &format!("{}..{}", id(0), id(2)), "--json"])
        .exits(0)
        .json();
    assert_eq!(done["replayed"].as_array().unwrap().len(), 3, "{done}");
    world.slack.wait_post("echo: three");
    let answers = eventually("the answers to both", || {
        let posts = world
            .slack
            .posts()
            .into_iter()
            .filter(|post| post.text.contains("echo: "));
        let said: String = posts.map(|post| post.text + "\n").collect();
        (said.contains("one") && said.contains("two")).then_some(said)
    });
    assert!(
        answers.find("one") < answers.find("two"),
        "the order is kept: {answers}"
    );
    // A second time there is nothing to do.
    world.cli(&["dead", "replay", id(0)]).exits(1);
    world
        .cli(&["dead", "purge", "--channel", "whatsapp", "--yes"])
        .exits(0);
    let none = world
        .cli(&["dead", "replay", "--address", "slack/T1/D1", "--json"])
        .exits(0)
        .json();
    assert_eq!(none["replayed"], json!([]));
    let left = dead(&world, &[]);
    assert_eq!((left.len(), left[0]["id"].as_str()), (1, Some(id(3))));
    world.cli(&["dead", "purge", "--all"]).exits(2);
    let asked = world.agent.times_asked("five");
    world.still_works("afterwards");
    world.terminate();
    assert_eq!(world.slack.posts_with("echo: one").len(), 1);
    assert_eq!(
        world.agent.times_asked("five"),
        asked,
        "the purged one is not asked again"
    );
}

fn each_filter_finds_its_own(world: &World) {
    let code = dead(world, &[])[0]["code"].as_str().unwrap().to_owned();
    for (filter, count) in [
        (&["--channel", "whatsapp"][..], 1),
        (&["--account", "T1"], 4),
        (&["--address", "slack/T1/D1"], 2),
        (&["--code", &code], 5),
        (&["--code", "other"], 0),
        (&["--kind", "delivery"], 0),
        (&["--since", "1h"], 5),
        (&["--until", "1h"], 0),
        (&["--until", "2020-01-01T00:00:00Z"], 0),
        (&["--limit", "2"], 2),
    ] {
        assert_eq!(dead(world, filter).len(), count, "{filter:?}");
    }
}
