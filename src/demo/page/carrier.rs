//! Carrying what a person wrote to the daemon, and again until it is taken, as the platforms do.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Stage;
use crate::demo::webhooks::Signed;

/// How long until a platform delivers again what was not taken. The real ones take their time: Slack up to an hour
/// (docs.slack.dev, "Events API, Error handling"), Meta up to seven days (Meta, "Webhooks").
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// So often a message is delivered again: for an hour.
const MOST: u32 = 1800;

/// A webhook before it is signed: each delivery is signed as of its own time.
#[derive(Debug, Clone)]
pub(super) enum Letter {
    /// One of Slack's events.
    Slack(Value),
    /// One of WhatsApp's webhooks.
    WhatsApp(Value),
}

impl Letter {
    fn sign(&self, stage: &Stage) -> Signed {
        match self {
            Self::Slack(event) => stage.slack.sign(event),
            Self::WhatsApp(webhook) => stage.graph.sign(webhook),
        }
    }
}

/// What one message is delivered by.
#[derive(Debug, Clone)]
pub(super) struct Post {
    /// The platform's id of the message.
    pub(super) message: String,
    /// Its letters, in order.
    pub(super) letters: Vec<Letter>,
}

/// Delivers, until all is taken. Who waits for it waits as long as the daemon is away.
pub(super) async fn carry(stage: Arc<Stage>, post: Post) {
    for (index, letter) in post.letters.iter().enumerate() {
        for _ in 0..MOST {
            let answer = stage.postman.post(letter.sign(&stage)).await;
            // The way is that of the message: its second event does not count.
            if index == 0 {
                match &answer {
                    Ok(told) => {
                        stage
                            .scene
                            .ways
                            .acknowledged(&post.message, told.status.as_u16(), told.took);
                    }
                    Err(_) => stage.scene.ways.unreachable(&post.message),
                }
            }
            if answer.is_ok_and(|told| told.status.is_success()) {
                break;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}
