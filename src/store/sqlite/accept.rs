//! Accepting: one read, the decisions of [`plan`](super::plan), one write, whatever the size of the batch.

pub(super) mod names;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::acts;
use super::fresh::{Fresh, Step};
use super::ops::{Op, Outcome};
use super::plan::asked::Asked;
use super::plan::writes::Found;
use super::plan::{Plan, rows as rows_of};
use super::rows::{self, From, thread_now_columns};
use super::transaction::Transaction;
use crate::domain::message::Admission;
use crate::domain::{AliasKey, DedupKey};
use crate::store::StoreError;

/// What is known of the batch's aliases, keys and deliveries.
pub(super) const READ: &str = concat!(
    "SELECT 1, a.alias, t.id, a.since, ",
    thread_now_columns!(),
    "
      FROM jsonb_each(?) AS j CROSS JOIN aliases AS a ON a.alias = j.value CROSS JOIN threads AS t ON t.id = a.thread_id;
    SELECT 2, k.key FROM jsonb_each(?) AS j CROSS JOIN keys AS k ON k.key = j.value"
);

/// The deliveries that receipts speak of, by our id or by the platform's name.
pub(super) const READ_DELIVERIES: &str = "
    SELECT 3, d.thread_id, d.part, t.account, d.platform_id, d.state, d.stage, coalesce(d.billable, 0)
      FROM jsonb_each(?) AS j
     CROSS JOIN deliveries AS d ON d.thread_id = j.value ->> 0 AND d.part = j.value ->> 1
     CROSS JOIN threads AS t ON t.id = d.thread_id
    UNION
    SELECT 3, d.thread_id, d.part, t.account, d.platform_id, d.state, d.stage, coalesce(d.billable, 0)
      FROM jsonb_each(?) AS j CROSS JOIN deliveries AS d ON d.platform_id = j.value
      CROSS JOIN threads AS t ON t.id = d.thread_id";

/// Threads first, for the others refer to them. A turn that is claimed, has begun or is held keeps its time; else a
/// message more moves it, up to the longest wait.
pub(super) const WRITE: &str = "
    INSERT INTO threads (id, account, place, address, route, country, bound, last_seq, last_part, last_inbound_at,
                         noticed_at, created_at, updated_at, routed_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
           value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 11, value ->> 12
      FROM jsonb_each(?) WHERE true
        ON CONFLICT (id) DO UPDATE SET address = excluded.address, route = excluded.route,
           country = coalesce(excluded.country, country), bound = excluded.bound, last_seq = excluded.last_seq,
           last_part = excluded.last_part, last_inbound_at = max(last_inbound_at, excluded.last_inbound_at),
           noticed_at = excluded.noticed_at, updated_at = excluded.updated_at, routed_at = excluded.routed_at;
    INSERT INTO aliases (alias, thread_id, strength, since)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?) WHERE true
        ON CONFLICT (alias) DO UPDATE SET thread_id = excluded.thread_id, strength = excluded.strength,
           since = excluded.since;
    INSERT INTO messages (thread_id, seq, platform_id, text, state, code, sent_at, accepted_at, ended_at, quotes)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
           value ->> 8, value ->> 9
      FROM jsonb_each(?);
    INSERT INTO work (kind, thread_id, lane, due_at, since, wait, max_wait, first)
    SELECT 1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
      FROM jsonb_each(?) WHERE true
        ON CONFLICT (kind, thread_id) DO UPDATE SET due_at = min(since + max_wait, excluded.due_at)
           WHERE token IS NULL AND upto IS NULL AND held IS NULL AND excluded.wait > 0";

pub(super) const WRITE_NOTICES: &str = "
    INSERT INTO deliveries (thread_id, part, kind, body, state, created_at)
    SELECT value ->> 0, value ->> 1, 'notice', value ->> 2, 'pending', value ->> 3 FROM jsonb_each(?);
    INSERT INTO work (kind, thread_id, lane, due_at, since, first)
    SELECT 2, value ->> 0, value ->> 4, value ->> 3, value ->> 3, value ->> 1 FROM jsonb_each(?) WHERE true
        ON CONFLICT (kind, thread_id) DO NOTHING";

/// A stage never goes back. What was being sent or unknown is thereby known; a failure makes a dead letter even of
/// what counted as sent, unless its text has gone meanwhile. A part that nobody works on is looked at now.
pub(super) const WRITE_RECEIPTS: &str = "
    UPDATE deliveries AS d SET stage = j.stage, billable = coalesce(j.billable, d.billable),
           platform_id = coalesce(d.platform_id, j.platform_id),
           state = CASE WHEN j.stage = 4 THEN CASE WHEN d.body = '' THEN 'withdrawn' ELSE 'dead' END
                        WHEN d.state IN ('dead', 'withdrawn') THEN d.state
                        ELSE 'sent' END,
           code = coalesce(j.code, d.code), reason = coalesce(j.reason, d.reason), ended_at = j.at
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS part, value ->> 2 AS stage, value ->> 3 AS billable,
                   value ->> 4 AS platform_id, value ->> 5 AS code, value ->> 6 AS reason, value ->> 7 AS at
              FROM jsonb_each(?)) AS j
     WHERE d.thread_id = j.thread_id AND d.part = j.part AND d.stage < j.stage;
    UPDATE work SET due_at = j.at
      FROM (SELECT value ->> 0 AS thread_id, value ->> 7 AS at, value ->> 8 AS kind FROM jsonb_each(?)) AS j
     WHERE work.kind = j.kind AND work.thread_id = j.thread_id AND work.token IS NULL AND work.held IS NULL
       AND EXISTS (SELECT 1 FROM deliveries AS d
                    WHERE d.thread_id = work.thread_id AND d.part = work.first AND d.state NOT IN ('pending'))";

