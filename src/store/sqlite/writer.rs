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

/// The operations of a transaction, and who waits for them.
#[derive(Default)]
struct Batch {
    ops: Vec<Op>,
    replies: Vec<Reply>,
}

impl Batch {
    fn push(&mut self, job: Job) {
        self.ops.push(job.op);
        self.replies.push(job.reply);
    }
}

/// What waits to be written.
struct Inbox {
    jobs: mpsc::Receiver<Job>,
    /// What was taken out too early.
    kept: Option<Job>,
    /// So many at a time.
    most: usize,
}

impl Inbox {
    /// What waits by now, or the next that comes; none when the senders are gone.
    async fn batch(&mut self) -> Option<Batch> {
        let mut jobs: Vec<Job> = self.kept.take().into_iter().collect();
        if jobs.is_empty() {
            self.jobs.recv_many(&mut jobs, self.most).await;
        }
        while jobs.len() < self.most
            && let Ok(job) = self.jobs.try_recv()
        {
            jobs.push(job);
        }
        let mut batch = Batch::default();
        jobs.into_iter().for_each(|job| batch.push(job));
        (!batch.ops.is_empty()).then_some(batch)
    }

    /// The next job, if it claims.
    fn claim(&mut self) -> Option<Job> {
        if self.kept.is_none() && self.most > 1 {
            self.kept = self.jobs.try_recv().ok();
        }
        self.kept.take_if(|job| claims::wanted(&job.op).is_some())
    }
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
    let inbox = Inbox {
        jobs,
        kept: None,
        most,
    };
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || {
            runtime.block_on(writer.run(inbox));
            // Nobody may be waiting for it.
            let _ = done.send(());
        })?;
    Ok(closed)
}

impl Writer {
    /// Writes until the senders are gone; then everything that was sent is written.
    async fn run(mut self, mut inbox: Inbox) {
        while let Some(batch) = inbox.batch().await {
            self.write(batch, &mut inbox).await;
        }
        self.syncs.end();
        super::connect::close(self.conn).await;
    }

    async fn write(&mut self, mut batch: Batch, inbox: &mut Inbox) {
        let began = Instant::now();
        let before = self.changes;
        let written = match self.recover().await {
            Ok(()) => self.write_all(&mut batch, inbox).await,
            Err(error) => {
                tracing::warn!(%error, "the log cannot be copied into the database yet");
                refuse(&batch.ops, || StoreError::NotSynced)
            }
        };
        let replies: Vec<_> = batch.replies.into_iter().zip(written).collect();
        if replies.iter().all(|(_, written)| written.is_err()) {
            return syncs::tell(replies);
        }
        // What tries the disk changes no row.
        let tries = |op: &Op| matches!(op, Op::Change(Change::CheckWritable));
        self.syncs.after_sync(Committed {
            began,
            changed: self.changes != before || batch.ops.iter().any(tries),
            deeds: batch.ops.iter().filter_map(Op::deed).collect(),
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

    async fn write_all(&mut self, batch: &mut Batch, inbox: &mut Inbox) -> Vec<Written> {
        let committed = self.commit(batch, || inbox.claim()).await;
        let ops = &batch.ops;
        match committed {
            Ok(outcomes) => outcomes,
            Err(error) if ops.len() == 1 => vec![Err(error)],
            // Each by itself would wait as long again, and all behind them too.
            Err(error) if error.is_held_elsewhere() => {
                tracing::warn!(%error, operations = ops.len(), "another process holds the database; nothing is written now");
                refuse(ops, || StoreError::Busy)
            }
            Err(error) => {
                tracing::warn!(%error, operations = ops.len(), "a batch failed; its operations are written one by one");
                self.one_by_one(&mut batch.ops).await
            }
        }
    }

    async fn one_by_one(&mut self, ops: &mut Vec<Op>) -> Vec<Written> {
        let mut results = Vec::with_capacity(ops.len());
        for op in std::mem::take(ops) {
            let mut alone = Batch {
                ops: vec![op],
                ..Batch::default()
            };
            let result = self.commit(&mut alone, || None).await;
            results.push(result.and_then(|mut written| written.pop().unwrap_or(Err(StoreError::Closed))));
            ops.append(&mut alone.ops);
        }
        results
    }

    /// Writes the operations in one transaction, and the claims that come while it is under way. Returns what came of
    /// each, in order.
    async fn commit(
        &mut self,
        batch: &mut Batch,
        late: impl FnMut() -> Option<Job>,
    ) -> Result<Vec<Written>, StoreError> {
        let mut step = Step::default();
        let transaction = Transaction::begin(&mut self.conn);
        match apply(transaction, &self.fresh, &mut step, batch, late).await {
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
    batch: &mut Batch,
    mut late: impl FnMut() -> Option<Job>,
) -> Result<(Vec<Written>, i64), StoreError> {
    let tx = &mut transaction;
    let ops = &batch.ops;
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
    // Whoever asked for work meanwhile gets what this batch adds, and needs no commit of its own.
    while let Some(job) = late() {
        batch.push(job);
        outcomes.push(None);
    }
    let ops = &batch.ops;
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

#[cfg(test)]
mod tests {
    use super::super::ops::Wanted;
    use super::*;
    use crate::domain::Time;

    fn job(op: Op) -> Job {
        let (reply, _) = oneshot::channel();
        Job { op, reply }
    }

    fn claim() -> Job {
        job(Op::ClaimTurns(Wanted {
            quotas: Vec::new(),
            now: Time::default(),
            lease_until: Time::default(),
        }))
    }

    #[tokio::test]
    async fn claims_join_a_batch_that_is_under_way_up_to_whatever_else_waits() {
        let (jobs, queue) = mpsc::channel(8);
        let mut inbox = Inbox {
            jobs: queue,
            kept: None,
            most: 8,
        };
        for next in [claim(), claim(), job(Op::Accept(Vec::new())), claim()] {
            assert!(jobs.try_send(next).is_ok());
        }
        assert!(inbox.claim().is_some() && inbox.claim().is_some());
        assert!(inbox.claim().is_none(), "what waits in front comes first");
        let batch = inbox.batch().await.unwrap();
        assert!(matches!(batch.ops[..], [Op::Accept(_), Op::ClaimTurns(_)]));
        drop(jobs);
        assert!(inbox.claim().is_none() && inbox.batch().await.is_none());
    }
}
