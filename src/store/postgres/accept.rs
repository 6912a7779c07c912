//! Accepting: one lock, one read, the decisions of the plan, one write, whatever the size of the batch.
//!
//! Other replicas accept at the same time. Whoever decides about a thread has locked its row, so known threads are
//! decided one after another. A name or a key that nobody knew yet has no row to lock: there the unique indexes tell
//! who was first, and whoever was not begins the batch anew.

use std::collections::HashSet;

use super::acts;
use super::tx::{Tx, clean, json};
use crate::domain::message::Admission;
use crate::domain::{AliasKey, DedupKey, ThreadId};
use crate::store::StoreError;
use crate::store::ops::{Change, Letter, Op, Outcome};
use crate::store::plan::asked::Asked;
use crate::store::plan::writes::Found;
use crate::store::plan::{Plan, rows as rows_of};
use crate::store::rows::{self, Cells, thread_now_columns};

/// In the order of their ids, so that two replicas never wait for one another in a circle.
pub(super) const LOCK: &str = "
    SELECT t.id FROM threads AS t
     WHERE t.id = ANY (ARRAY(SELECT a.thread_id FROM aliases AS a WHERE a.alias = ANY($1)
                             UNION SELECT unnest($2::text[])
                             UNION SELECT d.thread_id FROM deliveries AS d WHERE d.platform_id = ANY($3)))
     ORDER BY t.id FOR NO KEY UPDATE OF t";

/// What is known of the batch's aliases and keys.
pub(super) const READ: &str = concat!(
    "SELECT a.alias, t.id, a.since, ",
    thread_now_columns!(),
    ", NULL::bigint AS key
      FROM aliases AS a JOIN threads AS t ON t.id = ANY (ARRAY[a.thread_id]) WHERE a.alias = ANY($1)
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, k.key
      FROM keys AS k WHERE k.key = ANY($2)"
);

/// The deliveries that receipts speak of, by our id or by the platform's name.
pub(super) const READ_DELIVERIES: &str = "
    SELECT d.thread_id, d.part, t.account, d.platform_id, d.state, d.stage, coalesce(d.billable, 0)
      FROM jsonb_array_elements($1::jsonb) AS j (v)
      JOIN deliveries AS d ON d.thread_id = ANY (ARRAY[v ->> 0]) AND d.part = (v ->> 1)::bigint
      JOIN threads AS t ON t.id = ANY (ARRAY[v ->> 0])
    UNION
    SELECT d.thread_id, d.part, t.account, d.platform_id, d.state, d.stage, coalesce(d.billable, 0)
      FROM deliveries AS d JOIN threads AS t ON t.id = ANY (ARRAY[d.thread_id]) WHERE d.platform_id = ANY($2)";

