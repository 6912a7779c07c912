//! The listeners: the public one for the platforms, the admin one for the operator.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use secrecy::SecretString;
use serde::Deserialize;

use crate::domain::settings;

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
