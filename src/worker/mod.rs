//! The workers: they take what the store holds and carry it on.

use std::time::Duration;

use serde::Deserialize;

use crate::domain::retry::Schedule;
use crate::domain::settings;

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

mod intake;

pub use intake::Intake;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::agent::livechatai::Links;
use crate::channel::Channel;
use crate::domain::Clock;
use crate::domain::routing::Routes;
use crate::domain::texts::Texts;
use crate::store::{Store, StoreError};

/// What the workers work with.
#[derive(Clone)]
pub struct Parts {
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// Who answers.
    pub agent: Arc<dyn Agent>,
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
    /// How many questions one agent gets at once (`agent.concurrency`).
    pub concurrency: u32,
}

/// All workers of the daemon.
pub struct Workers {
    parts: Parts,
}

impl Workers {
    /// Workers that have not begun yet.
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// The way in for webhooks.
    pub fn intake(&self) -> Arc<Intake> {
        todo!()
    }

    /// What `/readyz` asks: why the agent refuses to be asked, if it does (names the agent and the remedy).
    pub fn agent_refusal(&self) -> Option<String> {
        todo!()
    }

    /// Takes over what an earlier process left behind; before anything else.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let _ = &self.parts;
        todo!()
    }

    /// Works. After `soft` is cancelled, what is under way or due within moments is finished, then it returns; after
    /// `hard` is cancelled it returns at once.
    pub async fn run(self: Arc<Self>, soft: CancellationToken, hard: CancellationToken) {
        let _ = (soft, hard);
        todo!()
    }
}
