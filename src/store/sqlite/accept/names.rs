//! What is written of names that lead elsewhere now, and of threads where a colleague answers.

use crate::domain::AliasKey;
use crate::store::StoreError;
use crate::store::sqlite::plan::Plan;
use crate::store::sqlite::transaction::Transaction;
use crate::store::sqlite::{changes, rows};

/// The names that waited on a thread of early names go over to the thread that they belong to.
const WRITE_ADOPTION: &str = "
    UPDATE aliases SET thread_id = ? WHERE thread_id = ?;
    UPDATE threads SET route = early.route, address = early.address, routed_at = early.routed_at
      FROM (SELECT route, address, routed_at FROM threads WHERE id = ?) AS early WHERE threads.id = ?;
    DELETE FROM threads WHERE id = ?";

/// Aliases of people who are called otherwise now.
const LEAVE: &str = "DELETE FROM aliases WHERE alias IN (SELECT value FROM jsonb_each(?))";

/// A pause that an operator set has no end, and stays as it is.
const PAUSE: &str = "
    UPDATE threads SET state = 'paused', paused_until = max(coalesce(paused_until, 0), ?), updated_at = ?
     WHERE id = ? AND (state = 'open' OR paused_until IS NOT NULL)";

/// Lets go of names. Before everything else: somebody may write from such a name in the same batch.
pub(super) fn leave(tx: &mut Transaction<'_>, plan: &Plan) -> Result<(), StoreError> {
    if !plan.left.is_empty() {
        let left: Vec<&str> = plan.left.iter().map(AliasKey::as_str).collect();
        tx.add(LEAVE).bind(rows::json(&left)?);
    }
    Ok(())
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
