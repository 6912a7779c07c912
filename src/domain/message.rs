//! What a channel says of the things that arrive.

use std::borrow::Cow;
use std::time::Duration;

use super::account::{AccountKey, AliasKey, DedupKey};
use super::act::{Act, Edit, Withdrawal};
use super::clock::Time;
use super::identity::{Identifier, IdentityChange};
use super::ids::ClaimToken;

/// One thing out of a webhook, after the channel has read it and before the store has seen it.
#[derive(Debug, Clone)]
pub enum Arrival {
    /// A person wrote.
    Message(Inbound),
    /// The platform tells how a delivery fares.
    Receipt(Receipt),
    /// The platform tells that a person is now called otherwise.
    Identity(IdentityChange),
    /// A person changed what they wrote.
    Edit(Edit),
    /// A person took back what they wrote.
    Withdraw(Withdrawal),
    /// A person pressed a button or gave a command.
    Act(Act),
    /// A colleague answered in another way: the bot stays silent there for a while.
    TakeOver(TakeOver),
}

/// A colleague wrote to a person by the platform's own means.
#[derive(Debug, Clone)]
pub struct TakeOver {
    /// The installation that the colleague wrote from.
    pub account: AccountKey,
    /// What makes a second delivery of it recognisable.
    pub keys: Vec<DedupKey>,
    /// The names of the person written to, strongest first.
    pub identifiers: Vec<Identifier>,
    /// The thread's address if it is new.
    pub address: AliasKey,
    /// Where replies go if the thread is new.
    pub route: Route,
    /// The platform's name of what the colleague wrote.
    pub platform_id: String,
    /// When, by the platform's time.
    pub at: Time,
    /// For how long from then on the bot stays silent.
    pub pause: Duration,
}

/// Where a reply to a thread goes, in the channel's own words (JSON); opaque to everyone else.
pub type Route = serde_json::Value;

/// One message of a person.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// The installation that it reached.
    pub account: AccountKey,
    /// Whatever makes a second delivery of it recognisable; if any one of them is known, it is a duplicate.
    pub keys: Vec<DedupKey>,
    /// What it says of its thread, strongest first.
    pub identifiers: Vec<Identifier>,
    /// Whether it may open a thread.
    pub opens: Opens,
    /// The room within the account that routes may name (a channel of a workspace), if there is one.
    pub place: Option<String>,
    /// The thread's address as an operator reads and writes it.
    pub address: AliasKey,
    /// Where the reply goes.
    pub route: Route,
    /// The person's country (ISO 3166-1 alpha-2), if the platform's identifiers tell.
    pub country: Option<String>,
    /// The platform's own name of this message.
    pub platform_id: String,
    /// The platform's own time of this message.
    pub sent_at: Time,
    /// What was written; empty if there were no words.
    pub text: String,
    /// The platform's name of the message that it replies to, if the person chose one.
    pub quotes: Option<String>,
    /// What is to be done with it.
    pub treatment: Treatment,
}

/// Whether a message may open a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// It may.
    Thread,
    /// It counts only in a thread that is known already; elsewhere it is not for us and leaves no trace.
    Nothing,
}

/// What is to be done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// The agent is asked.
    Ask,
    /// The agent is asked, and the person is told something, at most once in 24 hours and thread: that a file was not
    /// read, for example.
    AskAndTell(String),
    /// It is recorded and left.
    Ignore {
        /// Why, as a short fixed word: it becomes a metric's label.
        reason: &'static str,
        /// What the person is told, at most once in 24 hours and thread, if anything.
        notice: Option<String>,
    },
}

/// A message with what the intake has decided about it.
#[derive(Debug, Clone)]
pub struct Admission {
    /// What arrived.
    pub arrival: Arrival,
    /// The lane in which its turn waits.
    pub lane: Lane,
    /// How long to collect a burst, counted from its latest message.
    pub wait: Duration,
    /// How long to collect a burst at most, counted from its first message.
    pub max_wait: Duration,
    /// When it arrived.
    pub at: Time,
}

/// A queue of work that no other queue waits for: an agent's work for one account, or an account's deliveries.
pub type Lane = std::sync::Arc<str>;

/// What became of an arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored; its turn is due at the time.
    Queued,
    /// Stored as ignored, or not stored because it is not for us; with the reason.
    Ignored(&'static str),
    /// Stored, for a person: the bot is paused on the thread.
    Handed,
    /// Known already.
    Duplicate,
    /// A receipt or a change of identity that was applied.
    Applied {
        /// Whether it settled a delivery of which nobody knew whether it was sent.
        found: bool,
        /// Whether it is the first to say that the platform charges for the message.
        billed: bool,
    },
    /// An act that was done, by its label. Something may be said because of it.
    Done(&'static str),
    /// An answer was called off. If it was being asked for, with the claim of that turn, which is nobody's any more.
    Stopped(Option<ClaimToken>),
    /// A receipt, a change or an act that concerns nothing we know, or comes too late.
    Unknown,
}

impl Accepted {
    /// The metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ignored(reason) => reason,
            Self::Handed => "handed",
            Self::Duplicate => "duplicate",
            Self::Applied { .. } => "applied",
            Self::Done(label) => label,
            Self::Stopped(_) => "stopped",
            Self::Unknown => "unknown",
        }
    }
}

/// How a delivery fares, as the platform tells later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The installation that sent.
    pub account: AccountKey,
    /// The platform's name of the message that we sent.
    pub platform_id: String,
    /// Our own delivery id, if it came back with the receipt.
    pub delivery: Option<super::DeliveryId>,
    /// What is told.
    pub fate: Fate,
    /// When it happened, by the platform's time.
    pub at: Time,
    /// Whether the platform charges for the message, if it says so.
    pub billable: Option<bool>,
}

/// The stages that a platform reports of a sent message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It left the platform.
    Sent,
    /// It reached the person's device.
    Delivered,
    /// It was read.
    Read,
    /// It will never arrive.
    Failed {
        /// The platform's code.
        code: String,
        /// The platform's words.
        reason: String,
    },
}

impl Fate {
    /// The stage as stored: later stages are greater, and a stored stage never goes back.
    pub fn stage(&self) -> (i64, Cow<'static, str>) {
        match self {
            Self::Sent => (1, "sent".into()),
            Self::Delivered => (2, "delivered".into()),
            Self::Read => (3, "read".into()),
            Self::Failed { .. } => (4, "failed".into()),
        }
    }
}
