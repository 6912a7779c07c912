//! How many connections stand, and why none does: for the metrics and for `/readyz`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::telemetry::CONNECTIONS;

use super::super::NAME;

/// The state of all connections.
#[derive(Default)]
pub(super) struct State(Mutex<Now>);

#[derive(Default)]
struct Now {
    standing: usize,
    trouble: Option<String>,
}

/// A connection that stands, until this is dropped.
pub(super) struct Standing<'a>(&'a State);

impl State {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One stands, from now on.
    pub(super) fn stands(&self) -> Standing<'_> {
        let mut now = self.now();
        now.trouble = None;
        let standing = now.standing + 1;
        now.set(standing);
        Standing(self)
    }

    /// One did not come about, for this reason.
    pub(super) fn missed(&self, trouble: String) {
        self.now().trouble = Some(trouble);
    }

    /// How many stand.
    pub(super) fn standing(&self) -> usize {
        self.now().standing
    }

    /// Why nothing can arrive, if none stands.
    pub(super) fn cut_off(&self) -> Option<String> {
        let now = self.now();
        (now.standing == 0).then(|| match &now.trouble {
            Some(trouble) => format!("no connection stands: {trouble}"),
            None => "no connection stands; one is being opened".to_owned(),
        })
    }
}

impl Now {
    fn set(&mut self, standing: usize) {
        self.standing = standing;
        // There are ten at most.
        let shown = f64::from(u32::try_from(standing).unwrap_or(u32::MAX));
        metrics::gauge!(CONNECTIONS, "channel" => NAME).set(shown);
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        let mut now = self.0.now();
        let left = now.standing.saturating_sub(1);
        now.set(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_arrives_while_none_stands() {
        let state = State::default();
        assert_eq!(
            state.cut_off().as_deref(),
            Some("no connection stands; one is being opened")
        );
        let one = state.stands();
        let two = state.stands();
        drop(one);
        assert_eq!((state.standing(), state.cut_off()), (1, None));
        state.missed("refused".to_owned());
        assert_eq!(state.cut_off(), None);
        drop(two);
        assert_eq!(state.cut_off().as_deref(), Some("no connection stands: refused"));
    }
}
