//! The way in: from what a channel read to what the store has.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;

use super::board::Board;
use super::stops::Stops;
use super::{Parts, TooOld, traced};
use crate::channel::{Acknowledgement, Channel, Received};
use crate::domain::Time;
use crate::domain::account::AccountKey;
use crate::domain::message::{Accepted, Admission, Arrival, Inbound, Lane, Treatment};
use crate::domain::routing::send_lane;
use crate::store::StoreError;
use crate::telemetry::trace::Webhook;
use crate::telemetry::{BILLABLE, FEEDBACK, MESSAGES, RECEIPTS};

/// A platform may report on a part before its answer to our sending has been stored. Such a receipt is looked at once
/// more after this time; if the daemon ends in between, the platform's next receipt tells the same.
const EARLY_RECEIPT: Duration = Duration::from_secs(2);

/// Takes what a channel read, stores it, wakes the workers.
#[derive(Clone)]
pub struct Intake {
    pub(super) parts: Parts,
    pub(super) turns: Arc<Board>,
    pub(super) sends: Arc<Board>,
    pub(super) stops: Arc<Stops>,
}

/// Whom to wake for an arrival once it is stored.
struct Hint {
    account: AccountKey,
    lane: Lane,
    at: Time,
    due_at: Time,
    noticed: bool,
    /// What a receipt tells.
    stage: Option<Cow<'static, str>>,
}

impl Intake {
    /// Stores everything of one webhook in one transaction and returns what the platform gets as its
    /// acknowledgement. On an error nothing was stored, and the platform shall deliver again.
    pub async fn accept(
        &self,
        channel: &dyn Channel,
        received: Received,
    ) -> Result<Acknowledgement, StoreError> {
        let name = channel.name();
        for reason in &received.dropped {
            counter!(MESSAGES, "channel" => name, "outcome" => *reason).increment(1);
        }
        for farewell in &received.farewells {
            channel.farewell(farewell).await?;
        }
        if !received.arrivals.is_empty() {
            let now = self.parts.clock.now();
            let webhook = Webhook::begin(|| received.arrivals.iter().filter_map(traced::message).collect());
            let admit = |arrival| self.admission(channel, arrival, now);
            let batch = received.arrivals.into_iter().map(admit).collect();
            let early = self.store(name, batch, webhook).await?;
            if !early.is_empty() {
                self.clone().look_again(name, early);
            }
        }
        for aside in received.asides {
            if let Some(channel) = self.parts.channel(&aside.account) {
                tokio::spawn(async move { channel.aside(&aside).await });
            }
        }
        Ok(received.answer)
    }

    /// Stores a batch and wakes whom it concerns. Returns receipts of parts that are being sent just now.
    async fn store(
        &self,
        channel: &'static str,
        batch: Vec<Admission>,
        webhook: Option<Webhook>,
    ) -> Result<Vec<Admission>, StoreError> {
        let hints: Vec<Hint> = batch.iter().map(hint).collect();
        // Asked before the store is: what is no longer under way by then is stored already.
        let busy = |hint: &&Hint| self.sends.is_busy(&send_lane(&hint.account));
        let receipts: Vec<Option<Admission>> = batch
            .iter()
            .zip(&hints)
            .map(|(admission, hint)| receipt(admission).filter(|_| busy(&hint)))
            .collect();
        self.announce(&batch, &hints);
        let accepted = self.parts.store.accept(batch).await?;
        // Before anybody is woken who asks for it.
        if let Some(webhook) = webhook {
            webhook.done();
        }
        let mut early = Vec::new();
        for ((outcome, hint), receipt) in accepted.iter().zip(hints).zip(receipts) {
            match receipt {
                Some(receipt) if *outcome == Accepted::Unknown => early.push(receipt),
                _ => self.follow_up(channel, outcome, &hint),
            }
        }
        Ok(early)
    }

    /// Wakes whoever asks, before what is to be asked is stored: on a store of our own the claim then joins the commit
    /// that stores it. A claim that comes too early finds nothing, and is made again once it is stored.
    fn announce(&self, batch: &[Admission], hints: &[Hint]) {
        if self.parts.store.lease().is_some() {
            return;
        }
        for (admission, hint) in batch.iter().zip(hints) {
            if hint.due_at <= hint.at && is_asked(admission) {
                self.turns.hint(&hint.lane, hint.due_at);
            }
        }
    }

    fn look_again(self, channel: &'static str, early: Vec<Admission>) {
        tokio::spawn(async move {
            tokio::time::sleep(EARLY_RECEIPT).await;
            if let Err(error) = self.store(channel, early, None).await {
                tracing::debug!(%error, "an early receipt is left to the platform's next one");
            }
        });
    }

