//! The workers: they take what the store holds and carry it on.
//!
//! The [`Intake`] stores what arrives. The dispatcher claims turns that are due, asks the agent and stores the answer;
//! the delivery claims parts and sends them. Both read from a board of hints which lanes may have something to do, and
//! claim it in the store, whose table is the truth. No lock and no transaction is held while anything is on the wire.

mod board;
mod burying;
mod claiming;
mod delivery;
mod dispatcher;
mod held;
mod intake;
mod janitor;
mod leases;
mod stops;
mod tally;
mod traced;

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

pub use held::{Held, Paused};
pub use intake::Intake;

use crate::agent::Agent;
use crate::agent::livechatai::Links;
use crate::channel::Channel;
use crate::domain::account::AccountKey;
use crate::domain::retry::Schedule;
use crate::domain::routing::Routes;
use crate::domain::texts::Texts;
use crate::domain::{Clock, settings};
use crate::store::{Store, StoreError, Work};
use board::{Board, Place};
use delivery::Delivery;
use dispatcher::Dispatcher;
use janitor::Janitor;
use leases::Leases;
use stops::Stops;

/// Section `turn` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnSettings {
    /// How long to collect a burst; unset, each channel has its own default.
    #[serde(default, deserialize_with = "settings::optional_duration")]
    pub wait: Option<Duration>,
    /// How long a burst may be collected in all.
    #[serde(deserialize_with = "settings::duration")]
    pub max_wait: Duration,
    /// How old a message may be, by the platform's own time, to be asked.
    #[serde(deserialize_with = "settings::duration")]
    pub max_age: Duration,
    /// What becomes of an older one.
    pub too_old: TooOld,
}

/// What becomes of a message that is too old to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TooOld {
    /// It is recorded, nothing else.
    Record,
    /// The person is told.
    Apologise,
    /// It is asked all the same.
    Answer,
}

/// Section `retry` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrySettings {
    /// The waits between attempts to ask the agent.
    pub agent: Schedule,
    /// The waits between attempts to deliver a part.
    pub delivery: Schedule,
}

/// How often the store is asked, if nothing else is wanted, whether there is work that nobody told of: a command's,
/// another process's.
pub const POLL: Duration = Duration::from_secs(1);

/// How long a worker waits after the store failed it.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// So many deliveries of one account are under way at once.
const SENDS_PER_ACCOUNT: u32 = 64;

/// How long a claim on a delivery holds: many times what a call may take.
const SEND_LEASE: Duration = Duration::from_mins(5);

/// A request of the process before may still be on the wire right after a start: a look-up waits this long for it.
const LOOK_AFTER_START: Duration = Duration::from_secs(2);

/// When told to stop, work that is due this soon is still finished: a burst that is being collected, for example.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// What the workers work with.
#[derive(Clone)]
pub struct Parts {
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// Who answers.
    pub agent: Arc<dyn Agent>,
    /// How long one question may take.
    pub agent_timeout: Duration,
    /// How many questions one agent gets at once.
    pub concurrency: u32,
    /// Where people write.
    pub channels: Vec<Arc<dyn Channel>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Which agent answers where.
    pub routes: Arc<Routes>,
    /// Section `turn`.
    pub turn: TurnSettings,
    /// Section `retry`.
    pub retry: RetrySettings,
    /// What the person may see.
    pub texts: Texts,
    /// Whether sources are listed.
    pub links: Links,
    /// How often the store is asked whether there is work that nobody told of.
    pub poll: Duration,
    /// How long the text of what has ended stays; none: for good.
    pub retention: Option<Duration>,
}

impl Parts {
    fn channel(&self, account: &AccountKey) -> Option<Arc<dyn Channel>> {
        self.channels
            .iter()
            .find(|channel| channel.name() == account.channel())
            .cloned()
    }
}

