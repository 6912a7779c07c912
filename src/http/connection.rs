//! One connection: what it may cost in time.
//!
//! hyper's own `header_read_timeout` begins as soon as a connection waits for a request, so that one limit would have
//! to serve both for a request that trickles in and for a connection that rests between two requests. Here they are
//! two: a [`Pulse`] notes what the connection is doing, a [`Watchdog`] ends it when it has done so for too long.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use super::leaving::Leaving;

/// The most that is held of a request's head, in bytes; longer ones are answered 431. No platform comes near it.
const LARGEST_HEAD: usize = 64 * 1024;

/// What connections may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long the head of a request may take, from its first byte; of the first request, from the connection's
    /// beginning.
    pub head: Duration,
    /// How long a connection may rest between requests, and an answer may take to be fetched.
    pub idle: Duration,
    /// When the server stops, how long connections are still listened to for requests that are on their way.
    pub linger: Duration,
    /// How many connections are open at once at most; more wait to be accepted.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            linger: Duration::from_millis(300),
            connections: 10_000,
        }
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The head of a request is coming in.
    Head,
    /// A request is being answered; whoever answers it bounds that.
    Busy,
    /// The answer goes out, or nothing happens.
    Rest,
}

/// The phase of a connection, and how often it has changed.
#[derive(Debug)]
struct Pulse(AtomicU32);

impl Pulse {
    fn new() -> Self {
        Self(AtomicU32::new(Phase::Head as u32))
    }

    /// Only the connection's own task writes, so that load and store need not be one step.
    fn enter(&self, phase: Phase) {
        let count = self.0.load(Ordering::Relaxed) >> 2;
        self.0
            .store(count.wrapping_add(1) << 2 | phase as u32, Ordering::Relaxed);
    }

    fn load(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn phase(&self) -> Phase {
        match self.load() & 3 {
            0 => Phase::Head,
            1 => Phase::Busy,
            _ => Phase::Rest,
        }
    }
}

/// Sees when a connection has been in one phase for too long.
struct Watchdog<'a> {
    pulse: &'a Pulse,
    limits: Limits,
    seen: u32,
    deadline: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<'a> Watchdog<'a> {
    fn new(pulse: &'a Pulse, limits: Limits) -> Self {
        let deadline = Instant::now() + limits.head;
        Self {
            pulse,
            limits,
            seen: pulse.load(),
            deadline: Some(deadline),
            timer: Box::pin(sleep_until(deadline)),
        }
    }

    /// Ready when the connection's time is over. Polled after each step of the connection, by the same task.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.pulse.load();
        if now != self.seen {
            self.seen = now;
            self.deadline = match self.pulse.phase() {
                Phase::Head => Some(Instant::now() + self.limits.head),
                Phase::Busy => None,
                Phase::Rest => Some(Instant::now() + self.limits.idle),
            };
        }
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        // Moving the timer costs more than all the rest here: a timer that is early is left to ring.
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
    }
}

/// A stream that notes in the pulse when a request begins to come in.
struct Felt<T> {
    stream: T,
    pulse: Arc<Pulse>,
    leaving: Arc<Leaving>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Felt<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before && self.pulse.phase() == Phase::Rest {
            self.pulse.enter(Phase::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Felt<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.leaving.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Serves a connection until it ends, its time is over, or, after `stopping`, its last request is answered.
pub(super) async fn serve<T, S>(stream: T, service: S, limits: Limits, stopping: CancellationToken)
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone,
{
    let pulse = Arc::new(Pulse::new());
    let felt: &Pulse = &pulse;
    let leaving = Arc::new(Leaving::default());
    let leaves: &Leaving = &leaving;
    let answer = service_fn(move |request| {
        felt.enter(Phase::Busy);
        let service = service.clone();
        async move {
            let response = service.oneshot(request).await;
            felt.enter(Phase::Rest);
            let Ok(response) = response;
            leaves.begins(&response);
            Ok::<_, Infallible>(response)
        }
    });
    let io = TokioIo::new(Felt {
        stream,
        pulse: pulse.clone(),
        leaving: leaving.clone(),
    });
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(LARGEST_HEAD);
    let mut connection = pin!(builder.serve_connection(io, answer));
    let mut watchdog = Watchdog::new(&pulse, limits);
    let mut last_call = pin!(async {
        stopping.cancelled().await;
        sleep(limits.linger).await;
    });
    let mut leaving = false;
    std::future::poll_fn(|cx| {
        if !leaving && last_call.as_mut().poll(cx).is_ready() {
            leaving = true;
            connection.as_mut().graceful_shutdown();
        }
        // How it ended is the other side's affair; what a request led to was told where it was served.
        if connection.as_mut().poll(cx).is_ready() {
            Poll::Ready(())
        } else {
            watchdog.poll(cx)
        }
    })
    .await;
}
