//! The leases of what is under way.
//!
//! Where several replicas share a store, a claim holds for its lease only, and is renewed while its work goes on. A
//! replica that cannot renew it, because it is cut off from the database or was stopped for a while, must not ask or
//! send any more once the lease is over: another may have taken the work. So every call to an agent or a platform is
//! made within the lease, and given up with it. Where this process works alone, there is nothing to renew or to lose.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use metrics::counter;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::domain::turn::ClaimKey;
use crate::domain::{ClaimToken, Clock, Time};
use crate::store::{Store, Work};
use crate::telemetry::LEASES_LOST;

/// A lease is renewed so many times before it would end.
const RENEWALS: u32 = 4;

/// So much of a lease is left unused at its end, as a part of it: for what is on the wire.
const MARGIN: u32 = 10;

/// The claims of this replica that are under way.
pub(super) struct Leases {
    /// How long a lease is; none where this process works alone.
    span: Option<Duration>,
    clock: Arc<dyn Clock>,
    held: Mutex<HashMap<ClaimToken, Lease>>,
}

struct Lease {
    work: Work,
    key: ClaimKey,
    until: Time,
}

/// A claim that is being worked on. Its lease is renewed no longer when this is dropped.
pub(super) struct Holding {
    leases: Arc<Leases>,
    token: ClaimToken,
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.leases.held().remove(&self.token);
    }
}

impl Leases {
    pub(super) fn new(span: Option<Duration>, clock: Arc<dyn Clock>) -> Self {
        Self {
            span,
            clock,
            held: Mutex::default(),
        }
    }

    /// How long a claim is to hold that would usually hold for so long.
    pub(super) fn span_or(&self, usual: Duration) -> Duration {
        self.span.unwrap_or(usual)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ClaimToken, Lease>> {
        // Nothing panics while it holds the lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A claim was made that holds until then.
    pub(super) fn begin(&self, work: Work, key: &ClaimKey, until: Time) {
        if self.span.is_some() {
            let key = key.clone();
            self.held().insert(key.token, Lease { work, key, until });
        }
    }

    /// The claim is worked on as long as this is kept.
    pub(super) fn hold(self: &Arc<Self>, key: &ClaimKey) -> Holding {
        Holding {
            leases: self.clone(),
            token: key.token,
        }
    }

    /// How much longer something may be called for this claim.
    fn left(&self, key: &ClaimKey) -> Duration {
        let Some(span) = self.span else {
            return Duration::MAX;
        };
        let until = self
            .held()
            .get(&key.token)
            .map_or(Time::default(), |lease| lease.until);
        until.minus(span / MARGIN).since(self.clock.now())
    }

    /// Does something that only the holder of this claim may do; none if the lease ends before it is done, and what is
    /// left of it is not done then.
    pub(super) async fn within<T>(&self, key: &ClaimKey, work: impl Future<Output = T>) -> Option<T> {
        if self.span.is_none() {
            return Some(work.await);
        }
        let mut work = pin!(work);
        let mut guarded = pin!(poll_fn(|context| {
            // Before each step, and by the clock: after a stop of the whole process the alarm may ring late.
            if self.left(key).is_zero() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        }));
        loop {
            let alarm = tokio::time::sleep(self.left(key));
            tokio::select! {
                biased;
                done = &mut guarded => {
                    if done.is_none() {
                        counter!(LEASES_LOST).increment(1);
                        warn!(thread = %key.thread, "the lease ended before the work did: another replica takes it over");
                    }
                    return done;
                }
                () = alarm => {}
            }
        }
    }

    /// Renews the leases until stopped.
    pub(super) async fn run(self: Arc<Self>, store: Arc<dyn Store>, stop: CancellationToken) {
        let Some(span) = self.span else { return };
        let mut pause = span / RENEWALS;
        while stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_some()
        {
            pause = span / RENEWALS;
            for work in [Work::Turn, Work::Send] {
                if !self.renew(&*store, work, span).await {
                    pause = span / (RENEWALS * 4);
                }
            }
        }
    }

    /// Renews the leases of one kind. False if the store does not say.
    async fn renew(&self, store: &dyn Store, work: Work, span: Duration) -> bool {
        let ours = |lease: &&Lease| lease.work == work;
        let keys: Vec<ClaimKey> = self
            .held()
            .values()
            .filter(ours)
            .map(|lease| lease.key.clone())
            .collect();
        if keys.is_empty() {
            return true;
        }
        // Counted from before the question: the answer may come late.
        let until = self.clock.now().plus(span);
        match store.prolong(work, keys.clone(), until).await {
            Ok(still) => {
                let mut held = self.held();
                for key in keys {
                    if let Some(lease) = held.get_mut(&key.token) {
                        lease.until = if still.contains(&key.token) {
                            until
                        } else {
                            Time::default()
                        };
                    }
                }
                true
            }
            Err(error) => {
                debug!(%error, ?work, claims = keys.len(), "leases are not renewed");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ThreadId;
    use crate::domain::clock::ManualClock;

    const SPAN: Duration = Duration::from_secs(10);

    fn at(secs: i64) -> Time {
        Time::from_secs(secs)
    }

    fn key() -> ClaimKey {
        ClaimKey {
            thread: ThreadId::new(),
            token: ClaimToken::new(),
            lane: "lane".into(),
        }
    }

    #[tokio::test]
    async fn nothing_is_done_outside_of_a_lease() {
        let clock = Arc::new(ManualClock::at(at(100)));
        let leases = Arc::new(Leases::new(Some(SPAN), clock.clone()));
        let (held, other) = (key(), key());
        leases.begin(Work::Send, &held, at(110));
        let holding = leases.hold(&held);
        assert_eq!(leases.within(&held, async { 1 }).await, Some(1));
        assert_eq!(leases.within(&other, async { 1 }).await, None);
        clock.advance(Duration::from_secs(9));
        assert_eq!(leases.within(&held, async { 1 }).await, None);
        leases.begin(Work::Send, &held, at(130));
        assert_eq!(leases.within(&held, async { 1 }).await, Some(1));
        // A step that takes until after the end is the last.
        let steps = async {
            clock.advance(Duration::from_mins(1));
            tokio::task::yield_now().await;
            panic!("a step after the end of the lease");
        };
        assert_eq!(leases.within::<()>(&held, steps).await, None);
        drop(holding);
        assert!(leases.held().is_empty());
    }

    #[tokio::test]
    async fn whoever_works_alone_has_no_lease() {
        let leases = Leases::new(None, Arc::new(ManualClock::at(at(100))));
        assert_eq!(leases.within(&key(), async { 1 }).await, Some(1));
        assert_eq!(leases.span_or(SPAN), SPAN);
    }
}
