//! Accepting connections, and ending well.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service;

pub use super::connection::Limits;
use super::connection::serve as serve_connection;
use super::sparing::Sparing;

/// How long to wait after an error of the listener itself (no file descriptors left, no memory) before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How often the log tells of such errors.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// How many connections of the operating system's queue are still served when the server stops: more than it holds.
const QUEUE: usize = 4096;

/// Serves the connections of a listener, each with its own service, until cancelled; then lets the requests under way
/// finish. Dropping it ends all connections at once.
pub async fn serve<S>(
    listener: TcpListener,
    limits: Limits,
    service_for: impl Fn(SocketAddr) -> S,
    cancel: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let places = Arc::new(Semaphore::new(limits.connections));
    let complaints = Sparing::every(TELL_EVERY);
    let mut connections = JoinSet::new();
    let mut admit = |(stream, peer): (TcpStream, SocketAddr), permit| {
        // Answers are small and wanted at once. Without the option they only come later.
        let _ = stream.set_nodelay(true);
        let (service, cancel) = (service_for(peer), cancel.clone());
        connections.spawn(async move {
            serve_connection(stream, service, limits, cancel).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    };
    while let Some(permit) = until(&cancel, places.clone().acquire_owned()).await {
        let Some(accepted) = until(&cancel, listener.accept()).await else {
            break;
        };
        match accepted {
            Ok(accepted) => admit(accepted, permit.ok()),
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                if complaints.due() {
                    tracing::warn!(%error, "no connection can be accepted now");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // What waits in the operating system's queue was accepted in the eyes of those who called.
    for _ in 0..QUEUE {
        match std::future::poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await {
            Poll::Ready(Ok(accepted)) => admit(accepted, None),
            _ => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// What the future returns, or nothing once cancelled.
async fn until<T>(cancel: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    cancel.run_until_cancelled(future).await
}

/// Whether the error is of the connection that was to be accepted; the next one may be fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

#[cfg(test)]
mod tests;
