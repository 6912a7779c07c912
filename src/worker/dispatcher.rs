//! The dispatcher: claims turns that are due, asks the agent, stores what it answers.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use super::board::{Board, Place, Reach};
use super::claiming::Claiming;
use super::delivery::Delivery;
use super::leases::Leases;
use super::stops::Stops;
use super::tally::turn as count;
use super::{Parts, traced};
use crate::agent::livechatai::Links;
use crate::agent::{AgentError, Answer, Disposition, Question};
use crate::channel::Channel;
use crate::crash_point::{self, Deed};
use crate::domain::Time;
use crate::domain::message::Lane;
use crate::domain::routing::{Routes, send_lane};
use crate::domain::turn::{CompletedTurn, Deferral, TurnClaim};
use crate::store::{StoreError, Work};
use crate::telemetry::{HELD_AGENTS, trace};

/// How long a lane waits whose channel is switched off, in case that was a mistake.
const CHANNEL_OFF_WAIT: Duration = Duration::from_mins(1);

/// How long between two tries to store an answer that is at hand.
const STORE_AGAIN: Duration = Duration::from_millis(200);

/// How long what was shown to people may take to be taken back before the daemon ends.
const TAKEN_BACK_WITHIN: Duration = Duration::from_secs(3);

/// The dispatcher.
pub(super) struct Dispatcher {
    pub(super) parts: Parts,
    pub(super) board: Arc<Board>,
    pub(super) delivery: Arc<Delivery>,
    pub(super) lease: Duration,
    pub(super) leases: Arc<Leases>,
    pub(super) stops: Arc<Stops>,
    /// What shows people that an answer is on its way.
    pub(super) shown: TaskTracker,
    /// Cancelled when the daemon ends, so that all of that is taken back.
    pub(super) ending: CancellationToken,
}

impl Dispatcher {
    /// Claims what is due and has a place. Returns the claims; each must be given to [`work`](Self::work).
    pub(super) async fn claim(&self) -> Result<Vec<TurnClaim>, StoreError> {
        let now = self.parts.clock.now();
        let until = now.plus(self.lease);
        let claiming = Claiming {
            work: Work::Turn,
            board: &self.board,
            leases: &self.leases,
            now,
            until,
        };
        let ask = |quotas| self.parts.store.claim_turns(quotas, now, until);
        claiming.claim(ask, |claim| &claim.key).await
    }

    /// Carries one turn to its end, or puts it back.
    pub(super) async fn work(&self, claim: TurnClaim) {
        let lane = claim.key.lane.clone();
        let place = Place::of(&self.board, &lane);
        let _holding = self.leases.hold(&claim.key);
        let under_way = self.stops.begin(claim.key.token);
        let Some(channel) = self.parts.channel(&claim.thread.account) else {
            let until = self.parts.clock.now().plus(CHANNEL_OFF_WAIT);
            self.defer(
                &claim,
                "channel_off",
                Deferral {
                    until,
                    counts: false,
                    ambiguous: false,
                    held: None,
                },
            )
            .await;
            return;
        };
        if let Some(burial) = self.aged(&claim, &*channel) {
            self.bury(&claim, burial).await;
            return;
        }
        // Until this function returns, however it does.
        let _presence = self.presence(&claim, &channel);
        let span = traced::turn(&claim);
        let asking = trace::scoped(span.as_ref(), self.ask(&claim, &*channel));
        let asking = self.leases.within(&claim.key, asking);
        let asked = under_way.stopped.run_until_cancelled(asking).await;
        traced::asked(span, &asked);
        // The place is for asking; storing what came of it takes none.
        drop(place);
        match asked {
            Some(None) => count(channel.name(), "lease_lost"),
            Some(Some(Ok(answer))) => {
                self.release(&lane).await;
                self.complete(&claim, &*channel, answer).await;
            }
            Some(Some(Err(refusal))) => self.give_up_or_defer(&claim, &*channel, &refusal).await,
            None => {
                info!(turn = %claim.turn, "called off by a person: the question is dropped");
                count(channel.name(), "stopped");
                self.board.hint(&lane, self.parts.clock.now());
            }
        }
    }

