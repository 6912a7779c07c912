//! What is written of names that lead elsewhere now, and of threads where a colleague answers.

use crate::domain::AliasKey;
use crate::store::StoreError;
use crate::store::sqlite::plan::{self, Plan};
use crate::store::sqlite::transaction::Transaction;
use crate::store::sqlite::{changes, rows};

/// The names that waited on a thread of early names go over to the thread that they belong to.
pub(in crate::store::sqlite) const WRITE_ADOPTION: &str = "
    UPDATE aliases SET thread_id = ? WHERE thread_id = ?;
    UPDATE threads SET route = early.route, address = early.address, routed_at = early.routed_at
      FROM (SELECT route, address, routed_at FROM threads WHERE id = ?) AS early WHERE threads.id = ?;
    DELETE FROM threads WHERE id = ?";

/// Aliases of people who are called otherwise now.
pub(in crate::store::sqlite) const LEAVE: &str =
    "DELETE FROM aliases WHERE alias IN (SELECT value FROM jsonb_each(?))";

/// A pause that an operator set has no end, and stays as it is.
pub(in crate::store::sqlite) const PAUSE: &str = "
    UPDATE threads SET state = 'paused', paused_until = max(coalesce(paused_until, 0), ?), updated_at = ?
     WHERE id = ? AND (state = 'open' OR paused_until IS NOT NULL)";

/// An address that leads to another thread by now is replaced by the strongest name that is left, or by one that says
/// whose it was: an operator who follows an address must never read somebody else's words. Both only if that is still so
/// at the end of the batch.
pub(in crate::store::sqlite) const READDRESS: &str = "
    INSERT INTO aliases (alias, thread_id, strength, since)
    SELECT ?, id, 0, updated_at FROM threads AS t
     WHERE t.id = ? AND t.address = ? AND NOT EXISTS (SELECT 1 FROM aliases WHERE thread_id = t.id AND strength < 4)
        ON CONFLICT (alias) DO NOTHING;
    UPDATE threads SET address =
           (SELECT alias FROM aliases WHERE thread_id = threads.id AND strength < 4
             ORDER BY strength DESC, since DESC, alias LIMIT 1)
     WHERE id = ? AND address = ?
       AND NOT EXISTS (SELECT 1 FROM aliases WHERE alias = ? AND thread_id = threads.id)";

/// Lets go of names. Before everything else: somebody may write from such a name in the same batch.
pub(super) fn leave(tx: &mut Transaction<'_>, plan: &Plan) -> Result<(), StoreError> {
    if !plan.left.is_empty() {
        let left: Vec<&str> = plan.left.iter().map(AliasKey::as_str).collect();
        tx.add(LEAVE).bind(rows::json(&left)?);
    }
    Ok(())
}

/// At the very end: threads that lost the name that was their address get another.
pub(super) fn readdress(tx: &mut Transaction<'_>, plan: &Plan) {
    for (thread, lost) in &plan.readdressed {
        let (id, lost_name) = (thread.to_string(), lost.as_str());
        tx.add(READDRESS)
            .bind(plan::former(thread, lost))
            .bind(&id)
            .bind(lost_name)
            .bind(&id)
            .bind(lost_name)
            .bind(lost_name);
    }
}

/// After everything else: the names of early threads go over, and threads are paused with what waits on them.
pub(super) fn adopt_and_pause(tx: &mut Transaction<'_>, plan: &Plan) {
    for (early, thread) in &plan.adoptions {
        let (early, thread) = (early.to_string(), thread.to_string());
        tx.add(WRITE_ADOPTION)
            .bind(&thread)
            .bind(&early)
            .bind(&early)
            .bind(&thread)
            .bind(&early);
    }
    for pause in &plan.pauses {
        let thread = pause.thread.to_string();
        tx.add(PAUSE)
            .bind(pause.until.millis())
            .bind(pause.at.millis())
            .bind(&thread);
        changes::hand_over(tx, &thread, pause.at);
    }
}
