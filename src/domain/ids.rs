//! Identifiers that chatbridge makes itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A thread: the place of one exchange. What the platform calls it are its aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThreadId(Uuid);

impl ThreadId {
    /// A new identifier; later ones sort after earlier ones (UUID version 7).
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for ThreadId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ThreadId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
    }
}

/// A text that is no identifier of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier of chatbridge")]
pub struct InvalidId;

macro_rules! within_thread {
    ($(#[$doc:meta])* $name:ident, $mark:literal) => {
        $(#[$doc])*
        ///
        #[doc = concat!("It is the thread and a number that counts up within it, written `THREAD.", $mark, "NUMBER`: ")]
        /// unique without any bookkeeping, and in order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name {
            /// The thread.
            pub thread: ThreadId,
            /// The number within the thread, from 1.
            pub number: i64,
        }

        impl $name {
            /// The identifier of this number in this thread.
            pub fn new(thread: ThreadId, number: i64) -> Self {
                Self { thread, number }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{}.", $mark, "{}"), self.thread, self.number)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let (thread, number) = text.split_once(concat!(".", $mark)).ok_or(InvalidId)?;
                Ok(Self { thread: thread.parse()?, number: number.parse().map_err(|_| InvalidId)? })
            }
        }
    };
}

within_thread!(
    /// An inbound message, stored once however often it is delivered.
    MessageId, "m"
);
within_thread!(
    /// A turn: one question to the agent. It bears the number of its first message.
    TurnId, "t"
);
within_thread!(
    /// A delivery: the sending of one part. It travels with the part, so that it can be recognised on the platform.
    DeliveryId, "d"
);

/// Proof of a claim on a thread's work (a fencing token).
///
/// Whoever settles must present the token under which the work was claimed; a claim that was taken over in the
/// meantime has another one, and the late settler is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimToken(i64);

impl ClaimToken {
    /// A token that no earlier claim has had.
    pub fn new() -> Self {
        Self(rand::random::<i64>() | 1)
    }

    /// The number as the store keeps it.
    pub fn as_i64(self) -> i64 {
        self.0
    }
}

impl From<i64> for ClaimToken {
    fn from(raw: i64) -> Self {
        Self(raw)
    }
}

impl Default for ClaimToken {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_within_a_thread_read_as_they_are_written() {
        let id = DeliveryId::new(ThreadId::new(), 17);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            ".",
            "17",
            "x.17",
            &id.thread.to_string(),
            &format!("{}.dx", id.thread),
            &format!("{}.m17", id.thread),
        ] {
            assert_eq!(bad.parse::<DeliveryId>(), Err(InvalidId), "{bad}");
        }
    }
}
