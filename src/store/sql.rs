//! Statements that both databases understand as they are. Where the dialects part, each database has its own.

/// `now, kind, held`
pub(super) const RELEASE: &str =
    "UPDATE work SET held = NULL, due_at = $1 WHERE kind = $2 AND held = $3 AND token IS NULL";

/// The turns that wait, and the lanes that they wait in.
pub(super) const TURN_LANES: &str = "
    SELECT w.thread_id, t.account, t.place, w.lane FROM work AS w JOIN threads AS t ON t.id = w.thread_id
     WHERE w.kind = 1";

/// Old keys go in small steps, so that no webhook waits long for one. They stand in the order of their digests; a step
/// ends where the next begins. `from`
pub(super) const STEP_END: &str = "SELECT key FROM keys WHERE key >= $1 ORDER BY key LIMIT 1 OFFSET 2000";

/// `from, to, hour`
pub(super) const SWEEP: &str = "DELETE FROM keys WHERE key >= $1 AND key < $2 AND hour < $3";

/// A pause of an operator's lasts until an operator ends it. `now, thread`
pub(super) const PAUSE: &str =
    "UPDATE threads SET state = 'paused', paused_until = NULL, updated_at = $1 WHERE id = $2";

/// `now, thread`
pub(super) const RESUME: &str =
    "UPDATE threads SET state = 'open', paused_until = NULL, updated_at = $1 WHERE id = $2";

/// `now, thread`
pub(super) const RESET: &str = "UPDATE threads SET conversation_id = NULL, updated_at = $1 WHERE id = $2";

/// `thread, number`
pub(super) const DEAD_MESSAGE: &str = "
    SELECT t.account, t.place FROM messages AS m JOIN threads AS t ON t.id = m.thread_id
     WHERE m.thread_id = $1 AND m.seq = $2 AND m.state = 'dead'";

/// `thread, number`
pub(super) const DEAD_DELIVERY: &str = "
    SELECT t.account, t.place FROM deliveries AS d JOIN threads AS t ON t.id = d.thread_id
     WHERE d.thread_id = $1 AND d.part = $2 AND d.state = 'dead'";

/// The record that it was stays; what was written goes. `now, thread, number`
pub(super) const PURGE_MESSAGE: &str = "
    UPDATE messages SET state = 'ignored', code = 'purged', reason = NULL, text = '', ended_at = $1
     WHERE thread_id = $2 AND seq = $3 AND state = 'dead'";

/// `now, thread, number`
pub(super) const PURGE_DELIVERY: &str = "
    UPDATE deliveries SET state = 'withdrawn', code = 'purged', reason = NULL, body = '', ended_at = $1
     WHERE thread_id = $2 AND part = $3 AND state = 'dead'";

/// Open messages and parts are only looked for where there is work.
pub(super) const BACKLOG: &str = "
    SELECT count(*), min(at), coalesce(sum(unknown), 0),
           (SELECT count(*) FROM messages WHERE state = 'dead'),
           (SELECT count(*) FROM deliveries WHERE state = 'dead') FROM (
        SELECT m.accepted_at AS at, 0 AS unknown FROM work AS w
          JOIN messages AS m ON m.thread_id = w.thread_id AND m.seq >= w.first AND m.state = 'pending'
         WHERE w.kind = 1
        UNION ALL
        SELECT d.created_at, CASE d.state WHEN 'unknown' THEN 1 ELSE 0 END FROM work AS w
          JOIN deliveries AS d ON d.thread_id = w.thread_id AND d.part >= w.first
           AND d.state IN ('pending', 'sending', 'unknown')
         WHERE w.kind = 2) AS open";

/// A thread by its id or an alias. `name`
pub(super) const FIND: &str = "
    SELECT id FROM threads WHERE id = $1 UNION ALL SELECT thread_id FROM aliases WHERE alias = $1 LIMIT 1";

/// A root is not listed: it equals the address. `thread`
pub(super) const ALIASES: &str =
    "SELECT alias FROM aliases WHERE thread_id = $1 AND strength < 4 ORDER BY alias";

