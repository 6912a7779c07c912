//! The ends of a turn: answered, put back, given up.

use std::collections::HashMap;

use serde_json::json;
use sqlx::Row;

use super::ops::{Op, Outcome};
use super::rows;
use super::transaction::Transaction;
use crate::domain::delivery::{DeliveryKind, SendClaim};
use crate::domain::message::Route;
use crate::domain::routing::send_lane;
use crate::domain::thread::ThreadState;
use crate::domain::turn::{Burial, ClaimKey, CompletedTurn, Deferral, End, TurnClaim};
use crate::domain::{ClaimToken, DeliveryId, ThreadId, Time};
use crate::store::StoreError;

/// Who holds each turn now, and what its thread has.
const READ: &str = "
    SELECT w.thread_id, w.token, w.upto < t.last_seq OR w.reopened IS NOT NULL, t.last_part, t.state, s.thread_id IS NOT NULL,
           t.noticed_at, t.route, t.paused_until, t.last_inbound_at
      FROM jsonb_each(?) AS j
     CROSS JOIN work AS w ON w.kind = 1 AND w.thread_id = j.value
     CROSS JOIN threads AS t ON t.id = w.thread_id
      LEFT JOIN work AS s ON s.kind = 2 AND s.thread_id = w.thread_id";

/// The messages end; the thread remembers its conversation; the parts wait or are being sent already.
const WRITE: &str = "
    UPDATE messages SET state = j.state, turn = j.first, attempts = j.attempts, code = j.code, reason = j.reason,
           ended_at = j.at
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS first, value ->> 2 AS last, value ->> 3 AS state,
                   value ->> 4 AS attempts, value ->> 5 AS code, value ->> 6 AS reason, value ->> 7 AS at
              FROM jsonb_each(?)) AS j
     WHERE messages.thread_id = j.thread_id AND messages.seq BETWEEN j.first AND j.last
       AND messages.state = 'pending';
    UPDATE threads SET conversation_id = coalesce(j.conversation_id, threads.conversation_id),
           answer_id = coalesce(j.answer_id, threads.answer_id), last_part = j.last_part, noticed_at = j.noticed_at,
           updated_at = j.at
      FROM (SELECT value ->> 0 AS id, value ->> 1 AS conversation_id, value ->> 2 AS answer_id,
                   value ->> 3 AS last_part, value ->> 4 AS noticed_at, value ->> 5 AS at FROM jsonb_each(?)) AS j
     WHERE threads.id = j.id;
    INSERT INTO deliveries (thread_id, part, turn, kind, body, state, attempts, created_at, attempted_at, asked_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
           value ->> 8, value ->> 9
      FROM jsonb_each(?);
    INSERT INTO work (kind, thread_id, lane, due_at, since, first, token)
    SELECT 2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM jsonb_each(?) WHERE true
        ON CONFLICT (kind, thread_id) DO NOTHING;
    DELETE FROM work WHERE kind = 1 AND thread_id IN (SELECT value FROM jsonb_each(?))";

/// Messages that came (or were put back to work) during the turn form the next one, after the burst's usual wait.
const NEXT_TURN: &str = "
    UPDATE work SET token = NULL, attempts = 0, ambiguous = 0, held = NULL, upto = NULL, reopened = NULL,
           first = m.first, since = m.since, due_at = min(m.since + work.max_wait, m.latest + work.wait)
      FROM (SELECT m.thread_id, min(m.seq) AS first, min(m.accepted_at) AS since, max(m.accepted_at) AS latest
              FROM jsonb_each(?) AS j
             CROSS JOIN work AS w ON w.kind = 1 AND w.thread_id = j.value
             CROSS JOIN messages AS m ON m.thread_id = w.thread_id AND m.seq >= coalesce(w.reopened, w.upto + 1)
                   AND m.state = 'pending'
             GROUP BY m.thread_id) AS m
     WHERE work.kind = 1 AND work.thread_id = m.thread_id;
    DELETE FROM work WHERE kind = 1 AND token IS NOT NULL AND thread_id IN (SELECT value FROM jsonb_each(?))";

const DEFER: &str = "
    UPDATE work SET token = NULL, due_at = ?, attempts = attempts - ?, ambiguous = ambiguous OR ?, held = ?
     WHERE kind = 1 AND thread_id = ? AND token = ?";

/// A turn as the store has it now.
struct Held {
    token: Option<i64>,
    more: bool,
    last_part: i64,
    state: ThreadState,
    paused_until: Option<Time>,
    sending: bool,
    noticed_at: Option<Time>,
    route: Route,
    last_inbound_at: Time,
}

impl Held {
    fn is_paused(&self, at: Time) -> bool {
        self.state == ThreadState::Paused && self.paused_until.is_none_or(|until| until > at)
    }
}

/// What the ends of some turns write.
#[derive(Default)]
struct Ends {
    messages: Vec<serde_json::Value>,
    threads: Vec<serde_json::Value>,
    deliveries: Vec<serde_json::Value>,
    sends: Vec<serde_json::Value>,
    over: Vec<ThreadId>,
    more: Vec<ThreadId>,
}

/// Completes all answered turns among the operations.
pub(super) async fn complete_all(
    tx: &mut Transaction<'_>,
    ops: &[Op],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), StoreError> {
    let completed = |op: &Op| {
        if let Op::CompleteTurn(claim, _) = op {
            Some(claim.key.thread)
        } else {
            None
        }
    };
    let threads: Vec<ThreadId> = ops.iter().filter_map(completed).collect();
    if threads.is_empty() {
        return Ok(());
    }
    let held = read(tx, &threads).await?;
    let mut ends = Ends::default();
    for (op, outcome) in ops.iter().zip(outcomes.iter_mut()) {
        if let Op::CompleteTurn(claim, done) = op {
            *outcome = Some(match owned(&held, &claim.key) {
                Some(held) => Outcome::Next(ends.answer(claim, done, held).map(Box::new)),
                None => Outcome::Fenced,
            });
        }
    }
    ends.write(tx)
}

/// Ends a turn without an answer.
pub(super) async fn bury(
    tx: &mut Transaction<'_>,
    claim: &TurnClaim,
    burial: &Burial,
) -> Result<Outcome, StoreError> {
    let held = read(tx, &[claim.key.thread]).await?;
    let Some(held) = owned(&held, &claim.key) else {
        return Ok(Outcome::Fenced);
    };
    let mut ends = Ends::default();
    ends.bury(claim, burial, held);
    ends.write(tx)?;
    Ok(Outcome::Done)
}

/// Puts a turn back.
pub(super) async fn defer(
    tx: &mut Transaction<'_>,
    claim: &ClaimKey,
    deferral: &Deferral,
) -> Result<Outcome, StoreError> {
    let done = sqlx::query(DEFER)
        .bind(deferral.until.millis())
        .bind(i64::from(!deferral.counts))
        .bind(deferral.ambiguous)
        .bind(&deferral.held)
        .bind(claim.thread.to_string())
        .bind(claim.token.as_i64())
        .execute(tx.conn().await?)
        .await?;
    Ok(if done.rows_affected() == 0 {
        Outcome::Fenced
    } else {
        Outcome::Done
    })
}

async fn read(tx: &mut Transaction<'_>, threads: &[ThreadId]) -> Result<HashMap<ThreadId, Held>, StoreError> {
    let mut held = HashMap::with_capacity(threads.len());
    tx.add(READ).bind(rows::json(threads)?);
    for row in tx.rows().await? {
        let now = Held {
            token: row.try_get(1)?,
            more: row.try_get::<Option<bool>, _>(2)?.unwrap_or(false),
            last_part: row.try_get(3)?,
            state: rows::thread_state(&row, 4)?,
            sending: row.try_get(5)?,
            noticed_at: rows::optional_time(&row, 6)?,
            route: rows::route(&row, 7)?,
            paused_until: rows::optional_time(&row, 8)?,
            last_inbound_at: rows::time(&row, 9)?,
        };
        held.insert(rows::id(&row, 0)?, now);
    }
    Ok(held)
}

fn owned<'h>(held: &'h HashMap<ThreadId, Held>, claim: &ClaimKey) -> Option<&'h Held> {
    held.get(&claim.thread)
        .filter(|held| held.token == Some(claim.token.as_i64()))
}

