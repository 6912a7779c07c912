//! Figures, and how they are printed.

use std::time::{Duration, Instant};

/// How a load was accepted.
pub(crate) struct Accepting {
    /// Accepted a second.
    pub(crate) rate: f64,
    /// The median time to the acknowledgement.
    pub(crate) p50: Duration,
    /// The 99th percentile of it.
    pub(crate) p99: Duration,
    /// When each event was sent.
    pub(crate) sent: Vec<Instant>,
}

impl Accepting {
    /// From the time that each acknowledgement took, and all of them together.
    pub(crate) fn new(mut took: Vec<Duration>, whole: Duration, sent: Vec<Instant>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let rate = took.len() as f64 / whole.as_secs_f64();
        let (p50, p99) = percentiles(&mut took);
        Self { rate, p50, p99, sent }
    }
}

/// The 50th and the 99th percentile.
pub(crate) fn percentiles(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    (at(50), at(99))
}

/// The run with the median rate.
pub(crate) fn median(mut runs: Vec<Accepting>) -> Accepting {
    runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let middle = runs.len() / 2;
    runs.swap_remove(middle)
}

/// Prints a row of the table of accepting.
pub(crate) fn row(connections: usize, path: &str, run: &Accepting, signed: &Accepting) {
    let share = run.rate / signed.rate;
    let (p50, p99) = (millis(run.p50), millis(run.p99));
    println!(
        "| {connections} | {path} | {:.0} | {p50} | {p99} | {share:.2} |",
        run.rate
    );
}

/// Milliseconds, to a hundredth.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
