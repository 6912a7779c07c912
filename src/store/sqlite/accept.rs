//! Accepting: one read, the decisions of [`plan`](super::plan), one write, whatever the size of the batch.

mod names;

use std::collections::HashSet;

use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::acts::{self, Asked};
use super::fresh::{Fresh, Step};
use super::ops::{Op, Outcome, kind};
use super::plan::Plan;
use super::rows;
use super::transaction::Transaction;
use super::writes::{
    DeliveryNow, Found, MessageWrite, NoticeWrite, ReceiptWrite, ThreadNow, ThreadWrite, TurnWrite,
};
use crate::domain::message::{Admission, Arrival, Fate};
use crate::domain::{AliasKey, DedupKey, DeliveryId, ThreadId, Time};
use crate::store::{StoreError, Work};

/// What is known of the batch's aliases, keys and deliveries.
const READ: &str = "
    SELECT 1, a.alias, t.id, t.bound, t.last_seq, t.last_part, t.state, t.noticed_at,
           t.route, a.since, t.address, t.routed_at, t.paused_until
      FROM jsonb_each(?) AS j CROSS JOIN aliases AS a ON a.alias = j.value CROSS JOIN threads AS t ON t.id = a.thread_id;
    SELECT 2, k.key FROM jsonb_each(?) AS j CROSS JOIN keys AS k ON k.key = j.value";

/// The deliveries that receipts speak of, by our id or by the platform's name.
const READ_DELIVERIES: &str = "
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
const WRITE: &str = "
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

const WRITE_NOTICES: &str = "
    INSERT INTO deliveries (thread_id, part, kind, body, state, created_at)
    SELECT value ->> 0, value ->> 1, 'notice', value ->> 2, 'pending', value ->> 3 FROM jsonb_each(?);
    INSERT INTO work (kind, thread_id, lane, due_at, since, first)
    SELECT 2, value ->> 0, value ->> 4, value ->> 3, value ->> 3, value ->> 1 FROM jsonb_each(?) WHERE true
        ON CONFLICT (kind, thread_id) DO NOTHING";

/// A stage never goes back. What was being sent or unknown is thereby known; a failure makes a dead letter even of
/// what counted as sent. A part that nobody works on is looked at now.
const WRITE_RECEIPTS: &str = "
    UPDATE deliveries AS d SET stage = j.stage, billable = coalesce(j.billable, d.billable),
           platform_id = coalesce(d.platform_id, j.platform_id),
           state = CASE WHEN j.stage = 4 THEN 'dead' WHEN d.state IN ('dead', 'withdrawn') THEN d.state
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
    write(tx, &plan)?;
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
    let (mut aliases, mut keys) = (HashSet::new(), Vec::new());
    let (mut by_id, mut by_name) = (Vec::new(), Vec::new());
    let (mut asked, mut named) = (Asked::default(), Vec::new());
    for admission in batch {
        match &admission.arrival {
            Arrival::Message(inbound) => {
                aliases.extend(
                    inbound
                        .identifiers
                        .iter()
                        .map(|identifier| identifier.alias.as_str()),
                );
                keys.extend(inbound.keys.iter().map(|key| key.as_i64()));
            }
            Arrival::Identity(change) => {
                aliases.extend(
                    change
                        .old
                        .iter()
                        .chain(&change.new)
                        .map(|identifier| identifier.alias.as_str()),
                );
                keys.extend(change.keys.iter().map(|key| key.as_i64()));
            }
            Arrival::TakeOver(echo) => {
                aliases.extend(
                    echo.identifiers
                        .iter()
                        .map(|identifier| identifier.alias.as_str()),
                );
                keys.extend(echo.keys.iter().map(|key| key.as_i64()));
                by_name.push(echo.platform_id.as_str());
            }
            Arrival::Receipt(receipt) => {
                by_id.extend(receipt.delivery.map(|id| (id.thread, id.number)));
                by_name.push(receipt.platform_id.as_str());
            }
            other => {
                named.extend(asked.note(other));
                keys.extend(keys_of(other).iter().map(|key| key.as_i64()));
            }
        }
    }
    let mut found = Found::default();
    let (lately, keys): (Vec<i64>, Vec<i64>) = keys.into_iter().partition(|key| fresh.knows(*key));
    found.keys.extend(lately.into_iter().map(DedupKey::from));
    named.extend(asked.read(tx, &mut found).await?);
    aliases.extend(named.iter().map(AliasKey::as_str));
    if !keys.is_empty() || !aliases.is_empty() {
        tx.add(READ).bind(rows::json(&aliases)?).bind(rows::json(&keys)?);
    }
    if !by_name.is_empty() {
        tx.add(READ_DELIVERIES)
            .bind(rows::json(&by_id)?)
            .bind(rows::json(&by_name)?);
    }
    for row in tx.rows().await? {
        take_row(&mut found, &row)?;
    }
    Ok(found)
}

/// The keys of what people do besides writing.
fn keys_of(arrival: &Arrival) -> &[DedupKey] {
    match arrival {
        Arrival::Withdraw(withdrawal) => &withdrawal.keys,
        Arrival::Act(act) => &act.keys,
        _ => &[],
    }
}

fn take_row(found: &mut Found, row: &SqliteRow) -> Result<(), StoreError> {
    match row.try_get::<i64, _>(0)? {
        1 => take_alias(found, row)?,
        2 => drop(found.keys.insert(DedupKey::from(row.try_get::<i64, _>(1)?))),
        _ => found.deliveries.push(DeliveryNow {
            id: DeliveryId::new(rows::id(row, 1)?, row.try_get(2)?),
            account: rows::account(row, 3)?,
            platform_id: row.try_get(4)?,
            state: row.try_get(5)?,
            stage: row.try_get(6)?,
            billed: row.try_get(7)?,
        }),
    }
    Ok(())
}