impl Ends {
    fn answer(&mut self, claim: &TurnClaim, done: &CompletedTurn, held: &Held) -> Option<SendClaim> {
        // A person took over while the agent thought: its answer comes too late.
        let (state, parts) = if held.is_paused(done.at) {
            ("handed", &[][..])
        } else {
            ("answered", &done.parts[..])
        };
        self.end_messages(claim, state, None, None, done.at);
        let now = claim.key.thread;
        let last_part = held.last_part + i64::try_from(parts.len()).unwrap_or(0);
        let noticed = held.noticed_at.map(Time::millis);
        let (conversation, answer) = (&done.conversation_id, &done.answer_id);
        self.threads.push(json!([
            now,
            conversation,
            answer,
            last_part,
            noticed,
            done.at.millis()
        ]));
        let first = self.parts(claim, done, held, parts);
        self.finish(claim, held);
        first
    }

    fn parts(
        &mut self,
        claim: &TurnClaim,
        done: &CompletedTurn,
        held: &Held,
        parts: &[String],
    ) -> Option<SendClaim> {
        let at = done.at.millis();
        let claimed = done.claim_first && !held.sending;
        let asked_at = claim.messages.first().map(|message| message.accepted_at);
        let mut first = None;
        for (part, body) in (held.last_part + 1..).zip(parts) {
            let now = claimed && first.is_none();
            let (state, attempts) = if now { ("sending", 1) } else { ("pending", 0) };
            let attempted = now.then_some(at);
            let asked = asked_at.filter(|_| first.is_none()).map(Time::millis);
            let (thread, turn) = (claim.key.thread, claim.turn.number);
            self.deliveries.push(json!([
                thread, part, turn, "answer", body, state, attempts, at, attempted, asked
            ]));
            first = first.or(Some((part, body)));
        }
        let (part, body) = first?;
        let lane = send_lane(&claim.thread.account);
        let token = claimed.then(ClaimToken::new);
        let due = if claimed { done.lease_until.millis() } else { at };
        let token_number = token.map(ClaimToken::as_i64);
        self.sends
            .push(json!([claim.key.thread, &*lane, due, at, part, token_number]));
        let mut thread = claim.thread.clone();
        thread.conversation_id = Some(done.conversation_id.clone());
        // The person's names may have changed while the agent thought.
        thread.route = held.route.clone();
        thread.last_inbound_at = held.last_inbound_at;
        Some(SendClaim {
            key: ClaimKey {
                thread: claim.key.thread,
                token: token?,
                lane,
            },
            thread,
            delivery: DeliveryId::new(claim.key.thread, part),
            kind: DeliveryKind::Answer,
            body: body.clone(),
            last: parts.len() == 1,
            attempt: 1,
            pauses: 0,
            unknown: false,
            asked_at,
            created_at: done.at,
            last_attempt_at: None,
        })
    }

