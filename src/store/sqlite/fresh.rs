//! Keys that were seen lately, in memory and in a table that only grows at its end.
//!
//! Digests have no order in time: each new one belongs on another page of the large table `keys`, and a page for each
//! key is most of what a commit would write. So new keys are appended to `fresh_keys` (some hundreds a page) and
//! remembered here. When enough have gathered, the oldest are carried over into `keys` in the order of their digests,
//! a slice with each commit, so that neighbours share a page. Until a key has arrived there it is known by this memory,
//! which is read again at the start: no key is ever unknown.

use std::collections::{HashSet, VecDeque};

use sqlx::{Row, SqliteConnection};

use super::rows;
use super::transaction::Transaction;
use crate::store::StoreError;

/// So many keys go over in one commit at least.
const SLICE: usize = 512;

pub(super) const LOAD: &str = "SELECT seq, key, hour FROM fresh_keys ORDER BY seq";

pub(super) const APPEND: &str = "
    INSERT INTO fresh_keys (seq, key, hour) SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?)";

pub(super) const CARRY: &str =
    "INSERT OR IGNORE INTO keys (key, hour) SELECT value ->> 0, value ->> 1 FROM jsonb_each(?)";

pub(super) const FORGET: &str = "DELETE FROM fresh_keys WHERE seq <= ?";

/// The keys that are not in the large table yet.
#[derive(Debug)]
pub(super) struct Fresh {
    known: HashSet<i64>,
    /// Key and hour, oldest first.
    order: VecDeque<(i64, i64)>,
    /// The number of the oldest.
    first: i64,
    run: Option<Run>,
    /// How many are kept before the oldest half is carried over.
    most: usize,
}

/// Keys that are being carried over, in the order of their digests.
#[derive(Debug)]
struct Run {
    sorted: Vec<(i64, i64)>,
    done: usize,
}

/// What a transaction does to the fresh keys; it counts once the transaction is on the disk.
#[derive(Debug, Default)]
pub(super) struct Step {
    added: Vec<(i64, i64)>,
    carried: usize,
    forgotten: usize,
}

impl Step {
    /// Whether the transaction forgets keys already.
    pub(super) fn is_forgetting(&self) -> bool {
        self.forgotten > 0
    }
}

impl Fresh {
    /// Reads what an earlier process left.
    pub(super) async fn load(conn: &mut SqliteConnection, most: usize) -> Result<Self, StoreError> {
        let mut fresh = Self {
            known: HashSet::new(),
            order: VecDeque::new(),
            first: 1,
            run: None,
            most: most.max(2),
        };
        for row in sqlx::query(LOAD).fetch_all(conn).await? {
            if fresh.order.is_empty() {
                fresh.first = row.try_get(0)?;
            }
            let (key, hour) = (row.try_get(1)?, row.try_get(2)?);
            fresh.known.insert(key);
            fresh.order.push_back((key, hour));
        }
        Ok(fresh)
    }

    /// Whether a key was seen lately.
    pub(super) fn knows(&self, key: i64) -> bool {
        self.known.contains(&key)
    }

    /// Appends new keys (with their hours) within the transaction.
    pub(super) fn append(
        &self,
        tx: &mut Transaction<'_>,
        step: &mut Step,
        keys: Vec<(i64, i64)>,
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let next = self.first + i64::try_from(self.order.len() + step.added.len()).unwrap_or(0);
        let numbered: Vec<(i64, i64, i64)> = (next..)
            .zip(&keys)
            .map(|(seq, (key, hour))| (seq, *key, *hour))
            .collect();
        tx.add(APPEND).bind(rows::json(&numbered)?);
        step.added.extend(keys);
        Ok(())
    }

    /// Carries the next slice over within the transaction, if a run is under way.
    pub(super) fn carry(&self, tx: &mut Transaction<'_>, step: &mut Step) -> Result<(), StoreError> {
        let Some(run) = &self.run else { return Ok(()) };
        // Never fewer than have just come, or they would gather.
        let most = SLICE.max(2 * step.added.len());
        let slice = &run.sorted[run.done..(run.done + most).min(run.sorted.len())];
        tx.add(CARRY).bind(rows::json(slice)?);
        step.carried = slice.len();
        if run.done + slice.len() == run.sorted.len() {
            self.forget(tx, step, run.sorted.len());
        }
        Ok(())
    }

    /// Forgets keys of before this hour within the transaction. Returns how many.
    pub(super) fn sweep(&self, tx: &mut Transaction<'_>, step: &mut Step, hour: i64) -> usize {
        if self.run.is_some() {
            return 0;
        }
        let old = self.order.iter().take_while(|(_, seen)| *seen < hour).count();
        if old > 0 {
            self.forget(tx, step, old);
        }
        old
    }

    fn forget(&self, tx: &mut Transaction<'_>, step: &mut Step, count: usize) {
        let last = self.first + i64::try_from(count).unwrap_or(0) - 1;
        tx.add(FORGET).bind(last);
        step.forgotten = count;
    }

    /// Takes note of what is on the disk now.
    pub(super) fn settle(&mut self, step: Step) {
        for (key, hour) in step.added {
            self.known.insert(key);
            self.order.push_back((key, hour));
        }
        if let Some(run) = &mut self.run {
            run.done += step.carried;
        }
        if step.forgotten > 0 {
            for (key, _) in self.order.drain(..step.forgotten) {
                self.known.remove(&key);
            }
            self.first += i64::try_from(step.forgotten).unwrap_or(0);
            self.run = None;
        }
        if self.run.is_none() && self.order.len() > self.most {
            let mut sorted: Vec<(i64, i64)> = self.order.iter().take(self.most / 2).copied().collect();
            sorted.sort_unstable();
            self.run = Some(Run { sorted, done: 0 });
        }
    }
}
