//! What the workers tell of themselves to whoever traces: which span each piece of work is.

use crate::agent::{AgentError, Answer};
use crate::channel::{SendError, Sent};
use crate::domain::account::AccountKey;
use crate::domain::delivery::SendClaim;
use crate::domain::message::Arrival;
use crate::domain::turn::TurnClaim;
use crate::telemetry::trace::{self, Context, Kind, Span};

/// What came of asking: nothing if it was called off, nothing within if the lease ended.
pub(super) type Asked = Option<Option<Result<Answer, AgentError>>>;

/// The name by which a message is remembered until its turn, if this is one.
pub(super) fn message(arrival: &Arrival) -> Option<String> {
    match arrival {
        Arrival::Message(message) => Some(name(&message.account, &message.platform_id)),
        _ => None,
    }
}

fn name(account: &AccountKey, platform_id: &str) -> String {
    format!("{account} {platform_id}")
}

/// The trace of a turn.
fn of_turn(claim: &TurnClaim) -> Option<Context> {
    let first = claim.messages.first()?;
    Some(Context::of_turn(claim.key.thread, first.accepted_at))
}

/// An attempt to get an answer begins. The webhooks that brought its messages are told first.
pub(super) fn turn(claim: &TurnClaim) -> Option<Span> {
    let root = of_turn(claim)?;
    let span = Span::below(root, "turn", Kind::Internal)?;
    let account = &claim.thread.account;
    for message in &claim.messages {
        trace::accepted(root, &name(account, &message.platform_id), account.channel());
    }
    let span = span.note("chatbridge.turn", &claim.turn);
    Some(span.note("chatbridge.attempt", &claim.attempt))
}

/// It ends.
pub(super) fn asked(span: Option<Span>, asked: &Asked) {
    let outcome = match asked {
        Some(Some(Ok(_))) => "answered",
        Some(Some(Err(refusal))) => refusal.code,
        Some(None) => "lease_lost",
        None => "stopped",
    };
    trace::end(span, outcome, outcome == "answered");
}

/// The turn ends without an answer, and with it the trace.
pub(super) fn buried(claim: &TurnClaim) {
    if let (Some(root), Some(first)) = (of_turn(claim), claim.messages.first()) {
        trace::root(root, claim.thread.account.channel(), first.accepted_at, false);
    }
}

/// An attempt to deliver the beginning of an answer.
pub(super) fn delivery(claim: &SendClaim) -> Option<Span> {
    let root = Context::of_turn(claim.key.thread, claim.asked_at?);
    let span = Span::below(root, "delivery", Kind::Internal)?;
    Some(span.note("chatbridge.delivery", &claim.delivery))
}

/// It ends.
pub(super) fn sent(span: Option<Span>, sent: Option<&Result<Sent, SendError>>) {
    let ok = matches!(sent, Some(Ok(_)));
    trace::end(span, if ok { "sent" } else { "not_sent" }, ok);
}

/// The person has the beginning of the answer: the trace is whole.
pub(super) fn delivered(claim: &SendClaim) {
    if let Some(asked_at) = claim.asked_at {
        let root = Context::of_turn(claim.key.thread, asked_at);
        trace::root(root, claim.thread.account.channel(), asked_at, true);
    }
}
