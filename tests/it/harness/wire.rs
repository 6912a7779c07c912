//! The stubs' server: HTTP/1.1 with the faults that only a bare connection can have.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

use super::stub::{Answer, Brain, Call, Fault, Shared};

/// Serves everybody who connects, until dropped.
pub(super) async fn listen<B: Brain>(listener: TcpListener, shared: Arc<Shared<B>>, stop: CancellationToken) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(serve(stream, shared.clone())),
        );
    }
}

async fn serve<B: Brain>(stream: TcpStream, shared: Arc<Shared<B>>) {
    let service = service_fn(move |request| handle(request, shared.clone()));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An error closes the connection without a word.
async fn handle<B: Brain>(
    request: Request<Incoming>,
    shared: Arc<Shared<B>>,
) -> io::Result<Response<Spoken>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let call = Call {
        kind: String::new(),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        json: serde_json::from_slice(&body).unwrap_or(Value::Null),
        body,
        at: Instant::now(),
        reply: None,
        said: Value::Null,
        done_at: None,
    };
    let (index, fault) = shared.arrived(call);
    match fault {
        None => {}
        Some(Fault::Answer(answer)) => {
            shared.finish(index, Some(answer.clone()));
            return Ok(speak(answer, Manner::Plain));
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::ActThenHang) => {
            shared.act(index);
            return std::future::pending().await;
        }
        Some(Fault::Close) => return Err(io::Error::other("told to close")),
        Some(Fault::ActThenClose) => {
            shared.act(index);
            return Err(io::Error::other("told to close"));
        }
        Some(Fault::CutOff) => return Ok(speak(shared.act(index), Manner::CutOff)),
        Some(Fault::Drip(wait)) => return Ok(speak(shared.act(index), Manner::Drip(wait))),
        Some(Fault::Flood(bytes)) => return Ok(speak(shared.act(index), Manner::Flood(bytes))),
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::Hold(gate)) => gate.pass().await,
    }
    let answer = shared.act(index);
    shared.finish(index, None);
    Ok(speak(answer, Manner::Plain))
}

/// How an answer is spoken.
enum Manner {
    Plain,
    CutOff,
    Drip(Duration),
    Flood(u64),
}

fn speak(answer: Answer, manner: Manner) -> Response<Spoken> {
    let body = Bytes::from(answer.body);
    let length = match manner {
        Manner::Flood(bytes) => bytes,
        _ => body.len() as u64,
    };
    let mut response = Response::builder()
        .status(answer.status)
        .header("content-length", length);
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let rest = match manner {
        Manner::Plain => Rest::Whole(body),
        Manner::CutOff => Rest::Cut(body.slice(..body.len() / 2)),
        Manner::Drip(wait) => Rest::Drip(body, wait, Box::pin(sleep(wait))),
        Manner::Flood(bytes) => Rest::Flood(bytes),
    };
    response.body(Spoken(rest)).unwrap()
}

/// A body that can break off, trickle, or never end.
struct Spoken(Rest);

/// What is still to be said.
enum Rest {
    Whole(Bytes),
    Cut(Bytes),
    /// Lets what was written leave before the connection breaks.
    Flush,
    Break,
    Drip(Bytes, Duration, Pin<Box<Sleep>>),
    Flood(u64),
}

impl Body for Spoken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let said = |bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        match &mut self.0 {
            Rest::Whole(body) if body.is_empty() => Poll::Ready(None),
            Rest::Whole(body) => said(std::mem::take(body)),
            Rest::Cut(body) => {
                let body = std::mem::take(body);
                self.0 = Rest::Flush;
                said(body)
            }
            Rest::Flush => {
                self.0 = Rest::Break;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Rest::Break => Poll::Ready(Some(Err(io::Error::other("told to break off")))),
            Rest::Drip(body, ..) if body.is_empty() => Poll::Ready(None),
            Rest::Drip(body, wait, timer) => {
                ready!(timer.as_mut().poll(context));
                timer.set(sleep(*wait));
                said(body.split_to(1))
            }
            Rest::Flood(0) => Poll::Ready(None),
            Rest::Flood(left) => {
                let now = (*left).min(64 * 1024);
                *left -= now;
                said(Bytes::from(vec![b' '; usize::try_from(now).unwrap()]))
            }
        }
    }
}
