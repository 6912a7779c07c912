//! The tasks that write.
//!
//! Whatever waits to be written when a commit ends is written together by the next one: the commit under way is the
//! window in which a batch gathers, so nobody waits for a batch to fill. Each of a few tasks has a queue of its own
//! ([`queues`](super::queues)). Whoever loses against another replica begins the batch anew; a batch that
//! fails otherwise is written operation by operation, so that one takes nothing else down with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};
use tokio::sync::{Notify, mpsc, oneshot};

use super::lanes::Lanes;
use super::tx::{self, Tx};
use super::{accept, changes, claims, connect, sends, turns};
use crate::crash_point;
use crate::domain::Time;
use crate::domain::message::Lane;
use crate::domain::routing::send_lane;
use crate::store::StoreError;
use crate::store::ops::{Change, Op, Outcome};
use crate::telemetry::{self, CONTENDED};

/// How long a whole transaction may take before its connection is given up: more than the database's own limits on each
/// statement, for it must speak first where it can.
const LONGEST: Duration = Duration::from_secs(8);

/// How often, and for how long, a batch that other replicas were in the way of is begun anew.
const TRIES: (u32, Duration) = (12, Duration::from_secs(3));

/// After so many operations of a batch that waited for a lock until the database gave up, the others are refused.
const WAITED_IN_VAIN: u32 = 2;

/// An operation and who waits for it.
pub(super) struct Job {
    pub(super) op: Op,
    pub(super) reply: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// What the writing tasks share.
pub(super) struct Shared {
    pub(super) options: PgConnectOptions,
    pub(super) lanes: Lanes,
    /// Told after a commit that other replicas should hear of.
    pub(super) news: Notify,
    /// So many writes share a commit at most.
    pub(super) batch: usize,
    /// The disk had no room, and nobody has seen it otherwise since: what fits into a page that is there still goes.
    pub(super) full: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The options hold a password.
        let database = connect::name(&self.options);
        f.debug_struct("Shared")
            .field("database", &database)
            .field("lanes", &self.lanes)
            .finish_non_exhaustive()
    }
}

/// One of the tasks.
pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Job>,
    conn: Option<PgConnection>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, queue: mpsc::Receiver<Job>, conn: Option<PgConnection>) -> Self {
        Self { shared, queue, conn }
    }

    /// Writes until the senders are gone; then everything that was sent is written.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        while self.queue.recv_many(&mut batch, self.shared.batch).await > 0 {
            self.write(&mut batch).await;
        }
        if let Some(conn) = self.conn {
            let _ = tokio::time::timeout(connect::CONNECT, conn.close()).await;
        }
    }

    async fn write(&mut self, batch: &mut Vec<Job>) {
        let (ops, replies): (Vec<Op>, Vec<_>) = batch.drain(..).map(|job| (job.op, job.reply)).unzip();
        let results = match self.commit_in_the_end(&ops).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) if ops.len() == 1 => vec![Err(error)],
            Err(error) if tx::is_broken(&error) => {
                tracing::warn!(%error, operations = ops.len(), "the database does not take what is to be written");
                let reason = error.to_string();
                ops.iter().map(|_| Err(self.unreachable(&reason))).collect()
            }
            Err(error) => {
                tracing::warn!(%error, operations = ops.len(), "a batch failed; its operations are written one by one");
                self.one_by_one(&ops).await
            }
        };
        for (reply, result) in replies.into_iter().zip(results) {
            // Whoever gave up waiting no longer wants to know.
            let _ = reply.send(result.and_then(Outcome::refuse_fenced));
        }
    }

    /// Writes the operations of a batch that failed, each by itself. Where a thread's row is locked, only its operations
    /// wait in vain; once several have, more is locked than a row, and the rest would wait as long, one after the other.
    async fn one_by_one(&mut self, ops: &[Op]) -> Vec<Result<Outcome, StoreError>> {
        let mut results = Vec::with_capacity(ops.len());
        let mut in_vain = 0;
        for op in ops {
            if in_vain >= WAITED_IN_VAIN {
                results.push(Err(StoreError::Busy));
                continue;
            }
            let result = self.commit_in_the_end(std::slice::from_ref(op)).await;
            in_vain += u32::from(result.as_ref().is_err_and(tx::waited_in_vain));
            results.push(result.and_then(|mut outcomes| outcomes.pop().ok_or(StoreError::Closed)));
        }
        if in_vain >= WAITED_IN_VAIN {
            tracing::warn!(
                operations = ops.len(),
                "another session holds the database; nothing more of this batch is written now"
            );
        }
        results
    }

    fn unreachable(&self, reason: &str) -> StoreError {
        StoreError::Unreachable {
            database: connect::name(&self.shared.options),
            reason: reason.to_owned(),
        }
    }

    /// Commits, however often others are in the way.
    async fn commit_in_the_end(&mut self, ops: &[Op]) -> Result<Vec<Outcome>, StoreError> {
        let (mut lost, began) = (0, Instant::now());
        loop {
            let reused = self.conn.is_some();
            let mut committing = false;
            match self.commit(ops, &mut committing).await {
                Err(error) if tx::is_contended(&error) && lost < TRIES.0 && began.elapsed() < TRIES.1 => {
                    metrics::counter!(CONTENDED).increment(1);
                    lost += 1;
                    let most = Duration::from_millis(4 << lost.min(6));
                    tokio::time::sleep(most.mul_f64(rand::random())).await;
                }
                // The server was started anew since: the first to notice tries once more, if nothing can have come of it.
                Err(error) if tx::is_broken(&error) && reused && !committing && lost == 0 => lost += 1,
                other => {
                    telemetry::committed(began.elapsed(), ops.len(), other.is_ok());
                    return other;
                }
            }
        }
    }

    /// Writes the operations in one transaction. Returns their outcomes, in order, once they are on the disk.
    async fn commit(&mut self, ops: &[Op], committing: &mut bool) -> Result<Vec<Outcome>, StoreError> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => connect::connect(&self.shared.options).await?,
        };
        let written = tokio::time::timeout(LONGEST, attempt(&mut conn, &self.shared, ops, committing)).await;
        match written {
            Ok(Ok((outcomes, news))) => {
                self.conn = Some(conn);
                if news {
                    self.shared.news.notify_one();
                }
                Ok(outcomes)
            }
            Ok(Err(error)) => {
                self.shared.lanes.doubt();
                if tx::is_full(&error) {
                    self.shared.full.store(true, Ordering::Relaxed);
                }
                if !tx::is_broken(&error) {
                    let rollback = conn.execute(sqlx::raw_sql("ROLLBACK"));
                    let rolled_back = tokio::time::timeout(connect::CONNECT, rollback).await;
                    self.conn = matches!(rolled_back, Ok(Ok(_))).then_some(conn);
                }
                Err(error)
            }
            // The connection is closed by being dropped; what it still waits for is the database's to give up.
            Err(_) => {
                self.shared.lanes.doubt();
                Err(self.unreachable("no answer in time"))
            }
        }
    }
}

