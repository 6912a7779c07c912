//! Random histories against the model of `history`.

use std::thread;
use std::time::Instant;

use super::{report, size};
use crate::harness::seed;
use crate::history::{Told, play_random};

/// So many histories are played at once.
const AT_ONCE: u64 = 6;

/// P1 to P4, exactly: what is recorded, what was asked, in which conversation, and what people got, how many times.
#[test]
fn random_histories_go_as_the_model_says() {
    let since = Instant::now();
    let seed = seed();
    let mut all = Told::default();
    thread::scope(|scope| {
        let players: Vec<_> = (0..AT_ONCE)
            .map(|n| scope.spawn(move || play_random(seed.wrapping_add(n), size(8, 100))))
            .collect();
        for player in players {
            all += player.join().unwrap();
        }
    });
    assert!(all.troubles > 0 && all.messages > 0);
    report(
        "Histories",
        since,
        &[
            ("seed", &seed),
            ("histories", &all.histories),
            ("messages", &all.messages),
            ("redeliveries", &all.redeliveries),
            ("faults of the agent and the platforms", &all.troubles),
            ("crashes", &all.crashes),
            ("otherwise than the model says (one would end the run)", &0),
            ("replies twice, as the model says (P4)", &all.replies_twice),
            ("questions twice, as the model says", &all.questions_twice),
        ],
    );
}