    fn admission(&self, channel: &dyn Channel, arrival: Arrival, at: Time) -> Admission {
        let turn = &self.parts.turn;
        let (arrival, lane) = match arrival {
            Arrival::Message(mut inbound) => {
                self.judge_age(channel, &mut inbound, at);
                // A database text cannot hold the character NUL, and no person means it.
                inbound.text.retain(|c| c != '\0');
                inbound.platform_id.retain(|c| c != '\0');
                let lane = self
                    .parts
                    .routes
                    .turn_lane(&inbound.account, inbound.place.as_deref());
                (Arrival::Message(inbound), lane)
            }
            Arrival::Edit(mut edit) => {
                edit.text.retain(|c| c != '\0');
                (Arrival::Edit(edit), Lane::from(""))
            }
            other => (other, Lane::from("")),
        };
        Admission {
            arrival,
            lane,
            wait: channel.turn_wait(turn.wait),
            max_wait: turn.max_wait,
            at,
        }
    }

    /// A message that comes too late is not asked; nobody is told about the kind of one that is days old either.
    fn judge_age(&self, channel: &dyn Channel, inbound: &mut Inbound, now: Time) {
        let age = now.since(inbound.sent_at);
        let closed = channel.reply_window().is_some_and(|window| age >= window);
        let too_old = age > self.parts.turn.max_age;
        if !closed && !too_old {
            return;
        }
        match (&mut inbound.treatment, self.parts.turn.too_old) {
            (Treatment::Ignore { notice, .. }, _) => *notice = None,
            (Treatment::Ask | Treatment::AskAndTell(_), _) if closed => {
                inbound.treatment = Treatment::Ignore {
                    reason: "window_closed",
                    notice: None,
                };
            }
            (Treatment::Ask | Treatment::AskAndTell(_), TooOld::Answer) => {}
            (Treatment::Ask | Treatment::AskAndTell(_), TooOld::Record) => {
                inbound.treatment = Treatment::Ignore {
                    reason: "too_old",
                    notice: None,
                };
            }
            (Treatment::Ask | Treatment::AskAndTell(_), TooOld::Apologise) => {
                let notice = super::render_one(channel, &self.parts.texts.too_old);
                inbound.treatment = Treatment::Ignore {
                    reason: "too_old",
                    notice,
                };
            }
        }
    }

    fn follow_up(&self, channel: &'static str, outcome: &Accepted, hint: &Hint) {
        counter!(MESSAGES, "channel" => channel, "outcome" => outcome.label()).increment(1);
        match outcome {
            Accepted::Queued => {
                self.turns.hint(&hint.lane, hint.due_at);
                if hint.noticed {
                    self.sends.hint(&send_lane(&hint.account), hint.at);
                }
            }
            Accepted::Ignored(_) if hint.noticed => self.sends.hint(&send_lane(&hint.account), hint.at),
            Accepted::Done(label) => {
                if matches!(*label, "helpful" | "not_helpful") {
                    counter!(FEEDBACK, "channel" => channel, "verdict" => *label).increment(1);
                }
                self.sends.hint(&send_lane(&hint.account), hint.at);
            }
            Accepted::Stopped(asking) => {
                if let Some(claim) = asking {
                    self.stops.stop(*claim);
                }
                self.sends.hint(&send_lane(&hint.account), hint.at);
            }
            Accepted::Applied { found, billed } => {
                if let Some(stage) = &hint.stage {
                    counter!(RECEIPTS, "channel" => channel, "stage" => stage.clone()).increment(1);
                }
                if *found {
                    super::tally::unknown(channel, "found");
                    self.sends.hint(&send_lane(&hint.account), hint.at);
                }
                if *billed {
                    let number = hint.account.account().to_owned();
                    counter!(BILLABLE, "number" => number).increment(1);
                }
            }
            _ => {}
        }
    }
}

fn is_asked(admission: &Admission) -> bool {
    matches!(
        &admission.arrival,
        Arrival::Message(inbound) if matches!(inbound.treatment, Treatment::Ask | Treatment::AskAndTell(_))
    )
}

fn receipt(admission: &Admission) -> Option<Admission> {
    matches!(admission.arrival, Arrival::Receipt(_)).then(|| admission.clone())
}

fn hint(admission: &Admission) -> Hint {
    let (account, noticed) = match &admission.arrival {
        Arrival::Message(inbound) => {
            let noticed = matches!(
                inbound.treatment,
                Treatment::Ignore { notice: Some(_), .. } | Treatment::AskAndTell(_)
            );
            (inbound.account.clone(), noticed)
        }
        Arrival::Receipt(receipt) => (receipt.account.clone(), false),
        Arrival::Identity(change) => (change.account.clone(), false),
        Arrival::Edit(edit) => (edit.account.clone(), false),
        Arrival::Withdraw(withdrawal) => (withdrawal.account.clone(), false),
        Arrival::Act(act) => (act.account.clone(), false),
        Arrival::TakeOver(take_over) => (take_over.account.clone(), false),
    };
    Hint {
        account,
        lane: admission.lane.clone(),
        at: admission.at,
        due_at: admission.at.plus(admission.wait.min(admission.max_wait)),
        noticed,
        stage: match &admission.arrival {
            Arrival::Receipt(receipt) => Some(receipt.fate.stage().1),
            _ => None,
        },
    }
}