/// The latest thousand lines, oldest first. `thread`
pub(super) const HISTORY: &str = "
    SELECT at, kind, id, state, text, reason, stage FROM (
        SELECT accepted_at AS at, 'message' AS kind, thread_id || '.m' || seq AS id, state, text,
               coalesce(reason, code) AS reason, NULL AS stage
          FROM messages WHERE thread_id = $1
        UNION ALL
        SELECT created_at, kind, thread_id || '.d' || part, state, body, coalesce(reason, code),
               CASE stage WHEN 1 THEN 'sent' WHEN 2 THEN 'delivered' WHEN 3 THEN 'read' WHEN 4 THEN 'failed' END
          FROM deliveries WHERE thread_id = $1
        UNION ALL
        SELECT at, 'feedback', thread_id || '.t' || turn, CASE WHEN helpful = 1 THEN 'helpful' ELSE 'not_helpful' END,
               '', NULL, NULL
          FROM feedback WHERE thread_id = $1
        ORDER BY at DESC, kind LIMIT 1000) AS latest
     ORDER BY at, kind DESC, length(id), id";

/// `kind, id, channel, account, address, code, since, until, limit`
pub(super) const DEAD: &str = "
    SELECT id, kind, thread, address, at, attempts, code, reason FROM (
        SELECT m.thread_id || '.m' || m.seq AS id, 'message' AS kind, t.id AS thread, t.address, m.ended_at AS at,
               m.attempts, m.code, m.reason, t.account
          FROM messages AS m JOIN threads AS t ON t.id = m.thread_id WHERE m.state = 'dead'
        UNION ALL
        SELECT d.thread_id || '.d' || d.part, 'delivery', t.id, t.address, d.ended_at, d.attempts, d.code, d.reason,
               t.account
          FROM deliveries AS d JOIN threads AS t ON t.id = d.thread_id WHERE d.state = 'dead') AS dead
     WHERE (CAST($1 AS TEXT) IS NULL OR kind = $1) AND (CAST($2 AS TEXT) IS NULL OR id = $2)
       AND (CAST($3 AS TEXT) IS NULL OR substr(account, 1, length($3) + 1) = $3 || '/')
       AND (CAST($4 AS TEXT) IS NULL OR substr(account, length(account) - length($4)) = '/' || $4)
       AND (CAST($5 AS TEXT) IS NULL OR address = $5) AND (CAST($6 AS TEXT) IS NULL OR code = $6)
       AND (CAST($7 AS BIGINT) IS NULL OR at >= $7) AND (CAST($8 AS BIGINT) IS NULL OR at <= $8)
     ORDER BY at, id LIMIT $9";

/// Names that may be a person's. `like, like`
pub(super) const NAMES_LIKE: &str = "SELECT thread_id, alias FROM aliases WHERE alias LIKE $1 ESCAPE '\\' OR alias LIKE $2 ESCAPE '\\' ORDER BY thread_id";

/// What the bridge said, in rooms where nobody writes to it, with this in it: the operator's people hear there of
/// others. `name`
pub(super) const MENTIONS: &str = "
    SELECT d.thread_id, d.part, d.body FROM threads AS t JOIN deliveries AS d ON d.thread_id = t.id
     WHERE t.last_inbound_at = 0 AND d.kind = 'notice' AND replace(d.body, $1, '') <> d.body";

/// Such a word says nothing any more, and what is not sent yet stays unsent. `now, thread, part`
pub(super) const BLANK: &str = "
    UPDATE deliveries SET body = '', code = 'erased', reason = NULL, ended_at = coalesce(ended_at, $1),
           state = CASE WHEN state = 'sent' THEN 'sent' ELSE 'withdrawn' END
     WHERE thread_id = $2 AND part = $3";

/// What erasing a thread removes. `thread`
pub(super) const ERASABLE: &str = "
    SELECT t.address, t.conversation_id,
           (SELECT count(*) FROM messages WHERE thread_id = t.id),
           (SELECT count(*) FROM deliveries WHERE thread_id = t.id),
           (SELECT count(*) FROM aliases WHERE thread_id = t.id AND strength < 4)
             + (SELECT count(*) FROM aliases WHERE alias = t.address AND strength >= 4),
           (SELECT count(*) FROM feedback WHERE thread_id = t.id)
      FROM threads AS t WHERE t.id = $1";

