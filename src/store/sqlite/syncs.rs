//! Making commits last: a thread that syncs the log while the next commit is already under way.
//!
//! SQLite writes a commit to its log and, with `synchronous=NORMAL`, leaves it to the system when that reaches the disk;
//! only its copying of the log into the database is synced by itself. A commit that nobody knows of may still be
//! lost in a power cut, so nobody learns of one here before a sync has made it last. The commits of the time that a sync
//! takes are made to last by the next one together.
//!
//! After a failed sync nothing of the log can be relied on: the system may take what it failed to write for written
//! (<https://www.postgresql.org/docs/current/wal-reliability.html>, <https://lwn.net/Articles/752063/>). Everything is then refused until the log was
//! copied into the database, and that was synced.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use tokio::sync::oneshot;

use super::ops::Outcome;
use crate::crash_point::{self, Deed};
use crate::store::StoreError;
use crate::telemetry;

/// What came of an operation.
pub(super) type Written = Result<Outcome, StoreError>;

/// Who waits for an operation.
pub(super) type Reply = oneshot::Sender<Written>;

/// So many commits may wait for the sync under way; the writer waits with the next.
const WAITING: usize = 1;

/// Makes everything last that was written to the log so far.
pub(super) type Sync = Box<dyn FnMut() -> io::Result<()> + Send>;

/// The sync of a database's log.
pub(super) fn of_log(database: &Path) -> Sync {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    let name = PathBuf::from(name);
    let mut log: Option<File> = None;
    Box::new(move || {
        // It is there from the first commit on, and the same file until the database is closed.
        let file = match &log {
            Some(file) => file,
            None => log.insert(File::open(&name)?),
        };
        file.sync_data()
    })
}

/// Where SQLite syncs at each commit.
pub(super) fn by_sqlite() -> Sync {
    Box::new(|| Ok(()))
}

/// A batch that is in the log.
pub(super) struct Committed {
    pub(super) began: Instant,
    /// Whether it changed anything at all.
    pub(super) changed: bool,
    pub(super) deeds: Vec<Deed>,
    pub(super) replies: Vec<(Reply, Written)>,
}

/// The thread that syncs.
pub(super) struct Syncs {
    commits: SyncSender<Committed>,
    failed: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Syncs {
    pub(super) fn start(sync: Sync) -> io::Result<Self> {
        let (commits, queue) = sync_channel(WAITING);
        let failed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&failed);
        let thread = std::thread::Builder::new()
            .name("store-sync".to_owned())
            .spawn(move || run(&queue, sync, &flag))?;
        Ok(Self {
            commits,
            failed,
            thread,
        })
    }

    /// Tells those who wait what came of their operations, once that lasts.
    pub(super) fn after_sync(&self, batch: Committed) {
        if let Err(unsent) = self.commits.send(batch) {
            // The thread lives as long as this does; whoever waits for what it cannot take is told so.
            refuse(unsent.0.replies);
        }
    }

    /// Whether a sync failed, so that first the log must go into the database.
    pub(super) fn have_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The log is in the database, with everything that was committed so far.
    pub(super) fn recovered(&self) {
        self.failed.store(false, Ordering::Release);
    }

    /// Ends once everything is synced.
    pub(super) fn end(self) {
        drop(self.commits);
        // A panic there has told of itself.
        let _ = self.thread.join();
    }
}

fn run(queue: &Receiver<Committed>, mut sync: Sync, failed: &AtomicBool) {
    let mut batches = Vec::with_capacity(WAITING + 1);
    while let Ok(first) = queue.recv() {
        batches.push(first);
        batches.extend(queue.try_iter().take(WAITING));
        let needed = batches.iter().any(|batch| batch.changed);
        // What comes after a failed sync is as unsure as what was before it, even if it only found that (a duplicate).
        let lasts = !failed.load(Ordering::Acquire) && (!needed || synced(&mut sync, failed));
        for batch in batches.drain(..) {
            settle(batch, lasts);
        }
    }
}

fn synced(sync: &mut Sync, failed: &AtomicBool) -> bool {
    let result = sync();
    if let Err(error) = &result {
        failed.store(true, Ordering::Release);
        tracing::error!(%error, "the disk did not take the log; nothing is acknowledged until it has the database whole");
    }
    result.is_ok()
}

