//! A bare connection: for what no proper client would send, or so slowly.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::DEADLINE;
use super::web::runtime;

/// A connection to one of the daemon's listeners.
pub(crate) struct Raw(TcpStream);

/// What came back on a bare connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The status; none if the connection was closed without one.
    pub(crate) status: Option<u16>,
    /// The head, in lower case.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl Raw {
    /// Connects to `http://ADDRESS`.
    #[track_caller]
    pub(crate) fn connect(url: &str) -> Self {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        Self::of(stream)
    }

    /// Connects from another address of this machine.
    #[track_caller]
    pub(crate) fn connect_from(source: IpAddr, url: &str) -> Self {
        let to: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let stream = runtime().block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind((source, 0).into()).unwrap();
            socket.connect(to).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        Self::of(stream)
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends bytes. False if the connection is gone.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends this again and again until nobody takes any more of it for a while, or `most` bytes are taken; how many
    /// were.
    pub(crate) fn stuff(&mut self, bytes: &[u8], most: usize) -> usize {
        self.0
            .set_write_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let mut taken = 0;
        while taken < most {
            match self.0.write(&bytes[taken % bytes.len()..]) {
                Ok(count) => taken += count,
                Err(_) => break,
            }
        }
        taken
    }

    /// Whether the other side has closed the connection; what came on it is thrown away.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let mut bytes = [0; 4096];
        let closed = loop {
            match self.0.read(&mut bytes) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break error.kind() != ErrorKind::WouldBlock,
            }
        };
        self.0.set_nonblocking(false).unwrap();
        closed
    }

    /// Reads everything until the other side closes.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> String {
        let until = Instant::now() + DEADLINE;
        let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
        while let Ok(count) = self.0.read(&mut bytes) {
            if count == 0 {
                break;
            }
            all.extend_from_slice(&bytes[..count]);
        }
        assert!(Instant::now() < until, "the connection stays open");
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Reads one answer.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> Heard {
        let (mut all, mut byte) = (Vec::new(), [0]);
        while !all.ends_with(b"\r\n\r\n") {
            match self.0.read(&mut byte) {
                Ok(1) => all.push(byte[0]),
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("no answer: {error}"),
            }
        }
        let head = String::from_utf8_lossy(&all).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).unwrap();
        Heard {
            status,
            head,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Sends a request on a connection of its own and reads the answer.
    #[track_caller]
    pub(crate) fn ask(url: &str, request: impl AsRef<[u8]>) -> Heard {
        let mut raw = Self::connect(url);
        raw.send(request);
        raw.hear()
    }
}