/// Writes all of it. The second value is whether other replicas should hear of it.
async fn attempt(
    conn: &mut PgConnection,
    shared: &Shared,
    ops: &[Op],
    committing: &mut bool,
) -> Result<(Vec<Outcome>, bool), StoreError> {
    let mut tx = Tx::begin(conn).await?;
    let mut outcomes: Vec<Option<Outcome>> = ops.iter().map(|_| None).collect();
    // What adds work comes first and what takes it last, so that a batch leaves nothing behind that it could do. The
    // claims come last for another reason too: they wait for nobody.
    let asked = accept::asked(ops);
    let locked = accept::lock(&mut tx, &asked, ops).await?;
    let mut news = accept::apply(&mut tx, &asked, &locked, ops, &mut outcomes).await?;
    own_lanes(&mut tx, &shared.lanes, ops).await?;
    let may_send = |lane: &str| {
        ops.iter()
            .any(|op| at_of(op).is_some_and(|at| shared.lanes.is_mine(lane, at)))
    };
    news |= turns::complete_all(&mut tx, ops, &mut outcomes, may_send).await?;
    sends::settle_all(&mut tx, ops, &mut outcomes).await?;
    for (op, outcome) in ops.iter().zip(&mut outcomes) {
        match op {
            Op::DeferTurn(claim, deferral) => *outcome = Some(turns::defer(&mut tx, claim, deferral).await?),
            Op::BuryTurn(claim, burial) => {
                *outcome = Some(turns::bury(&mut tx, claim, burial).await?);
                news |= burial.apology.is_some();
            }
            Op::Renew { work, keys, until } => {
                *outcome = Some(Outcome::Held(claims::renew(&mut tx, *work, keys, *until).await?));
            }
            Op::Change(change) => {
                *outcome = Some(changes::apply(&mut tx, change).await?);
                if matches!(change, Change::CheckWritable) && shared.full.load(Ordering::Relaxed) {
                    changes::try_room(&mut tx, shared.lanes.owner()).await?;
                    shared.full.store(false, Ordering::Relaxed);
                }
                news |= changes::wakes(change);
            }
            Op::Accept(_) | Op::CompleteTurn(..) | Op::Settle(..) | Op::ClaimTurns(_) | Op::ClaimSends(_) => {
            }
        }
    }
    for (op, outcome) in ops.iter().zip(&mut outcomes) {
        match op {
            Op::ClaimTurns(wanted) => *outcome = Some(claims::turns(&mut tx, wanted).await?),
            Op::ClaimSends(wanted) => *outcome = Some(claims::sends(&mut tx, wanted, &shared.lanes).await?),
            _ => {}
        }
    }
    *committing = true;
    ops.iter().filter_map(Op::deed).for_each(crash_point::before);
    tx.commit().await?;
    ops.iter().filter_map(Op::deed).for_each(crash_point::after);
    let outcomes = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or(Outcome::Done))
        .collect();
    Ok((outcomes, news))
}

/// When an operation that may begin to send happens.
fn at_of(op: &Op) -> Option<Time> {
    match op {
        Op::CompleteTurn(_, done) => Some(done.at),
        Op::ClaimSends(wanted) => Some(wanted.now),
        _ => None,
    }
}

/// Takes the lanes in which something is to be sent now, where they can be had.
async fn own_lanes(tx: &mut Tx<'_>, lanes: &Lanes, ops: &[Op]) -> Result<(), StoreError> {
    let Some(now) = ops.iter().filter_map(at_of).max() else {
        return Ok(());
    };
    let mut wanted: Vec<Lane> = Vec::new();
    for op in ops {
        match op {
            Op::CompleteTurn(claim, done) if done.claim_first => {
                wanted.push(send_lane(&claim.thread.account));
            }
            Op::ClaimSends(claim) => wanted.extend(claim.quotas.iter().map(|quota| quota.lane.clone())),
            _ => {}
        }
    }
    lanes.own(tx, &wanted, now).await
}
