//! What happened, held against the model.

use std::collections::HashSet;

use serde_json::json;

use super::Play;
use super::bridge::place;
use super::model::{Got, Step, THREADS, is_slack};
use crate::harness::Call;

impl Play {
    /// Holds what happened against the model.
    pub(super) fn compare(&mut self, steps: &[Step]) {
        for thread in 0..THREADS {
            let expected = &self.model.threads[thread];
            let what = format!("thread {thread} in {steps:?}");
            let recorded: Vec<(String, String)> = self.recorded(thread);
            let wanted = expected.messages.iter();
            let wanted: Vec<(String, String)> = wanted
                .map(|message| (message.text.clone(), message.state.to_owned()))
                .collect();
            assert_eq!(recorded, wanted, "P1: recorded of {what}");
            let asked = self.asked(thread);
            self.told.messages += wanted.len();
            self.told.questions_twice +=
                counted(&asked, &expected.questions, &format!("P2, P3: asked of {what}"));
            self.conversed(thread, &expected.questions, &what);
            let replied = self.replied(thread);
            self.told.replies_twice +=
                counted(&replied, &expected.replies, &format!("P3, P4: replied on {what}"));
        }
    }

    /// What is recorded of a thread's messages, in the order accepted.
    fn recorded(&self, thread: usize) -> Vec<(String, String)> {
        let Some(detail) = self.bridge.thread(thread) else {
            return Vec::new();
        };
        let digits = |id: &str| id.rsplit(|c: char| !c.is_ascii_digit()).next().map(str::to_owned);
        let number = |id: &str| digits(id).unwrap_or_default().parse::<u64>().unwrap();
        let mut messages: Vec<_> = detail
            .history
            .into_iter()
            .filter(|item| item.kind == "message")
            .map(|item| (number(&item.id), item.text, item.state))
            .collect();
        messages.sort();
        messages
            .into_iter()
            .map(|(_, text, state)| (text, state))
            .collect()
    }

    /// The questions of a thread that the agent answered, in order.
    fn answered(&self, thread: usize) -> Vec<Call> {
        let mut asks = self.bridge.world.agent.asks_with(&format!("t{thread}n"));
        asks.retain(|ask| ask.said["status"] == "success");
        asks
    }

    fn asked(&self, thread: usize) -> Vec<String> {
        let asks = self.answered(thread).into_iter();
        asks.map(|ask| ask.json["question"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Each question goes on with the conversation of the one before, or opens one after a reset.
    fn conversed(&self, thread: usize, questions: &[Got], what: &str) {
        let mut known = json!(null);
        for ask in self.answered(thread) {
            let question = ask.json["question"].as_str().unwrap();
            let opens = questions.iter().any(|got| got.text == question && got.opens);
            let wanted = if opens { &json!(null) } else { &known };
            assert_eq!(&ask.json["conversationId"], wanted, "{question:?} of {what}");
            known = ask.said["data"]["conversationId"].clone();
        }
    }

    /// What people got on a thread, in order. On WhatsApp the same delivery counts where it came first.
    fn replied(&self, thread: usize) -> Vec<String> {
        let world = &self.bridge.world;
        if is_slack(thread) {
            let posts = world.slack.posts().into_iter();
            return posts
                .filter(|post| post.channel == place(thread))
                .map(|post| post.text)
                .collect();
        }
        let sent = world.meta.sent().into_iter();
        sent.filter(|sent| sent.to.as_deref() == Some(&place(thread)))
            .map(|sent| sent.body)
            .collect()
    }
}

/// Compares what came with what was to come: in this order, each so many times in a row. Returns how many came more
/// than once.
#[track_caller]
fn counted(came: &[String], expected: &[Got], what: &str) -> usize {
    let mut rest = came;
    for got in expected {
        let times = rest.iter().take_while(|text| **text == got.text).count();
        // The same words may be due twice in a row: apologies.
        let times = times.min(got.most);
        assert!(
            times >= got.least,
            "{what}: {got:?} came {times} times in {came:?}, expected {expected:?}"
        );
        rest = &rest[times..];
    }
    assert!(
        rest.is_empty(),
        "{what}: too much came: {rest:?} in {came:?}, expected {expected:?}"
    );
    came.len() - came.iter().collect::<HashSet<_>>().len().min(expected.len())
}
