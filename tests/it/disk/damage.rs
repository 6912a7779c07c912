//! A database that is damaged.

use std::path::Path;

use super::{say, talks};
use crate::harness::{
    SlackEvent, World, checkpoint, deliver_all, deliver_twice, eventually, judge, wait_all_answered,
};

/// Overwrites the database from the second page on.
fn damage(file: &Path) {
    use std::os::unix::fs::FileExt;

    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    for page in 1..pages {
        file.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
    }
}

const REMEDY: &str = "stop chatbridge, keep the file, and restore the newest backup";

#[test]
fn a_damaged_database_is_refused_at_the_start_and_a_restored_one_goes_on() {
    let mut talks = talks();
    let mut world = World::start();
    say(&mut talks, "kept");
    deliver_all(&world, &mut talks);
    let names: Vec<String> = talks.iter().flat_map(|talk| talk.acknowledged.clone()).collect();
    wait_all_answered(&world, &names);
    world.terminate();
    let (file, backup) = (world.home().join("chatbridge.db"), world.home().join("backup.db"));
    std::fs::copy(&file, &backup).unwrap();
    damage(&file);
    let refused = world.cli(&["serve"]).exits(1).said();
    assert!(
        refused.contains("is damaged") && refused.contains(REMEDY),
        "{refused}"
    );
    let refused = world.cli(&["threads", "list"]).exits(1).said();
    assert!(refused.contains("is damaged"), "{refused}");
    std::fs::write(
        &file,
        b"this is no database at all, and long enough to be looked at as one",
    )
    .unwrap();
    let refused = world.cli(&["serve"]).exits(1).said();
    assert!(
        !refused.contains("panicked") && refused.contains("chatbridge.db"),
        "{refused}"
    );

    std::fs::copy(&backup, &file).unwrap();
    world.launch();
    deliver_twice(&world, &mut talks);
    world.wait_idle();
    judge(&world, &talks, &[]);
}

/// Damage that comes to light while it serves: 503, never a false 200, and the words say what to do.
#[test]
fn damage_that_is_found_later_is_503_with_the_remedy() {
    let world = World::start();
    world.still_works("before");
    world.wait_idle();
    checkpoint(&world);
    damage(&world.home().join("chatbridge.db"));
    let event = SlackEvent::dm("D1", "into the damage").0.to_string();
    let reply = eventually("the damage to be met", || {
        let reply = world.post_slack(event.as_bytes()).unwrap();
        (reply.status != 200).then_some(reply)
    });
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(
        reply.body.contains("is damaged") && reply.body.contains(REMEDY),
        "{reply:?}"
    );
    world.daemon().wait_log("is damaged");
    world.daemon().wait_log(REMEDY);
    assert!(!world.daemon().log().contains("panicked"));
}
