//! The ends of a turn: answered, put back, given up. What they write is decided here, as rows.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::domain::delivery::{DeliveryKind, SendClaim};
use crate::domain::message::Route;
use crate::domain::routing::send_lane;
use crate::domain::thread::ThreadState;
use crate::domain::turn::{Apology, Burial, ClaimKey, CompletedTurn, End, TurnClaim};
use crate::domain::{ClaimToken, DeliveryId, ThreadId, Time};
use crate::store::StoreError;
use crate::store::ops::{Op, Outcome};
use crate::store::plan::NOTICE_EVERY;
use crate::store::rows::{self, Cells};

/// A turn as the store has it now.
#[derive(Debug)]
pub(in crate::store) struct Held {
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
    /// Takes a row of [`held_turn_columns`].
    pub(in crate::store) fn take(
        all: &mut HashMap<ThreadId, Self>,
        row: &impl Cells,
    ) -> Result<(), StoreError> {
        let now = Self {
            token: row.maybe_int(1)?,
            more: row.flag(2)?,
            last_part: row.int(3)?,
            state: rows::thread_state(row, 4)?,
            sending: row.flag(5)?,
            noticed_at: rows::optional_time(row, 6)?,
            route: rows::route(row, 7)?,
            paused_until: rows::optional_time(row, 8)?,
            last_inbound_at: rows::time(row, 9)?,
        };
        all.insert(rows::id(row, 0)?, now);
        Ok(())
    }

    fn is_paused(&self, at: Time) -> bool {
        self.state == ThreadState::Paused && self.paused_until.is_none_or(|until| until > at)
    }
}

/// What the ends of some turns write.
#[derive(Debug, Default)]
pub(in crate::store) struct Ends {
    /// `thread, first, last, state, attempts, code, reason, at`
    pub(in crate::store) messages: Vec<Value>,
    /// `thread, conversation_id, answer_id, last_part, noticed_at, at`
    pub(in crate::store) threads: Vec<Value>,
    /// `thread, part, turn, kind, body, state, attempts, created_at, attempted_at, asked_at`
    pub(in crate::store) deliveries: Vec<Value>,
    /// `thread, lane, due_at, since, first, token`
    pub(in crate::store) sends: Vec<Value>,
    /// Threads without anything more to ask.
    pub(in crate::store) over: Vec<ThreadId>,
    /// Threads with messages that form the next turn.
    pub(in crate::store) more: Vec<ThreadId>,
}

/// The threads whose turns are answered by these operations.
pub(in crate::store) fn completed(ops: &[Op]) -> Vec<ThreadId> {
    let thread = |op: &Op| match op {
        Op::CompleteTurn(claim, _) => Some(claim.key.thread),
        _ => None,
    };
    ops.iter().filter_map(thread).collect()
}

/// The columns that [`Held::take`] reads, in its order, of the work `w`, its thread `t` and the thread's sending `s`.
macro_rules! held_turn_columns {
    () => {
        "w.thread_id, w.token, w.upto < t.last_seq OR w.reopened IS NOT NULL, t.last_part, t.state,
         s.thread_id IS NOT NULL, t.noticed_at, t.route, t.paused_until, t.last_inbound_at"
    };
}
pub(in crate::store) use held_turn_columns;

/// The turn as the store has it, if it is still claimed under this key.
fn owned<'h>(held: &'h HashMap<ThreadId, Held>, claim: &ClaimKey) -> Option<&'h Held> {
    held.get(&claim.thread)
        .filter(|held| held.token == Some(claim.token.as_i64()))
}

impl Ends {
    /// Ends all answered turns among the operations, and says what came of each. `may_send` tells whether the first
    /// part may be claimed in the same breath, by its lane.
    pub(in crate::store) fn complete_all(
        held: &HashMap<ThreadId, Held>,
        ops: &[Op],
        outcomes: &mut [Option<Outcome>],
        may_send: impl Fn(&str) -> bool,
    ) -> Self {
        let mut ends = Self::default();
        for (op, outcome) in ops.iter().zip(outcomes.iter_mut()) {
            if let Op::CompleteTurn(claim, done) = op {
                *outcome = Some(match owned(held, &claim.key) {
                    Some(held) => Outcome::Next(ends.answer(claim, done, held, &may_send).map(Box::new)),
                    None => Outcome::Fenced,
                });
            }
        }
        ends
    }

    /// Ends a turn without an answer; none if it is no longer the caller's.
    pub(in crate::store) fn bury_one(
        held: &HashMap<ThreadId, Held>,
        claim: &TurnClaim,
        burial: &Burial,
    ) -> Option<Self> {
        let held = owned(held, &claim.key)?;
        let mut ends = Self::default();
        ends.bury(claim, burial, held);
        Some(ends)
    }

    fn answer(
        &mut self,
        claim: &TurnClaim,
        done: &CompletedTurn,
        held: &Held,
        may_send: &impl Fn(&str) -> bool,
    ) -> Option<SendClaim> {
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
        let claimed = done.claim_first && !held.sending && may_send(&send_lane(&claim.thread.account));
        let first = self.parts(claim, done, held, parts, claimed);
        self.finish(claim, held);
        first
    }

    fn parts(
        &mut self,
        claim: &TurnClaim,
        done: &CompletedTurn,
        held: &Held,
        parts: &[String],
        claimed: bool,
    ) -> Option<SendClaim> {
        let at = done.at.millis();
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
        let lately = |apology: &&Apology| {
            apology.rationed
                && held
                    .noticed_at
                    .is_some_and(|last| burial.at.since(last) < NOTICE_EVERY)
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
}
