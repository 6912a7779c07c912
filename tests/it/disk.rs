//! The disk at its worst: full, read-only, taken by another process, cut off anywhere, damaged. The platforms get a
//! 503 and never a false 200, the operator reads what it is, and where nothing is broken it goes on by itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chatbridge::store::sqlite::{Mode, SqliteStore};
use chatbridge::store::{Settings, Store, StoreError};

use crate::harness::{
    Counted, Fault, Gate, Lock, SlackEvent, Talk, World, checkpoint, deliver_all, deliver_twice, eventually,
    judge, wait_all_answered,
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
    eventually("the log to tell it", || {
        world
            .daemon()
            .log()
            .contains("database or disk is full")
            .then_some(())
    });
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
    eventually("the log to tell it", || {
        world.daemon().log().contains("disk I/O error").then_some(())
    });
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

/// The files of a database as they are at this moment, in another folder.
fn copy(from: &Path, to: &Path) {
    for name in ["chatbridge.db", "chatbridge.db-wal", "chatbridge.db.key"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// Copies the database and cuts its log at this length.
fn cut(from: &Path, length: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(from, folder.path());
    let log = std::fs::OpenOptions::new()
        .write(true)
        .open(folder.path().join("chatbridge.db-wal"))
        .unwrap();
    log.set_len(length).unwrap();
    folder
}

fn log_length(folder: &Path) -> u64 {
    std::fs::metadata(folder.join("chatbridge.db-wal")).unwrap().len()
}

/// Opens a database in this process, as a daemon does.
fn open(folder: &Path) -> (tokio::runtime::Runtime, Result<SqliteStore, StoreError>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let settings = Settings {
        url: format!("sqlite://{}", folder.join("chatbridge.db").display()),
        ..Settings::default()
    };
    let store = runtime.block_on(SqliteStore::open(&settings, Mode::Serve));
    (runtime, store)
}

/// Of each talk, the messages that a database holds.
fn recorded(folder: &Path, talks: &[Talk]) -> Vec<Vec<String>> {
    let (runtime, store) = open(folder);
    let store: Arc<dyn Store> = Arc::new(store.unwrap());
    let texts = |talk: &Talk| {
        let thread = runtime.block_on(store.thread(&talk.address())).unwrap();
        let history = thread.map(|thread| thread.history).unwrap_or_default();
        let messages = history.into_iter().filter(|item| item.kind == "message");
        messages.map(|item| item.text).collect()
    };
    let found = talks.iter().map(texts).collect();
    runtime.block_on(store.close());
    found
}

/// A power cut in mid-write: whatever of the log reached the disk, the database opens, and holds of each thread the
/// first so many messages, in order.
#[test]
fn a_log_that_is_cut_off_anywhere_leaves_a_whole_database() {
    let mut talks = talks();
    let mut world = World::start();
    let copied = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        let (world, talks) = (&world, &mut talks);
        let writers = scope.spawn(move || {
            for round in 0..12 {
                say(talks, &format!("r{round}t"));
                deliver_all(world, talks);
            }
        });
        eventually("the log to have grown", || {
            (log_length(world.home()) > 200_000).then_some(())
        });
        // In the middle of writing.
        copy(world.home(), copied.path());
        writers.join().unwrap();
    });
    world.kill9();
    copy(world.home(), copied.path());
    let whole = log_length(copied.path());
    // A frame is a page and its head; cuts fall within and between them.
    for n in 0..60 {
        let length = whole * n / 59;
        let folder = cut(copied.path(), length.saturating_sub(n % 3));
        for (talk, texts) in talks.iter().zip(recorded(folder.path(), &talks)) {
            let so_many = texts.len();
            assert_eq!(
                texts,
                talk.acknowledged[..so_many],
                "{} cut at {length}",
                talk.address()
            );
        }
    }
    let all = recorded(cut(copied.path(), whole).path(), &talks);
    for (talk, texts) in talks.iter().zip(all) {
        assert_eq!(texts, talk.acknowledged, "what was acknowledged is in the log");
    }
}

/// A copy that was taken while the daemon wrote is what a crash leaves: a daemon goes on from it.
#[test]
fn a_daemon_goes_on_from_what_a_power_cut_leaves() {
    let mut talks = talks();
    let mut world = World::start();
    say(&mut talks, "kept");
    deliver_all(&world, &mut talks);
    let (whole, names) = (log_length(world.home()), ["kept0.", "kept1.", "kept2.", "kept3."]);
    world.kill9();
    // The last commits are torn: half a frame is left of them.
    let torn = cut(world.home(), whole + 2_000);
    for name in ["chatbridge.db", "chatbridge.db-wal"] {
        std::fs::copy(torn.path().join(name), world.home().join(name)).unwrap();
    }
    world.launch();
    deliver_twice(&world, &mut talks);
    wait_all_answered(&world, &names.map(str::to_owned));
    judge(&world, &talks, &[], Counted::by(&world));
}

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
    judge(&world, &talks, &[], Counted::by(&world));
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
    let log = world.daemon().log();
    assert!(log.contains("is damaged") && log.contains(REMEDY), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

/// A migration that is killed anywhere: whatever of it reached the disk, the next start brings the tables up to date.
#[cfg(debug_assertions)]
#[test]
fn a_migration_that_was_killed_anywhere_is_finished_by_the_next_start() {
    let mut world = World::stopped();
    world.write_config();
    world.config.env("CHATBRIDGE_CRASH_AT", "after.migrate");
    assert_eq!(world.cli(&["migrate"]).code, None);
    world.config.unset_env("CHATBRIDGE_CRASH_AT");
    let whole = log_length(world.home());
    let mut left = std::collections::BTreeSet::new();
    for n in 0..50 {
        let folder = cut(world.home(), whole * n / 49);
        let (runtime, store) = open(folder.path());
        let store = store.unwrap();
        left.insert(store.migrated());
        runtime.block_on(store.check_writable()).unwrap();
        runtime.block_on(store.close());
    }
    assert!(left.len() > 3, "the cuts fall between the migrations: {left:?}");
    world.launch();
    world.still_works("after the migration");
}

/// A database that a newer chatbridge has written is left as it is, by commands too.
#[test]
fn a_newer_database_is_touched_by_no_command() {
    let mut world = World::start();
    world.still_works("before");
    world.terminate();
    crate::harness::pretend_newer(&world);
    let file = world.home().join("chatbridge.db");
    checkpoint(&world);
    let before = std::fs::read(&file).unwrap();
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
    assert!(std::fs::read(&file).unwrap() == before, "it was changed");
}
