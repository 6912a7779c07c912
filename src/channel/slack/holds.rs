//! Installations that Slack refuses: what is to be sent there waits, and is tried now and then.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::channel::SendError;
use crate::domain::{AccountKey, Time};

/// The waits between two tries: the first and the longest.
const WAITS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(10));

/// The installations that Slack refuses, as this process knows.
#[derive(Default)]
pub(super) struct Holds(Mutex<HashMap<AccountKey, Hold>>);

struct Hold {
    next_try: Time,
    tries: u32,
    told: bool,
    why: SendError,
}

/// How long before the try that follows so many.
fn wait(tries: u32) -> Duration {
    WAITS.0.saturating_mul(1 << tries.min(16)).min(WAITS.1)
}

impl Holds {
    fn all(&self) -> MutexGuard<'_, HashMap<AccountKey, Hold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something may be sent there now. While Slack refuses, one try is let through when its time has come.
    pub(super) fn admit(&self, account: &AccountKey, now: Time) -> Result<(), SendError> {
        match self.all().get_mut(account) {
            Some(hold) if hold.next_try > now => Err(hold.why.clone()),
            Some(hold) => {
                hold.tries += 1;
                hold.next_try = now.plus(wait(hold.tries));
                hold.told = false;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Slack refuses, and an operator must act.
    pub(super) fn refused(&self, account: &AccountKey, why: &SendError, now: Time) {
        let mut all = self.all();
        let hold = all.entry(account.clone()).or_insert_with(|| Hold {
            next_try: now.plus(wait(0)),
            tries: 0,
            told: false,
            why: why.clone(),
        });
        hold.why = why.clone();
    }

    /// Slack takes what is sent there, or the app was installed anew. True if it was held.
    pub(super) fn release(&self, account: &AccountKey) -> bool {
        self.all().remove(account).is_some()
    }

    /// The installations whose next try has come; each is told once.
    pub(super) fn due(&self, now: Time) -> Vec<AccountKey> {
        let mut all = self.all();
        let due = all
            .iter_mut()
            .filter(|(_, hold)| hold.next_try <= now && !hold.told);
        due.map(|(account, hold)| {
            hold.told = true;
            account.clone()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::errors;
    use super::*;

    fn at(secs: i64) -> Time {
        Time::from_secs(secs)
    }

    #[test]
    fn one_try_at_a_time_ever_less_often() {
        let (holds, account) = (Holds::default(), AccountKey::new("slack", "T1").unwrap());
        assert!(holds.admit(&account, at(0)).is_ok());
        holds.refused(&account, &errors::refusal("invalid_auth"), at(0));
        let mut now = 0;
        for wait in [60, 120, 240, 480, 600, 600] {
            assert!(holds.due(at(now + wait - 1)).is_empty());
            assert_eq!(
                holds.admit(&account, at(now + wait - 1)).unwrap_err().code,
                "invalid_auth"
            );
            now += wait;
            assert_eq!(holds.due(at(now)).first(), Some(&account));
            assert!(holds.due(at(now)).is_empty());
            assert!(holds.admit(&account, at(now)).is_ok());
            assert!(holds.admit(&account, at(now)).is_err(), "one only");
            holds.refused(&account, &errors::refusal("invalid_auth"), at(now));
        }
        assert!(holds.release(&account) && !holds.release(&account));
        assert!(holds.admit(&account, at(now)).is_ok());
    }
}
