//! Turns that are under way, and what drops them when a person calls them off.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::domain::ClaimToken;

/// The turns that are under way in this process, by their claims.
#[derive(Default)]
pub(super) struct Stops(Mutex<HashMap<ClaimToken, CancellationToken>>);

/// A turn that is under way, until this is dropped.
pub(super) struct UnderWay {
    stops: Arc<Stops>,
    claim: ClaimToken,
    /// Cancelled when the turn is called off.
    pub(super) stopped: CancellationToken,
}

impl Stops {
    fn all(&self) -> MutexGuard<'_, HashMap<ClaimToken, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn begins. It may have been called off already, between its claim and now.
    pub(super) fn begin(self: &Arc<Self>, claim: ClaimToken) -> UnderWay {
        let stopped = self.all().entry(claim).or_default().clone();
        UnderWay {
            stops: self.clone(),
            claim,
            stopped,
        }
    }

    /// The turn of this claim is called off: the store has taken the claim away.
    pub(super) fn stop(&self, claim: ClaimToken) {
        self.all().entry(claim).or_default().cancel();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.stops.all().remove(&self.claim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_called_off_before_and_after_it_begins() {
        let stops = Arc::new(Stops::default());
        let [early, late, other] = [(); 3].map(|()| ClaimToken::new());
        stops.stop(early);
        assert!(stops.begin(early).stopped.is_cancelled());
        let (under_way, spared) = (stops.begin(late), stops.begin(other));
        assert!(!under_way.stopped.is_cancelled());
        stops.stop(late);
        assert!(under_way.stopped.is_cancelled() && !spared.stopped.is_cancelled());
        drop((under_way, spared));
        assert!(stops.all().is_empty());
    }
}