/// All workers of the daemon.
pub struct Workers {
    parts: Parts,
    turns: Arc<Board>,
    sends: Arc<Board>,
    dispatcher: Arc<Dispatcher>,
    delivery: Arc<Delivery>,
    leases: Arc<Leases>,
    stops: Arc<Stops>,
    tasks: TaskTracker,
}

impl Workers {
    /// Workers that have not begun yet.
    pub fn new(parts: Parts) -> Self {
        tally::begin(&parts.channels);
        let turns = Arc::new(Board::new(parts.concurrency, Routes::agent_of_lane));
        let sends = Arc::new(Board::with_circles(
            SENDS_PER_ACCOUNT,
            |lane| lane,
            circles(parts.channels.clone()),
        ));
        let tasks = TaskTracker::new();
        let stops = Arc::new(Stops::default());
        let leases = Arc::new(Leases::new(parts.store.lease(), parts.clock.clone()));
        let delivery = Arc::new(Delivery {
            parts: parts.clone(),
            board: sends.clone(),
            tasks: tasks.clone(),
            lease: leases.span_or(SEND_LEASE),
            leases: leases.clone(),
        });
        let dispatcher = Arc::new(Dispatcher {
            parts: parts.clone(),
            board: turns.clone(),
            delivery: delivery.clone(),
            // A look-up, a question, and the question once more without its conversation.
            lease: leases.span_or(
                parts
                    .agent_timeout
                    .saturating_mul(4)
                    .saturating_add(Duration::from_mins(1)),
            ),
            leases: leases.clone(),
            stops: stops.clone(),
            shown: TaskTracker::new(),
            ending: CancellationToken::new(),
        });
        Self {
            parts,
            turns,
            sends,
            dispatcher,
            delivery,
            leases,
            stops,
            tasks,
        }
    }

    /// What they work with.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The way in for webhooks.
    pub fn intake(&self) -> Arc<Intake> {
        Arc::new(Intake {
            parts: self.parts.clone(),
            turns: self.turns.clone(),
            sends: self.sends.clone(),
            stops: self.stops.clone(),
        })
    }

    /// What `/readyz` asks: why an agent refuses to be asked, if one does, with its name and the remedy.
    pub fn agent_refusal(&self) -> Option<String> {
        let (agent, why) = self.turns.held().into_iter().next()?;
        Some(if agent.is_empty() {
            why
        } else {
            format!("agent {agent}: {why}")
        })
    }