    fn bury(&mut self, claim: &TurnClaim, burial: &Burial, held: &Held) {
        let at = burial.at.millis();
        let state = match burial.end {
            End::Dead => "dead",
            End::Ignored => "ignored",
        };
        self.end_messages(claim, state, Some(&burial.code), Some(&burial.reason), burial.at);
        let lately = |apology: &&crate::domain::turn::Apology| {
            apology.rationed
                && held
                    .noticed_at
                    .is_some_and(|last| burial.at.since(last) < super::plan::NOTICE_EVERY)
        };
        let apology = burial
            .apology
            .as_ref()
            .filter(|apology| !held.is_paused(burial.at) && !lately(apology));
        let (mut last_part, mut noticed) = (held.last_part, held.noticed_at.map(Time::millis));
        if let Some(apology) = apology {
            last_part += 1;
            noticed = if apology.rationed { Some(at) } else { noticed };
            let (thread, turn, text) = (claim.key.thread, claim.turn.number, &apology.text);
            self.deliveries.push(json!([
                thread, last_part, turn, "notice", text, "pending", 0, at, null, null
            ]));
            let lane = send_lane(&claim.thread.account);
            self.sends.push(json!([thread, &*lane, at, at, last_part, null]));
        }
        self.threads
            .push(json!([claim.key.thread, null, null, last_part, noticed, at]));
        self.finish(claim, held);
    }

    fn end_messages(
        &mut self,
        claim: &TurnClaim,
        state: &str,
        code: Option<&str>,
        reason: Option<&str>,
        at: Time,
    ) {
        let (thread, first) = (claim.turn.thread, claim.turn.number);
        let last = claim.messages.last().map_or(first, |message| message.id.number);
        self.messages.push(json!([
            thread,
            first,
            last,
            state,
            claim.attempt,
            code,
            reason,
            at.millis()
        ]));
    }

    fn finish(&mut self, claim: &TurnClaim, held: &Held) {
        if held.more {
            self.more.push(claim.key.thread);
        } else {
            self.over.push(claim.key.thread);
        }
    }

    fn write(self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        tx.add(WRITE)
            .bind(rows::json(&self.messages)?)
            .bind(rows::json(&self.threads)?)
            .bind(rows::json(&self.deliveries)?)
            .bind(rows::json(&self.sends)?)
            .bind(rows::json(&self.over)?);
        if !self.more.is_empty() {
            let more = rows::json(&self.more)?;
            tx.add(NEXT_TURN).bind(&more).bind(&more);
        }
        Ok(())
    }
}
