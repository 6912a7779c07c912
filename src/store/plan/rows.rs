//! What the plan writes, as the rows that both databases' statements take as JSON. Tuples, because they are written as
//! they stand: no tree of values is built for them.

use super::Plan;
use crate::domain::message::Fate;
use crate::domain::{AliasKey, ThreadId, Time};
use crate::store::ops::kind;
use crate::store::rows::{hour, json, millis};
use crate::store::{StoreError, Work};

/// `id, account, place, address, route, country, bound, last_seq, last_part, inbound_at, noticed_at, at, routed_at`
pub(in crate::store) fn threads(plan: &Plan) -> Result<String, StoreError> {
    let rows = plan.threads.iter().filter_map(|(id, write)| {
        let now = plan.found.threads.get(id)?;
        Some((
            id,
            write.account.as_str(),
            &write.place,
            write.address.as_str(),
            &write.route,
            &write.country,
            now.bound.as_ref().map(AliasKey::as_str),
            now.last_seq,
            now.last_part,
            write.inbound_at.millis(),
            now.noticed_at.map(Time::millis),
            write.at.millis(),
            now.routed_at.millis(),
        ))
    });
    json(&rows.collect::<Vec<_>>())
}

/// `alias, thread, strength, since`
pub(in crate::store) fn aliases(plan: &Plan) -> Result<String, StoreError> {
    let rows = plan
        .aliases
        .iter()
        .map(|(alias, (thread, strength, since))| (alias.as_str(), thread, strength, since.millis()));
    json(&rows.collect::<Vec<_>>())
}

/// A row of [`aliases`].
type AliasRow<'p> = (&'p str, ThreadId, i64, i64);

/// The same in two: names that lead somewhere else by now, behind those that are new.
pub(in crate::store) fn split_aliases(
    plan: &Plan,
    is_known: impl Fn(&AliasKey) -> bool,
) -> (Vec<AliasRow<'_>>, Vec<AliasRow<'_>>) {
    let (mut fresh, mut known) = (Vec::new(), Vec::new());
    for (alias, (thread, strength, since)) in &plan.aliases {
        let rows = if is_known(alias) { &mut known } else { &mut fresh };
        rows.push((alias.as_str(), *thread, *strength, since.millis()));
    }
    (fresh, known)
}

/// `thread, seq, platform_id, text, state, code, sent_at, at, ended_at, quotes`
pub(in crate::store) fn messages(plan: &Plan) -> Result<String, StoreError> {
    let rows = plan.messages.iter().map(|m| {
        let ended = (m.state != "pending").then_some(m.at.millis());
        let (sent, at) = (m.sent_at.millis(), m.at.millis());
        (
            m.id.thread,
            m.id.number,
            &m.platform_id,
            &m.text,
            m.state,
            m.code,
            sent,
            at,
            ended,
            &m.quotes,
        )
    });
    json(&rows.collect::<Vec<_>>())
}

/// `thread, lane, due_at, at, wait, max_wait, first`
pub(in crate::store) fn turns(plan: &Plan) -> Result<String, StoreError> {
    let rows = plan.turns.iter().map(|(thread, turn)| {
        let (wait, max_wait) = (millis(turn.wait), millis(turn.max_wait));
        let due = turn.at.plus(turn.wait.min(turn.max_wait)).millis();
        (
            thread,
            &*turn.lane,
            due,
            turn.at.millis(),
            wait,
            max_wait,
            turn.first,
        )
    });
    json(&rows.collect::<Vec<_>>())
}

/// `thread, part, body, at, lane`
pub(in crate::store) fn notices(plan: &Plan) -> Result<String, StoreError> {
    let rows = plan.notices.iter().map(|notice| {
        (
            notice.id.thread,
            notice.id.number,
            &notice.body,
            notice.at.millis(),
            &*notice.lane,
        )
    });
    json(&rows.collect::<Vec<_>>())
}

/// `thread, part, stage, billable, platform_id, code, reason, at`
pub(in crate::store) fn receipts(plan: &Plan) -> Result<String, StoreError> {
    let rows = plan.receipts.iter().map(|write| {
        let receipt = &write.receipt;
        let (code, reason) = match &receipt.fate {
            Fate::Failed { code, reason } => (Some(code), Some(reason)),
            _ => (None, None),
        };
        let (stage, _) = receipt.fate.stage();
        let billable = receipt.billable.map(i64::from);
        let (id, name, at) = (write.delivery, &receipt.platform_id, receipt.at.millis());
        let sends = kind(Work::Send);
        (
            id.thread, id.number, stage, billable, name, code, reason, at, sends,
        )
    });
    json(&rows.collect::<Vec<_>>())
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
    let rows = plan.revisions.iter().map(|(id, revision)| {
        let edited_at = revision.edited_at.map(Time::millis);
        (
            id.thread,
            id.number,
            &revision.text,
            edited_at,
            revision.at.millis(),
        )
    });
    json(&rows.collect::<Vec<_>>())
}

/// `thread, last_part, at`
pub(in crate::store) fn spoken(plan: &Plan) -> Result<String, StoreError> {
    let rows = plan.spoken.iter().filter_map(|(thread, at)| {
        let now = plan.found.threads.get(thread)?;
        Some((thread, now.last_part, at.millis()))
    });
    json(&rows.collect::<Vec<_>>())
}

/// `alias, until`: what somebody wants to call off.
pub(in crate::store) fn named_stops(stops: &[(AliasKey, Time)]) -> Result<String, StoreError> {
    let rows = stops.iter().map(|(name, until)| (name.as_str(), until.millis()));
    json(&rows.collect::<Vec<_>>())
}

/// `thread, until, at`
pub(in crate::store) fn stops(plan: &Plan) -> Result<String, StoreError> {
    let rows = plan
        .stops
        .iter()
        .map(|(thread, until, at)| (thread, until.millis(), at.millis()));
    json(&rows.collect::<Vec<_>>())
}
