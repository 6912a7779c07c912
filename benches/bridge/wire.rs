//! HTTP/1.1 as far as the benchmarks need it: one message after another over a kept-alive connection.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection, and what was read of it and not looked at yet.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// How much of the buffer the message before took.
    taken: usize,
}

/// One request or response.
pub(crate) struct Message<'a> {
    /// Its first line and headers.
    pub(crate) head: &'a str,
    /// Its body.
    pub(crate) body: &'a str,
}

impl Wire {
    /// Over a connection.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::with_capacity(8192),
            taken: 0,
        }
    }

    /// Over a new connection.
    pub(crate) async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream))
    }

    /// Sends what is whole.
    pub(crate) async fn send(&mut self, message: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(message).await
    }

    /// The next message; none when the connection ends.
    pub(crate) async fn message(&mut self) -> Option<Message<'_>> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let (head, whole) = loop {
            if let Some(lengths) = lengths(&self.buffer) {
                break lengths;
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        };
        self.taken = whole;
        let text = std::str::from_utf8(&self.buffer[..whole]).ok()?;
        Some(Message {
            head: &text[..head],
            body: &text[head..],
        })
    }
}

/// The lengths of the head and of the whole message at the buffer's front, once it is there.
fn lengths(buffer: &[u8]) -> Option<(usize, usize)> {
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..end]).ok()?;
    let whole = if value(head, "transfer-encoding").is_some() {
        let last = buffer[end - 2..]
            .windows(7)
            .position(|seven| seven == b"\r\n0\r\n\r\n")?;
        end - 2 + last + 7
    } else {
        end + value(head, "content-length").map_or(0, |digits| digits.parse().unwrap_or(0))
    };
    (buffer.len() >= whole).then_some((end, whole))
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
