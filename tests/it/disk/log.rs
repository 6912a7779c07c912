//! The log cut off anywhere: what a power cut leaves.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use chatbridge::store::sqlite::{Mode, SqliteStore};
use chatbridge::store::{Settings, Store, StoreError};

use super::{say, talks};
use crate::harness::{Talk, World, deliver_all, deliver_twice, eventually, judge, wait_all_answered};

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
    judge(&world, &talks, &[]);
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