fn take_alias(found: &mut Found, row: &SqliteRow) -> Result<(), StoreError> {
    let thread = rows::id(row, 2)?;
    found.aliases.insert(
        AliasKey::from_stored(row.try_get(1)?),
        (thread, rows::time(row, 9)?),
    );
    let now = ThreadNow {
        bound: row.try_get::<Option<String>, _>(3)?.map(AliasKey::from_stored),
        last_seq: row.try_get(4)?,
        last_part: row.try_get(5)?,
        state: rows::thread_state(row, 6)?,
        noticed_at: rows::optional_time(row, 7)?,
        route: rows::route(row, 8)?,
        address: AliasKey::from_stored(row.try_get(10)?),
        routed_at: rows::time(row, 11)?,
        paused_until: rows::optional_time(row, 12)?,
    };
    found.threads.insert(thread, now);
    Ok(())
}

fn write(tx: &mut Transaction<'_>, plan: &Plan) -> Result<(), StoreError> {
    names::leave(tx, plan)?;
    if !(plan.threads.is_empty() && plan.keys.is_empty() && plan.aliases.is_empty()) {
        tx.add(WRITE)
            .bind(threads_json(plan)?)
            .bind(aliases_json(plan)?)
            .bind(messages_json(plan)?)
            .bind(turns_json(plan)?);
    }
    if !plan.notices.is_empty() {
        let notices = notices_json(plan)?;
        tx.add(WRITE_NOTICES).bind(notices.clone()).bind(notices);
    }
    if !plan.receipts.is_empty() {
        let receipts = receipts_json(plan)?;
        tx.add(WRITE_RECEIPTS).bind(receipts.clone()).bind(receipts);
    }
    for (thread, route) in &plan.reroutes {
        tx.add("UPDATE threads SET route = ? WHERE id = ?")
            .bind(route)
            .bind(thread.to_string());
    }
    names::adopt_and_pause(tx, plan);
    names::readdress(tx, plan);
    acts::write(tx, plan)
}

fn threads_json(plan: &Plan) -> Result<String, StoreError> {
    let row = |(id, write): (&ThreadId, &ThreadWrite)| {
        let now = plan.found.threads.get(id)?;
        Some(json!([
            id,
            write.account.as_str(),
            write.place,
            write.address.as_str(),
            write.route,
            write.country,
            now.bound.as_ref().map(AliasKey::as_str),
            now.last_seq,
            now.last_part,
            write.inbound_at.millis(),
            now.noticed_at.map(Time::millis),
            write.at.millis(),
            now.routed_at.millis(),
        ]))
    };
    rows::json(&plan.threads.iter().filter_map(row).collect::<Vec<_>>())
}

fn aliases_json(plan: &Plan) -> Result<String, StoreError> {
    let row = |(alias, (thread, strength, since)): (&AliasKey, &(ThreadId, i64, Time))| {
        json!([alias.as_str(), thread, strength, since.millis()])
    };
    rows::json(&plan.aliases.iter().map(row).collect::<Vec<_>>())
}

fn messages_json(plan: &Plan) -> Result<String, StoreError> {
    let row = |m: &MessageWrite| {
        let ended = (m.state != "pending").then_some(m.at.millis());
        let (sent, at) = (m.sent_at.millis(), m.at.millis());
        json!([
            m.id.thread,
            m.id.number,
            m.platform_id,
            m.text,
            m.state,
            m.code,
            sent,
            at,
            ended,
            m.quotes
        ])
    };
    rows::json(&plan.messages.iter().map(row).collect::<Vec<_>>())
}

fn turns_json(plan: &Plan) -> Result<String, StoreError> {
    let row = |(thread, turn): (&ThreadId, &TurnWrite)| {
        let (wait, max_wait) = (rows::millis(turn.wait), rows::millis(turn.max_wait));
        let due = turn.at.plus(turn.wait.min(turn.max_wait)).millis();
        json!([
            thread,
            &*turn.lane,
            due,
            turn.at.millis(),
            wait,
            max_wait,
            turn.first
        ])
    };
    rows::json(&plan.turns.iter().map(row).collect::<Vec<_>>())
}

fn notices_json(plan: &Plan) -> Result<String, StoreError> {
    let row = |notice: &NoticeWrite| {
        json!([
            notice.id.thread,
            notice.id.number,
            notice.body,
            notice.at.millis(),
            &*notice.lane
        ])
    };
    rows::json(&plan.notices.iter().map(row).collect::<Vec<_>>())
}

fn receipts_json(plan: &Plan) -> Result<String, StoreError> {
    let row = |write: &ReceiptWrite| {
        let receipt = &write.receipt;
        let (code, reason) = match &receipt.fate {
            Fate::Failed { code, reason } => (Some(code), Some(reason)),
            _ => (None, None),
        };
        let (stage, _) = receipt.fate.stage();
        let billable = receipt.billable.map(i64::from);
        let (id, name, at) = (write.delivery, &receipt.platform_id, receipt.at.millis());
        let sends = kind(Work::Send);
        json!([
            id.thread, id.number, stage, billable, name, code, reason, at, sends
        ])
    };
    rows::json(&plan.receipts.iter().map(row).collect::<Vec<_>>())
}
