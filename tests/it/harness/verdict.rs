//! What must hold at the end, whatever happened: judged by the stubs' own logs and by what an operator is shown.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::resends::resends;
use super::{Talk, World};

/// What was there at the end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    /// Messages that were acknowledged, and found in one recorded state and answered.
    pub(crate) messages: usize,
    /// Replies that a person got twice.
    pub(crate) twice: usize,
    /// Parts that the daemon sent again because nothing could tell whether they had arrived.
    pub(crate) resent: usize,
    /// Of these, how many had never arrived, as the platform knows.
    pub(crate) never_arrived: usize,
    /// Parts that it sent again because the platform did not have them.
    pub(crate) absent: usize,
    /// Questions that the agent got twice.
    pub(crate) asked_twice: usize,
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.twice += other.twice;
        self.resent += other.resent;
        self.never_arrived += other.never_arrived;
        self.absent += other.absent;
        self.asked_twice += other.asked_twice;
    }
}

/// P1 to P4, of every message of every talk. Those named in `given_up` are to be in the state given there, all others
/// answered.
#[track_caller]
pub(crate) fn judge(world: &World, talks: &[Talk], given_up: &[(&str, &str)]) -> Figures {
    let spoken = spoken(world);
    for talk in talks {
        recorded_once(world, talk, given_up);
        answered_in_order(&spoken, talk, given_up);
    }
    let asked_twice = asked_in_one_turn(world, talks);
    let again: usize = world
        .logs()
        .iter()
        .map(|log| log.matches("it is asked again").count())
        .sum();
    assert!(
        asked_twice <= again,
        "P2: {asked_twice} questions were asked twice, {again} are told of"
    );
    let resends = resends(world);
    Figures {
        messages: talks.iter().map(|talk| talk.acknowledged.len()).sum(),
        twice: resends.twice,
        resent: resends.resent,
        never_arrived: resends.never_arrived,
        absent: resends.absent,
        asked_twice,
    }
}

/// P1: what was acknowledged is recorded once, in the order accepted, in the one state that it is to end in.
#[track_caller]
fn recorded_once(world: &World, talk: &Talk, given_up: &[(&str, &str)]) {
    if talk.acknowledged.is_empty() {
        return;
    }
    let shown = world
        .cli(&["threads", "show", &talk.address(), "--json"])
        .exits(0)
        .json();
    let items = shown["history"].as_array().unwrap().iter();
    let messages: Vec<(&str, &str)> = items
        .filter(|item| item["kind"] == "message")
        .map(|item| (item["text"].as_str().unwrap(), item["state"].as_str().unwrap()))
        .collect();
    let expected: Vec<(&str, &str)> = talk
        .acknowledged
        .iter()
        .map(|name| {
            let end = given_up.iter().find(|(given_up, _)| given_up == name);
            match end {
                // What is purged is forgotten, but for the fact that it was there.
                Some((_, "ignored")) => ("", "ignored"),
                Some((name, end)) => (*name, *end),
                None => (name.as_str(), "answered"),
            }
        })
        .collect();
    assert_eq!(messages, expected, "P1: what is recorded of {}", talk.address());
}

/// A reply as a platform took it.
struct Said {
    /// The channel or number that it went to.
    place: String,
    /// Which delivery it is, on WhatsApp; on Slack each post is one of its own, as Slack can be asked.
    delivery: String,
    text: String,
}

fn spoken(world: &World) -> Vec<Said> {
    let slack = world.slack.posts().into_iter().enumerate().map(|(n, post)| Said {
        place: post.channel,
        delivery: format!("slack {n}"),
        text: post.text,
    });
    let whatsapp = world.meta.sent().into_iter().map(|sent| Said {
        place: sent.to.unwrap_or_default(),
        delivery: sent.opaque.expect("every delivery carries its id"),
        text: sent.body,
    });
    slack.chain(whatsapp).collect()
}

/// P1, P3 and P4: each message is answered where it was written, in order, and twice only by the same delivery.
#[track_caller]
fn answered_in_order(spoken: &[Said], talk: &Talk, given_up: &[(&str, &str)]) {
    let names: HashSet<&str> = talk.acknowledged.iter().map(String::as_str).collect();
    let mut seen = HashSet::new();
    let mut words = Vec::new();
    for said in spoken.iter().filter(|said| seen.insert(&said.delivery)) {
        for word in said.text.split_whitespace().filter(|word| names.contains(word)) {
            assert_eq!(said.place, talk.place(), "the answer to {word} went elsewhere");
            words.push(word);
        }
    }
    let expected: Vec<&str> = talk
        .acknowledged
        .iter()
        .map(String::as_str)
        .filter(|name| !given_up.iter().any(|(given_up, _)| given_up == name))
        .collect();
    assert_eq!(words, expected, "P3: the answers on {}", talk.address());
}

/// P2: each message was part of one question only, and each question was put once but where nothing could tell. Returns
/// how many questions the agent got twice.
#[track_caller]
fn asked_in_one_turn(world: &World, talks: &[Talk]) -> usize {
    let mut questions: HashMap<String, usize> = HashMap::new();
    for ask in world.agent.asks() {
        let text = ask.json["question"].as_str().unwrap_or_default().to_owned();
        *questions.entry(text).or_default() += usize::from(ask.said["status"] == "success");
    }
    let mut turns: HashMap<&str, usize> = HashMap::new();
    for question in questions.keys() {
        for word in question.split_whitespace() {
            *turns.entry(word).or_default() += 1;
        }
    }
    for name in talks.iter().flat_map(|talk| &talk.acknowledged) {
        let turns = turns.get(name.as_str()).copied().unwrap_or(0);
        assert_eq!(turns, 1, "P2: {name} was asked in {turns} turns");
    }
    questions.values().map(|times| times.saturating_sub(1)).sum()
}

/// The dead letters, as listed.
#[track_caller]
pub(crate) fn dead_letters(world: &World) -> Vec<Value> {
    let listed = world.cli(&["dead", "list", "--json"]).exits(0).json();
    listed.as_array().unwrap().clone()
}
