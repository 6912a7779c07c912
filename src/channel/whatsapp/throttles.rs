//! How often in a row each number was told that it sends too fast.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::Time;

/// The numbers that are throttled. After a restart the counting begins anew.
#[derive(Debug, Default)]
pub(super) struct Throttles(Mutex<HashMap<String, Throttle>>);

#[derive(Debug)]
struct Throttle {
    strikes: u32,
    until: Time,
}

impl Throttles {
    fn numbers(&self) -> MutexGuard<'_, HashMap<String, Throttle>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many pauses of this number followed one another without a message that was taken, before this one. Calls
    /// that were under way when a pause began belong to it.
    pub(super) fn before(&self, number: &str, now: Time) -> u32 {
        let numbers = self.numbers();
        let before = |throttle: &Throttle| throttle.strikes - u32::from(now < throttle.until);
        numbers.get(number).map_or(0, before)
    }

    /// The number pauses for so long.
    pub(super) fn paused(&self, number: &str, now: Time, after: Duration) {
        let mut numbers = self.numbers();
        let throttle = numbers.entry(number.to_owned()).or_insert(Throttle {
            strikes: 0,
            until: now,
        });
        if now >= throttle.until {
            throttle.strikes = throttle.strikes.saturating_add(1);
            throttle.until = now.plus(after);
        }
    }

    /// A message of this number was taken.
    pub(super) fn taken(&self, number: &str) {
        let mut numbers = self.numbers();
        if !numbers.is_empty() {
            numbers.remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_counted_by_number_until_a_message_is_taken() {
        let throttles = Throttles::default();
        let at = Time::from_secs;
        let second = Duration::from_secs(1);
        assert_eq!(throttles.before("1", at(0)), 0);
        throttles.paused("1", at(0), second);
        throttles.paused("1", at(0), second);
        assert_eq!(throttles.before("1", at(0)), 0, "a call of the same burst");
        assert_eq!(
            (throttles.before("1", at(1)), throttles.before("2", at(1))),
            (1, 0)
        );
        throttles.paused("1", at(1), second);
        assert_eq!(throttles.before("1", at(5)), 2);
        throttles.taken("1");
        assert_eq!(throttles.before("1", at(5)), 0);
    }
}
