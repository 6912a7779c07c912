//! Reading a body: raw, whole, not too large, and not for ever.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::EXPECT;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
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

/// A body above this size, in bytes, is a large one; nearly all that the platforms send are smaller.
const SMALL: u64 = 64 * 1024;

/// How many large bodies are held at once.
const LARGE_AT_ONCE: usize = 16;

/// How long a large body waits for its turn; its sender delivers it again otherwise.
const LARGE_WAIT: Duration = Duration::from_secs(2);

/// Room for bodies. Whoever has not been verified yet may send some, so what all of them together hold has a bound:
/// as many large ones as there are places, and beside them small ones only.
#[derive(Debug, Clone)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    wait: Duration,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
            wait: LARGE_WAIT,
        }
    }

    async fn enter(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = timeout(self.wait, self.places.clone().acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or(ApiError::Crowded)
    }
}

/// A body, with its place in the [`Room`] if it is a large one.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _place: Option<OwnedSemaphorePermit>,
}

/// Reads the body of a request with these headers.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limit: u64,
    patience: Patience,
    room: &Room,
) -> Result<Held, ApiError> {
    // What Content-Length announces.
    let announced = body.size_hint().lower();
    if announced > limit {
        discard(headers, body);
        return Err(ApiError::TooLarge { limit });
    }
    let mut place = if announced > SMALL {
        Some(room.enter().await?)
    } else {
        None
    };
    let deadline = Instant::now() + patience.whole;
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
        let size = collected.len() as u64 + data.len() as u64;
        if size > limit {
            discard(headers, body);
            return Err(ApiError::TooLarge { limit });
        }
        if size > SMALL && place.is_none() {
            place = Some(room.enter().await?);
        }
        collected.push(data, announced);
    }
    Ok(Held {
        bytes: collected.into_bytes(),
        _place: place,
    })
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
        let held = read(&HeaderMap::new(), Body::new(body), 8, SHORT, &Room::new()).await;
        held.map(|held| held.bytes)
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
        let announced = read(&HeaderMap::new(), Body::from("123456789"), 8, SHORT, &Room::new()).await;
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
        let read = read(&HeaderMap::new(), drops, 1_000_000, SHORT, &Room::new()).await;
        assert!(matches!(read, Err(ApiError::BodyTimeout)), "{read:?}");
        assert!(begun.elapsed() >= SHORT.whole);
        feed.await.unwrap();
    }

    #[tokio::test]
    async fn large_bodies_wait_for_a_place_and_small_ones_pass() {
        let room = Room {
            wait: Duration::from_millis(20),
            ..Room::new()
        };
        let large = vec![b' '; usize::try_from(SMALL).unwrap() + 1];
        let ask = async |body: Vec<u8>| {
            let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(body)]);
            read(
                &HeaderMap::new(),
                Body::from_stream(stream),
                1_000_000,
                Patience::USUAL,
                &room,
            )
            .await
        };
        let mut held = Vec::new();
        for _ in 0..LARGE_AT_ONCE {
            held.push(ask(large.clone()).await.unwrap());
        }
        assert!(matches!(ask(large.clone()).await, Err(ApiError::Crowded)));
        assert_eq!(ask(b"small".to_vec()).await.unwrap().bytes, "small");
        let announced = read(
            &HeaderMap::new(),
            Body::from(large.clone()),
            1_000_000,
            SHORT,
            &room,
        )
        .await;
        assert!(matches!(announced, Err(ApiError::Crowded)), "{announced:?}");
        held.pop();
        assert_eq!(ask(large.clone()).await.unwrap().bytes, large);
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