fn settle(batch: Committed, lasts: bool) {
    telemetry::committed(batch.began.elapsed(), batch.replies.len(), lasts);
    if !lasts {
        return refuse(batch.replies);
    }
    batch.deeds.into_iter().for_each(crash_point::after);
    tell(batch.replies);
}

/// Tells what came of operations. Whoever gave up waiting no longer wants to know.
pub(super) fn tell(replies: Vec<(Reply, Written)>) {
    for (reply, written) in replies {
        let _ = reply.send(written.and_then(Outcome::refuse_fenced));
    }
}

fn refuse(replies: Vec<(Reply, Written)>) {
    for (reply, _) in replies {
        let _ = reply.send(Err(StoreError::NotSynced));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::mpsc;

    use super::super::fresh::Fresh;
    use super::super::ops::{Change, Op};
    use super::super::writer::Job;
    use super::super::{connect, writer};
    use super::*;

    /// A sync that fails at these turns, and how often it was called.
    fn failing(at: &'static [usize]) -> (Sync, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let sync = move || {
            let call = counted.fetch_add(1, Ordering::SeqCst);
            if at.contains(&call) {
                Err(io::Error::other("the disk is gone"))
            } else {
                Ok(())
            }
        };
        (Box::new(sync), calls)
    }

    fn commit(syncs: &Syncs, changed: bool) -> oneshot::Receiver<Written> {
        let (reply, answer) = oneshot::channel();
        syncs.after_sync(Committed {
            began: Instant::now(),
            changed,
            deeds: Vec::new(),
            replies: vec![(reply, Ok(Outcome::Done))],
        });
        answer
    }

    fn is_refused(answer: oneshot::Receiver<Written>) -> bool {
        matches!(answer.blocking_recv().unwrap(), Err(StoreError::NotSynced))
    }

    #[test]
    fn nobody_learns_of_a_commit_before_its_sync() {
        let (go, wait) = std::sync::mpsc::channel();
        let syncs = Syncs::start(Box::new(move || wait.recv().map_err(io::Error::other))).unwrap();
        let mut answer = commit(&syncs, true);
        std::thread::yield_now();
        assert!(answer.try_recv().is_err());
        go.send(()).unwrap();
        assert!(matches!(answer.blocking_recv().unwrap(), Ok(Outcome::Done)));
        syncs.end();
    }

    #[test]
    fn what_changed_nothing_needs_no_sync() {
        let (sync, calls) = failing(&[]);
        let syncs = Syncs::start(sync).unwrap();
        assert!(!is_refused(commit(&syncs, false)));
        syncs.end();
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn after_a_failed_sync_all_is_refused_until_the_database_has_the_log() {
        let (sync, calls) = failing(&[0]);
        let syncs = Syncs::start(sync).unwrap();
        assert!(is_refused(commit(&syncs, true)));
        assert!(syncs.have_failed());
        // That a message is known already is as unsure as the message.
        assert!(is_refused(commit(&syncs, false)));
        assert!(is_refused(commit(&syncs, true)));
        assert_eq!(
            calls.load(Ordering::SeqCst),
            1,
            "the log cannot be relied on any more"
        );
        syncs.recovered();
        assert!(!is_refused(commit(&syncs, true)));
        syncs.end();
    }

    #[tokio::test]
    async fn the_writer_goes_on_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.db");
        let mut conn = connect::writer(&path).await.unwrap();
        connect::prepare(&path, &mut conn).await.unwrap();
        connect::leave_sync(&mut conn).await.unwrap();
        let fresh = Fresh::load(&mut conn, 16).await.unwrap();
        let (sync, calls) = failing(&[1]);
        let (jobs, queue) = mpsc::channel(4);
        let closed = writer::start(conn, fresh, sync, queue, 4).unwrap();
        let mut went = Vec::new();
        for account in ["x/A", "x/B", "x/C"] {
            let (reply, answer) = oneshot::channel();
            let account = crate::domain::AccountKey::from_stored(account).unwrap();
            let op = Op::Change(Change::Family {
                account,
                family: "one".to_owned(),
            });
            assert!(jobs.send(Job { op, reply }).await.is_ok());
            went.push(matches!(answer.await.unwrap(), Ok(Outcome::Done)));
        }
        drop(jobs);
        closed.await.unwrap();
        assert_eq!(went, [true, false, true]);
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }
}
