//! How fast we may post: a message a second and channel after a short burst, and never before a `Retry-After` is over.
//!
//! Slack takes about one message a second in a channel, bursts apart, and limits each method for each workspace
//! (docs.slack.dev, "Rate limits"). Whoever comes too early is told when to come again and holds up nobody: each part
//! gets a time of its own, in the order in which they came.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::channel::{Scope, SendDisposition, SendError};
use crate::domain::{AccountKey, DeliveryId, Time};

/// So many messages may come at once in a channel that was quiet: a minute's worth. Slack allows short bursts and does
/// not say how long; where one is too long for it, its `Retry-After` is obeyed.
const BURST: u32 = 60;

/// A time that was given out and not used for so long is free again: its part was withdrawn, or waits for another
/// reason.
const FORFEIT: Duration = Duration::from_mins(1);

/// So many channels are remembered before those that are quiet again are forgotten.
const TIDY_AT: usize = 1024;

/// Who may post when.
pub(super) struct Pace {
    every: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    channels: HashMap<(AccountKey, String), Channel>,
    limits: HashMap<(AccountKey, &'static str), Time>,
    tidy_at: usize,
}

/// A channel's bucket, and the times that were given out.
#[derive(Default)]
struct Channel {
    /// When the bucket is full again, if nothing more is taken out of it.
    full_at: Time,
    waiting: HashMap<DeliveryId, Time>,
}

impl Pace {
    /// A pace of one message in `every`; zero is no pacing.
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Slack wants no call of this method for this workspace until then.
    pub(super) fn limit(&self, account: &AccountKey, method: &'static str, until: Time) {
        let mut state = self.state();
        let limit = state.limits.entry((account.clone(), method)).or_insert(until);
        *limit = until.max(*limit);
    }

    /// How long this method must not be called for this workspace.
    pub(super) fn limited(&self, account: &AccountKey, method: &'static str, now: Time) -> Option<Duration> {
        let mut state = self.state();
        let key = (account.clone(), method);
        let until = *state.limits.get(&key)?;
        if until > now {
            return Some(until.since(now));
        }
        state.limits.remove(&key);
        None
    }

