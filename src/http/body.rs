//! Reading a body: raw, whole, not too large, and not for ever.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::EXPECT;
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::errors::ApiError;

/// How long a body may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Between two pieces of it.
    pub(super) idle: Duration,
    /// In all.
    pub(super) whole: Duration,
}

impl Patience {
    /// What the listeners grant.
    pub(super) const USUAL: Self = Self {
        idle: Duration::from_secs(10),
        whole: Duration::from_secs(30),
    };
}

/// How much of a body that nobody wants is still taken off the wire, and for how long. Closing a connection on which
/// data is still coming resets it, and a reset often destroys the answer before the other side has read it.
const DISCARD_MOST: u64 = 64 * 1024 * 1024;
const DISCARD_FOR: Duration = Duration::from_secs(5);

/// A body of more bytes than this is large. Most webhooks are far smaller.
const LARGE: u64 = 64 * 1024;
/// So many large bodies are in memory at once; more wait on the wire, because nobody has proved who they are yet.
const LARGE_AT_ONCE: usize = 16;

/// The places for large bodies, of all listeners.
static PLACES: Semaphore = Semaphore::const_new(LARGE_AT_ONCE);

/// A place for one large body.
type Place = SemaphorePermit<'static>;

/// Waits for a place, if the body is large by now and has none.
async fn take_place(place: &mut Option<Place>, size: u64, deadline: Instant) -> Result<(), ApiError> {
    if size > LARGE && place.is_none() {
        let taken = timeout_at(deadline, PLACES.acquire()).await;
        // The places are never closed.
        *place = taken.map_err(|_| ApiError::BodyTimeout)?.ok();
    }
    Ok(())
}

/// Reads the body of a request with these headers.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limit: u64,
    patience: Patience,
) -> Result<Bytes, ApiError> {
    // What Content-Length announces.
    let announced = body.size_hint().lower();
    if announced > limit {
        discard(headers, body);
        return Err(ApiError::TooLarge { limit });
    }
    let deadline = Instant::now() + patience.whole;
    let mut place = None;
    take_place(&mut place, announced, deadline).await?;
    let mut collected = Collected::default();
    while !body.is_end_stream() {
        let next = timeout_at(deadline.min(Instant::now() + patience.idle), body.frame());
        let frame = match next.await {
            Err(_) => return Err(ApiError::BodyTimeout),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(ApiError::BodyIncomplete),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if collected.len() as u64 + data.len() as u64 > limit {
            discard(headers, body);
            return Err(ApiError::TooLarge { limit });
        }
        collected.push(data, announced);
        take_place(&mut place, collected.len() as u64, deadline).await?;
    }
    Ok(match place {
        Some(place) => Bytes::from_owner(Placed(collected.into_bytes(), place)),
        None => collected.into_bytes(),
    })
}

/// A large body, which has its place until nobody needs it any more.
struct Placed(
    Bytes,
    #[expect(dead_code, reason = "it is given back when this is dropped")] Place,
);

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The pieces so far. Most bodies arrive in one piece, which is not copied.
#[derive(Default)]
struct Collected {
    first: Bytes,
    all: BytesMut,
}

impl Collected {
    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn push(&mut self, data: Bytes, announced: u64) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            let first = std::mem::take(&mut self.first);
            self.all.reserve(
                usize::try_from(announced)
                    .unwrap_or(0)
                    .max(first.len() + data.len()),
            );
            self.all.extend_from_slice(&first);
        }
        self.all.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() {
            self.first
        } else {
            self.all.freeze()
        }
    }
}

