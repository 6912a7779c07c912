//! The rare writes: starting up, tidying, and what operators change.

use super::tx::{Tx, json};
use super::{families, installations, privacy, reads};
use crate::domain::account::AccountKey;
use crate::domain::routing::{Routes, send_lane};
use crate::domain::{ThreadId, Time};
use crate::store::operator::ThreadChange;
use crate::store::ops::{Change, Letter, Outcome, kind};
use crate::store::rows::{self, Cells};
use crate::store::{StoreError, Swept, sql};

/// What a replica that is gone had claimed is free again once its leases are over: so it is claimed, as any work that is
/// due. Here it is only counted and made ready. `now, look_at`
pub(super) const RECOVER: &str = "
    WITH gone AS (
        SELECT kind, thread_id, first FROM work
         WHERE kind IN (1, 2) AND token IS NOT NULL AND due_at <= $1 ORDER BY kind, thread_id FOR UPDATE SKIP LOCKED
    ), parts AS (
        UPDATE deliveries SET state = 'unknown' FROM gone
         WHERE gone.kind = 2 AND deliveries.thread_id = ANY (ARRAY[gone.thread_id]) AND part >= gone.first AND state = 'sending'
    ), turns AS (
        UPDATE work SET token = NULL, due_at = CASE WHEN work.kind = 1 THEN $1 ELSE $2 END,
               ambiguous = ambiguous OR work.kind = 1, attempts = attempts - (work.kind = 1)::int
          FROM gone WHERE work.thread_id = ANY (ARRAY[gone.thread_id]) AND work.kind + 0 = gone.kind
    )
    SELECT count(*) FROM gone";

/// What was held is tried anew. `now`
pub(super) const TRY_HELD: &str =
    "UPDATE work SET held = NULL, due_at = $1 WHERE kind IN (1, 2) AND held IS NOT NULL AND token IS NULL";

pub(super) const MOVE_LANES: &str = "
    UPDATE work SET lane = v ->> 1 FROM jsonb_array_elements($1::jsonb) AS j (v)
     WHERE work.thread_id = ANY (ARRAY[v ->> 0]) AND work.kind + 0 = 1";

/// `id, account, address, at`
pub(super) const OPEN: &str = "
    WITH t AS (
        INSERT INTO threads (id, account, address, route, last_inbound_at, created_at, updated_at)
        VALUES ($1, $2, $3, 'null', 0, $4, $4)
    )
    INSERT INTO aliases (alias, thread_id, strength, since) VALUES ($3, $1, 0, $4)";

/// Messages whose turn has not begun are for the person now, and parts that are not sent yet stay unsent. `at, thread`
pub(super) const HAND_OVER: &str = "
    WITH m AS (
        UPDATE messages SET state = 'handed', ended_at = $1
         WHERE thread_id = $2 AND state = 'pending'
           AND seq > coalesce((SELECT upto FROM work WHERE thread_id = $2 AND kind + 0 = 1 AND token IS NOT NULL), 0)
    ), w AS (
        DELETE FROM work WHERE thread_id = $2 AND kind + 0 = 1 AND token IS NULL
    )
    UPDATE deliveries SET state = 'withdrawn', ended_at = $1
     WHERE thread_id = $2 AND state = 'pending' AND kind = 'answer'";

/// It keeps its place: it is asked before whatever waits behind it, or right after the turn that is under way.
/// `at, thread, number, lane`
pub(super) const REPLAY_MESSAGE: &str = "
    WITH m AS (
        UPDATE messages SET state = 'pending', code = NULL, reason = NULL, ended_at = NULL, attempts = 0,
               accepted_at = $1
         WHERE thread_id = $2 AND seq = $3
    )
    INSERT INTO work (kind, thread_id, lane, due_at, since, first) VALUES (1, $2, $4, $1, $1, $3)
        ON CONFLICT (kind, thread_id) DO UPDATE SET
           first = CASE WHEN work.upto IS NULL THEN least(work.first, excluded.first) ELSE work.first END,
           reopened = CASE WHEN work.upto IS NULL THEN NULL
                           ELSE least(coalesce(work.reopened, excluded.first), excluded.first) END";