/// A turn that is claimed, has begun or is held keeps its time; else a message more moves it, up to the longest wait.
/// The conflict locks its row in either case: nobody claims it before this is written.
pub(super) const WRITE: &str = "
    WITH t AS (
        INSERT INTO threads (id, account, place, address, route, country, bound, last_seq, last_part, last_inbound_at,
                             noticed_at, created_at, updated_at, routed_at)
        SELECT v ->> 0, v ->> 1, v ->> 2, v ->> 3, v ->> 4, v ->> 5, v ->> 6, (v ->> 7)::bigint, (v ->> 8)::bigint,
               (v ->> 9)::bigint, (v ->> 10)::bigint, (v ->> 11)::bigint, (v ->> 11)::bigint, (v ->> 12)::bigint
          FROM jsonb_array_elements($1::jsonb) AS j (v)
            ON CONFLICT (id) DO UPDATE SET address = excluded.address, route = excluded.route,
               country = coalesce(excluded.country, threads.country), bound = excluded.bound,
               last_seq = excluded.last_seq, last_part = excluded.last_part,
               last_inbound_at = greatest(threads.last_inbound_at, excluded.last_inbound_at),
               noticed_at = excluded.noticed_at, updated_at = excluded.updated_at, routed_at = excluded.routed_at
    ), fresh AS (
        INSERT INTO aliases (alias, thread_id, strength, since)
        SELECT v ->> 0, v ->> 1, (v ->> 2)::bigint, (v ->> 3)::bigint
          FROM jsonb_array_elements($2::jsonb) AS j (v) ORDER BY 1
            ON CONFLICT (alias) DO NOTHING
        RETURNING 1
    ), known AS (
        UPDATE aliases SET thread_id = v ->> 1, strength = (v ->> 2)::bigint, since = (v ->> 3)::bigint
          FROM jsonb_array_elements($3::jsonb) AS j (v) WHERE alias = ANY (ARRAY[v ->> 0])
        RETURNING 1
    ), m AS (
        INSERT INTO messages (thread_id, seq, platform_id, text, state, code, sent_at, accepted_at, ended_at, quotes)
        SELECT v ->> 0, (v ->> 1)::bigint, v ->> 2, v ->> 3, v ->> 4, v ->> 5, (v ->> 6)::bigint, (v ->> 7)::bigint,
               (v ->> 8)::bigint, v ->> 9
          FROM jsonb_array_elements($4::jsonb) AS j (v)
    ), w AS (
        INSERT INTO work (kind, thread_id, lane, due_at, since, wait, max_wait, first)
        SELECT 1, v ->> 0, v ->> 1, (v ->> 2)::bigint, (v ->> 3)::bigint, (v ->> 4)::bigint, (v ->> 5)::bigint,
               (v ->> 6)::bigint
          FROM jsonb_array_elements($5::jsonb) AS j (v)
            ON CONFLICT (kind, thread_id) DO UPDATE
               SET due_at = least(work.since + work.max_wait, excluded.due_at)
             WHERE work.token IS NULL AND work.upto IS NULL AND work.held IS NULL AND excluded.wait > 0
    ), k AS (
        INSERT INTO keys (key, hour)
        SELECT (v ->> 0)::bigint, (v ->> 1)::bigint FROM jsonb_array_elements($6::jsonb) AS j (v) ORDER BY 1
            ON CONFLICT (key) DO NOTHING
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM fresh), (SELECT count(*) FROM known), (SELECT count(*) FROM k)";

/// Of several notices on one thread the first is the one that is sent first. The conflict locks the row.
pub(super) const WRITE_NOTICES: &str = "
    WITH d AS (
        INSERT INTO deliveries (thread_id, part, kind, body, state, created_at)
        SELECT v ->> 0, (v ->> 1)::bigint, 'notice', v ->> 2, 'pending', (v ->> 3)::bigint
          FROM jsonb_array_elements($1::jsonb) AS j (v)
    )
    INSERT INTO work (kind, thread_id, lane, due_at, since, first)
    SELECT DISTINCT ON (v ->> 0) 2, v ->> 0, v ->> 4, (v ->> 3)::bigint, (v ->> 3)::bigint, (v ->> 1)::bigint
      FROM jsonb_array_elements($1::jsonb) AS j (v) ORDER BY v ->> 0, (v ->> 1)::bigint
        ON CONFLICT (kind, thread_id) DO UPDATE SET due_at = work.due_at";

/// A stage never goes back. What was being sent or unknown is thereby known; a failure makes a dead letter even of
/// what counted as sent, unless its text has gone meanwhile. A part that nobody works on is looked at now.
pub(super) const WRITE_RECEIPTS: &str = "
    WITH r AS (
        SELECT v ->> 0 AS thread_id, (v ->> 1)::bigint AS part, max((v ->> 2)::bigint) AS stage,
               max((v ->> 3)::bigint) AS billable, max(v ->> 4) AS platform_id, max(v ->> 5) AS code,
               max(v ->> 6) AS reason, max((v ->> 7)::bigint) AS at
          FROM jsonb_array_elements($1::jsonb) AS j (v) GROUP BY 1, 2
    ), d AS (
        UPDATE deliveries AS d SET stage = r.stage, billable = coalesce(r.billable, d.billable),
               platform_id = coalesce(d.platform_id, r.platform_id),
               state = CASE WHEN r.stage = 4 THEN CASE WHEN d.body = '' THEN 'withdrawn' ELSE 'dead' END
                            WHEN d.state IN ('dead', 'withdrawn') THEN d.state
                            ELSE 'sent' END,
               code = coalesce(r.code, d.code), reason = coalesce(r.reason, d.reason), ended_at = r.at
          FROM r WHERE d.thread_id = ANY (ARRAY[r.thread_id]) AND d.part = r.part AND d.stage < r.stage
    )
    UPDATE work SET due_at = r.at FROM (SELECT thread_id, array_agg(part) AS parts, max(at) AS at FROM r GROUP BY 1) AS r
     WHERE work.thread_id = ANY (ARRAY[r.thread_id]) AND work.kind + 0 = 2 AND work.token IS NULL AND work.held IS NULL
       AND (work.first = ANY(r.parts) OR EXISTS (
            SELECT 1 FROM deliveries AS d
             WHERE d.thread_id = work.thread_id AND d.part = work.first AND d.state <> 'pending'))";