/// Takes the rest of an unwanted body off the wire, in the background, while the answer goes out.
pub(super) fn discard(headers: &HeaderMap, mut body: Body) {
    // Who asks before sending (`Expect: 100-continue`) sends nothing after a refusal.
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    tokio::spawn(timeout(DISCARD_FOR, async move {
        let mut left = DISCARD_MOST;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
            if left == 0 {
                break;
            }
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;

    const SHORT: Patience = Patience {
        idle: Duration::from_millis(20),
        whole: Duration::from_millis(80),
    };

    /// A body of these pieces, which then ends, breaks off, or goes silent.
    struct Pieces {
        pieces: VecDeque<&'static [u8]>,
        end: End,
    }

    #[derive(Clone, Copy)]
    enum End {
        Whole,
        Broken,
        Silent,
    }

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            match (self.pieces.pop_front(), self.end) {
                (Some(piece), _) => {
                    Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::from_static(piece)))))
                }
                (None, End::Whole) => Poll::Ready(None),
                (None, End::Broken) => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
                (None, End::Silent) => Poll::Pending,
            }
        }
    }

    async fn read_pieces(pieces: &[&'static [u8]], end: End) -> Result<Bytes, ApiError> {
        let body = Pieces {
            pieces: pieces.iter().copied().collect(),
            end,
        };
        read(&HeaderMap::new(), Body::new(body), 8, SHORT).await
    }

    #[tokio::test]
    async fn joins_the_pieces() {
        assert_eq!(read_pieces(&[], End::Whole).await.unwrap(), "");
        assert_eq!(read_pieces(&[b"one"], End::Whole).await.unwrap(), "one");
        assert_eq!(
            read_pieces(&[b"one", b"", b"two", b"34"], End::Whole)
                .await
                .unwrap(),
            "onetwo34"
        );
    }

    #[tokio::test]
    async fn refuses_what_is_too_large_before_and_while_reading() {
        let announced = read(&HeaderMap::new(), Body::from("123456789"), 8, SHORT).await;
        assert!(
            matches!(announced, Err(ApiError::TooLarge { limit: 8 })),
            "{announced:?}"
        );
        let growing = read_pieces(&[b"12345", b"6789"], End::Silent).await;
        assert!(
            matches!(growing, Err(ApiError::TooLarge { limit: 8 })),
            "{growing:?}"
        );
    }

    #[tokio::test]
    async fn waits_for_no_body_for_ever() {
        let silent = read_pieces(&[b"12"], End::Silent).await;
        assert!(matches!(silent, Err(ApiError::BodyTimeout)), "{silent:?}");
        let broken = read_pieces(&[b"12"], End::Broken).await;
        assert!(matches!(broken, Err(ApiError::BodyIncomplete)), "{broken:?}");
    }

    #[tokio::test]
    async fn large_bodies_take_turns_and_small_ones_wait_for_nobody() {
        let large = || async {
            let body = Body::from(vec![b' '; 100_000]);
            read(&HeaderMap::new(), body, 1_000_000, SHORT).await
        };
        let mut read_so_far = Vec::new();
        for _ in 0..LARGE_AT_ONCE {
            read_so_far.push(large().await.unwrap());
        }
        assert!(matches!(large().await, Err(ApiError::BodyTimeout)));
        assert_eq!(read_pieces(&[b"small"], End::Whole).await.unwrap(), "small");
        read_so_far.pop();
        assert_eq!(large().await.unwrap().len(), 100_000);
    }

    #[tokio::test]
    async fn a_trickle_ends_too() {
        let (drip, source) = tokio::sync::mpsc::channel::<()>(1);
        let drops = Body::new(Trickle(source));
        let feed = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if drip.send(()).await.is_err() {
                    break;
                }
            }
        });
        let begun = std::time::Instant::now();
        let read = read(&HeaderMap::new(), drops, 1_000_000, SHORT).await;
        assert!(matches!(read, Err(ApiError::BodyTimeout)), "{read:?}");
        assert!(begun.elapsed() >= SHORT.whole);
        feed.await.unwrap();
    }

    struct Trickle(tokio::sync::mpsc::Receiver<()>);

    impl HttpBody for Trickle {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            self.0
                .poll_recv(cx)
                .map(|drop| drop.map(|()| Ok(hyper::body::Frame::data(Bytes::from_static(b"x")))))
        }
    }
}
