//! When something is tried again.

use std::time::Duration;

use rand::RngExt;
use serde::Deserialize;

use super::settings;

/// The waits between attempts, in order. When they are used up, the thing is given up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Schedule(#[serde(deserialize_with = "settings::durations")] Vec<Duration>);

impl Schedule {
    /// A schedule of these waits.
    pub fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }

    /// How long to wait after the `attempt`-th attempt (from 1) failed; none when it was the last.
    ///
    /// What the other side asked for (`Retry-After`) is a minimum. Up to a tenth is added at random, so that what
    /// failed together does not come back together.
    pub fn after(&self, attempt: u32, asked: Option<Duration>) -> Option<Duration> {
        let index = usize::try_from(attempt.max(1) - 1).ok()?;
        let wait = *self.0.get(index)?;
        let wait = wait.max(asked.unwrap_or_default());
        Some(wait + wait.mul_f64(rand::rng().random_range(0.0..0.1)))
    }
}

/// First after 5 s, then twice as long each time, at most every 60 s: how a held agent or account is probed.
pub fn probe_wait(probes: u32) -> Duration {
    Duration::from_secs(5 << probes.min(4)).min(Duration::from_mins(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_ends() {
        let schedule = Schedule::new(vec![Duration::from_secs(1), Duration::from_secs(4)]);
        let first = schedule.after(1, None).unwrap();
        assert!((1.0..1.11).contains(&first.as_secs_f64()), "{first:?}");
        assert!(schedule.after(2, Some(Duration::from_secs(30))).unwrap() >= Duration::from_secs(30));
        assert_eq!(schedule.after(3, None), None);
    }

    #[test]
    fn probes_grow_to_a_minute() {
        let waits: Vec<u64> = (0..7).map(|n| probe_wait(n).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60, 60]);
    }
}
