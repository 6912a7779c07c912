//! Side by side with what somebody would take instead: the same webhooks, the same stubs, one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::contest::{Contestant, Home};
use crate::events::Platform;
use crate::install;
use crate::load::Load;
use crate::report::millis;
use crate::stubs::{Stubs, Tally};
use crate::{ROUNDS, scaled};

/// Connections of the load. So many that nobody who acknowledges only after the answer is held up at 50 a second.
const CONNECTIONS: usize = 64;

/// The agent's time where it is not nought.
const AGENT: Duration = Duration::from_millis(200);

/// Events before the ones whose time is taken, for whoever warms up.
const WARM_UP: usize = 150;

/// How often a server is killed, and how many events come a second meanwhile: at most so many, and fewer than the
/// slowest of a platform's servers can answer.
const KILLS: usize = 10;
const KILLED_AT_RATE: f64 = 200.0;
const OF_THE_SLOWEST: f64 = 0.6;

/// When nothing more came for so long, nothing more will. Longer than chatbridge waits for Meta's word on a message of
/// which it cannot know whether it was sent (`whatsapp.reconcile_wait`, 30 s).
const QUIET: Duration = Duration::from_secs(40);

/// What one contestant did in one round, as fast as it could.
struct Saturated {
    /// Answered a second.
    rate: f64,
    /// Processor time for each message.
    cpu: Duration,
    /// Resident before the load and at most under it, in MiB.
    idle: f64,
    full: f64,
    /// Never answered, though nobody was killed.
    missing: usize,
}

/// What one contestant did in all rounds.
struct Measured {
    saturated: Vec<Saturated>,
    added: Vec<(Duration, Duration)>,
    up_after: Duration,
    killed: Tally,
}

/// Prints a platform's tables, as Markdown.
pub(crate) async fn rivals(platform: Platform) {
    let contestants = install::contestants(platform);
    let measured = measure(&contestants).await;
    print(platform, &contestants, &measured);
}

/// Prints the time from the start to the first 200, of everybody.
pub(crate) async fn startup() {
    println!("\n## Starting\n");
    println!("| platform | server | first 200 after |");
    println!("|---|---|---|");
    for platform in [Platform::Slack, Platform::WhatsApp] {
        let contestants = install::contestants(platform);
        for (contestant, up_after) in contestants.iter().zip(ups(&contestants).await) {
            println!(
                "| {} | {} | {} |",
                platform.name(),
                contestant.name,
                millis(up_after)
            );
        }
    }
}

async fn measure(contestants: &[Contestant]) -> Vec<Measured> {
    let mut measured: Vec<Measured> = ups(contestants)
        .await
        .into_iter()
        .map(|up_after| Measured {
            saturated: Vec::new(),
            added: Vec::new(),
            up_after,
            killed: Tally::default(),
        })
        .collect();
    for round in 1..=ROUNDS {
        for (contestant, measured) in contestants.iter().zip(&mut measured) {
            let run = saturated(contestant).await;
            eprintln!("{}, round {round}: {:.0}/s", contestant.name, run.rate);
            measured.saturated.push(run);
        }
        for (contestant, measured) in contestants.iter().zip(&mut measured) {
            measured.added.push(added(contestant).await);
        }
    }
    let slowest = measured.iter().map(|measured| measured.of(|run| run.rate));
    let rate = slowest.fold(KILLED_AT_RATE, |rate, slowest| rate.min(slowest * OF_THE_SLOWEST));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
    let rate = rate.ceil() as u32;
    eprintln!("killed at {rate} messages a second");
    for (contestant, measured) in contestants.iter().zip(&mut measured) {
        measured.killed = killed(contestant, rate).await;
        eprintln!("{}, killed: {:?}", contestant.name, measured.killed);
    }
    measured
}

/// The median time from start to the first 200.
async fn ups(contestants: &[Contestant]) -> Vec<Duration> {
    let stubs = Stubs::start(Duration::ZERO, 0).await;
    let mut ups = vec![Vec::new(); contestants.len()];
    for _ in 0..ROUNDS {
        for (contestant, ups) in contestants.iter().zip(&mut ups) {
            let home = Home::new(contestant, &stubs).await;
            ups.push(home.start().await.up_after);
        }
    }
    ups.into_iter().map(|ups| middle(ups, Duration::cmp)).collect()
}

async fn saturated(contestant: &Contestant) -> Saturated {
    // The bridge gets more, so that its run is not over before it is saturated.
    let events = scaled(if contestant.is_bridge() { 30_000 } else { 6_000 });
    let stubs = Stubs::start(Duration::ZERO, events).await;
    let home = Home::new(contestant, &stubs).await;
    let running = home.start().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = running.usage();
    let begin = Instant::now();
    let load = tokio::spawn(load(&home, contestant, events, Arc::default()).run());
    let mut full = before.resident;
    let quiet = Duration::from_secs(15);
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        full = full.max(running.usage().resident);
        let still = stubs.latest().unwrap_or(begin).elapsed();
        if stubs.tally().missing == 0 || (load.is_finished() && still > quiet) {
            break;
        }
    }
    load.await.unwrap();
    let tally = stubs.tally();
    let took = stubs.latest().unwrap_or(begin) - begin;
    let cpu = running.usage().cpu.saturating_sub(before.cpu);
    Saturated {
        rate: float(tally.answered) / took.as_secs_f64(),
        cpu: cpu / u32::try_from(tally.answered.max(1)).unwrap(),
        idle: before.resident,
        full,
        missing: tally.missing,
    }
}

