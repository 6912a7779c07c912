//! Channels: the platforms where people write, each in a folder of its own behind the trait [`Channel`].
//!
//! A channel reads webhooks into [`Arrival`]s, renders an answer into parts, sends a part, and looks whether a part
//! that may have been sent is there. It decides nothing about order, retries or storage, and no platform's name
//! stands outside its folder but in the [`registry`].

mod json;
pub mod listen;
pub mod registry;
pub mod signature;
pub mod slack;
pub mod text;
pub mod visit;
pub mod whatsapp;

use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::domain::AccountKey;
use crate::domain::Time;
use crate::domain::delivery::SendClaim;
use crate::domain::installation::KeepError;
use crate::domain::message::Arrival;
use crate::domain::turn::TurnClaim;
use listen::Sink;
use signature::Unverified;
use visit::{Page, Visit};

/// A route on the public listener that a channel serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: &'static str,
}

/// A request to one of the channel's endpoints; nobody has checked yet who sent it.
#[derive(Debug)]
pub struct WebhookRequest {
    /// Which endpoint it came to.
    pub endpoint: Endpoint,
    /// The query string, undecoded.
    pub query: Option<String>,
    /// The headers and the body, sealed until the signature is verified.
    pub sealed: Unverified,
}

/// A request that was understood.
#[derive(Debug, Default)]
pub struct Received {
    /// What is to be stored before it is acknowledged.
    pub arrivals: Vec<Arrival>,
    /// What is not for us, by short fixed reasons: it is counted and leaves no other trace.
    pub dropped: Vec<&'static str>,
    /// Installations that came to an end.
    pub farewells: Vec<Farewell>,
    /// What is to be shown to people once everything is stored.
    pub asides: Vec<Aside>,
    /// What the platform gets once everything is stored.
    pub answer: Acknowledgement,
}

/// Something to show to people that is worth nothing later: it is not stored, and nobody waits for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Aside {
    /// The installation.
    pub account: AccountKey,
    /// What is to be shown, in the channel's own words.
    pub what: serde_json::Value,
}

/// An installation came to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// The installation.
    pub account: AccountKey,
    /// It was made before this moment, by the platform's clock: a later one is not meant.
    pub before: Time,
}

/// The body of a 200.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Acknowledgement {
    /// Nothing.
    #[default]
    Empty,
    /// `text/plain`.
    Text(String),
}

/// Why a request is turned away. The words never hold a signature that we computed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// A signature is missing, malformed, stale or wrong; with a short fixed code and words for whoever looks.
    #[error("{message}")]
    Unauthenticated {
        /// `signature_missing`, `signature_invalid`, `timestamp_missing`, `timestamp_stale`, …
        code: &'static str,
        /// What is wrong and where to look.
        message: &'static str,
    },
    /// A handshake with the wrong token.
    #[error("{message}")]
    Forbidden {
        /// A short fixed code.
        code: &'static str,
        /// What is wrong and where to look.
        message: &'static str,
    },
    /// Signed, but not what the platform sends.
    #[error("{message}")]
    Malformed {
        /// A short fixed code.
        code: &'static str,
        /// What is wrong.
        message: &'static str,
    },
}

/// A part that the platform took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The platform's name of it.
    pub platform_id: Option<String>,
}

/// Why a part was not sent, or may not have been. The disposition says what to do about it.
#[derive(Debug, Clone, Error)]
#[error("{code}: {message}")]
pub struct SendError {
    /// The platform's code, or a short one of ours.
    pub code: String,
    /// What happened and, where there is one, the remedy, in words for the operator.
    pub message: String,
    /// What to do.
    pub disposition: SendDisposition,
}

/// What to do about a [`SendError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendDisposition {
    /// Certainly not sent: try again by the schedule, at the earliest after this time.
    Retry {
        /// What the platform asked for.
        after: Option<Duration>,
    },
    /// Certainly not sent, and the platform wants a pause; the attempt does not count.
    Pause {
        /// For whom.
        scope: Scope,
        /// How long.
        after: Duration,
    },
    /// It may have been sent: look before sending again.
    Unknown,
    /// The operator must act (a token is refused, a number is locked): hold all of the account's deliveries, keep
    /// them, try one now and then.
    Hold,
    /// The same for all accounts of its family ([`Channel::family`]).
    HoldFamily,
    /// The same for all accounts with its credentials ([`Channel::access`]).
    HoldAccess,
    /// This part will never be sent.
    Dead,
}

