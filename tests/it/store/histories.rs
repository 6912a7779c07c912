//! Whose message is it, over whole histories of two people: their numbers vanish, come back and change hands, their
//! user ids rotate, and what the platform tells of it comes late or twice. A plain model knows who holds what; no
//! message may ever land on somebody else's thread, and no reply may go to a number that is somebody else's.

mod model;
mod rules;

use std::collections::HashMap;

use chatbridge::domain::ThreadId;
use chatbridge::domain::identity::{
    Binding, IdentityChange, Known, Renaming, Resolution, rename, resolve, route_without,
};
use chatbridge::domain::message::Route;
use chatbridge::store::operator::ThreadQuery;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use model::{Platform, Post, Step, step};
use rules::{Rules, claims};

/// Something that decides whose message it is: the rules alone, or a whole store.
trait Book {
    /// Takes a message in. Returns its thread and where the reply goes.
    fn say(&mut self, names: &[String], at: Time, key: &str) -> (ThreadId, Route);
    /// Takes a change of names in.
    fn rename(&mut self, old: &[String], new: &[String], at: Time, key: &str);
    /// Where replies go on every thread, as far as the book can tell.
    fn routes(&self) -> Vec<(ThreadId, Route)>;
}

fn route_of(names: &[String]) -> Value {
    let mut route = json!({});
    for name in names {
        let field = if name.starts_with('p') { "to" } else { "recipient" };
        route[field] = json!(name);
    }
    route
}

/// Plays a history and holds it against the model.
fn play(book: &mut dyn Book, steps: &[Step]) {
    let mut platform = Platform::new();
    let mut owners: HashMap<ThreadId, usize> = HashMap::new();
    let mut latest: HashMap<usize, ThreadId> = HashMap::new();
    // Who was last seen with each number, by the platform's time; nobody after they moved on.
    let mut holders: HashMap<String, (i64, Option<usize>)> = HashMap::new();
    let rest = std::iter::repeat_n(Step::Arrive, steps.len());
    for (n, step) in steps.iter().copied().chain(rest).enumerate() {
        for post in platform.step(step) {
            let key = format!("{n}");
            let (owner, names, at) = match &post {
                Post::Said {
                    owner,
                    names,
                    at,
                    late,
                    goes_on,
                } => {
                    let (thread, route) = book.say(names, super::at(*at), &key);
                    let mine = *owners.entry(thread).or_insert(*owner);
                    assert_eq!(
                        mine, *owner,
                        "{post:?} landed on somebody else's thread in {steps:?}"
                    );
                    if *goes_on {
                        assert_eq!(
                            latest.get(owner),
                            Some(&thread),
                            "{post:?} lost its thread in {steps:?}"
                        );
                    }
                    latest.insert(*owner, thread);
                    if !late {
                        assert_eq!(route, route_of(names), "{post:?} in {steps:?}");
                    }
                    (*owner, names, *at)
                }
                Post::Renamed { owner, old, new, at } => {
                    book.rename(old, new, super::at(*at), &key);
                    book.rename(old, new, super::at(*at), &key);
                    (*owner, new, *at)
                }
            };
            let mut seen = |names: &[String], holder: Option<usize>| {
                for number in names.iter().filter(|name| name.starts_with('p')) {
                    let known = holders.entry(number.clone()).or_insert((at, holder));
                    if at >= known.0 {
                        *known = (at, holder);
                    }
                }
            };
            if let Post::Renamed { old, .. } = &post {
                seen(old, None);
            }
            seen(names, Some(owner));
            if let Post::Said { .. } = &post {
                for (thread, route) in book.routes() {
                    let holder = route["to"].as_str().and_then(|number| holders.get(number));
                    if let (Some(mine), Some((_, Some(holder)))) = (owners.get(&thread), holder) {
                        assert_eq!(
                            mine, holder,
                            "after {post:?} {thread} would reply to {route} in {steps:?}"
                        );
                    }
                }
            }
        }
    }
}