    /// Whether this part may be posted in this channel now; if not, when to come again.
    pub(super) fn admit(
        &self,
        account: &AccountKey,
        channel: &str,
        delivery: DeliveryId,
        now: Time,
    ) -> Result<(), SendError> {
        if self.every.is_zero() {
            return Ok(());
        }
        let mut state = self.state();
        state.tidy(now);
        let bucket = state.channels.entry((account.clone(), channel.to_owned()));
        let slot = bucket.or_default().slot(delivery, self.every, now);
        if slot <= now {
            Ok(())
        } else {
            Err(pause(
                "paced",
                "one message a second and channel",
                Scope::Thread,
                slot.since(now),
            ))
        }
    }
}

impl State {
    /// Forgets channels that are quiet again, when there have come to be many.
    fn tidy(&mut self, now: Time) {
        if self.channels.len() < self.tidy_at.max(TIDY_AT) {
            return;
        }
        self.channels
            .retain(|_, channel| channel.full_at > now || !channel.waiting.is_empty());
        self.tidy_at = self.channels.len() * 2;
    }
}

impl Channel {
    /// The time at which a part may be posted: now or earlier if it may be posted at once.
    fn slot(&mut self, delivery: DeliveryId, every: Duration, now: Time) -> Time {
        self.waiting.retain(|_, slot| now.since(*slot) < FORFEIT);
        if let Some(slot) = self.waiting.get(&delivery).copied() {
            if slot <= now {
                self.waiting.remove(&delivery);
            }
            return slot;
        }
        self.full_at = self.full_at.max(now).plus(every);
        let slot = self.full_at.minus(every.saturating_mul(BURST));
        if slot > now {
            self.waiting.insert(delivery, slot);
        }
        slot
    }
}

/// Not now: come again after this time.
pub(super) fn pause(code: &str, why: &str, scope: Scope, after: Duration) -> SendError {
    SendError {
        code: code.to_owned(),
        message: format!("{why}: it is sent in {after:?}"),
        disposition: SendDisposition::Pause { scope, after },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ThreadId;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: i64) -> Time {
        Time::from_millis(1_800_000_000_000 + millis)
    }

    fn account(name: &str) -> AccountKey {
        AccountKey::new("slack", name).unwrap()
    }

    fn wait(pace: &Pace, channel: &str, delivery: DeliveryId, now: Time) -> u64 {
        match pace.admit(&account("T1"), channel, delivery, now) {
            Ok(()) => 0,
            Err(error) => match error.disposition {
                SendDisposition::Pause {
                    scope: Scope::Thread,
                    after,
                } => u64::try_from(after.as_millis()).unwrap(),
                other => panic!("{other:?}"),
            },
        }
    }

    #[test]
    fn after_a_burst_each_part_gets_a_time_of_its_own() {
        let pace = Pace::new(SECOND);
        let burst = BURST as usize;
        let parts: Vec<_> = (0..burst + 3)
            .map(|_| DeliveryId::new(ThreadId::new(), 1))
            .collect();
        let waits: Vec<u64> = parts.iter().map(|part| wait(&pace, "C1", *part, at(0))).collect();
        assert!(waits[..burst].iter().all(|wait| *wait == 0), "{waits:?}");
        assert_eq!(waits[burst..], [1000, 2000, 3000]);
        let parts = &parts[burst..];
        // Another channel is another's burst.
        assert_eq!(wait(&pace, "C2", parts[2], at(0)), 0);
        // Whoever comes early keeps its time; whoever comes new gets the next.
        assert_eq!(wait(&pace, "C1", parts[1], at(1000)), 1000);
        assert_eq!(wait(&pace, "C1", parts[0], at(1000)), 0);
        assert_eq!(
            wait(&pace, "C1", DeliveryId::new(ThreadId::new(), 1), at(1000)),
            3000
        );
        assert_eq!(wait(&pace, "C1", parts[2], at(3000)), 0);
    }

    #[test]
    fn a_quiet_channel_may_burst_again() {
        let pace = Pace::new(SECOND);
        let burst = |from: i64| {
            let one = || wait(&pace, "C1", DeliveryId::new(ThreadId::new(), 1), at(from));
            (0..=BURST).map(|_| one()).filter(|wait| *wait == 0).count()
        };
        let most = BURST as usize;
        assert_eq!((burst(0), burst(200_000)), (most, most));
    }

    #[test]
    fn without_a_pace_nobody_waits() {
        let pace = Pace::new(Duration::ZERO);
        for _ in 0..100 {
            assert_eq!(wait(&pace, "C1", DeliveryId::new(ThreadId::new(), 1), at(0)), 0);
        }
    }

    #[test]
    fn quiet_channels_are_forgotten() {
        let pace = Pace::new(SECOND);
        for n in 0..3 * TIDY_AT {
            let when = at(i64::try_from(n).unwrap() * 100);
            assert_eq!(
                wait(&pace, &n.to_string(), DeliveryId::new(ThreadId::new(), 1), when),
                0
            );
        }
        assert!(pace.state().channels.len() <= TIDY_AT);
    }

    #[test]
    fn a_limit_is_of_one_method_and_workspace_and_ends() {
        let pace = Pace::new(SECOND);
        pace.limit(&account("T1"), "a", at(5000));
        pace.limit(&account("T1"), "a", at(3000));
        assert_eq!(
            pace.limited(&account("T1"), "a", at(1000)),
            Some(Duration::from_secs(4))
        );
        assert_eq!(pace.limited(&account("T1"), "b", at(1000)), None);
        assert_eq!(pace.limited(&account("T2"), "a", at(1000)), None);
        assert_eq!(pace.limited(&account("T1"), "a", at(5000)), None);
    }
}
