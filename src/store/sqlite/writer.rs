//! The one task that writes.
//!
//! Whatever waits to be written when a commit ends is written together by the next one: the commit under way is the
//! window in which a batch gathers, so nobody waits for a batch to fill. An operation that fails takes nothing down
//! with it: the batch is rolled back and its operations are written one by one.

use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::fresh::{Fresh, Step};
use super::ops::{Change, Op, Outcome};
use super::{accept, changes, claims, sends, turns};
use crate::store::StoreError;

/// An operation and who waits for it.
pub(super) struct Job {
    pub(super) op: Op,
    pub(super) reply: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// Writes until the senders are gone; then everything that was sent is written.
pub(super) async fn run(
    mut conn: SqliteConnection,
    mut fresh: Fresh,
    mut jobs: mpsc::Receiver<Job>,
    most: usize,
) {
    let mut batch = Vec::with_capacity(most);
    while jobs.recv_many(&mut batch, most).await > 0 {
        write(&mut conn, &mut fresh, &mut batch).await;
    }
    super::connect::close(conn).await;
}

async fn write(conn: &mut SqliteConnection, fresh: &mut Fresh, batch: &mut Vec<Job>) {
    let (ops, replies): (Vec<Op>, Vec<_>) = batch.drain(..).map(|job| (job.op, job.reply)).unzip();
    let results = match commit(conn, fresh, &ops).await {
        Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
        Err(error) if ops.len() == 1 => vec![Err(error)],
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

async fn one_by_one(
    conn: &mut SqliteConnection,
    fresh: &mut Fresh,
    ops: &[Op],
) -> Vec<Result<Outcome, StoreError>> {
    let mut results = Vec::with_capacity(ops.len());
    for op in ops {
        let result = commit(conn, fresh, std::slice::from_ref(op)).await;
        results.push(result.and_then(|mut outcomes| outcomes.pop().ok_or(StoreError::Closed)));
    }
    results
}

/// Writes the operations in one transaction. Returns their outcomes, in order, once they are on the disk.
async fn commit(
    conn: &mut SqliteConnection,
    fresh: &mut Fresh,
    ops: &[Op],
) -> Result<Vec<Outcome>, StoreError> {
    let mut step = Step::default();
    let written = match begin_and_apply(conn, fresh, &mut step, ops).await {
        Ok(outcomes) => sqlx::query("COMMIT")
            .execute(&mut *conn)
            .await
            .map(|_| outcomes)
            .map_err(StoreError::from),
        Err(error) => Err(error),
    };
    if written.is_ok() {
        fresh.settle(step);
    } else {
        // It fails where SQLite has rolled back by itself, which is as good.
        let _ = sqlx::query("ROLLBACK").execute(conn).await;
    }
    written
}

async fn begin_and_apply(
    conn: &mut SqliteConnection,
    fresh: &Fresh,
    step: &mut Step,
    ops: &[Op],
) -> Result<Vec<Outcome>, StoreError> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    let mut outcomes: Vec<Option<Outcome>> = ops.iter().map(|_| None).collect();
    // What adds work comes first and what takes it last, so that a batch leaves nothing behind that it could do.
    accept::apply(conn, fresh, step, ops, &mut outcomes).await?;
    fresh.carry(conn, step).await?;
    turns::complete_all(conn, ops, &mut outcomes).await?;
    sends::settle_all(conn, ops, &mut outcomes).await?;
    for (op, outcome) in ops.iter().zip(&mut outcomes) {
        match op {
            Op::Accept(_) | Op::CompleteTurn(..) | Op::Settle(..) | Op::ClaimTurns(_) | Op::ClaimSends(_) => {
            }
            Op::DeferTurn(claim, deferral) => *outcome = Some(turns::defer(conn, claim, deferral).await?),
            Op::BuryTurn(claim, burial) => *outcome = Some(turns::bury(conn, claim, burial).await?),
            Op::Renew { work, keys, until } => {
                *outcome = Some(claims::renew(conn, *work, keys, *until).await?);
            }
            Op::Change(Change::Sweep { keys_before, from }) => {
                *outcome = Some(changes::sweep(conn, fresh, step, *keys_before, *from).await?);
            }
            Op::Change(change) => *outcome = Some(changes::apply(conn, change).await?),
        }
    }
    for (op, outcome) in ops.iter().zip(&mut outcomes) {
        match op {
            Op::ClaimTurns(wanted) => *outcome = Some(claims::turns(conn, wanted).await?),
            Op::ClaimSends(wanted) => *outcome = Some(claims::sends(conn, wanted).await?),
            _ => {}
        }
    }
    Ok(outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or(Outcome::Done))
        .collect())
}
