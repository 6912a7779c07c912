//! Random histories of the whole pipeline, held against a model: messages, redeliveries, reorderings, edits, pauses,
//! resets, expiry, faults of the agent and of the platforms, and crashes. A history that fails is shrunk.

mod bridge;
mod compare;
mod model;
mod regressions;
mod troubles;

use std::time::Duration;

use chatbridge::store::operator::ThreadChange;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;

use crate::harness::{Fault, Gate};
use bridge::{Bridge, Delivered};
use model::{Model, Step, THREADS, Trouble, is_slack, step};
pub(crate) use regressions::slow_turn;

/// A thread of which the model knows nothing.
const BYSTANDER: usize = 8;

/// Longer than `turn.max_age`, and than WhatsApp's window.
const MORE_THAN_A_DAY: Duration = Duration::from_hours(25);

/// Plays steps on a bridge, and tells the model.
struct Play {
    bridge: Bridge,
    model: Model,
    delivered: Vec<Delivered>,
    /// Of each thread, the last message that was written, and how it reads now.
    last: [Option<(Delivered, String)>; THREADS],
    made: usize,
    days: usize,
    told: Told,
}

/// Plays a history to its end, and compares all that happened with what must have happened.
fn play(steps: &[Step]) -> Told {
    let mut play = Play::new();
    for step in steps {
        play.step(*step);
    }
    play.step(Step::Pass);
    play.compare(steps);
    play.told
}

/// What histories held, and what came twice in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) histories: usize,
    pub(crate) messages: usize,
    pub(crate) redeliveries: usize,
    pub(crate) troubles: usize,
    pub(crate) crashes: usize,
    pub(crate) questions_twice: usize,
    pub(crate) replies_twice: usize,
}

impl std::ops::AddAssign for Told {
    fn add_assign(&mut self, other: Self) {
        self.histories += other.histories;
        self.messages += other.messages;
        self.redeliveries += other.redeliveries;
        self.troubles += other.troubles;
        self.crashes += other.crashes;
        self.questions_twice += other.questions_twice;
        self.replies_twice += other.replies_twice;
    }
}

impl Play {
    fn new() -> Self {
        Self {
            bridge: Bridge::start(),
            model: Model::default(),
            delivered: Vec::new(),
            last: Default::default(),
            made: 0,
            days: 0,
            told: Told {
                histories: 1,
                ..Told::default()
            },
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Say(thread) => {
                let message = self.write(thread, Duration::ZERO);
                self.accept(thread, message);
            }
            Step::Swap(thread) => {
                let (first, second) = (
                    self.write(thread, Duration::ZERO),
                    self.write(thread, Duration::ZERO),
                );
                self.accept(thread, second);
                self.accept(thread, first);
            }
            Step::Redeliver(which, again) => {
                if let Some(at) = which.checked_rem(self.delivered.len()) {
                    self.bridge.deliver(&self.delivered[at], again);
                    self.told.redeliveries += 1;
                }
            }
            Step::Edit(thread) => self.revise(thread, true),
            Step::Withdraw(thread) => self.revise(thread, false),
            Step::Late(thread) => {
                let (delivered, text) = self.write(thread, MORE_THAN_A_DAY);
                self.deliver(&delivered);
                self.model.said_late(thread, &text);
            }
            Step::Pause(thread) => {
                self.bridge.change(thread, ThreadChange::Pause);
                self.model.paused(thread);
            }
            Step::Resume(thread) => {
                self.bridge.change(thread, ThreadChange::Resume);
                self.model.resumed(thread);
            }
            Step::Reset(thread) => {
                self.bridge.change(thread, ThreadChange::Reset);
                self.model.reset(thread);
            }
            Step::Trouble(thread, trouble) => self.model.troubled(thread, trouble),
            Step::Pass => self.pass(),
            Step::Expire(thread) => self.expire(thread),
            Step::Crash => {
                self.bridge.crash();
                self.told.crashes += 1;
            }
        }
    }

    fn write(&mut self, thread: usize, ago: Duration) -> (Delivered, String) {
        self.made += 1;
        let text = format!("t{thread}n{}.", self.made);
        (self.bridge.write(thread, &text, ago), text)
    }

    fn deliver(&mut self, delivered: &Delivered) {
        self.bridge.deliver(delivered, false);
        self.delivered.push(delivered.clone());
    }

