//! What a supervisor and its service tell each other, as systemd defines it: that the service is up, stops, or still
//! lives (`sd_notify(3)`, `sd_watchdog_enabled(3)`), and sockets that were opened before it (`sd_listen_fds(3)`).
//!
//! All of it is in the environment. Without systemd nothing of it is there, and nothing happens.

use std::ffi::OsStr;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use listenfd::ListenFd;

/// A datagram socket of the supervisor's, if there is one.
#[derive(Debug)]
pub struct Notify(Option<(UnixDatagram, SocketAddr)>);

impl Notify {
    /// The one that `NOTIFY_SOCKET` names: a path, or a name behind `@`.
    pub fn from_environment() -> Self {
        let address = std::env::var_os("NOTIFY_SOCKET").and_then(|name| address(&name));
        Self(address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address))))
    }

    /// Work has begun.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing what is under way");
    }

    /// Everything is well.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// A supervisor that does not listen is no reason to stop.
    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.0
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            tracing::debug!(%error, "the supervisor does not hear");
        }
    }
}

fn address(name: &OsStr) -> Option<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.as_encoded_bytes().strip_prefix(b"@") {
        return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name).ok();
    }
    SocketAddr::from_pathname(name).ok()
}

/// How often the supervisor wants to hear that this process lives; none if it does not. It is told twice as often.
pub fn watchdog() -> Option<Duration> {
    let read = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let ours = read("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let span = Duration::from_micros(read("WATCHDOG_USEC")?);
    (ours && !span.is_zero()).then(|| span / 2)
}

/// Listeners that the supervisor opened: the first is the public one, the second the admin's. What is missing is opened
/// as configured.
///
/// Call it before anything else runs: it takes them out of the environment, so that no child finds them.
pub fn listeners() -> io::Result<(Option<TcpListener>, Option<TcpListener>)> {
    let mut sockets = ListenFd::from_env();
    let mut take = |index| {
        if index < sockets.len() {
            sockets.take_tcp_listener(index)
        } else {
            Ok(None)
        }
    };
    Ok((take(0)?, take(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_an_abstract_name_are_both_addresses() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("notify");
        let supervisor = UnixDatagram::bind(&path).unwrap();
        let notify = Notify(Some((
            UnixDatagram::unbound().unwrap(),
            address(path.as_os_str()).unwrap(),
        )));
        notify.ready();
        let mut heard = [0; 64];
        let length = supervisor.recv(&mut heard).unwrap();
        assert!(heard[..length].starts_with(b"READY=1\n"));
        assert!(
            address(OsStr::new("@chatbridge/test"))
                .is_some_and(|address| address.is_unnamed() || address.as_pathname().is_none())
        );
    }
}
