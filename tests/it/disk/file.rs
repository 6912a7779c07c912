//! SQLite's file where it cannot grow, or not be written.

use std::process::Command;

use super::{SmallDisk, ask, goes_on, say, talks, until_refused};
use crate::harness::{World, deliver_all};

fn url(disk: &SmallDisk) -> String {
    format!("sqlite://{}", disk.0.path().join("chatbridge.db").display())
}

#[test]
fn a_full_disk_is_503_and_goes_on_by_itself() {
    let Some(disk) = SmallDisk::mount("size=3m") else {
        return;
    };
    let mut talks = talks();
    let world = World::with(|config| {
        config.set("store.url", url(&disk));
    });
    say(&mut talks, "before");
    deliver_all(&world, &mut talks);
    world.slack.wait_post("before0.");
    let gate = ask(&world, &mut talks);
    let filler = disk.fill();
    until_refused(&world, &mut talks);
    gate.open();
    world.daemon().wait_log("database or disk is full");
    std::fs::remove_file(filler).unwrap();
    goes_on(&world, talks);
}

/// The same where the operating system lets no file grow, as by a quota.
#[test]
fn a_file_that_may_not_grow_is_503_and_goes_on_by_itself() {
    let mut talks = talks();
    // In units of 512 bytes; the signal that tells of it would end the process.
    let world = World::with(|config| {
        config.prelude("trap '' XFSZ; ulimit -S -f 1400");
    });
    say(&mut talks, "before");
    deliver_all(&world, &mut talks);
    let gate = ask(&world, &mut talks);
    until_refused(&world, &mut talks);
    gate.open();
    world.daemon().wait_log("disk I/O error");
    let lifted = Command::new("prlimit")
        .args(["--fsize=unlimited", "--pid", &world.daemon().id().to_string()])
        .status();
    if !lifted.is_ok_and(|status| status.success()) {
        println!("there is no prlimit: the rest is skipped");
        return;
    }
    goes_on(&world, talks);
}

#[test]
fn a_read_only_disk_is_told_with_the_remedy() {
    let Some(disk) = SmallDisk::mount("size=2m,ro") else {
        return;
    };
    let mut world = World::stopped();
    world.config.set("store.url", url(&disk));
    world.write_config();
    let refused = world.cli(&["serve"]).exits(1).said();
    for word in ["chatbridge.db", "Read-only file system"] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
}
