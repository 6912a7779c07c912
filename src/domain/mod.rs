//! The words of the bridge, with nothing of any platform, database or network in them.
//!
//! Everything above imports these types; they import nothing of the crate. The rules that must never be
//! wrong (whose message is it, is it a duplicate, when is it tried again) are pure functions here.

pub mod account;
pub mod act;
pub mod clock;
pub mod delivery;
pub mod family;
pub mod identity;
pub mod ids;
pub mod installation;
pub mod message;
pub mod retry;
pub mod routing;
pub mod secrets;
pub mod settings;
pub mod texts;
pub mod thread;
pub mod turn;

pub use account::{AccountKey, AliasKey, DedupKey};
pub use clock::{Clock, SystemClock, Time};
pub use ids::{ClaimToken, DeliveryId, MessageId, ThreadId, TurnId};
