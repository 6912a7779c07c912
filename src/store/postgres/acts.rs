//! What people do besides writing, and names that lead elsewhere now, between the database and the plan.

use super::tx::{Tx, clean, json};
use super::{changes, stops};
use crate::domain::AliasKey;
use crate::store::StoreError;
use crate::store::plan::asked::Asked;
use crate::store::plan::writes::Found;
use crate::store::plan::{Plan, former, rows as rows_of};
use crate::store::rows::{self, thread_now_columns};

/// The messages that may still be changed, by a name of their thread and their own. A turn that was put back without
/// counting has not begun: nobody has read its question. Whoever would claim it meanwhile passes it by.
pub(super) const READ_OPEN: &str = "
    SELECT m.thread_id, m.seq, m.platform_id, m.edited_at
      FROM jsonb_array_elements($1::jsonb) AS j (v)
      JOIN aliases AS a ON a.alias = ANY (ARRAY[v ->> 0])
      JOIN work AS w ON w.thread_id = ANY (ARRAY[a.thread_id]) AND w.kind + 0 = 1
      JOIN messages AS m ON m.thread_id = ANY (ARRAY[a.thread_id]) AND m.seq >= w.first
     WHERE m.platform_id = v ->> 1 AND m.state = 'pending'
       AND (w.upto IS NULL OR m.seq > w.upto OR w.token IS NULL AND w.attempts = 0 AND NOT w.ambiguous)
       FOR UPDATE OF w";

/// The parts that acts are about, and their threads.
pub(super) const READ_PARTS: &str = concat!(
    "SELECT d.thread_id, d.part, d.turn, t.account, ",
    thread_now_columns!(),
    "
      FROM jsonb_array_elements($1::jsonb) AS j (v)
      JOIN deliveries AS d ON d.thread_id = ANY (ARRAY[v ->> 0]) AND d.part = (v ->> 1)::bigint
      JOIN threads AS t ON t.id = ANY (ARRAY[v ->> 0])"
);

/// A message that was taken back says nothing any more. A turn that loses a message that way, or says something else
/// now, begins anew with what there is.
pub(super) const WRITE_REVISIONS: &str = "
    WITH r AS (
        SELECT v ->> 0 AS thread_id, (v ->> 1)::bigint AS seq, v ->> 2 AS text, (v ->> 3)::bigint AS edited_at,
               (v ->> 4)::bigint AS at FROM jsonb_array_elements($1::jsonb) AS j (v)
    ), m AS (
        UPDATE messages SET text = coalesce(r.text, ''), edited_at = r.edited_at,
               state = CASE WHEN r.text IS NULL THEN 'ignored' ELSE messages.state END,
               code = CASE WHEN r.text IS NULL THEN 'deleted' ELSE messages.code END,
               ended_at = CASE WHEN r.text IS NULL THEN r.at ELSE messages.ended_at END
          FROM r WHERE messages.thread_id = ANY (ARRAY[r.thread_id]) AND messages.seq = r.seq AND messages.state = 'pending'
    )
    UPDATE work SET first = least(first, coalesce(reopened, first)), reopened = NULL, upto = NULL
      FROM (SELECT DISTINCT thread_id FROM r) AS r
     WHERE work.thread_id = ANY (ARRAY[r.thread_id]) AND work.kind + 0 = 1
       AND token IS NULL AND attempts = 0 AND NOT ambiguous";

pub(super) const WRITE_SPOKEN: &str = "
    UPDATE threads SET last_part = greatest(last_part, (v ->> 1)::bigint), updated_at = (v ->> 2)::bigint
      FROM jsonb_array_elements($1::jsonb) AS j (v) WHERE id = ANY (ARRAY[v ->> 0])";

pub(super) const WRITE_RESETS: &str = "UPDATE threads SET conversation_id = NULL WHERE id = ANY($1)";

pub(super) const WRITE_RATINGS: &str = "
    INSERT INTO feedback (thread_id, turn, person, helpful, at)
    SELECT v ->> 0, (v ->> 1)::bigint, v ->> 2, (v ->> 3)::bigint, (v ->> 4)::bigint
      FROM jsonb_array_elements($1::jsonb) AS j (v)
        ON CONFLICT (thread_id, turn, person) DO UPDATE SET helpful = excluded.helpful, at = excluded.at
           WHERE excluded.at >= feedback.at";

/// Aliases of people who are called otherwise now.
pub(super) const LEAVE: &str = "DELETE FROM aliases WHERE alias = ANY($1)";

/// The names that waited on a thread of early names go over to the thread that they belong to. `early, thread`
pub(super) const ADOPT: &str = "
    WITH a AS (UPDATE aliases SET thread_id = $2 WHERE thread_id = $1)
    UPDATE threads SET route = early.route, address = early.address, routed_at = early.routed_at
      FROM (SELECT route, address, routed_at FROM threads WHERE id = $1) AS early WHERE threads.id = $2";

pub(super) const ADOPTED: &str = "DELETE FROM threads WHERE id = $1";

