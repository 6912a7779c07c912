//! The delivery: claims parts that are due, sends them, records what became of each.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, histogram};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use super::board::{Board, Place, Reach};
use super::claiming::Claiming;
use super::leases::Leases;
use super::{Parts, traced};
use crate::channel::{Channel, LookUp, Scope, SendDisposition, SendError, UnknownPolicy};
use crate::crash_point::{self, Deed};
use crate::domain::Time;
use crate::domain::delivery::{SendClaim, SendOutcome, Settlement};
use crate::domain::message::Lane;
use crate::domain::routing::send_lane;
use crate::store::{StoreError, Work};
use crate::telemetry::{DELIVERIES, HELD_ACCOUNTS, TIME_TO_ANSWER, trace};

/// How long a part waits whose channel is switched off, in case that was a mistake.
const CHANNEL_OFF_WAIT: Duration = Duration::from_mins(1);

/// How long after an unclear send it is looked for: time enough for a request that is still on the wire.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// How long between two tries to store an outcome.
const STORE_AGAIN: Duration = Duration::from_millis(200);

/// The delivery.
pub(super) struct Delivery {
    pub(super) parts: Parts,
    pub(super) board: Arc<Board>,
    pub(super) tasks: TaskTracker,
    pub(super) lease: Duration,
    pub(super) leases: Arc<Leases>,
}

impl Delivery {
    /// Claims what is due and has a place. Returns the claims; each must be given to [`work`](Self::work).
    pub(super) async fn claim(&self) -> Result<Vec<SendClaim>, StoreError> {
        let now = self.parts.clock.now();
        let until = now.plus(self.lease);
        let claiming = Claiming {
            work: Work::Send,
            board: &self.board,
            leases: &self.leases,
            now,
            until,
        };
        let ask = |quotas| self.parts.store.claim_sends(quotas, now, until);
        claiming.claim(ask, |claim| &claim.key).await
    }

    /// Works on a claim in a task of its own, in the place that was taken for it.
    pub(super) fn spawn(self: &Arc<Self>, claim: SendClaim, place: Option<Place>) {
        let delivery = self.clone();
        self.tasks.spawn(async move {
            let _place = place;
            delivery.work(claim).await;
        });
    }

    /// Carries a part, and the thread's parts behind it, as far as they go.
    pub(super) async fn work(&self, claim: SendClaim) {
        let mut next = Some(claim);
        while let Some(claim) = next {
            let _holding = self.leases.hold(&claim.key);
            let Some(channel) = self.parts.channel(&claim.thread.account) else {
                let at = self.parts.clock.now().plus(CHANNEL_OFF_WAIT);
                let outcome = SendOutcome::Again {
                    at,
                    counts: false,
                    code: "channel_off".into(),
                    held: Some("channel_off".into()),
                };
                self.settle(&claim, outcome, false).await;
                break;
            };
            let outcome = if claim.unknown {
                self.look(&claim, &*channel).await
            } else {
                self.send(&claim, &*channel).await
            };
            // Without its lease it is another's to look for, and to settle.
            let Some(outcome) = outcome else {
                count(channel.name(), "lease_lost");
                break;
            };
            let goes_on = matches!(outcome, SendOutcome::Sent { .. } | SendOutcome::Dead { .. });
            next = self.settle(&claim, outcome, goes_on).await;
        }
    }

    async fn send(&self, claim: &SendClaim, channel: &dyn Channel) -> Option<SendOutcome> {
        let span = traced::delivery(claim);
        crash_point::before_at(Deed::Send, channel.name());
        let sending = trace::scoped(span.as_ref(), channel.send(claim));
        let sent = self.leases.within(&claim.key, sending).await;
        crash_point::after_at(Deed::Send, channel.name());
        traced::sent(span, sent.as_ref());
        Some(match sent? {
            Ok(sent) => {
                self.release(&claim.key.lane).await;
                let now = self.parts.clock.now();
                debug!(delivery = %claim.delivery, thread = %claim.key.thread, "sent");
                count(channel.name(), "sent");
                traced::delivered(claim);
                if let Some(asked_at) = claim.asked_at {
                    let took = now.since(asked_at).as_secs_f64();
                    histogram!(TIME_TO_ANSWER, "channel" => channel.name()).record(took);
                }
                SendOutcome::Sent {
                    platform_id: sent.platform_id,
                }
            }
            Err(refusal) => self.refused(claim, channel, &refusal),
        })
    }