/// `at, thread, number, lane`
pub(super) const REPLAY_DELIVERY: &str = "
    WITH d AS (
        UPDATE deliveries SET state = 'pending', stage = 0, attempts = 0, code = NULL, reason = NULL, ended_at = NULL,
               platform_id = NULL, created_at = $1
         WHERE thread_id = $2 AND part = $3
    )
    INSERT INTO work (kind, thread_id, lane, due_at, since, first) VALUES (2, $2, $4, $1, $1, $3)
        ON CONFLICT (kind, thread_id) DO UPDATE SET first = least(work.first, excluded.first)";

/// Takes the lock that a write takes, and writes nothing. `none`
pub(super) const CHECK_WRITABLE: &str = "UPDATE threads SET updated_at = updated_at WHERE id = $1";

/// Takes pages that the tables have not had yet, as only a disk with room gives them. `owner`
pub(super) const TRY_ROOM: &str = "
    INSERT INTO lanes (lane, owner, until)
    SELECT CAST($1 AS TEXT) || repeat('-', 400) || n, $1, 0 FROM generate_series(1, 200) AS n";

/// Whoever changes a thread by its name locks it first.
pub(super) const LOCK_ONE: &str = "SELECT id FROM threads WHERE id = $1 FOR NO KEY UPDATE";

/// Looks whether there is room on the disk again, and leaves nothing behind.
pub(super) async fn try_room(tx: &mut Tx<'_>, owner: &str) -> Result<(), StoreError> {
    tx.run(sqlx::query("SAVEPOINT room")).await?;
    tx.run(sqlx::query(TRY_ROOM).bind(owner)).await?;
    tx.run(sqlx::query("ROLLBACK TO SAVEPOINT room")).await.map(drop)
}

/// Carries out a rare write.
pub(super) async fn apply(tx: &mut Tx<'_>, change: &Change) -> Result<Outcome, StoreError> {
    match change {
        Change::Release { work, held, now } => {
            let release = sqlx::query(sql::RELEASE)
                .bind(now.millis())
                .bind(kind(*work))
                .bind(held);
            Ok(Outcome::Count(tx.run(release).await?))
        }
        Change::Recover { routes, now, look_at } => recover(tx, routes, *now, *look_at).await,
        Change::Sweep { keys_before, from } => sweep(tx, *keys_before, *from).await,
        Change::Thread { name, change, now } => thread(tx, name, *change, *now).await,
        Change::Replay { letter, routes, now } => replay(tx, *letter, routes, *now).await,
        Change::Purge { letter, now } => purge(tx, *letter, *now).await,
        Change::Erase {
            thread,
            person,
            mentions,
            now,
        } => privacy::erase(tx, *thread, person.as_deref(), mentions, *now).await,
        Change::Expire { first, last, before } => privacy::expire(tx, first, last, *before).await,
        Change::Installation(write) => installations::apply(tx, write).await,
        Change::Family { account, family } => families::keep(tx, account, family).await,
        Change::CheckWritable => {
            tx.run(sqlx::query(CHECK_WRITABLE).bind("")).await?;
            Ok(Outcome::Done)
        }
    }
}

async fn recover(tx: &mut Tx<'_>, routes: &Routes, now: Time, look_at: Time) -> Result<Outcome, StoreError> {
    let recover = sqlx::query(RECOVER).bind(now.millis()).bind(look_at.millis());
    let claimed = tx
        .fetch_optional(recover)
        .await?
        .map_or(Ok(0), |row| row.int(0))?;
    tx.run(sqlx::query(TRY_HELD).bind(now.millis())).await?;
    let mut moved = Vec::new();
    for row in tx.fetch(sqlx::query(sql::TURN_LANES)).await? {
        let lane = routes.turn_lane(&rows::account(&row, 1)?, row.maybe_text(2)?);
        if *lane != *row.text(3)? {
            moved.push((row.text(0)?.to_owned(), lane.to_string()));
        }
    }
    if !moved.is_empty() {
        tx.run(sqlx::query(MOVE_LANES).bind(json(&moved)?)).await?;
    }
    Ok(Outcome::Count(u64::try_from(claimed).unwrap_or(0)))
}

