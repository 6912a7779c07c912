//! The disk at its worst: full, read-only, taken by another process, cut off anywhere, damaged. The platforms get a
//! 503 and never a false 200, the operator reads what it is, and where nothing is broken it goes on by itself.
//!
//! `file`, `log` and `damage` are about SQLite's files, `server` about a PostgreSQL server; what stands here is about both.

mod damage;
mod file;
mod log;
mod server;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{
    Fault, Gate, Lock, SlackEvent, Talk, World, checkpoint, deliver_all, deliver_twice, eventually, judge,
    pretend_newer, wait_all_answered,
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
    let figures = judge(world, &talks, &[]);
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

/// `SQLITE_BUSY`, or a table that another session has locked, for longer than anybody waits, in the middle of
/// everything: turns, sends and webhooks.
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

/// However many come, they are refused together, and not one after the other has waited: a platform waits seconds.
#[test]
fn what_comes_while_another_process_holds_the_database_is_refused_within_a_bound() {
    let world = World::start();
    world.still_works("before");
    let lock = Lock::of(&world);
    let mut talks: Vec<Talk> = (0..60).map(|n| Talk::new(n % 2 == 0, n)).collect();
    say(&mut talks, "during");
    let since = Instant::now();
    deliver_all(&world, &mut talks);
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    assert!(
        talks.iter().all(|talk| talk.acknowledged.is_empty()),
        "nothing was stored"
    );
    lock.release();
    goes_on(&world, talks);
}

/// A database that a newer chatbridge has written is left as it is, by commands too.
#[test]
fn a_newer_database_is_touched_by_no_command() {
    let mut world = World::start();
    world.still_works("before");
    world.wait_idle();
    world.terminate();
    pretend_newer(&world);
    checkpoint(&world);
    let file = world.home().join("chatbridge.db");
    let holds = || match &world.database {
        Some(database) => vec![database.count(FINGERPRINT)],
        None => std::fs::read(&file).unwrap().into_iter().map(i64::from).collect(),
    };
    let before = holds();
    for command in [
        &["serve"][..],
        &["migrate"],
        &["threads", "list"],
        &["threads", "pause", "slack/T1/D0MARK"],
        &["dead", "list"],
    ] {
        let refused = world.cli(command).exits(1).said();
        assert!(refused.contains("newer chatbridge"), "{command:?}: {refused}");
    }
    assert!(holds() == before, "it was changed");
}

/// A number that is another as soon as a row is.
const FINGERPRINT: &str = "SELECT sum(hashtext(row))::bigint FROM (
    SELECT t::text AS row FROM threads AS t UNION ALL SELECT m::text FROM messages AS m
    UNION ALL SELECT d::text FROM deliveries AS d UNION ALL SELECT w::text FROM work AS w
    UNION ALL SELECT x::text FROM _sqlx_migrations AS x) AS rows";
