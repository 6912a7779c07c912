//! The stubs' server: HTTP/1.1 with the faults that only a bare connection can have.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
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
            return Ok(speak(answer, false));
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
        Some(Fault::CutOff) => return Ok(speak(shared.act(index), true)),
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::Hold(gate)) => gate.pass().await,
    }
    let answer = shared.act(index);
    shared.finish(index, None);
    Ok(speak(answer, false))
}

fn speak(answer: Answer, cut_off: bool) -> Response<Spoken> {
    let mut response = Response::builder()
        .status(answer.status)
        .header("content-length", answer.body.len());
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let mut body = Bytes::from(answer.body);
    if cut_off {
        body.truncate(body.len() / 2);
    }
    let then = if cut_off { Then::Flush } else { Then::End };
    response
        .body(Spoken {
            body: Some(body),
            then,
        })
        .unwrap()
}

/// A body that can break off.
struct Spoken {
    body: Option<Bytes>,
    then: Then,
}

enum Then {
    End,
    /// Lets what was written leave before the connection breaks.
    Flush,
    Break,
}

impl Body for Spoken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(body) = self.body.take().filter(|body| !body.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        match self.then {
            Then::End => Poll::Ready(None),
            Then::Flush => {
                self.then = Then::Break;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Then::Break => Poll::Ready(Some(Err(io::Error::other("told to break off")))),
        }
    }
}