/// Accepts all batches among the operations.
pub(super) async fn apply(
    tx: &mut Transaction<'_>,
    fresh: &Fresh,
    step: &mut Step,
    ops: &[Op],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), StoreError> {
    let batches = ops.iter().filter_map(|op| {
        if let Op::Accept(batch) = op {
            Some(batch)
        } else {
            None
        }
    });
    let admissions: Vec<&Admission> = batches.flatten().collect();
    if admissions.is_empty() {
        accept_nothing(ops, outcomes);
        return Ok(());
    }
    let mut plan = Plan::new(read(tx, fresh, admissions).await?);
    for (op, outcome) in ops.iter().zip(outcomes.iter_mut()) {
        if let Op::Accept(batch) = op {
            *outcome = Some(Outcome::Accepted(
                batch.iter().map(|admission| plan.admit(admission)).collect(),
            ));
        }
    }
    write(tx, &plan).await?;
    let keys = plan.keys.iter().map(|(key, at)| (key.as_i64(), rows::hour(*at)));
    fresh.append(tx, step, keys.collect())
}

/// A webhook without anything to store is accepted with nothing.
fn accept_nothing(ops: &[Op], outcomes: &mut [Option<Outcome>]) {
    for (op, outcome) in ops.iter().zip(outcomes.iter_mut()) {
        if let Op::Accept(_) = op {
            *outcome = Some(Outcome::Accepted(Vec::new()));
        }
    }
}

async fn read(tx: &mut Transaction<'_>, fresh: &Fresh, batch: Vec<&Admission>) -> Result<Found, StoreError> {
    let asked = Asked::of(batch);
    let mut found = Found::default();
    let (lately, keys): (Vec<i64>, Vec<i64>) = asked.keys.iter().partition(|key| fresh.knows(**key));
    found.keys.extend(lately.into_iter().map(DedupKey::from));
    acts::read(tx, &asked, &mut found).await?;
    let rooms = asked.rooms(&found);
    let aliases = asked.aliases(&rooms);
    if !keys.is_empty() || !aliases.is_empty() {
        tx.add(READ).bind(rows::json(&aliases)?).bind(rows::json(&keys)?);
    }
    if !asked.by_name.is_empty() {
        tx.add(READ_DELIVERIES)
            .bind(rows::json(&asked.by_id)?)
            .bind(rows::json(&asked.by_name)?);
    }
    for row in tx.rows().await? {
        take_row(&mut found, &row)?;
    }
    Ok(found)
}

fn take_row(found: &mut Found, row: &SqliteRow) -> Result<(), StoreError> {
    match row.try_get::<i64, _>(0)? {
        1 => take_alias(found, row)?,
        2 => drop(found.keys.insert(DedupKey::from(row.try_get::<i64, _>(1)?))),
        _ => found.deliveries.push(rows::delivery_now(&From(row, 1))?),
    }
    Ok(())
}

fn take_alias(found: &mut Found, row: &SqliteRow) -> Result<(), StoreError> {
    let thread = rows::id(row, 2)?;
    found.aliases.insert(
        AliasKey::from_stored(row.try_get(1)?),
        (thread, rows::time(row, 3)?),
    );
    let now = rows::thread_now(row, 4)?;
    found.threads.insert(thread, now);
    Ok(())
}

async fn write(tx: &mut Transaction<'_>, plan: &Plan) -> Result<(), StoreError> {
    names::leave(tx, plan)?;
    if !(plan.threads.is_empty() && plan.keys.is_empty() && plan.aliases.is_empty()) {
        tx.add(WRITE)
            .bind(rows_of::threads(plan)?)
            .bind(rows_of::aliases(plan)?)
            .bind(rows_of::messages(plan)?)
            .bind(rows_of::turns(plan)?);
    }
    if !plan.notices.is_empty() {
        let notices = rows_of::notices(plan)?;
        tx.add(WRITE_NOTICES).bind(notices.clone()).bind(notices);
    }
    if !plan.receipts.is_empty() {
        let receipts = rows_of::receipts(plan)?;
        tx.add(WRITE_RECEIPTS).bind(receipts.clone()).bind(receipts);
    }
    for (thread, route) in &plan.reroutes {
        tx.add("UPDATE threads SET route = ? WHERE id = ?")
            .bind(route)
            .bind(thread.to_string());
    }
    names::adopt_and_pause(tx, plan);
    names::readdress(tx, plan);
    acts::write(tx, plan).await
}