async fn thread(tx: &mut Tx<'_>, name: &str, change: ThreadChange, now: Time) -> Result<Outcome, StoreError> {
    let id = match reads::find(tx, name).await? {
        Some(id) => id,
        None if change == ThreadChange::Pause => match open(tx, name, now).await? {
            Some(id) => id,
            None => return Ok(Outcome::Thread(None)),
        },
        None => return Ok(Outcome::Thread(None)),
    };
    tx.run(sqlx::query(LOCK_ONE).bind(&id)).await?;
    let set = match change {
        ThreadChange::Pause => {
            pause(tx, &id, now).await?;
            None
        }
        ThreadChange::Resume => Some(sql::RESUME),
        ThreadChange::Reset => Some(sql::RESET),
    };
    if let Some(set) = set {
        tx.run(sqlx::query(set).bind(now.millis()).bind(&id)).await?;
    }
    Ok(Outcome::Thread(reads::row(tx, &id).await?))
}

/// The bot falls silent on a thread, until somebody resumes it.
pub(super) async fn pause(tx: &mut Tx<'_>, id: &str, now: Time) -> Result<(), StoreError> {
    tx.run(sqlx::query(sql::PAUSE).bind(now.millis()).bind(id))
        .await?;
    hand_over(tx, id, now).await
}

/// A person answers on this thread from now on.
pub(super) async fn hand_over(tx: &mut Tx<'_>, thread: &str, now: Time) -> Result<(), StoreError> {
    tx.run(sqlx::query(HAND_OVER).bind(now.millis()).bind(thread))
        .await?;
    Ok(())
}

/// Makes the thread of an address that never wrote; none if it is no address.
async fn open(tx: &mut Tx<'_>, address: &str, now: Time) -> Result<Option<String>, StoreError> {
    let mut parts = address.split('/');
    let (Some(channel), Some(account)) = (parts.next(), parts.next()) else {
        return Ok(None);
    };
    let rest: Vec<&str> = parts.collect();
    let Some(account) = AccountKey::new(channel, account) else {
        return Ok(None);
    };
    let Some(alias) = account.alias(&rest) else {
        return Ok(None);
    };
    let id = ThreadId::new().to_string();
    let open = sqlx::query(OPEN)
        .bind(&id)
        .bind(account.as_str())
        .bind(alias.as_str())
        .bind(now.millis());
    tx.run(open).await?;
    Ok(Some(id))
}

async fn sweep(tx: &mut Tx<'_>, keys_before: Time, from: i64) -> Result<Outcome, StoreError> {
    let end = tx.fetch_optional(sqlx::query(sql::STEP_END).bind(from)).await?;
    let next = end.map(|row| row.int(0)).transpose()?;
    let sweep = sqlx::query(sql::SWEEP)
        .bind(from)
        .bind(next.unwrap_or(i64::MAX))
        .bind(rows::hour(keys_before));
    let keys = tx.run(sweep).await?;
    Ok(Outcome::Swept(Swept { keys, next }))
}

async fn replay(tx: &mut Tx<'_>, letter: Letter, routes: &Routes, now: Time) -> Result<Outcome, StoreError> {
    let (thread, number, find, replay) = match letter {
        Letter::Message(id) => (id.thread, id.number, sql::DEAD_MESSAGE, REPLAY_MESSAGE),
        Letter::Delivery(id) => (id.thread, id.number, sql::DEAD_DELIVERY, REPLAY_DELIVERY),
    };
    let thread = thread.to_string();
    let find = sqlx::query(find).bind(&thread).bind(number);
    let Some(row) = tx.fetch_optional(find).await? else {
        return Ok(Outcome::Flag(false));
    };
    let account = rows::account(&row, 0)?;
    let lane = match letter {
        Letter::Message(_) => routes.turn_lane(&account, row.maybe_text(1)?),
        Letter::Delivery(_) => send_lane(&account),
    };
    let replay = sqlx::query(replay)
        .bind(now.millis())
        .bind(&thread)
        .bind(number)
        .bind(lane.to_string());
    tx.run(replay).await?;
    Ok(Outcome::Flag(true))
}

async fn purge(tx: &mut Tx<'_>, letter: Letter, now: Time) -> Result<Outcome, StoreError> {
    let (thread, number, purge) = match letter {
        Letter::Message(id) => (id.thread.to_string(), id.number, sql::PURGE_MESSAGE),
        Letter::Delivery(id) => (id.thread.to_string(), id.number, sql::PURGE_DELIVERY),
    };
    let purge = sqlx::query(purge).bind(now.millis()).bind(thread).bind(number);
    Ok(Outcome::Flag(tx.run(purge).await? > 0))
}

/// Whether a change may make work due that a daemon elsewhere should begin at once.
pub(super) fn wakes(change: &Change) -> bool {
    matches!(change, Change::Release { .. } | Change::Replay { .. })
}
