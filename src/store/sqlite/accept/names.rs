//! What is written of names that lead elsewhere now, and of threads where a colleague answers.

use sqlx::SqliteConnection;

use crate::domain::{AliasKey, ThreadId};
use crate::store::StoreError;
use crate::store::sqlite::plan::Plan;
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

/// An address that leads to another thread by now is replaced by the strongest name that is left, or by one that says
/// whose it was: an operator who follows an address must never read somebody else's words. Both only if that is still so
/// at the end of the batch.
const READDRESS: &str = "
    INSERT INTO aliases (alias, thread_id, strength, since)
    SELECT ?1, id, 0, updated_at FROM threads AS t
     WHERE t.id = ?2 AND t.address = ?3 AND NOT EXISTS (SELECT 1 FROM aliases WHERE thread_id = t.id AND strength < 4)
        ON CONFLICT (alias) DO NOTHING;
    UPDATE threads SET address =
           (SELECT alias FROM aliases WHERE thread_id = threads.id AND strength < 4
             ORDER BY strength DESC, since DESC, alias LIMIT 1)
     WHERE id = ?2 AND address = ?3
       AND NOT EXISTS (SELECT 1 FROM aliases WHERE alias = ?3 AND thread_id = threads.id)";

/// Lets go of names. Before everything else: somebody may write from such a name in the same batch.
pub(super) async fn leave(conn: &mut SqliteConnection, plan: &Plan) -> Result<(), StoreError> {
    if plan.left.is_empty() {
        return Ok(());
    }
    let left: Vec<&str> = plan.left.iter().map(AliasKey::as_str).collect();
    sqlx::query(LEAVE).bind(rows::json(&left)?).execute(conn).await?;
    Ok(())
}

/// At the very end: threads that lost the name that was their address get another.
pub(super) async fn readdress(conn: &mut SqliteConnection, plan: &Plan) -> Result<(), StoreError> {
    for (thread, lost) in &plan.readdressed {
        let readdress = sqlx::query(READDRESS)
            .bind(former(thread, lost))
            .bind(thread.to_string())
            .bind(lost.as_str());
        readdress.execute(&mut *conn).await?;
    }
    Ok(())
}

/// The address of a thread whose only name went over to another, such as `CHANNEL/ACCOUNT/NAME/former-5e6f7a8b`.
fn former(thread: &ThreadId, lost: &AliasKey) -> String {
    let id = thread.to_string();
    let short = &id[id.len().saturating_sub(8)..];
    format!("{lost}/former-{short}")
}

/// After everything else: the names of early threads go over, and threads are paused with what waits on them.
pub(super) async fn adopt_and_pause(conn: &mut SqliteConnection, plan: &Plan) -> Result<(), StoreError> {
    for (early, thread) in &plan.adoptions {
        let (early, thread) = (early.to_string(), thread.to_string());
        let adoption = sqlx::query(WRITE_ADOPTION)
            .bind(&thread)
            .bind(&early)
            .bind(&early)
            .bind(&thread)
            .bind(&early);
        adoption.execute(&mut *conn).await?;
    }
    for pause in &plan.pauses {
        let (thread, at) = (pause.thread.to_string(), pause.at.millis());
        let write = sqlx::query(PAUSE)
            .bind(pause.until.millis())
            .bind(at)
            .bind(&thread);
        write.execute(&mut *conn).await?;
        changes::hand_over(conn, &thread, pause.at).await?;
    }
    Ok(())
}
