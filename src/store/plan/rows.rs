//! What the plan writes, as the rows that both databases' statements take as JSON.

use serde_json::{Value, json as row};

use super::Plan;
use super::writes::{MessageWrite, NoticeWrite, ReceiptWrite, RevisionWrite, ThreadWrite, TurnWrite};
use crate::domain::message::Fate;
use crate::domain::{AliasKey, MessageId, ThreadId, Time};
use crate::store::ops::kind;
use crate::store::rows::{hour, json, millis};
use crate::store::{StoreError, Work};

/// `id, account, place, address, route, country, bound, last_seq, last_part, inbound_at, noticed_at, at, routed_at`
pub(in crate::store) fn threads(plan: &Plan) -> Result<String, StoreError> {
    let row = |(id, write): (&ThreadId, &ThreadWrite)| {
        let now = plan.found.threads.get(id)?;
        Some(row!([
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
    json(&plan.threads.iter().filter_map(row).collect::<Vec<_>>())
}

/// `alias, thread, strength, since`
pub(in crate::store) fn aliases(plan: &Plan) -> Result<String, StoreError> {
    let row = |(alias, (thread, strength, since)): (&AliasKey, &(ThreadId, i64, Time))| {
        row!([alias.as_str(), thread, strength, since.millis()])
    };
    json(&plan.aliases.iter().map(row).collect::<Vec<_>>())
}

/// The same in two: names that lead somewhere else by now, behind those that are new.
pub(in crate::store) fn split_aliases(
    plan: &Plan,
    is_known: impl Fn(&AliasKey) -> bool,
) -> (Vec<Value>, Vec<Value>) {
    let (mut fresh, mut known) = (Vec::new(), Vec::new());
    for (alias, (thread, strength, since)) in &plan.aliases {
        let rows = if is_known(alias) { &mut known } else { &mut fresh };
        rows.push(row!([alias.as_str(), thread, strength, since.millis()]));
    }
    (fresh, known)
}

/// `thread, seq, platform_id, text, state, code, sent_at, at, ended_at, quotes`
pub(in crate::store) fn messages(plan: &Plan) -> Result<String, StoreError> {
    let row = |m: &MessageWrite| {
        let ended = (m.state != "pending").then_some(m.at.millis());
        let (sent, at) = (m.sent_at.millis(), m.at.millis());
        row!([
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
    json(&plan.messages.iter().map(row).collect::<Vec<_>>())
}

/// `thread, lane, due_at, at, wait, max_wait, first`
pub(in crate::store) fn turns(plan: &Plan) -> Result<String, StoreError> {
    let row = |(thread, turn): (&ThreadId, &TurnWrite)| {
        let (wait, max_wait) = (millis(turn.wait), millis(turn.max_wait));
        let due = turn.at.plus(turn.wait.min(turn.max_wait)).millis();
        row!([
            thread,
            &*turn.lane,
            due,
            turn.at.millis(),
            wait,
            max_wait,
            turn.first
        ])
    };
    json(&plan.turns.iter().map(row).collect::<Vec<_>>())
}

/// `thread, part, body, at, lane`
pub(in crate::store) fn notices(plan: &Plan) -> Result<String, StoreError> {
    let row = |notice: &NoticeWrite| {
        row!([
            notice.id.thread,
            notice.id.number,
            notice.body,
            notice.at.millis(),
            &*notice.lane
        ])
    };
    json(&plan.notices.iter().map(row).collect::<Vec<_>>())
}

/// `thread, part, stage, billable, platform_id, code, reason, at`
pub(in crate::store) fn receipts(plan: &Plan) -> Result<String, StoreError> {
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
        row!([
            id.thread, id.number, stage, billable, name, code, reason, at, sends
        ])
    };
    json(&plan.receipts.iter().map(row).collect::<Vec<_>>())
}

/// `key, hour`, in the order of the digests.
pub(in crate::store) fn keys(plan: &Plan) -> Vec<(i64, i64)> {
    let mut keys: Vec<_> = plan
        .keys
        .iter()
        .map(|(key, at)| (key.as_i64(), hour(*at)))
        .collect();
    keys.sort_unstable();
    keys
}

/// `thread, seq, text, edited_at, at`
pub(in crate::store) fn revisions(plan: &Plan) -> Result<String, StoreError> {
    let row = |(id, revision): (&MessageId, &RevisionWrite)| {
        let edited_at = revision.edited_at.map(Time::millis);
        row!([
            id.thread,
            id.number,
            revision.text,
            edited_at,
            revision.at.millis()
        ])
    };
    json(&plan.revisions.iter().map(row).collect::<Vec<_>>())
}

/// `thread, last_part, at`
pub(in crate::store) fn spoken(plan: &Plan) -> Result<String, StoreError> {
    let row = |(thread, at): (&ThreadId, &Time)| {
        let now = plan.found.threads.get(thread)?;
        Some(row!([thread, now.last_part, at.millis()]))
    };
    json(&plan.spoken.iter().filter_map(row).collect::<Vec<_>>())
}

/// `alias, until`: what somebody wants to call off.
pub(in crate::store) fn named_stops(stops: &[(AliasKey, Time)]) -> Result<String, StoreError> {
    let row = |(name, until): &(AliasKey, Time)| row!([name.as_str(), until.millis()]);
    json(&stops.iter().map(row).collect::<Vec<_>>())
}

/// `thread, until, at`
pub(in crate::store) fn stops(plan: &Plan) -> Result<String, StoreError> {
    let row = |(thread, until, at): &(ThreadId, Time, Time)| row!([thread, until.millis(), at.millis()]);
    json(&plan.stops.iter().map(row).collect::<Vec<_>>())
}
