//! Saying something now and then, however often it happens.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A bound on how often a thing is said.
#[derive(Debug)]
pub(super) struct Sparing {
    every: Duration,
    last: Mutex<Option<Instant>>,
}

impl Sparing {
    /// At most once in this time.
    pub(super) fn every(every: Duration) -> Self {
        Self {
            every,
            last: Mutex::new(None),
        }
    }

    /// Whether it is time to say it again; if so, it counts as said.
    pub(super) fn due(&self) -> bool {
        let Ok(mut last) = self.last.lock() else {
            return false;
        };
        let due = last.is_none_or(|last| last.elapsed() >= self.every);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_it_once_in_a_while() {
        let seldom = Sparing::every(Duration::from_hours(1));
        assert!(seldom.due());
        assert!(!seldom.due());
        let always = Sparing::every(Duration::ZERO);
        assert!(always.due() && always.due());
    }
}
