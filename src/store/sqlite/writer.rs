//! The one task that writes, on a thread of its own.
//!
//! Each statement is a trip to the thread on which sqlx runs SQLite, and whoever waits for it is woken from there.
//! Among the workers that serve webhooks the writer would queue behind them at each step; on its own thread it goes on
//! at once.
//!
//! Whatever waits to be written when a commit ends is written together by the next one: the commit under way is the
//! window in which a batch gathers, so nobody waits for a batch to fill. An operation that fails takes nothing down
//! with it: the batch is rolled back and its operations are written one by one.

use std::time::Instant;

use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::fresh::{Fresh, Step};
use super::ops::{Change, Op, Outcome};
use super::transaction::Transaction;
use super::{accept, changes, claims, sends, turns};
use crate::crash_point;
use crate::store::StoreError;
use crate::telemetry;

/// What came of an operation.
type Written = Result<Outcome, StoreError>;

/// An operation and who waits for it.
pub(super) struct Job {
    pub(super) op: Op,
    pub(super) reply: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// Starts the writer. What it returns resolves once everything is written and the file is closed.
pub(super) fn start(
    conn: SqliteConnection,
    fresh: Fresh,
    jobs: mpsc::Receiver<Job>,
    most: usize,
) -> std::io::Result<oneshot::Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let (done, closed) = oneshot::channel();
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || {
            runtime.block_on(run(conn, fresh, jobs, most));
            // Nobody may be waiting for it.
            let _ = done.send(());
        })?;
    Ok(closed)
}

/// Writes until the senders are gone; then everything that was sent is written.
async fn run(mut conn: SqliteConnection, mut fresh: Fresh, mut jobs: mpsc::Receiver<Job>, most: usize) {
    let mut batch = Vec::with_capacity(most);
    while jobs.recv_many(&mut batch, most).await > 0 {
        write(&mut conn, &mut fresh, &mut batch).await;
    }
    super::connect::close(conn).await;
}

async fn write(conn: &mut SqliteConnection, fresh: &mut Fresh, batch: &mut Vec<Job>) {
    let (ops, replies): (Vec<Op>, Vec<_>) = batch.drain(..).map(|job| (job.op, job.reply)).unzip();
    let results = match commit(conn, fresh, &ops).await {
        Ok(outcomes) => outcomes,
        Err(error) if ops.len() == 1 => vec![Err(error)],
        // Each by itself would wait as long again, and all behind them too.
        Err(error) if error.is_held_elsewhere() => {
            tracing::warn!(%error, operations = ops.len(), "another process holds the database; nothing is written now");
            ops.iter().map(|_| Err(StoreError::Busy)).collect()
        }
        Err(error) => {
            tracing::warn!(%error, operations = ops.len(), "a batch failed; its operations are written one by one");
            one_by_one(conn, fresh, &ops).await
        }
    };
    for (reply, result) in replies.into_iter().zip(results) {
        // Whoever gave up waiting no longer wants to know.
        let _ = reply.send(result.and_then(Outcome::refuse_fenced));
    }
}

async fn one_by_one(conn: &mut SqliteConnection, fresh: &mut Fresh, ops: &[Op]) -> Vec<Written> {
    let mut results = Vec::with_capacity(ops.len());
    for op in ops {
        let result = commit(conn, fresh, std::slice::from_ref(op)).await;
        results.push(result.and_then(|mut written| written.pop().unwrap_or(Err(StoreError::Closed))));
    }
    results
}

/// Writes the operations in one transaction. Returns what came of each, in order, once it is on the disk.
async fn commit(
    conn: &mut SqliteConnection,
    fresh: &mut Fresh,
    ops: &[Op],
) -> Result<Vec<Written>, StoreError> {
    let began = Instant::now();
    let mut step = Step::default();
    let written = apply(Transaction::begin(conn), fresh, &mut step, ops).await;
    telemetry::committed(began.elapsed(), ops.len(), written.is_ok());
    if written.is_ok() {
        fresh.settle(step);
    } else {
        // It fails where SQLite has rolled back by itself, which is as good.
        let _ = sqlx::query("ROLLBACK").execute(conn).await;
    }
    written
}

async fn apply(
    mut transaction: Transaction<'_>,
    fresh: &Fresh,
    step: &mut Step,
    ops: &[Op],
) -> Result<Vec<Written>, StoreError> {
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
    let rows = transaction.commit().await?;
    ops.iter().filter_map(Op::deed).for_each(crash_point::after);
    let mut written: Vec<Written> = outcomes
        .into_iter()
        .map(|outcome| Ok(outcome.unwrap_or(Outcome::Done)))
        .collect();
    for claim in taken {
        // What cannot be read back stays claimed until its lease ends, and is tried again.
        written[claim.op] = claims::outcome(&claim, &rows);
    }
    Ok(written)
}