    /// Takes back what is shown of answers that are on their way, because the daemon ends.
    pub(super) async fn take_back(&self) {
        self.ending.cancel();
        self.shown.close();
        if tokio::time::timeout(TAKEN_BACK_WITHIN, self.shown.wait())
            .await
            .is_err()
        {
            warn!("not everybody could be shown any more that no answer is on its way for now");
        }
    }

    /// Lets the person see that an answer is on its way, until the result is dropped; not where none may come, because
    /// an operator must act first. The question does not wait for it.
    fn presence(&self, claim: &TurnClaim, channel: &Arc<dyn Channel>) -> Option<DropGuard> {
        let held = self.board.is_held(&claim.key.lane)
            || self.delivery.board.is_held(&send_lane(&claim.thread.account));
        if held {
            return None;
        }
        let (claim, channel) = (claim.clone(), channel.clone());
        let over = self.ending.child_token();
        let until = over.clone();
        self.shown
            .spawn(async move { channel.working(&claim, until).await });
        Some(over.drop_guard())
    }

    async fn ask(&self, claim: &TurnClaim, channel: &dyn Channel) -> Result<Answer, AgentError> {
        let thread = &claim.thread;
        let mut question = Question {
            agent_id: self
                .parts
                .routes
                .agent(&thread.account, thread.place.as_deref())
                .to_owned(),
            integration_type: channel.integration_type(),
            conversation_id: thread.conversation_id.clone(),
            text: claim.question(),
            country: thread.country.clone(),
            after: thread.answer_id.clone(),
        };
        if claim.ambiguous {
            crash_point::before(Deed::LookForAnswer);
            let found = self.parts.agent.look_up(&question).await;
            crash_point::after(Deed::LookForAnswer);
            if let Some(answer) = found? {
                info!(turn = %claim.turn, "the answer of an earlier attempt was found");
                count(channel.name(), "found");
                return Ok(answer);
            }
            info!(turn = %claim.turn, "an earlier attempt left no answer to be found: it is asked again");
            count(channel.name(), "asked_again");
        }
        debug!(turn = %claim.turn, attempt = claim.attempt, messages = claim.messages.len(), "asking");
        match self.put(&question).await {
            Err(AgentError {
                disposition: Disposition::ForgetConversation,
                ..
            }) => {
                info!(turn = %claim.turn, "the agent no longer knows the conversation; asking without it");
                question.conversation_id = None;
                question.after = None;
                self.put(&question).await
            }
            other => other,
        }
    }

    async fn put(&self, question: &Question) -> Result<Answer, AgentError> {
        crash_point::before(Deed::Ask);
        let answer = self.parts.agent.ask(question).await;
        crash_point::after(Deed::Ask);
        answer
    }

    async fn complete(&self, claim: &TurnClaim, channel: &dyn Channel, answer: Answer) {
        let links = if self.parts.links == Links::List {
            &answer.links[..]
        } else {
            &[]
        };
        let parts = channel.render(&answer.text, links);
        let lane = send_lane(&claim.thread.account);
        let now = self.parts.clock.now();
        let place = Place::reserve(&self.delivery.board, &lane, now);
        let done = CompletedTurn {
            conversation_id: answer.conversation_id,
            answer_id: answer.answer_id,
            parts,
            claim_first: place.is_some(),
            at: now,
            lease_until: now.plus(self.delivery.lease),
        };
        let (turn, messages) = (claim.turn, claim.messages.len());
        let result = self
            .until_stored(|| async {
                let mut done = done.clone();
                // It may be stored much later than it came.
                done.lease_until = self.parts.clock.now().plus(self.delivery.lease);
                let until = done.lease_until;
                let next = self.parts.store.complete_turn(claim.clone(), done).await?;
                Ok(next.map(|send| (send, until)))
            })
            .await;
        match result {
            Ok(Some((send, until))) => {
                self.leases.begin(Work::Send, &send.key, until);
                info!(%turn, messages, thread = %send.key.thread, "answered");
                count(channel.name(), "answered");
                self.delivery.spawn(send, place);
                return;
            }
            Ok(None) => {
                info!(%turn, messages, "answered");
                count(channel.name(), "answered");
            }
            Err(_) => count(channel.name(), "fenced"),
        }
        drop(place);
        self.delivery.board.hint(&lane, now);
    }