    fn refused(&self, claim: &SendClaim, channel: &dyn Channel, refusal: &SendError) -> SendOutcome {
        let now = self.parts.clock.now();
        let code = refusal.code.clone();
        match refusal.disposition {
            SendDisposition::Retry { after } => match self.parts.retry.delivery.after(claim.attempt, after) {
                Some(wait) => {
                    warn!(delivery = %claim.delivery, attempt = claim.attempt, %refusal, again_in = ?wait, "not sent yet");
                    count(channel.name(), "retried");
                    SendOutcome::Again {
                        at: now.plus(wait),
                        counts: true,
                        code,
                        held: None,
                    }
                }
                None => dead(claim, channel, refusal),
            },
            SendDisposition::Pause { scope, after } => {
                if claim.pauses == 0 {
                    warn!(delivery = %claim.delivery, %refusal, ?scope, ?after, "a pause is asked for");
                } else {
                    debug!(delivery = %claim.delivery, code, ?scope, ?after, "a further pause is asked for");
                }
                count(channel.name(), "paused");
                match scope {
                    Scope::Thread => {}
                    Scope::Account => self.board.block(&claim.key.lane, Reach::Group, now.plus(after)),
                    Scope::Family => self.board.block(&claim.key.lane, Reach::Family, now.plus(after)),
                    Scope::Access => self.board.block(&claim.key.lane, Reach::Access, now.plus(after)),
                }
                SendOutcome::Again {
                    at: now.plus(after),
                    counts: false,
                    code,
                    held: None,
                }
            }
            SendDisposition::Unknown => {
                warn!(delivery = %claim.delivery, %refusal, "it may have been sent; it will be looked for");
                count(channel.name(), "unknown");
                SendOutcome::Unknown {
                    look_at: now.plus(LOOK_AFTER),
                    code,
                }
            }
            SendDisposition::Hold => self.hold(claim, channel, refusal, Reach::Group),
            SendDisposition::HoldFamily => self.hold(claim, channel, refusal, Reach::Family),
            SendDisposition::HoldAccess => self.hold(claim, channel, refusal, Reach::Access),
            SendDisposition::Dead => dead(claim, channel, refusal),
        }
    }

    /// The operator must act: all that it concerns waits, and no attempt is burnt.
    fn hold(
        &self,
        claim: &SendClaim,
        channel: &dyn Channel,
        refusal: &SendError,
        reach: Reach,
    ) -> SendOutcome {
        let lane = &claim.key.lane;
        let now = self.parts.clock.now();
        let (at, news) = self.board.hold(lane, reach, refusal.to_string(), now);
        if news {
            error!(account = &**lane, ?reach, %refusal, "nothing can be sent; what is to be sent is kept and waits");
        }
        self.note_held();
        count(channel.name(), "held");
        SendOutcome::Again {
            at,
            counts: false,
            code: refusal.code.clone(),
            held: Some(self.board.held_name(lane, reach)),
        }
    }

    fn note_held(&self) {
        let held = u32::try_from(self.board.held().len()).unwrap_or(u32::MAX);
        metrics::gauge!(HELD_ACCOUNTS).set(f64::from(held));
    }

    /// Looks for a part that may have been sent, and decides by what it finds.
    async fn look(&self, claim: &SendClaim, channel: &dyn Channel) -> Option<SendOutcome> {
        let now = self.parts.clock.now();
        crash_point::before_at(Deed::LookForSend, channel.name());
        let found = self.leases.within(&claim.key, channel.look_up(claim)).await;
        crash_point::after_at(Deed::LookForSend, channel.name());
        Some(match found? {
            LookUp::Found { platform_id } => {
                info!(delivery = %claim.delivery, "found where it was to be sent: it is not sent again");
                super::tally::unknown(channel.name(), "found");
                count(channel.name(), "sent");
                SendOutcome::Sent { platform_id }
            }
            LookUp::Later(wait) => SendOutcome::Unknown {
                look_at: now.plus(wait),
                code: "unknown".into(),
            },
            LookUp::Absent => self.resend(claim, channel, now, true),
            LookUp::Unknowable(UnknownPolicy::Resend) => self.resend(claim, channel, now, false),
            LookUp::Unknowable(UnknownPolicy::Park) => {
                super::tally::unknown(channel.name(), "parked");
                count(channel.name(), "dead");
                let reason = "nobody can tell whether it was sent; replay it if the person did not get it";
                SendOutcome::Dead {
                    code: "unknown_outcome".into(),
                    reason: reason.into(),
                }
            }
        })
    }

