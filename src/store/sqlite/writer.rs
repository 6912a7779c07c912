//! The one task that writes, on a thread of its own.
//!
//! Each statement is a trip to the thread on which sqlx runs SQLite, and whoever waits for it is woken from there.
//! Among the workers that serve webhooks the writer would queue behind them at each step; on its own thread it goes on
//! at once.
//!
//! Whatever waits to be written when a commit ends is written together by the next one: the commit under way is the
//! window in which a batch gathers, so nobody waits for a batch to fill. What a batch comes to is told once it lasts
//! ([`syncs`](super::syncs)); meanwhile the next one is written. An operation that fails takes nothing down
//! with it: the batch is rolled back and its operations are written one by one.

use std::time::Instant;

use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::fresh::{Fresh, Step};
use super::ops::{Change, Op, Outcome};
use super::syncs::{self, Committed, Reply, Sync, Syncs, Written};
use super::transaction::Transaction;
use super::{accept, changes, claims, sends, turns};
use crate::crash_point;
use crate::store::StoreError;
use crate::telemetry;

/// An operation and who waits for it.
pub(super) struct Job {
    pub(super) op: Op,
    pub(super) reply: Reply,
}

/// The connection that writes, and what is known of the database beside it.
struct Writer {
    conn: SqliteConnection,
    fresh: Fresh,
    syncs: Syncs,
    /// How many rows this connection has changed.
    changes: i64,
}

/// Starts the writer. What it returns resolves once everything is written and the file is closed.
pub(super) fn start(
    conn: SqliteConnection,
    fresh: Fresh,
    sync: Sync,
    jobs: mpsc::Receiver<Job>,
    most: usize,
) -> std::io::Result<oneshot::Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let writer = Writer {
        conn,
        fresh,
        syncs: Syncs::start(sync)?,
        changes: 0,
    };
    let (done, closed) = oneshot::channel();
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || {
            runtime.block_on(writer.run(jobs, most));
            // Nobody may be waiting for it.
            let _ = done.send(());
        })?;
    Ok(closed)
}

impl Writer {
    /// Writes until the senders are gone; then everything that was sent is written.
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>, most: usize) {
        let mut batch = Vec::with_capacity(most);
        while jobs.recv_many(&mut batch, most).await > 0 {
            self.write(&mut batch).await;
        }
        self.syncs.end();
        super::connect::close(self.conn).await;
    }

    async fn write(&mut self, batch: &mut Vec<Job>) {
        let began = Instant::now();
        let (ops, replies): (Vec<Op>, Vec<_>) = batch.drain(..).map(|job| (job.op, job.reply)).unzip();
        let before = self.changes;
        let written = match self.recover().await {
            Ok(()) => self.write_all(&ops).await,
            Err(error) => {
                tracing::warn!(%error, "the log cannot be copied into the database yet");
                refuse(&ops, || StoreError::NotSynced)
            }
        };
        let replies: Vec<_> = replies.into_iter().zip(written).collect();
        if replies.iter().all(|(_, written)| written.is_err()) {
            return syncs::tell(replies);
        }
        self.syncs.after_sync(Committed {
            began,
            // What tries the disk changes no row.
            changed: self.changes != before
                || ops
                    .iter()
                    .any(|op| matches!(op, Op::Change(Change::CheckWritable))),
            deeds: ops.iter().filter_map(Op::deed).collect(),
            replies,
        });
    }

    /// After a failed sync: brings the log into the database, which SQLite syncs by itself.
    async fn recover(&mut self) -> Result<(), StoreError> {
        if self.syncs.have_failed() {
            super::connect::copy_log(&mut self.conn).await?;
            self.syncs.recovered();
            tracing::info!("the database is on the disk again; chatbridge goes on");
        }
        Ok(())
    }

    async fn write_all(&mut self, ops: &[Op]) -> Vec<Written> {
        match self.commit(ops).await {
            Ok(outcomes) => outcomes,
            Err(error) if ops.len() == 1 => vec![Err(error)],
            // Each by itself would wait as long again, and all behind them too.
            Err(error) if error.is_held_elsewhere() => {
                tracing::warn!(%error, operations = ops.len(), "another process holds the database; nothing is written now");
                refuse(ops, || StoreError::Busy)
            }
            Err(error) => {
                tracing::warn!(%error, operations = ops.len(), "a batch failed; its operations are written one by one");
                self.one_by_one(ops).await
            }
        }
    }

    async fn one_by_one(&mut self, ops: &[Op]) -> Vec<Written> {
        let mut results = Vec::with_capacity(ops.len());
        for op in ops {
            let result = self.commit(std::slice::from_ref(op)).await;
            results.push(result.and_then(|mut written| written.pop().unwrap_or(Err(StoreError::Closed))));
        }
        results
    }

    /// Writes the operations in one transaction. Returns what came of each, in order.
    async fn commit(&mut self, ops: &[Op]) -> Result<Vec<Written>, StoreError> {
        let mut step = Step::default();
        let transaction = Transaction::begin(&mut self.conn);
        match apply(transaction, &self.fresh, &mut step, ops).await {
            Ok((written, changes)) => {
                self.fresh.settle(step);
                self.changes = changes;
                Ok(written)
            }
            Err(error) => {
                telemetry::not_committed();
                // It fails where SQLite has rolled back by itself, which is as good.
                let _ = sqlx::query("ROLLBACK").execute(&mut self.conn).await;
                Err(error)
            }
        }
    }
}