/// With it goes what refers to it. `thread`
pub(super) const ERASE: &str = "DELETE FROM threads WHERE id = $1";

/// `person`
pub(super) const ERASE_RATINGS: &str = "DELETE FROM feedback WHERE person = $1";

/// `at, what, thread, messages, deliveries, names, ratings`
pub(super) const WRITE_AUDIT: &str = "
    INSERT INTO audit (at, what, thread_id, messages, deliveries, names, ratings)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// `limit`
pub(super) const AUDIT: &str = "
    SELECT seq, at, what, thread_id, messages, deliveries, names, ratings, log_at FROM audit
     ORDER BY seq DESC LIMIT $1";

/// Where a step ends that looks for old texts. `from`
pub(super) const EXPIRY_END: &str = "SELECT id FROM threads WHERE id > $1 ORDER BY id LIMIT 1 OFFSET 199";

/// The threads of a step that have old texts: only looked at. `from, to, before`
pub(super) const EXPIRABLE: &str = "
    SELECT min(t.id), max(t.id) FROM threads AS t
     WHERE t.id > $1 AND t.id <= $2 AND (
           EXISTS (SELECT 1 FROM messages AS m WHERE m.thread_id = t.id AND m.text <> '' AND m.state <> 'pending'
                      AND coalesce(m.ended_at, m.accepted_at) < $3)
        OR EXISTS (SELECT 1 FROM deliveries AS d WHERE d.thread_id = t.id AND d.body <> ''
                      AND d.state IN ('sent', 'dead', 'withdrawn') AND coalesce(d.ended_at, d.created_at) < $3))";

/// A dead letter without its text is none any more. `first, last, before`
pub(super) const EXPIRE_DEAD_MESSAGES: &str = "
    UPDATE messages SET state = 'ignored', code = 'expired', reason = NULL, text = '', quotes = NULL
     WHERE thread_id >= $1 AND thread_id <= $2 AND state = 'dead' AND coalesce(ended_at, accepted_at) < $3";

/// `first, last, before`
pub(super) const EXPIRE_MESSAGES: &str = "
    UPDATE messages SET reason = NULL, text = '', quotes = NULL
     WHERE thread_id >= $1 AND thread_id <= $2 AND text <> '' AND state IN ('answered', 'ignored', 'handed')
       AND coalesce(ended_at, accepted_at) < $3";

/// `first, last, before`
pub(super) const EXPIRE_DEAD_DELIVERIES: &str = "
    UPDATE deliveries SET state = 'withdrawn', code = 'expired', reason = NULL, body = ''
     WHERE thread_id >= $1 AND thread_id <= $2 AND state = 'dead' AND coalesce(ended_at, created_at) < $3";

/// `first, last, before`
pub(super) const EXPIRE_DELIVERIES: &str = "
    UPDATE deliveries SET reason = NULL, body = ''
     WHERE thread_id >= $1 AND thread_id <= $2 AND body <> '' AND state IN ('sent', 'withdrawn')
       AND coalesce(ended_at, created_at) < $3";

/// `sealed, account, since`
pub(super) const RENEW: &str =
    "UPDATE installations SET sealed = $1 WHERE account = $2 AND since = $3 AND sealed IS NOT NULL";

/// `channel`
pub(super) const INSTALLED: &str = "
    SELECT account, since, sealed FROM installations WHERE account LIKE $1 || '/%' AND sealed IS NOT NULL
     ORDER BY account";

/// `account, before`
pub(super) const FORGET: &str =
    "UPDATE installations SET sealed = NULL WHERE account = $1 AND since < $2 AND sealed IS NOT NULL";

/// `now`
pub(super) const TIDY_SPENT: &str = "DELETE FROM spent WHERE until < $1";

/// `mark, until`
pub(super) const SPEND: &str = "INSERT INTO spent (mark, until) VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// What is sealed.
pub(super) const SEALED: &str = "SELECT account, sealed FROM installations WHERE sealed IS NOT NULL";

/// `sealed, account`
pub(super) const RESEAL: &str = "UPDATE installations SET sealed = $1 WHERE account = $2";

/// `account, family`
pub(super) const KEEP_FAMILY: &str = "
    INSERT INTO families (account, family) VALUES ($1, $2)
        ON CONFLICT (account) DO UPDATE SET family = excluded.family";