/// Whom a pause concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This thread only.
    Thread,
    /// All deliveries of the account.
    Account,
    /// All deliveries of all accounts of its family ([`Channel::family`]).
    Family,
    /// All deliveries of all accounts with its credentials ([`Channel::access`]).
    Access,
}

/// What a look for a part that may have been sent has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    /// It is there.
    Found {
        /// The platform's name of it.
        platform_id: Option<String>,
    },
    /// It is not there: send it.
    Absent,
    /// Nothing can be said yet: look again after this time.
    Later(Duration),
    /// Nothing will ever tell: the operator's policy decides.
    Unknowable(UnknownPolicy),
}

/// What to do with a part of which nothing will ever tell whether it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownPolicy {
    /// Send it again: the person may see it twice.
    Resend,
    /// Make it a dead letter: the person may not see it.
    Park,
}

/// A platform where people write.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// Its name: the first part of addresses, the label of metrics, the section of the configuration.
    fn name(&self) -> &'static str;

    /// What the agent's API calls it.
    fn integration_type(&self) -> &'static str;

    /// How long to collect a burst of messages before asking: the channel's own setting, else the `general` one, else
    /// what suits the platform.
    fn turn_wait(&self, general: Option<Duration>) -> Duration;

    /// For how long after a person's message the platform takes a reply; none if for ever.
    fn reply_window(&self) -> Option<Duration>;

    /// The routes that it serves.
    fn endpoints(&self) -> Vec<Endpoint>;

    /// Verifies and reads a request. Does no work that waits: the platform expects its acknowledgement within
    /// seconds. No text of what comes out holds the character NUL.
    fn receive(&self, request: WebhookRequest) -> Result<Received, Rejection>;

    /// Shows the person that an answer is on its way, and takes that back once `over` is cancelled: the turn was
    /// answered, put back, given up or called off, or the daemon ends. It runs beside the question to the agent; what
    /// goes wrong here concerns nobody else.
    async fn working(&self, _claim: &TurnClaim, _over: CancellationToken) {}

    /// Shows people something. It runs beside everything else, and what goes wrong here concerns nobody else.
    async fn aside(&self, _aside: &Aside) {}

    /// The accounts of the same contract as this one, by a name of the channel's: a bill that is not paid or a limit of
    /// the whole concerns them all. By default each stands for itself. The answer may change as the channel learns.
    fn family(&self, account: &AccountKey) -> String {
        account.as_str().to_owned()
    }

    /// The accounts that are reached with the same credentials as this one, by a name of the channel's: what the
    /// platform holds against those concerns them all. By default each stands for itself.
    fn access(&self, account: &AccountKey) -> String {
        account.as_str().to_owned()
    }

    /// The paths that people visit with a browser, each with GET.
    fn visited(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Answers a browser. Unlike [`receive`](Self::receive) it may take its time.
    async fn visit(&self, visit: Visit) -> Page {
        Page::unknown(&visit)
    }

    /// Takes note that an installation came to an end. When it has returned, that survives a crash.
    async fn farewell(&self, farewell: &Farewell) -> Result<(), KeepError> {
        let _ = farewell;
        Ok(())
    }

    /// Waits until an account that held its deliveries may be tried again at once: it was installed anew, say.
    async fn revived(&self) -> AccountKey {
        std::future::pending().await
    }

    /// Renders an answer into the parts to send, in order; at least one.
    fn render(&self, text: &str, links: &[String]) -> Vec<String>;

    /// Sends a part.
    async fn send(&self, claim: &SendClaim) -> Result<Sent, SendError>;

    /// Looks whether a part that may have been sent is there.
    async fn look_up(&self, claim: &SendClaim) -> LookUp;

    /// Fetches what arrives over a connection of its own, where the platform does not call: hands it to the sink, and
    /// acknowledges what that has stored. When cancelled, it takes nothing new, finishes what it has taken, and
    /// returns. By default there is nothing to fetch.
    async fn listen(&self, sink: &dyn Sink, cancel: CancellationToken) {
        let _ = sink;
        cancel.cancelled().await;
    }

    /// Why nothing can arrive now, in words for the operator, if it takes a connection and none stands.
    fn cut_off(&self) -> Option<String> {
        None
    }

    /// Whatever it does in the background, until cancelled: learning its own identity, for example.
    async fn run(&self, cancel: CancellationToken);
}
