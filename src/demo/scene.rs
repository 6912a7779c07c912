//! What the services of a demo share: what was said, the way of each message, and how the neighbours feel.

use std::time::Duration;

use tokio::sync::watch;

use super::journal::Journal;
use super::ways::Ways;

/// How long a slow agent thinks.
pub const SLOW: Duration = Duration::from_secs(6);

/// How the agent feels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentMood {
    /// It answers at once.
    #[default]
    Well,
    /// It thinks for [`SLOW`].
    Slow,
    /// It answers 503.
    Down,
}

/// How the neighbours of the bridge feel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moods {
    /// The agent.
    pub agent: AgentMood,
    /// Whether Slack refuses posts for their number.
    pub slack_limited: bool,
    /// Whether WhatsApp does.
    pub whatsapp_limited: bool,
}

/// What is shared. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// What everybody says.
    pub journal: Journal,
    /// The way of each message.
    pub ways: Ways,
    moods: watch::Sender<Moods>,
}

impl Scene {
    /// How the neighbours feel now.
    pub fn moods(&self) -> Moods {
        *self.moods.borrow()
    }

    /// Lets them feel otherwise.
    pub fn set_moods(&self, moods: Moods) {
        self.moods.send_if_modified(|now| {
            let other = *now != moods;
            *now = moods;
            other
        });
    }

    /// A reader that is woken when somebody feels otherwise.
    pub fn follow_moods(&self) -> watch::Receiver<Moods> {
        self.moods.subscribe()
    }

    /// Thinks as long as a slow agent does, or until it feels otherwise.
    pub(super) async fn think(&self) {
        let mut moods = self.follow_moods();
        let changed = moods.wait_for(|moods| moods.agent != AgentMood::Slow);
        let _ = tokio::time::timeout(SLOW, changed).await;
    }
}