    /// Takes over what an earlier process left behind; before anything else.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        let taken = self
            .parts
            .store
            .recover(&self.parts.routes, now, now.plus(LOOK_AFTER_START))
            .await?;
        if taken > 0 {
            info!(
                threads = taken,
                "took over what was under way when the daemon last stopped"
            );
        }
        Ok(())
    }

    /// Works. After `soft` is cancelled, what is under way or due within moments is finished, then it returns; after
    /// `hard` is cancelled it returns at once.
    pub async fn run(self: Arc<Self>, soft: CancellationToken, hard: CancellationToken) {
        let background = TaskTracker::new();
        let stop = hard.child_token();
        background.spawn(Janitor::of(&self.parts).run(stop.clone()));
        background.spawn(self.leases.clone().run(self.parts.store.clone(), stop.clone()));
        background.spawn(self.clone().hear(stop.clone()));
        for channel in self.parts.channels.clone() {
            background.spawn(delivery::revivals(self.delivery.clone(), channel, stop.clone()));
        }
        let asking = tokio::spawn(self.clone().pump(Work::Turn, soft.clone(), stop.clone()));
        let sending = tokio::spawn(self.clone().pump(Work::Send, soft, stop.clone()));
        let _ = tokio::join!(asking, sending);
        self.tasks.close();
        hard.run_until_cancelled(self.tasks.wait()).await;
        self.dispatcher.take_back().await;
        stop.cancel();
        background.close();
        background.wait().await;
    }

    async fn pump(self: Arc<Self>, work: Work, soft: CancellationToken, hard: CancellationToken) {
        let board = if work == Work::Turn {
            &self.turns
        } else {
            &self.sends
        };
        let poll = self.parts.poll;
        let mut polled: Option<tokio::time::Instant> = None;
        while !hard.is_cancelled() {
            if polled.is_none_or(|at| at.elapsed() >= poll) {
                polled = Some(tokio::time::Instant::now());
                self.poll(work).await;
            }
            match self.start_due(work).await {
                Ok(0) if soft.is_cancelled() && self.is_finished() => break,
                Ok(0) => {
                    let longest = if soft.is_cancelled() { poll / 10 } else { poll };
                    let nap = board.wait(self.parts.clock.now(), longest);
                    tokio::select! {
                        () = nap => {}
                        () = hard.cancelled() => {}
                        () = soft.cancelled(), if !soft.is_cancelled() => {}
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    error!(%error, "no work can be claimed; it is tried again");
                    hard.run_until_cancelled(tokio::time::sleep(STORE_AGAIN)).await;
                }
            }
        }
    }

    /// Whether nothing is under way and nothing is due within moments.
    fn is_finished(&self) -> bool {
        let horizon = self.parts.clock.now().plus(FINISH_WITHIN);
        self.tasks.is_empty() && self.turns.is_idle(horizon) && self.sends.is_idle(horizon)
    }

    /// Looks at the store at once when another process tells that there may be work.
    async fn hear(self: Arc<Self>, stop: CancellationToken) {
        while stop
            .run_until_cancelled(self.parts.store.hinted())
            .await
            .is_some()
        {
            self.poll(Work::Turn).await;
            self.poll(Work::Send).await;
        }
    }

    async fn poll(&self, work: Work) {
        let board = if work == Work::Turn {
            &self.turns
        } else {
            &self.sends
        };
        match self.parts.store.lanes(work).await {
            Ok(lanes) => board.learn(lanes),
            Err(error) => error!(%error, "the store cannot be read; it is tried again"),
        }
    }

    /// Claims what is due and begins it, each in a task of its own. Returns how much that was.
    async fn start_due(&self, work: Work) -> Result<usize, StoreError> {
        match work {
            Work::Turn => {
                let claims = self.dispatcher.claim().await?;
                let begun = claims.len();
                for claim in claims {
                    let dispatcher = self.dispatcher.clone();
                    self.tasks.spawn(async move { dispatcher.work(claim).await });
                }
                Ok(begun)
            }
            Work::Send => {
                let claims = self.delivery.claim().await?;
                let begun = claims.len();
                for claim in claims {
                    let place = Place::of(&self.sends, &claim.key.lane);
                    self.delivery.spawn(claim, Some(place));
                }
                Ok(begun)
            }
        }
    }

    /// Does all that is due now, to its end, and returns how many claims that were: for tests, which drive the time.
    pub async fn run_once(&self) -> Result<usize, StoreError> {
        self.poll(Work::Turn).await;
        let turns = self.dispatcher.claim().await?;
        let mut done = turns.len();
        for claim in turns {
            self.dispatcher.work(claim).await;
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.poll(Work::Send).await;
        let sends = self.delivery.claim().await?;
        done += sends.len();
        for claim in sends {
            let _place = Place::of(&self.sends, &claim.key.lane);
            self.delivery.work(claim).await;
        }
        Ok(done)
    }
}

/// Which accounts are paused and held together, as their channels know it. The lane of an account's deliveries is its
/// key.
fn circles(channels: Vec<Arc<dyn Channel>>) -> board::CirclesOf {
    Box::new(move |lane| {
        let account = AccountKey::from_stored(lane)?;
        let channel = channels
            .iter()
            .find(|channel| channel.name() == account.channel())?;
        Some(board::Circles {
            family: channel.family(&account),
            access: channel.access(&account),
        })
    })
}

/// Renders a short text of ours, if there is one.
fn render_one(channel: &dyn Channel, text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    channel.render(text, &[]).into_iter().next()
}
