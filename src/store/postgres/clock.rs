//! The database's clock, which all replicas share.
//!
//! It is read now and then; in between the process counts on by its monotonic clock, which neither an administrator
//! nor a time service moves, and which goes on while the process is stopped. So whatever replicas compare is of one
//! clock, and a replica that is cut off still knows when its leases have ended.

use std::sync::{PoisonError, RwLock};
use std::time::Instant;

use crate::domain::{Clock, Time};

/// The database's clock, as this process knows it.
#[derive(Debug)]
pub(super) struct DatabaseClock(RwLock<Reading>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    shown: Time,
}

impl DatabaseClock {
    /// A clock that showed `shown` at this instant.
    pub(super) fn new(at: Instant, shown: Time) -> Self {
        Self(RwLock::new(Reading { at, shown }))
    }

    /// It was read anew.
    pub(super) fn set(&self, at: Instant, shown: Time) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Reading { at, shown };
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Time {
        let reading = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        reading.shown.plus(reading.at.elapsed())
    }
}
