//! Histories that stand by name: each trouble alone, and what other projects shipped.

use std::time::Duration;

use super::model::{Step, Trouble};
use super::{Play, play};
use crate::harness::{Fault, Gate};

/// One history for each trouble, on each platform, in a fresh conversation and in a known one.
#[test]
fn each_trouble_alone_ends_as_it_must() {
    for trouble in Trouble::ALL {
        for thread in [0, 1] {
            let turn = [
                Step::Say(thread),
                Step::Trouble(thread, trouble),
                Step::Pass,
                Step::Resume(thread),
            ];
            play(&[&turn[..], &turn[..]].concat());
        }
    }
}

/// vercel/chat#928: a message that came as a turn ended was stranded until the next one.
#[test]
fn vercel_chat_928_what_comes_as_a_turn_ends_is_asked_by_itself() {
    for thread in [0, 1] {
        for trouble in [
            Trouble::NotAsked,
            Trouble::AnsweredUnseen,
            Trouble::CrashAnswered,
            Trouble::CrashSent,
        ] {
            let turn = [Step::Say(thread), Step::Trouble(thread, trouble), Step::Pass];
            play(
                &[
                    &turn[..],
                    &[Step::Say(thread), Step::Say(thread)],
                    &[Step::Pass, Step::Say(thread)],
                ]
                .concat(),
            );
        }
    }
}

/// junior#33: the key was marked seen before the work was queued; what was lost then was dropped as known.
#[test]
fn junior_33_what_was_accepted_before_a_crash_is_asked_and_its_redelivery_is_not() {
    for thread in [0, 1] {
        let said = [
            Step::Say(thread),
            Step::Crash,
            Step::Redeliver(0, false),
            Step::Redeliver(0, true),
        ];
        play(
            &[
                &said[..],
                &[Step::Pass, Step::Crash, Step::Redeliver(0, true)],
                &[Step::Pass],
            ]
            .concat(),
        );
    }
}

/// openclaw#52998: a burst that was collected was overtaken by a later message.
#[test]
fn openclaw_52998_a_collected_burst_keeps_its_place_through_any_trouble() {
    for thread in [0, 1] {
        for trouble in [
            Trouble::Overloaded,
            Trouble::Refused,
            Trouble::Throttled,
            Trouble::SentUnseen,
            Trouble::CrashAsked,
        ] {
            let burst = [
                Step::Say(thread),
                Step::Swap(thread),
                Step::Say(thread),
                Step::Trouble(thread, trouble),
            ];
            play(
                &[
                    &burst[..],
                    &[Step::Pass, Step::Say(thread), Step::Pass],
                    &burst[..],
                ]
                .concat(),
            );
        }
    }
}

/// A turn that takes the agent almost as long as it may: what is written meanwhile waits for its end.
pub(crate) fn slow_turn(thread: usize) {
    let mut play = Play::new();
    let gate = Gate::closed();
    play.fault(thread, "n1.", ("ask", 1), Fault::Hold(gate.clone()));
    play.step(Step::Say(thread));
    play.bridge
        .pass_until(0, |world| !world.agent.asks_with("n1.").is_empty());
    play.bridge.skip(Duration::from_mins(29));
    let slow = play.model.question(thread);
    play.model.passed();
    play.step(Step::Say(thread));
    play.bridge.look_around(Duration::from_mins(1));
    let asked = play.bridge.world.agent.questions();
    assert_eq!(
        asked,
        Vec::from_iter(slow),
        "a second turn has begun beside the first"
    );
    gate.open();
    play.step(Step::Pass);
    play.compare(&[]);
}