pub(super) const REROUTE: &str = "
    UPDATE threads SET route = v ->> 1 FROM jsonb_array_elements($1::jsonb) AS j (v) WHERE id = ANY (ARRAY[v ->> 0])";

/// What the batch's acceptances ask.
pub(super) fn asked(ops: &[Op]) -> Asked<'_> {
    let batches = ops.iter().filter_map(|op| match op {
        Op::Accept(batch) => Some(batch),
        _ => None,
    });
    Asked::of(batches.flatten())
}

/// Locks all threads that the operations decide about. Returns them.
pub(super) async fn lock(
    tx: &mut Tx<'_>,
    asked: &Asked<'_>,
    ops: &[Op],
) -> Result<HashSet<ThreadId>, StoreError> {
    let mut ids: HashSet<ThreadId> = asked.by_id.iter().map(|(thread, _)| *thread).collect();
    ids.extend(asked.parts.iter().map(|(thread, _)| *thread));
    ids.extend(ops.iter().filter_map(decided));
    let aliases = asked.aliases(&[]);
    if ids.is_empty() && aliases.is_empty() && asked.by_name.is_empty() {
        return Ok(HashSet::new());
    }
    let ids: Vec<ThreadId> = ids.into_iter().collect();
    lock_these(tx, &aliases, &ids, &asked.by_name).await
}

async fn lock_these(
    tx: &mut Tx<'_>,
    aliases: &[&str],
    ids: &[ThreadId],
    names: &[&str],
) -> Result<HashSet<ThreadId>, StoreError> {
    let ids: Vec<String> = ids.iter().map(ThreadId::to_string).collect();
    let query = sqlx::query(LOCK).bind(aliases).bind(ids).bind(names);
    tx.fetch(query)
        .await?
        .iter()
        .map(|row| rows::id(row, 0))
        .collect()
}

/// The thread that an operation decides about, if it names it.
fn decided(op: &Op) -> Option<ThreadId> {
    match op {
        Op::CompleteTurn(claim, _) | Op::BuryTurn(claim, _) => Some(claim.key.thread),
        Op::Settle(claim, _) => Some(claim.key.thread),
        Op::Change(Change::Replay { letter, .. } | Change::Purge { letter, .. }) => Some(match letter {
            Letter::Message(id) => id.thread,
            Letter::Delivery(id) => id.thread,
        }),
        Op::Change(Change::Erase { thread, .. }) => *thread,
        _ => None,
    }
}

/// Accepts all batches among the operations. True if that made something to send.
pub(super) async fn apply(
    tx: &mut Tx<'_>,
    asked: &Asked<'_>,
    locked: &HashSet<ThreadId>,
    ops: &[Op],
    outcomes: &mut [Option<Outcome>],
) -> Result<bool, StoreError> {
    if !ops.iter().any(|op| matches!(op, Op::Accept(_))) {
        return Ok(false);
    }
    let found = read_locked(tx, asked, locked).await?;
    let known: HashSet<AliasKey> = found.aliases.keys().cloned().collect();
    let mut plan = Plan::new(found);
    for (op, outcome) in ops.iter().zip(outcomes.iter_mut()) {
        if let Op::Accept(batch) = op {
            let decided = batch.iter().map(|admission: &Admission| plan.admit(admission));
            *outcome = Some(Outcome::Accepted(decided.collect()));
        }
    }
    write(tx, &plan, &known).await?;
    Ok(!plan.notices.is_empty() || !plan.receipts.is_empty())
}

