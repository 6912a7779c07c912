//! People who go on talking whatever becomes of the daemon, and platforms that deliver until they are thanked.

use std::collections::VecDeque;
use std::thread;

use super::traffic::Webhook;
use super::{NUMBER, World, eventually};

/// One person's messages on one thread, in the order in which they are written.
pub(crate) struct Talk {
    /// Whether it is on Slack.
    pub(crate) slack: bool,
    /// Which thread of the platform.
    pub(crate) thread: usize,
    /// The messages that were acknowledged, by name.
    pub(crate) acknowledged: Vec<String>,
    /// What the platform still has to deliver.
    waiting: VecDeque<(String, Webhook)>,
    delivered: Vec<Webhook>,
}

impl Talk {
    pub(crate) fn new(slack: bool, thread: usize) -> Self {
        Self {
            slack,
            thread,
            acknowledged: Vec::new(),
            waiting: VecDeque::new(),
            delivered: Vec::new(),
        }
    }

    /// The thread's address.
    pub(crate) fn address(&self) -> String {
        if self.slack {
            format!("slack/T1/{}", self.place())
        } else {
            format!("whatsapp/{NUMBER}/{}", self.place())
        }
    }

    /// Where its replies go: a Slack channel, a phone number.
    pub(crate) fn place(&self) -> String {
        if self.slack {
            format!("D{:03}", self.thread)
        } else {
            format!("1555700{:04}", self.thread)
        }
    }

    /// A message is written; the platform has it now.
    pub(crate) fn say(&mut self, name: &str) {
        let webhook = Webhook::new(self.slack, self.thread, name);
        self.waiting.push_back((name.to_owned(), webhook));
    }

    /// The platform delivers what it has, in order, until something is not acknowledged. True if nothing is left.
    pub(crate) fn deliver(&mut self, world: &World) -> bool {
        while let Some((name, webhook)) = self.waiting.pop_front() {
            if !webhook.deliver(world) {
                self.waiting.push_front((name, webhook));
                return false;
            }
            self.acknowledged.push(name);
            self.delivered.push(webhook);
        }
        true
    }

    /// The platform delivers once more what was acknowledged already.
    pub(crate) fn deliver_again(&self, world: &World) {
        for webhook in &self.delivered {
            assert!(webhook.deliver(world), "a redelivery is not acknowledged");
        }
    }
}

/// All platforms deliver at the same time, as far as they are thanked.
pub(crate) fn deliver_all(world: &World, talks: &mut [Talk]) {
    thread::scope(|scope| {
        for talk in talks {
            scope.spawn(|| talk.deliver(world));
        }
    });
}

/// They deliver until everything is acknowledged, and then everything once more.
#[track_caller]
pub(crate) fn deliver_twice(world: &World, talks: &mut [Talk]) {
    for talk in &mut *talks {
        eventually("everything to be acknowledged", || {
            talk.deliver(world).then_some(())
        });
    }
    for talk in &*talks {
        talk.deliver_again(world);
    }
}