    fn accept(&mut self, thread: usize, (delivered, text): (Delivered, String)) {
        self.deliver(&delivered);
        self.model.said(thread, &text);
        self.last[thread] = Some((delivered, text));
    }

    /// The last message is changed or taken back.
    fn revise(&mut self, thread: usize, change: bool) {
        let Some((message, old)) = self.last[thread].clone().filter(|_| is_slack(thread)) else {
            return;
        };
        self.made += 1;
        let new = format!("t{thread}n{}.", self.made);
        let news = self.bridge.revise(&message, &old, change.then_some(new.as_str()));
        self.deliver(&news);
        if change {
            self.model.edited(thread, &old, &new);
            self.last[thread] = Some((message, new));
        } else {
            self.model.withdrawn(thread, &old);
            self.last[thread] = None;
        }
    }

    /// All that waits is dealt with, in spite of the troubles that lie ahead.
    fn pass(&mut self) {
        self.model.about_to_pass();
        let mut crash = None;
        let mut taken_over = Vec::new();
        for thread in 0..THREADS {
            let (Some(question), Some(trouble)) =
                (self.model.question(thread), self.model.threads[thread].trouble)
            else {
                continue;
            };
            let name = question.lines().last().unwrap_or_default().to_owned();
            match trouble {
                Trouble::TakenOver => {
                    let gate = Gate::closed();
                    self.fault(thread, &name, ("ask", 1), Fault::Hold(gate.clone()));
                    taken_over.push((thread, name.clone(), gate));
                }
                trouble => self.arm(thread, &name, trouble),
            }
            if trouble.is_crash() {
                self.told.crashes += 1;
                crash = Some((name, trouble));
            } else {
                self.told.troubles += 1;
            }
        }
        for (thread, name, gate) in taken_over {
            self.bridge
                .pass_until(0, |world| !world.agent.asks_with(&name).is_empty());
            self.bridge.change(thread, ThreadChange::Pause);
            gate.open();
        }
        if let Some((name, trouble)) = crash {
            self.bridge.pass_until(0, |world| match trouble {
                Trouble::CrashSent => {
                    let posts = world.slack.posts_with(&name).len();
                    posts + world.meta.sent_with(&name).len() > 0
                }
                Trouble::CrashAnswered => world.agent.asks_with(&name).iter().any(|ask| !ask.said.is_null()),
                _ => !world.agent.asks_with(&name).is_empty(),
            });
            self.bridge.crash();
        }
        self.bridge.pass_until(0, |_| false);
        self.model.passed();
    }

    /// The agent refuses all questions for more than a day, with one waiting.
    fn expire(&mut self, thread: usize) {
        self.pass();
        // The keys of what was delivered are kept for eight days at least.
        self.days += 1;
        if self.days > 6 {
            return;
        }
        let message = self.write(thread, Duration::ZERO);
        let name = message.1.clone();
        self.accept(thread, message);
        if self.model.question(thread).is_none() {
            return;
        }
        let refused = json!({"status": "error", "message": "Unauthorized", "code": "UNAUTHORIZED"});
        self.bridge
            .world
            .agent
            .fault("ask", usize::MAX, Fault::json(401, refused));
        self.bridge
            .pass_until(0, |world| !world.agent.asks_with(&name).is_empty());
        self.bridge.skip(MORE_THAN_A_DAY);
        self.bridge.pass_until(0, |_| false);
        self.bridge.world.agent.heal();
        self.model.expired(thread);
        // Somebody else finds out that the agent answers again.
        let probe = self.bridge.write(BYSTANDER, "is anybody there?", Duration::ZERO);
        self.deliver(&probe);
        self.bridge.pass_until(0, |_| false);
    }
}

/// Plays so many random histories; the first that fails is shrunk and told.
pub(crate) fn play_random(seed: u64, histories: u32) -> Told {
    let config = Config {
        cases: histories,
        max_shrink_iters: 400,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    };
    let all = std::cell::Cell::new(Told::default());
    let steps = prop::collection::vec(step(), 6..40);
    let run = TestRunner::new(config).run(&steps, |steps| {
        let mut sum = all.get();
        sum += play(&steps);
        all.set(sum);
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("CHATBRIDGE_TEST_SEED={seed}: {failure}"));
    all.get()
}