/// A pause that an operator set has no end, and stays as it is. `until, now, thread`
pub(super) const PAUSE: &str = "
    UPDATE threads SET state = 'paused', paused_until = greatest(coalesce(paused_until, 0), $1), updated_at = $2
     WHERE id = $3 AND (state = 'open' OR paused_until IS NOT NULL)";

/// An address that leads to another thread by now is replaced by the strongest name that is left, or by one that says
/// whose it was: an operator who follows an address must never read somebody else's words. Both only if that is still so
/// at the end of the batch. `thread, lost, former`
pub(super) const FORMER: &str = "
    INSERT INTO aliases (alias, thread_id, strength, since)
    SELECT $3, id, 0, updated_at FROM threads AS t
     WHERE t.id = $1 AND t.address = $2
       AND NOT EXISTS (SELECT 1 FROM aliases WHERE thread_id = t.id AND strength < 4)
        ON CONFLICT (alias) DO NOTHING";

/// `thread, lost`
pub(super) const READDRESS: &str = "
    UPDATE threads SET address =
           (SELECT alias FROM aliases WHERE thread_id = threads.id AND strength < 4
             ORDER BY strength DESC, since DESC, alias LIMIT 1)
     WHERE id = $1 AND address = $2
       AND NOT EXISTS (SELECT 1 FROM aliases WHERE alias = $2 AND thread_id = threads.id)";

/// Reads what edits and acts are about.
pub(super) async fn read(tx: &mut Tx<'_>, asked: &Asked<'_>, found: &mut Found) -> Result<(), StoreError> {
    if !asked.messages.is_empty() {
        let read = sqlx::query(READ_OPEN).bind(json(&asked.messages)?);
        for row in tx.fetch(read).await? {
            found.open.push(rows::open_message(&row)?);
        }
    }
    if !asked.parts.is_empty() {
        let read = sqlx::query(READ_PARTS).bind(json(&asked.parts)?);
        for row in tx.fetch(read).await? {
            rows::take_part(found, &row)?;
        }
    }
    stops::read(tx, &asked.stops, found).await
}

/// Lets go of names. Before everything else: somebody may write from such a name in the same batch.
pub(super) async fn leave(tx: &mut Tx<'_>, plan: &Plan) -> Result<(), StoreError> {
    if !plan.left.is_empty() {
        let left: Vec<&str> = plan.left.iter().map(AliasKey::as_str).collect();
        tx.run(sqlx::query(LEAVE).bind(left)).await?;
    }
    Ok(())
}

/// After everything else: the names of early threads go over, and threads are paused with what waits on them.
pub(super) async fn adopt_and_pause(tx: &mut Tx<'_>, plan: &Plan) -> Result<(), StoreError> {
    for (early, thread) in &plan.adoptions {
        let (early, thread) = (early.to_string(), thread.to_string());
        tx.run(sqlx::query(ADOPT).bind(&early).bind(&thread)).await?;
        tx.run(sqlx::query(ADOPTED).bind(&early)).await?;
    }
    for pause in &plan.pauses {
        let thread = pause.thread.to_string();
        let write = sqlx::query(PAUSE)
            .bind(pause.until.millis())
            .bind(pause.at.millis())
            .bind(&thread);
        tx.run(write).await?;
        changes::hand_over(tx, &thread, pause.at).await?;
    }
    Ok(())
}

/// At the very end: threads that lost the name that was their address get another.
pub(super) async fn readdress(tx: &mut Tx<'_>, plan: &Plan) -> Result<(), StoreError> {
    for (thread, lost) in &plan.readdressed {
        let (id, former) = (thread.to_string(), former(thread, lost));
        let write = sqlx::query(FORMER).bind(&id).bind(lost.as_str()).bind(former);
        tx.run(write).await?;
        tx.run(sqlx::query(READDRESS).bind(&id).bind(lost.as_str()))
            .await?;
    }
    Ok(())
}

/// Writes what the plan made of edits and acts, after everything that they may concern.
pub(super) async fn write(tx: &mut Tx<'_>, plan: &Plan) -> Result<(), StoreError> {
    if !plan.revisions.is_empty() {
        let revisions = clean(rows_of::revisions(plan)?)?;
        tx.run(sqlx::query(WRITE_REVISIONS).bind(revisions)).await?;
    }
    if !plan.spoken.is_empty() {
        tx.run(sqlx::query(WRITE_SPOKEN).bind(rows_of::spoken(plan)?))
            .await?;
    }
    if !plan.resets.is_empty() {
        let resets: Vec<String> = plan.resets.iter().map(ToString::to_string).collect();
        tx.run(sqlx::query(WRITE_RESETS).bind(resets)).await?;
    }
    if !plan.ratings.is_empty() {
        tx.run(sqlx::query(WRITE_RATINGS).bind(json(&plan.ratings)?))
            .await?;
    }
    stops::write(tx, plan).await?;
    for (thread, at) in &plan.silenced {
        changes::pause(tx, &thread.to_string(), *at).await?;
    }
    Ok(())
}
