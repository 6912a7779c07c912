//! The first moments of the daemon: its listeners, and what it says of itself.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::StartError;
use crate::config::Settings;
use crate::config::catalogue::CHANNELS;

/// A listener that is open.
pub(super) struct Bound {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// Opens a listener, or takes the one that a supervisor opened.
pub(super) async fn bind(
    key: &'static str,
    address: SocketAddr,
    given: Option<std::net::TcpListener>,
) -> Result<Bound, StartError> {
    let failed = |cause| StartError::Bind { key, address, cause };
    let listener = match given {
        Some(listener) => listener
            .set_nonblocking(true)
            .and_then(|()| TcpListener::from_std(listener))
            .map_err(failed)?,
        None => TcpListener::bind(address).await.map_err(failed)?,
    };
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, address })
}

/// Tells the operator what runs where.
pub(super) fn announce(settings: &Settings, off: &[&'static str], public: SocketAddr, admin: SocketAddr) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "chatbridge starts");
    tracing::info!(address = %public, "public listener");
    tracing::info!(address = %admin, "admin listener");
    for name in CHANNELS {
        if off.contains(name) {
            tracing::info!(
                channel = name,
                "channel is off: its section of the configuration is missing"
            );
        } else {
            tracing::info!(channel = name, "channel is on");
        }
    }
    for (key, missing) in [
        ("agent.api_key", settings.agent.api_key.is_none()),
        (
            "agent.agent_id",
            settings.agent.agent_id.is_none() && settings.routes.is_empty(),
        ),
    ] {
        if missing {
            tracing::warn!("{key} is not set: messages are kept and wait until it is");
        }
    }
}