/// What it adds to the agent's own time, at 50 a second.
async fn added(contestant: &Contestant) -> (Duration, Duration) {
    let events = scaled(1_000) + WARM_UP;
    let stubs = Stubs::start(AGENT, events).await;
    let home = Home::new(contestant, &stubs).await;
    let _running = home.start().await;
    let sent = load(&home, contestant, events, Arc::default())
        .at_rate(50)
        .run()
        .await
        .sent;
    stubs.answered_or_quiet(Duration::from_secs(15)).await;
    stubs.added(&sent, WARM_UP)
}

/// What it never answers of what it acknowledged, when it is killed and started again, and again. What it did not
/// acknowledge comes again, as it does from the platforms.
async fn killed(contestant: &Contestant, rate: u32) -> Tally {
    // A few seconds between one kill and the next, also in a quick look.
    let events = scaled(20_000).max(4_000);
    let stubs = Stubs::start_remembering(AGENT, events).await;
    let home = Home::new(contestant, &stubs).await;
    stubs.tell(home.address);
    let mut running = home.start().await;
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let load = load(&home, contestant, events, acknowledged.clone()).at_rate(rate);
    let load = tokio::spawn(load.run());
    for kill in 1..=KILLS {
        while acknowledged.load(Ordering::Relaxed) < events * kill / (KILLS + 1) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(running);
        running = home.start().await;
    }
    load.await.unwrap();
    stubs.answered_or_quiet(QUIET).await
}

fn load(home: &Home<'_>, contestant: &Contestant, events: usize, acknowledged: Arc<AtomicUsize>) -> Load {
    Load::new(home.address, CONNECTIONS, events)
        .of(contestant.platform)
        .patient(acknowledged)
}

fn print(platform: Platform, contestants: &[Contestant], measured: &[Measured]) {
    println!("\n### {}\n", platform.name());
    println!(
        "| | answered/s | added p50 | added p99 | CPU a message | resident idle | saturated | first 200 after | lost | answered twice |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (contestant, measured) in contestants.iter().zip(measured) {
        println!("| {} | {} |", contestant.name, measured.cells().join(" | "));
    }
    println!("\n| chatbridge ÷ | answered/s | added p50 | added p99 | CPU a message | idle | saturated |");
    println!("|---|---|---|---|---|---|---|");
    let ours = &measured[0];
    for (contestant, theirs) in contestants.iter().zip(measured).skip(1) {
        let cells: Vec<String> = ratios(ours, theirs)
            .into_iter()
            .map(|ratio| format!("{ratio:.2}"))
            .collect();
        println!("| {} | {} |", contestant.name, cells.join(" | "));
    }
    for (contestant, measured) in contestants.iter().zip(measured) {
        let missing: usize = measured.saturated.iter().map(|run| run.missing).sum();
        if missing > 0 {
            println!(
                "\n{} left {missing} of the messages of its three saturated runs without an answer.",
                contestant.name
            );
        }
    }
}

impl Measured {
    /// The median of one figure of the saturated runs.
    fn of(&self, figure: impl Fn(&Saturated) -> f64) -> f64 {
        middle(self.saturated.iter().map(figure).collect(), f64::total_cmp)
    }

    fn cells(&self) -> Vec<String> {
        let cpu = Duration::from_secs_f64(self.of(|run| run.cpu.as_secs_f64()));
        vec![
            format!("{:.0}", self.of(|run| run.rate)),
            millis(middle(
                self.added.iter().map(|run| run.0).collect(),
                Duration::cmp,
            )),
            millis(middle(
                self.added.iter().map(|run| run.1).collect(),
                Duration::cmp,
            )),
            millis(cpu),
            format!("{:.0} MiB", self.of(|run| run.idle)),
            format!("{:.0} MiB", self.of(|run| run.full)),
            millis(self.up_after),
            self.killed.missing.to_string(),
            self.killed.again.to_string(),
        ]
    }
}

/// The medians of the rounds' ratios, in the order of the table.
fn ratios(ours: &Measured, theirs: &Measured) -> Vec<f64> {
    let pairs = || ours.saturated.iter().zip(&theirs.saturated);
    let latencies = || ours.added.iter().zip(&theirs.added);
    let median = |ratios: Vec<f64>| middle(ratios, f64::total_cmp);
    vec![
        median(pairs().map(|(a, b)| a.rate / b.rate).collect()),
        median(latencies().map(|(a, b)| a.0.div_duration_f64(b.0)).collect()),
        median(latencies().map(|(a, b)| a.1.div_duration_f64(b.1)).collect()),
        median(pairs().map(|(a, b)| a.cpu.div_duration_f64(b.cpu)).collect()),
        median(pairs().map(|(a, b)| a.idle / b.idle).collect()),
        median(pairs().map(|(a, b)| a.full / b.full).collect()),
    ]
}

fn middle<T: Copy>(mut values: Vec<T>, order: impl FnMut(&T, &T) -> std::cmp::Ordering) -> T {
    values.sort_by(order);
    values[values.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "a count")]
fn float(count: usize) -> f64 {
    count as f64
}
