//! What is not moved, and what is not served: each with the reason and the remedy.

use std::path::Path;

use super::{Target, execute_in, filled, migrate, moved, quiet, url_of};
use crate::harness::{SlackEvent, World, pretend_newer};

/// It fails with these words.
#[track_caller]
fn refused(world: &World, from: &str, to: &str, words: &str) {
    let ended = migrate(world, from, to).exits(1);
    assert!(ended.stderr.contains(words), "{words:?}: {ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
}

fn path(url: &str) -> &Path {
    Path::new(url.strip_prefix("sqlite://").unwrap())
}

#[test]
fn a_store_that_is_served_is_not_moved() {
    let mut world = World::start();
    let from = url_of(&world);
    let target = Target::file(world.home(), "target.db");
    refused(&world, &from, &target.url, "chatbridge is running on ");
    assert!(!path(&target.url).exists());
    world.still_works("meanwhile");
    // Nor is anything moved into one.
    let source = filled(&world, "filled.db");
    refused(&world, &source, &from, "chatbridge is running on ");
    world.wait_idle();
    world.terminate();
    moved(&world, &from, &target.url);
    // The source is as it was.
    world.launch();
    world.still_works("afterwards");
}

#[test]
fn a_store_is_moved_into_an_empty_database_only() {
    let world = quiet();
    let from = filled(&world, "filled.db");
    for target in Target::each(world.home(), "target.db") {
        moved(&world, &from, &target.url);
        refused(
            &world,
            &from,
            &target.url,
            "is not empty (there are rows in threads)",
        );
        refused(&world, &target.url, &target.url, "the same database");
    }
    refused(&world, &from, &from, "the same database");
    let fresh = Target::file(world.home(), "fresh.db");
    moved(&world, &Target::file(world.home(), "target.db").url, &fresh.url);
    execute_in(
        &fresh.url,
        "DELETE FROM threads; DELETE FROM keys; INSERT INTO fresh_keys VALUES (1, 2, 3)",
    );
    refused(&world, &from, &fresh.url, "is not empty (there are rows in keys)");
}

#[test]
fn what_is_not_there_is_not_moved() {
    let world = quiet();
    let (absent, target) = (
        Target::file(world.home(), "absent.db"),
        Target::file(world.home(), "target.db"),
    );
    refused(
        &world,
        &absent.url,
        &target.url,
        "there is no database of chatbridge at ",
    );
    assert!(!path(&absent.url).exists() && !path(&target.url).exists());
    if let (Some(empty), Some(other)) = (Target::server(), Target::server()) {
        refused(
            &world,
            &empty.url,
            &other.url,
            "there is no database of chatbridge at ",
        );
    }
    std::fs::write(
        path(&absent.url),
        "this is a letter, and long enough to be taken for a header of a file",
    )
    .unwrap();
    let ended = migrate(&world, &absent.url, &target.url).exits(1);
    assert!(ended.stderr.contains("absent.db"), "{ended:?}");
}

#[test]
fn addresses_are_checked_and_passwords_are_not_shown() {
    let world = quiet();
    let file = Target::file(world.home(), "a.db").url;
    world.cli(&["migrate", "--from", &file]).exits(2);
    world.cli(&["migrate", "--to", &file]).exits(2);
    world.cli(&["migrate", "--json"]).exits(2);
    let from = filled(&world, "filled.db");
    for (wrong, code) in [
        ("mysql://user:sekret@127.0.0.1/x", 2),
        ("postgres://user:sekret@127.0.0.1:1/x", 1),
        ("postgres://user:sekret@127.0.0.1:port/x", 1),
    ] {
        for (from, to) in [(wrong, file.as_str()), (from.as_str(), wrong)] {
            let ended = migrate(&world, from, to).exits(code);
            assert!(
                !ended.said().contains("sekret") && ended.stderr.contains("error: "),
                "{ended:?}"
            );
        }
    }
}

/// What a newer version wrote this one does not know, so it would not move it.
#[test]
fn a_store_of_a_newer_version_is_not_moved() {
    let mut world = World::start();
    world.terminate();
    pretend_newer(&world);
    let target = Target::file(world.home(), "target.db");
    refused(&world, &url_of(&world), &target.url, "newer chatbridge");
    assert!(!path(&target.url).exists());
    if let Some(database) = &world.database {
        // Even one that this version could work beside.
        database.execute("UPDATE bridge SET oldest_known = 1");
        refused(&world, &url_of(&world), &target.url, "newer chatbridge");
    }
}

/// Half a store, made by a move that died after so many commits.
#[cfg(debug_assertions)]
fn halve(world: &mut World, from: &str, to: &str, commits: usize) {
    let point = format!("after.move:{commits}");
    world.config.env("CHATBRIDGE_CRASH_AT", &point);
    let ended = migrate(world, from, to);
    world.config.unset_env("CHATBRIDGE_CRASH_AT");
    assert_eq!(ended.code, None, "{ended:?}");
}

#[cfg(debug_assertions)]
#[test]
fn half_a_store_is_not_served() {
    let mut world = quiet();
    let from = filled(&world, "filled.db");
    for target in Target::each(world.home(), "target.db") {
        halve(&mut world, &from, &target.url, 4);
        target.serve(&mut world.config);
        world.write_config();
        for command in [&["serve"][..], &["threads", "list"], &["migrate"]] {
            let ended = world.cli(command).exits(1);
            assert!(
                ended.stderr.contains("in the middle of a move from ")
                    && ended.stderr.contains("again to finish it"),
                "{ended:?}"
            );
        }
        let checked = world.cli(&["check", "--offline"]).exits(1);
        assert!(checked.stdout.contains("in the middle of a move"), "{checked:?}");
        // Nor is it moved on, nor finished from elsewhere.
        let further = Target::file(world.home(), "further.db");
        refused(&world, &target.url, &further.url, "in the middle of a move from ");
        let elsewhere = filled(&world, "elsewhere.db");
        refused(&world, &elsewhere, &target.url, "which is another database");
        std::fs::remove_file(path(&elsewhere)).unwrap();
        moved(&world, &from, &target.url);
        world.launch();
        let threads = world.cli(&["threads", "list", "--json"]).exits(0).json();
        assert!(!threads.as_array().unwrap().is_empty());
        world.terminate();
    }
}

/// Between two runs somebody served the source: what was moved is old.
#[cfg(debug_assertions)]
#[test]
fn a_source_that_changed_meanwhile_is_noticed() {
    let mut world = World::start();
    world.still_works("before");
    world.wait_idle();
    world.terminate();
    let from = url_of(&world);
    let target = Target::file(world.home(), "target.db");
    halve(&mut world, &from, &target.url, 3);
    world.launch();
    world.slack(&SlackEvent::dm("D1", "later"));
    world.slack.wait_post("later");
    world.wait_idle();
    world.terminate();
    refused(&world, &from, &target.url, "has changed since the move into ");
}

/// What was changed in the target by whatever means is found, and named without what people wrote.
#[cfg(debug_assertions)]
#[test]
fn a_difference_is_found_and_the_target_is_not_served() {
    let mut world = quiet();
    let from = filled(&world, "filled.db");
    for (change, words) in [
        (
            "UPDATE messages SET text = 'forged' WHERE thread_id = 't00500' AND seq = 2",
            "in the table messages a row has other values (thread_id t00500, seq 2)",
        ),
        (
            "DELETE FROM aliases WHERE alias = 'chan/A/17'",
            "in the table aliases a row is missing (thread_id t00017, strength 4)",
        ),
        (
            "INSERT INTO aliases VALUES ('chan/A/forged', 't00017', 1, 1)",
            "in the table aliases a row is there that was not sent (thread_id t00017, strength 1)",
        ),
        (
            "DELETE FROM keys WHERE key = 9223372036854775807",
            "in the table keys a row is missing (key 9223372036854775807)",
        ),
    ] {
        for target in Target::each(world.home(), "target.db") {
            // All rows are there when it dies: before the commit that removes the mark.
            halve(&mut world, &from, &target.url, 19);
            match &target.server {
                Some(database) => database.execute(change),
                None => execute_in(&target.url, change),
            }
            let ended = migrate(&world, &from, &target.url).exits(1);
            assert!(ended.stderr.contains(words), "{words}: {ended:?}");
            assert!(!ended.stderr.contains("forged") && !ended.stderr.contains("chan/A/17"));
            target.serve(&mut world.config);
            world.write_config();
            let served = world.cli(&["serve"]).exits(1);
            assert!(served.stderr.contains("in the middle of a move"), "{served:?}");
            if target.server.is_none() {
                for end in ["", "-wal", "-shm", ".lock"] {
                    let _ = std::fs::remove_file(format!("{}{end}", path(&target.url).display()));
                }
            }
        }
    }
}