fn refuse(ops: &[Op], why: fn() -> StoreError) -> Vec<Written> {
    ops.iter().map(|_| Err(why())).collect()
}

async fn apply(
    mut transaction: Transaction<'_>,
    fresh: &Fresh,
    step: &mut Step,
    ops: &[Op],
) -> Result<(Vec<Written>, i64), StoreError> {
    let tx = &mut transaction;
    let mut outcomes: Vec<Option<Outcome>> = ops.iter().map(|_| None).collect();
    // What adds work comes first and what takes it last, so that a batch leaves nothing behind that it could do.
    accept::apply(tx, fresh, step, ops, &mut outcomes).await?;
    fresh.carry(tx, step)?;
    turns::complete_all(tx, ops, &mut outcomes).await?;
    sends::settle_all(tx, ops, &mut outcomes).await?;
    for (op, outcome) in ops.iter().zip(&mut outcomes) {
        match op {
            Op::Accept(_) | Op::CompleteTurn(..) | Op::Settle(..) | Op::ClaimTurns(_) | Op::ClaimSends(_) => {
            }
            Op::DeferTurn(claim, deferral) => *outcome = Some(turns::defer(tx, claim, deferral).await?),
            Op::BuryTurn(claim, burial) => *outcome = Some(turns::bury(tx, claim, burial).await?),
            Op::Renew { work, keys, until } => {
                *outcome = Some(claims::renew(tx.conn().await?, *work, keys, *until).await?);
            }
            Op::Change(Change::Sweep { keys_before, from }) => {
                *outcome = Some(changes::sweep(tx, fresh, step, *keys_before, *from).await?);
            }
            Op::Change(change) => *outcome = Some(changes::apply(tx, change).await?),
        }
    }
    let mut taken = Vec::new();
    for (place, op) in ops.iter().enumerate() {
        if let Some((work, wanted)) = claims::wanted(op) {
            taken.push(claims::take(tx, place, work, wanted).await?);
        }
    }
    ops.iter().filter_map(Op::deed).for_each(crash_point::before);
    let (rows, changes) = transaction.commit().await?;
    let mut written: Vec<Written> = outcomes
        .into_iter()
        .map(|outcome| Ok(outcome.unwrap_or(Outcome::Done)))
        .collect();
    for claim in taken {
        // What cannot be read back stays claimed until its lease ends, and is tried again.
        written[claim.op] = claims::outcome(&claim, &rows);
    }
    Ok((written, changes))
}