    /// The attempts of a part that keeps getting lost end too. What the platform was asked about and does not have can
    /// be there twice in no case; only the rest is counted as sent again without knowing.
    fn resend(&self, claim: &SendClaim, channel: &dyn Channel, now: Time, absent: bool) -> SendOutcome {
        if self.parts.retry.delivery.after(claim.attempt, None).is_none() {
            count(channel.name(), "dead");
            let reason = "the platform took none of the attempts";
            return SendOutcome::Dead {
                code: "attempts_exhausted".into(),
                reason: reason.into(),
            };
        }
        if absent {
            info!(delivery = %claim.delivery, attempt = claim.attempt, "it is not where it was to be sent: it is sent again");
            super::tally::unknown(channel.name(), "absent");
        } else {
            warn!(delivery = %claim.delivery, attempt = claim.attempt, "nothing can tell whether it arrived: it is sent again");
            super::tally::unknown(channel.name(), "resent");
        }
        SendOutcome::Again {
            at: now,
            counts: true,
            code: "resent".into(),
            held: None,
        }
    }

    /// The account works again: what was held goes on at once.
    async fn release(&self, lane: &Lane) {
        for reach in [Reach::Group, Reach::Family, Reach::Access] {
            if self.board.unhold(lane, reach) {
                self.revive(lane, reach).await;
            }
        }
    }

    /// What was held for this account, or for those that this reach concerns, is due now.
    pub(super) async fn revive(&self, lane: &Lane, reach: Reach) {
        self.board.unhold(lane, reach);
        self.note_held();
        let now = self.parts.clock.now();
        let held = self.board.held_name(lane, reach);
        match self.parts.store.release(Work::Send, &held, now).await {
            Ok(0) => {}
            Ok(threads) => {
                info!(
                    account = &**lane,
                    ?reach,
                    threads,
                    "sending works again: what was held goes out"
                );
            }
            Err(error) => warn!(account = &**lane, %error, "held deliveries go on as they come due"),
        }
        match self.parts.store.lanes(Work::Send).await {
            Ok(lanes) => self.board.learn(lanes),
            Err(error) => debug!(%error, "the lanes are read again in a moment"),
        }
    }

    async fn settle(&self, claim: &SendClaim, outcome: SendOutcome, claim_next: bool) -> Option<SendClaim> {
        let at = self.parts.clock.now();
        let due = match &outcome {
            SendOutcome::Again { at, .. } => Some(*at),
            SendOutcome::Unknown { look_at, .. } => Some(*look_at),
            SendOutcome::Sent { .. } | SendOutcome::Dead { .. } => None,
        };
        let mut settlement = Settlement {
            outcome,
            at,
            claim_next,
            lease_until: at.plus(self.lease),
        };
        let next = loop {
            settlement.lease_until = self.parts.clock.now().plus(self.lease);
            match self.parts.store.settle(claim.clone(), settlement.clone()).await {
                Ok(next) => {
                    if let Some(next) = &next {
                        self.leases.begin(Work::Send, &next.key, settlement.lease_until);
                    }
                    break next;
                }
                Err(error @ (StoreError::Fenced | StoreError::Closed)) => {
                    warn!(delivery = %claim.delivery, %error, "the outcome of a send was not stored");
                    break None;
                }
                Err(error) => {
                    error!(delivery = %claim.delivery, %error, "the outcome of a send cannot be stored yet");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
            }
        };
        if next.is_none() {
            self.board.hint(&claim.key.lane, due.unwrap_or(at));
        }
        next
    }
}

fn dead(claim: &SendClaim, channel: &dyn Channel, refusal: &SendError) -> SendOutcome {
    error!(delivery = %claim.delivery, thread = %claim.key.thread, attempts = claim.attempt, %refusal,
           "given up: the part is a dead letter");
    count(channel.name(), "dead");
    SendOutcome::Dead {
        code: refusal.code.clone(),
        reason: refusal.message.clone(),
    }
}

fn count(channel: &'static str, outcome: &'static str) {
    counter!(DELIVERIES, "channel" => channel, "outcome" => outcome).increment(1);
}

/// Sets going what an account held, as soon as its channel says that it may be tried again.
pub(super) async fn revivals(delivery: Arc<Delivery>, channel: Arc<dyn Channel>, stop: CancellationToken) {
    while let Some(account) = stop.run_until_cancelled(channel.revived()).await {
        delivery.revive(&send_lane(&account), Reach::Group).await;
    }
}
