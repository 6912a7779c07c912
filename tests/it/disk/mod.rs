//! The disk at its worst: full, read-only, taken by another process, cut off anywhere, damaged. The platforms get a
//! 503 and never a false 200, the operator reads what it is, and where nothing is broken it goes on by itself.

mod damage;
mod log;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{
    Counted, Fault, Gate, Lock, SlackEvent, Talk, World, deliver_all, deliver_twice, eventually, judge,
    wait_all_answered,
};

/// A disk of a few megabytes, if this user may mount one. It is gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        println!("no disk can be mounted by this user: skipped");
        None
    }

    /// Takes all the space that is left.
    fn fill(&self) -> PathBuf {
        let filler = self.0.path().join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        for size in [65_536, 4_096, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
        filler
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.0.path().join("chatbridge.db").display())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn talks() -> Vec<Talk> {
    (0..4).map(|n| Talk::new(n % 2 == 0, n)).collect()
}

fn say(talks: &mut [Talk], word: &str) {
    for (n, talk) in talks.iter_mut().enumerate() {
        talk.say(&format!("{word}{n}."));
    }
}

/// Messages come until the store takes none; returns what the platforms and the operator are told then.
fn until_refused(world: &World, talks: &mut [Talk]) -> String {
    let words = "x".repeat(2_000);
    for n in 0..2_000 {
        let event = SlackEvent::dm(&format!("D5{n:03}"), &format!("{words} {n}"));
        let reply = world.post_slack(event.0.to_string().as_bytes()).unwrap();
        if reply.status != 200 {
            assert_eq!(reply.status, 503, "{reply:?}");
            assert_eq!(reply.json()["error"]["code"], "store_unavailable", "{reply:?}");
            say(talks, "refused");
            deliver_all(world, talks);
            assert_eq!(world.get("/healthz").status, 200);
            let ready = eventually("/readyz to tell it", || {
                Some(world.get("/readyz")).filter(|ready| ready.status == 503)
            });
            return ready.body;
        }
    }
    panic!("the store takes everything");
}

/// After the disk has space again everything goes on by itself: what was refused is taken when it comes again, and the
/// answer that could not be stored is not asked for a second time.
fn goes_on(world: &World, mut talks: Vec<Talk>) {
    deliver_twice(world, &mut talks);
    let names: Vec<String> = talks.iter().flat_map(|talk| talk.acknowledged.clone()).collect();
    wait_all_answered(world, &names);
    let figures = judge(world, &talks, &[], Counted::by(world));
    assert_eq!((figures.twice, figures.asked_twice), (0, 0));
    eventually("/readyz to be well again", || {
        (world.get("/readyz").status == 200).then_some(())
    });
}

/// A message is asked; its answer comes only when the gate is open.
fn ask(world: &World, talks: &mut [Talk]) -> Gate {
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    talks[0].say("asked.");
    deliver_all(world, talks);
    world.agent.wait_ask("asked.");
    gate
}

#[test]
fn a_full_disk_is_503_and_goes_on_by_itself() {
    let Some(disk) = SmallDisk::mount("size=3m") else {
        return;
    };
    let mut talks = talks();
    let world = World::with(|config| {
        config.set("store.url", disk.url());
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
    world.config.set("store.url", disk.url());
    world.write_config();
    let refused = world.cli(&["serve"]).exits(1).said();
    for word in ["chatbridge.db", "Read-only file system"] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
}

/// `SQLITE_BUSY` for longer than anybody waits, in the middle of everything: turns, sends and webhooks.
#[test]
fn a_database_that_another_process_holds_loses_nothing() {
    let mut talks = talks();
    let world = World::start();
    say(&mut talks, "before");
    deliver_all(&world, &mut talks);
    let gate = ask(&world, &mut talks);
    let lock = Lock::of(&world);
    gate.open();
    say(&mut talks, "during");
    // All that comes together waits for the lock once, as long as a statement may, and is refused then.
    let since = Instant::now();
    deliver_all(&world, &mut talks);
    assert!(since.elapsed() < Duration::from_secs(25), "{:?}", since.elapsed());
    assert_eq!(
        talks.iter().map(|talk| talk.acknowledged.len()).sum::<usize>(),
        5,
        "nothing was stored"
    );
    let ready = eventually("/readyz to tell it", || {
        Some(world.get("/readyz")).filter(|ready| ready.status == 503)
    });
    assert_eq!(ready.json()["error"]["code"], "store_unavailable");
    lock.release();
    goes_on(&world, talks);
}