/// A real store. Each history has names of its own in it.
struct Stored<'b> {
    bench: &'b Bench,
    runtime: &'b tokio::runtime::Runtime,
    history: String,
}

/// The name by which an operator knows somebody: the number if there is one.
fn address_of(names: &[String]) -> AliasKey {
    let number = names.iter().find(|name| name.starts_with('p'));
    alias(number.unwrap_or(&names[0]))
}

impl Stored<'_> {
    /// Whoever follows the address of a thread finds that thread and no other.
    fn addresses_lead_home(&self) -> Result<(), TestCaseError> {
        let latest = ThreadQuery {
            limit: 40,
            ..ThreadQuery::default()
        };
        for thread in self.runtime.block_on(self.bench.store.threads(latest)).unwrap() {
            let found = self.runtime.block_on(self.bench.store.thread(&thread.address));
            let found = found.unwrap().map(|found| found.thread.id);
            prop_assert_eq!(found, Some(thread.id), "{} leads elsewhere", thread.address);
        }
        Ok(())
    }

    fn own(&self, name: &str) -> String {
        format!("{name}x{}", self.history)
    }

    fn common(&self, name: &Value) -> Value {
        let text = name.as_str().unwrap();
        json!(text.strip_suffix(&format!("x{}", self.history)).unwrap())
    }
}

impl Book for Stored<'_> {
    fn say(&mut self, names: &[String], at: Time, key: &str) -> (ThreadId, Route) {
        let own: Vec<String> = names.iter().map(|name| self.own(name)).collect();
        let names: Vec<&str> = own.iter().map(String::as_str).collect();
        let mut inbound = inbound(&self.own(key), &names, "hello", at);
        inbound.route = route_of(&own);
        inbound.address = address_of(&own);
        self.runtime.block_on(async {
            // Late or not, it is asked at once, so that there is one thread with something to do.
            let asked = super::at(1_000_000_000);
            self.bench
                .accept(vec![admit(Arrival::Message(inbound), at)])
                .await;
            let claim = only(self.bench.claim_turns(asked).await);
            let (thread, mut route) = (claim.thread.id, claim.thread.route.clone());
            let done = completed(&[], false, asked);
            self.bench.store.complete_turn(claim, done).await.unwrap();
            for value in route.as_object_mut().unwrap().values_mut() {
                *value = self.common(value);
            }
            (thread, route)
        })
    }

    fn rename(&mut self, old: &[String], new: &[String], at: Time, key: &str) {
        let own = |names: &[String]| -> Vec<String> { names.iter().map(|name| self.own(name)).collect() };
        let (old, new) = (own(old), own(new));
        let change = IdentityChange {
            account: account(),
            keys: vec![DedupKey::new(&account(), "id", &self.own(key))],
            old: claims(&old),
            new: claims(&new),
            route: route_of(&new),
            address: address_of(&new),
            at,
        };
        self.runtime
            .block_on(self.bench.accept(vec![admit(Arrival::Identity(change), at)]));
    }

    fn routes(&self) -> Vec<(ThreadId, Route)> {
        Vec::new()
    }
}

fn quiet(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(quiet(20_000))]
    #[test]
    fn nobody_is_ever_answered_in_somebody_elses_place(steps in prop::collection::vec(step(), 1..40)) {
        play(&mut Rules::default(), &steps);
    }
}

#[test]
fn the_store_keeps_to_the_rules_over_whole_histories() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bench = runtime.block_on(Bench::new());
    let mut runner = proptest::test_runner::TestRunner::new(quiet(300));
    let histories = std::cell::Cell::new(0);
    let outcome = runner.run(&prop::collection::vec(step(), 1..20), |steps| {
        histories.set(histories.get() + 1);
        let history = histories.get().to_string();
        let mut book = Stored {
            bench: &bench,
            runtime: &runtime,
            history,
        };
        play(&mut book, &steps);
        book.addresses_lead_home()
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
}