/// Reads. What a name has come to lead to in the meantime, and a room that only a part tells of, is locked now and read
/// again; that is not in the order of ids, but such waits in a circle are broken by the database and tried again.
async fn read_locked(
    tx: &mut Tx<'_>,
    asked: &Asked<'_>,
    locked: &HashSet<ThreadId>,
) -> Result<Found, StoreError> {
    let found = read(tx, asked).await?;
    let further: HashSet<ThreadId> = found.threads.keys().copied().collect();
    let further: Vec<ThreadId> = further.difference(locked).copied().collect();
    if further.is_empty() {
        return Ok(found);
    }
    let mut locked = locked.clone();
    locked.extend(lock_these(tx, &[], &further, &[]).await?);
    let found = read(tx, asked).await?;
    if found.threads.keys().all(|thread| locked.contains(thread)) {
        Ok(found)
    } else {
        Err(StoreError::Contended)
    }
}

async fn read(tx: &mut Tx<'_>, asked: &Asked<'_>) -> Result<Found, StoreError> {
    let mut found = Found::default();
    acts::read(tx, asked, &mut found).await?;
    let rooms = asked.rooms(&found);
    let aliases = asked.aliases(&rooms);
    if !asked.keys.is_empty() || !aliases.is_empty() {
        let read = sqlx::query(READ).bind(aliases).bind(&asked.keys);
        for row in tx.fetch(read).await? {
            if let Some(key) = row.maybe_int(12)? {
                found.keys.insert(DedupKey::from(key));
                continue;
            }
            let thread = rows::id(&row, 1)?;
            found
                .aliases
                .insert(rows::alias(&row, 0)?, (thread, rows::time(&row, 2)?));
            found.threads.insert(thread, rows::thread_now(&row, 3)?);
        }
    }
    if !asked.by_name.is_empty() {
        let read = sqlx::query(READ_DELIVERIES)
            .bind(json(&asked.by_id)?)
            .bind(&asked.by_name);
        for row in tx.fetch(read).await? {
            found.deliveries.push(rows::delivery_now(&row)?);
        }
    }
    Ok(found)
}

async fn write(tx: &mut Tx<'_>, plan: &Plan, known: &HashSet<AliasKey>) -> Result<(), StoreError> {
    acts::leave(tx, plan).await?;
    if !(plan.threads.is_empty() && plan.keys.is_empty() && plan.aliases.is_empty()) {
        let left: HashSet<&AliasKey> = plan.left.iter().collect();
        let is_known = |alias: &AliasKey| known.contains(alias) && !left.contains(alias);
        let (fresh, held) = rows_of::split_aliases(plan, is_known);
        let keys = rows_of::keys(plan);
        let write = sqlx::query(WRITE)
            .bind(clean(rows_of::threads(plan)?)?)
            .bind(json(&fresh)?)
            .bind(json(&held)?)
            .bind(clean(rows_of::messages(plan)?)?)
            .bind(clean(rows_of::turns(plan)?)?)
            .bind(json(&keys)?);
        let written = tx.fetch_optional(write).await?.ok_or(StoreError::Contended)?;
        let counts = [written.int(0)?, written.int(1)?, written.int(2)?];
        let wanted =
            [fresh.len(), held.len(), keys.len()].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        if counts != wanted {
            return Err(StoreError::Contended);
        }
    }
    if !plan.notices.is_empty() {
        let notices = clean(rows_of::notices(plan)?)?;
        tx.run(sqlx::query(WRITE_NOTICES).bind(notices)).await?;
    }
    if !plan.receipts.is_empty() {
        let receipts = clean(rows_of::receipts(plan)?)?;
        tx.run(sqlx::query(WRITE_RECEIPTS).bind(receipts)).await?;
    }
    if !plan.reroutes.is_empty() {
        let reroutes = json(&plan.reroutes.iter().collect::<Vec<_>>())?;
        tx.run(sqlx::query(REROUTE).bind(reroutes)).await?;
    }
    acts::adopt_and_pause(tx, plan).await?;
    acts::readdress(tx, plan).await?;
    acts::write(tx, plan).await
}
