//! Identifiers that chatbridge makes itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier; later ones sort after earlier ones (UUID version 7).
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// A thread: the place of one exchange. What the platform calls it are its aliases.
    ThreadId
);
id!(
    /// An inbound message, stored once however often it is delivered.
    MessageId
);
id!(
    /// A turn: one question to the agent.
    TurnId
);
id!(
    /// A delivery: the sending of one part. It travels with the part, so that it can be recognised on the platform.
    DeliveryId
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