    async fn give_up_or_defer(&self, claim: &TurnClaim, channel: &dyn Channel, refusal: &AgentError) {
        let now = self.parts.clock.now();
        let (after, ambiguous) = match refusal.disposition {
            Disposition::Retry { after } => (after, false),
            Disposition::Ambiguous => (None, true),
            Disposition::Hold => return self.hold(claim, channel, refusal, now).await,
            Disposition::ForgetConversation | Disposition::Fail => {
                return self.bury_refused(claim, channel, refusal, now).await;
            }
        };
        match self.parts.retry.agent.after(claim.attempt, after) {
            Some(wait) => {
                warn!(turn = %claim.turn, attempt = claim.attempt, %refusal, again_in = ?wait, "no answer yet");
                count(channel.name(), "retried");
                let deferral = Deferral {
                    until: now.plus(wait),
                    counts: true,
                    ambiguous,
                    held: None,
                };
                self.defer(claim, refusal.code, deferral).await;
            }
            None => self.bury_refused(claim, channel, refusal, now).await,
        }
    }

    /// The agent waits for its operator: the turn is kept as it is, and no attempt is burnt.
    async fn hold(&self, claim: &TurnClaim, channel: &dyn Channel, refusal: &AgentError, now: Time) {
        let lane = &claim.key.lane;
        let agent = Routes::agent_of_lane(lane).to_owned();
        let (until, news) = self.board.hold(lane, Reach::Group, refusal.to_string(), now);
        if news {
            error!(agent, %refusal, "the agent refuses to be asked; its questions are kept and wait");
        }
        self.note_held();
        count(channel.name(), "held");
        let deferral = Deferral {
            until,
            counts: false,
            ambiguous: false,
            held: Some(agent),
        };
        self.defer(claim, refusal.code, deferral).await;
    }

    /// The agent answers again: what was held goes on at once.
    async fn release(&self, lane: &Lane) {
        if !self.board.unhold(lane, Reach::Group) {
            return;
        }
        self.note_held();
        let agent = Routes::agent_of_lane(lane);
        let now = self.parts.clock.now();
        match self.parts.store.release(Work::Turn, agent, now).await {
            Ok(threads) => info!(agent, threads, "the agent answers again"),
            Err(error) => warn!(agent, %error, "held questions go on as they come due"),
        }
        match self.parts.store.lanes(Work::Turn).await {
            Ok(lanes) => self.board.learn(lanes),
            Err(error) => debug!(%error, "the lanes are read again in a moment"),
        }
    }

    fn note_held(&self) {
        let held = u32::try_from(self.board.held().len()).unwrap_or(u32::MAX);
        metrics::gauge!(HELD_AGENTS).set(f64::from(held));
    }

    async fn defer(&self, claim: &TurnClaim, code: &str, deferral: Deferral) {
        debug!(turn = %claim.turn, code, until = %deferral.until, "put back");
        let until = deferral.until;
        let _ = self
            .until_stored(|| self.parts.store.defer_turn(claim.key.clone(), deferral.clone()))
            .await;
        self.board.hint(&claim.key.lane, until);
    }

    /// Stores what must not be lost, however long the store takes: an answer that is dropped would be asked again.
    pub(super) async fn until_stored<T, F>(&self, write: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match write().await {
                Err(error @ (StoreError::Fenced | StoreError::Closed)) => {
                    warn!(%error, "the outcome of a turn was not stored");
                    return Err(error);
                }
                Err(error) => {
                    error!(%error, "the outcome of a turn cannot be stored yet");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
                Ok(value) => return Ok(value),
            }
        }
    }
}
