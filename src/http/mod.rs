//! The listeners: the public one for the platforms, the admin one for the operator.
//!
//! [`public`] and [`admin`] are the routers, [`errors`] says which error is which status, [`server`] accepts the
//! connections and bounds what one may cost. [`guard`], [`sessions`] and [`origin`] say who may speak to the admin
//! listener.

pub mod accepting;
pub mod admin;
mod body;
pub mod cached;
mod connection;
pub mod errors;
pub mod guard;
mod leaving;
pub mod origin;
pub mod public;
mod ready;
pub mod server;
pub mod sessions;
mod sparing;
mod visits;

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use secrecy::SecretString;
use serde::Deserialize;

use crate::channel::{Acknowledgement, Channel, Received};
use crate::domain::settings;
use crate::store::{Backlog, StoreError};

/// Section `server` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Where the platforms reach us.
    pub bind: SocketAddr,
    /// The address by which the world reaches us, such as `https://bridge.example.com`.
    pub public_url: Option<String>,
    /// The largest body that is read.
    pub body_limit: ByteSize,
    /// How long what is under way may take when the daemon is told to stop.
    #[serde(deserialize_with = "settings::duration")]
    pub shutdown_grace: Duration,
}

/// Section `admin` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSettings {
    /// Where the operator and the metrics collector reach us.
    pub bind: SocketAddr,
    /// The operator's token. Without one only `/metrics` is served, and only on a loopback address.
    pub token: Option<SecretString>,
}

/// What the listeners need of the floors below.
pub trait Backend: Send + Sync + 'static {
    /// Stores what a channel received, and returns what the platform gets once it is on the disk.
    fn accept(
        &self,
        channel: &dyn Channel,
        received: Received,
    ) -> impl Future<Output = Result<Acknowledgement, StoreError>> + Send;

    /// Whether the store takes writes now.
    fn check_writable(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Why the agent refuses to be asked, if it does.
    fn agent_refusal(&self) -> Option<String>;

    /// What waits for an answer.
    fn backlog(&self) -> impl Future<Output = Result<Backlog, StoreError>> + Send;
}

#[cfg(test)]
mod fakes;