/// `channel`
pub(super) const FAMILIES: &str =
    "SELECT account, family FROM families WHERE account LIKE $1 || '/%' ORDER BY account";

/// Open messages and parts are only looked for where there is work, dead ones have indexes of their own.
pub(super) const ACCOUNTS: &str = "
    WITH waiting (thread_id) AS (
        SELECT m.thread_id FROM work AS w
          JOIN messages AS m ON m.thread_id = w.thread_id AND m.seq >= w.first AND m.state = 'pending'
         WHERE w.kind = 1
        UNION ALL
        SELECT d.thread_id FROM work AS w
          JOIN deliveries AS d ON d.thread_id = w.thread_id AND d.part >= w.first
           AND d.state IN ('pending', 'sending', 'unknown')
         WHERE w.kind = 2),
    dead (thread_id) AS (
        SELECT thread_id FROM messages WHERE state = 'dead'
        UNION ALL SELECT thread_id FROM deliveries WHERE state = 'dead'),
    counted (account, waiting, dead) AS (
        SELECT account, CAST(sum(waiting) AS BIGINT), CAST(sum(dead) AS BIGINT) FROM (
            SELECT t.account, 1 AS waiting, 0 AS dead FROM waiting AS w JOIN threads AS t ON t.id = w.thread_id
            UNION ALL SELECT t.account, 0, 1 FROM dead AS d JOIN threads AS t ON t.id = d.thread_id) AS each
         GROUP BY account)
    SELECT t.account, t.threads, t.last_at, coalesce(c.waiting, 0), coalesce(c.dead, 0)
      FROM (SELECT account, count(*) AS threads, max(last_inbound_at) AS last_at FROM threads GROUP BY account) AS t
      LEFT JOIN counted AS c ON c.account = t.account ORDER BY t.account";

/// All of them, by their names.
pub(super) const ALL: [(&str, &str); 40] = [
    ("both: ACCOUNTS", ACCOUNTS),
    ("both: KEEP_FAMILY", KEEP_FAMILY),
    ("both: FAMILIES", FAMILIES),
    ("both: RELEASE", RELEASE),
    ("both: TURN_LANES", TURN_LANES),
    ("both: STEP_END", STEP_END),
    ("both: SWEEP", SWEEP),
    ("both: PAUSE", PAUSE),
    ("both: RESUME", RESUME),
    ("both: RESET", RESET),
    ("both: DEAD_MESSAGE", DEAD_MESSAGE),
    ("both: DEAD_DELIVERY", DEAD_DELIVERY),
    ("both: PURGE_MESSAGE", PURGE_MESSAGE),
    ("both: PURGE_DELIVERY", PURGE_DELIVERY),
    ("both: BACKLOG", BACKLOG),
    ("both: FIND", FIND),
    ("both: ALIASES", ALIASES),
    ("both: HISTORY", HISTORY),
    ("both: DEAD", DEAD),
    ("both: NAMES_LIKE", NAMES_LIKE),
    ("both: MENTIONS", MENTIONS),
    ("both: BLANK", BLANK),
    ("both: ERASABLE", ERASABLE),
    ("both: ERASE", ERASE),
    ("both: ERASE_RATINGS", ERASE_RATINGS),
    ("both: WRITE_AUDIT", WRITE_AUDIT),
    ("both: AUDIT", AUDIT),
    ("both: EXPIRY_END", EXPIRY_END),
    ("both: EXPIRABLE", EXPIRABLE),
    ("both: EXPIRE_DEAD_MESSAGES", EXPIRE_DEAD_MESSAGES),
    ("both: EXPIRE_MESSAGES", EXPIRE_MESSAGES),
    ("both: EXPIRE_DEAD_DELIVERIES", EXPIRE_DEAD_DELIVERIES),
    ("both: EXPIRE_DELIVERIES", EXPIRE_DELIVERIES),
    ("both: RENEW", RENEW),
    ("both: INSTALLED", INSTALLED),
    ("both: FORGET", FORGET),
    ("both: TIDY_SPENT", TIDY_SPENT),
    ("both: SPEND", SPEND),
    ("both: SEALED", SEALED),
    ("both: RESEAL", RESEAL),
];
