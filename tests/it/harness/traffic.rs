//! Many messages on both platforms, each with a name that its answer holds.

use std::collections::HashMap;

use rand::RngExt;

use super::world::{meta_posts, slack_posts};
use super::{Daemon, Incoming, NUMBER, Person, SlackEvent, World, eventually, webhook};

/// The seed of this run's randomness: printed, and taken from `CHATBRIDGE_TEST_SEED` to run it again.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("CHATBRIDGE_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| rand::rng().random());
    println!("CHATBRIDGE_TEST_SEED={seed}");
    seed
}

/// A webhook that a platform delivers until it is acknowledged.
#[derive(Clone)]
pub(crate) enum Webhook {
    Slack(SlackEvent),
    WhatsApp(serde_json::Value),
}

impl Webhook {
    /// The `n`-th message of a thread; its words are its name.
    pub(crate) fn new(slack: bool, thread: usize, name: &str) -> Self {
        if slack {
            Self::Slack(SlackEvent::dm(&format!("D{thread:03}"), name))
        } else {
            let person = Person::phone(&format!("1555700{thread:04}"));
            Self::WhatsApp(webhook(NUMBER, &[Incoming::text(&person, name)]))
        }
    }

    /// Delivers it once. True if it was acknowledged.
    pub(crate) fn deliver(&self, world: &World) -> bool {
        self.deliver_to(world.daemon())
    }

    /// Delivers it once to one of several daemons. True if it was acknowledged.
    pub(crate) fn deliver_to(&self, daemon: &Daemon) -> bool {
        let reply = match self {
            Self::Slack(event) => {
                let body = event.0.to_string();
                slack_posts(daemon, "/slack/events", "application/json", body.as_bytes())
            }
            Self::WhatsApp(body) => meta_posts(daemon, body.to_string().as_bytes()),
        };
        let status = reply.map(|reply| reply.status);
        assert!(
            !matches!(status, Ok(other) if other != 200 && other != 503),
            "{status:?}"
        );
        status == Ok(200)
    }
}

/// What was said to people on the way out, by both platforms.
pub(crate) fn said(world: &World) -> Vec<String> {
    let slack = world.slack.posts().into_iter().map(|post| post.text);
    slack
        .chain(world.meta.sent().into_iter().map(|sent| sent.body))
        .collect()
}

/// How many replies hold each name.
pub(crate) fn replies(world: &World, names: &[String]) -> HashMap<String, usize> {
    let mut found: HashMap<String, usize> = names.iter().map(|name| (name.clone(), 0)).collect();
    for text in said(world) {
        for word in text.split_whitespace() {
            if let Some(count) = found.get_mut(word) {
                *count += 1;
            }
        }
    }
    found
}

#[track_caller]
pub(crate) fn wait_all_answered(world: &World, names: &[String]) {
    eventually("every acknowledged message to be answered", || {
        replies(world, names)
            .values()
            .all(|count| *count > 0)
            .then_some(())
    });
    world.wait_idle();
}
