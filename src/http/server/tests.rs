//! The bounds of a connection, over real sockets.

use std::time::Instant;

use axum::Router;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::fakes::{FakeBackend, FakeChannel};
use super::super::public::Public;
use super::*;

const HEAD: Duration = Duration::from_millis(150);
const IDLE: Duration = Duration::from_millis(600);
const SHORT: Limits = Limits {
    head: HEAD,
    idle: IDLE,
    linger: Duration::ZERO,
    connections: 100,
};
/// Longer than any test waits: what ends before this was ended on purpose.
const LONG: Duration = Duration::from_mins(1);

struct Server {
    address: SocketAddr,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(limits: Limits, router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let task = tokio::spawn(serve(listener, limits, move |_| router.clone(), cancel.clone()));
        Self {
            address,
            cancel,
            task,
        }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads one answer: its head, and as much body as that announces.
    async fn answer(&mut self) -> String {
        let mut answer = String::new();
        let mut body = None;
        while body.is_none_or(|end| answer.len() < end) {
            let mut bytes = [0; 1024];
            let count = self.0.read(&mut bytes).await.unwrap();
            assert!(count > 0, "the connection ended after {answer:?}");
            answer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            let length = || {
                answer
                    .split("content-length: ")
                    .nth(1)?
                    .split("\r\n")
                    .next()?
                    .parse::<usize>()
                    .ok()
            };
            body = answer.find("\r\n\r\n").map(|end| end + 4 + length().unwrap_or(0));
        }
        answer
    }

    /// Reads until the server closes the connection; how long that took.
    async fn end(&mut self) -> Duration {
        let begun = Instant::now();
        let rest = tokio::time::timeout(LONG, self.0.read_to_end(&mut Vec::new())).await;
        let _ = rest.expect("the connection stays open");
        begun.elapsed()
    }
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn a_head_that_trickles_in_ends_the_connection() {
    let server = Server::start(Limits { idle: LONG, ..SHORT }, hello()).await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nhost:").await;
    let took = client.end().await;
    assert!(took >= HEAD / 2 && took < LONG / 2, "{took:?}");
}

#[tokio::test]
async fn a_connection_on_which_nothing_ever_comes_ends_too() {
    let server = Server::start(Limits { idle: LONG, ..SHORT }, hello()).await;
    let took = server.connect().await.end().await;
    assert!(took >= HEAD / 2 && took < LONG / 2, "{took:?}");
}

#[tokio::test]
async fn a_second_head_that_trickles_in_ends_the_connection() {
    let server = Server::start(Limits { idle: LONG, ..SHORT }, hello()).await;
    let mut client = server.connect().await;
    client.send(GET).await;
    client.answer().await;
    client.send("GET /").await;
    let took = client.end().await;
    assert!(took >= HEAD / 2 && took < LONG / 2, "{took:?}");
}

#[tokio::test]
async fn a_connection_may_rest_for_longer_than_a_head_may_take_but_not_for_ever() {
    let server = Server::start(SHORT, hello()).await;
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(GET).await;
        assert!(client.answer().await.ends_with("hello"));
        tokio::time::sleep(HEAD * 2).await;
    }
    client.send(GET).await;
    client.answer().await;
    let took = client.end().await;
    assert!(took >= IDLE * 9 / 10 && took < LONG / 2, "{took:?}");
}

#[tokio::test]
async fn an_answer_may_take_longer_than_all_that() {
    let slow = || async {
        tokio::time::sleep(HEAD * 3).await;
        "at last"
    };
    let limits = Limits { idle: HEAD, ..SHORT };
    let server = Server::start(limits, Router::new().route("/", get(slow))).await;
    let mut client = server.connect().await;
    client.send(GET).await;
    assert!(client.answer().await.ends_with("at last"));
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = Server::start(Limits { head: LONG, ..SHORT }, hello()).await;
    let mut client = server.connect().await;
    client
        .send(&format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(70_000)))
        .await;
    assert!(client.answer().await.starts_with("HTTP/1.1 431"));
}

/// A router whose answers wait until the test lets them go; it tells of each request that has begun.
fn gated() -> (Router, mpsc::UnboundedReceiver<()>, Arc<Semaphore>) {
    let (begun, told) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let handler = {
        let gate = gate.clone();
        move || async move {
            begun.send(()).unwrap();
            gate.acquire().await.unwrap().forget();
            "done"
        }
    };
    (
        Router::new().route("/", post(handler.clone()).get(handler)),
        told,
        gate,
    )
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_takes_no_more_connections() {
    let (router, mut begun, gate) = gated();
    let server = Server::start(SHORT, router).await;
    let (mut busy, mut resting) = (server.connect().await, server.connect().await);
    gate.add_permits(1);
    resting.send(GET).await;
    resting.answer().await;
    busy.send(GET).await;
    begun.recv().await.unwrap();
    begun.recv().await.unwrap();

    server.cancel.cancel();
    resting.end().await;
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "it still listens"
    );
    assert!(!server.task.is_finished());
    gate.add_permits(1);
    let answer = busy.answer().await;
    assert!(
        answer.ends_with("done") && answer.contains("connection: close"),
        "{answer}"
    );
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_request_on_its_way_when_the_server_stops_is_answered() {
    let server = Server::start(
        Limits {
            linger: Duration::from_millis(500),
            ..SHORT
        },
        hello(),
    )
    .await;
    let (mut known, mut fresh) = (server.connect().await, server.connect().await);
    known.send(GET).await;
    known.answer().await;

    server.cancel.cancel();
    known.send(GET).await;
    fresh.send(GET).await;
    assert!(known.answer().await.ends_with("hello"));
    assert!(fresh.answer().await.ends_with("hello"));
    server.task.await.unwrap();
}

#[tokio::test]
async fn dropping_the_server_ends_everything_at_once() {
    let (router, mut begun, _gate) = gated();
    let server = Server::start(SHORT, router).await;
    let mut client = server.connect().await;
    client.send(GET).await;
    begun.recv().await.unwrap();
    server.task.abort();
    client.end().await;
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_a_place() {
    let (router, mut begun, gate) = gated();
    let server = Server::start(
        Limits {
            connections: 1,
            ..SHORT
        },
        router,
    )
    .await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first
        .send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    begun.recv().await.unwrap();
    second.send(GET).await;
    tokio::time::sleep(HEAD).await;
    assert!(
        begun.try_recv().is_err(),
        "the second was served beside the first"
    );
    gate.add_permits(2);
    first.answer().await;
    assert!(second.answer().await.ends_with("done"));
}

async fn public() -> Server {
    let channels: Vec<Arc<dyn crate::channel::Channel>> = vec![Arc::new(FakeChannel)];
    let backend = Arc::new(FakeBackend::default());
    let limits = Limits {
        head: LONG,
        idle: LONG,
        ..SHORT
    };
    Server::start(
        limits,
        Public {
            backend,
            channels,
            off: Vec::new(),
            body_limit: 1000,
        }
        .router(),
    )
    .await
}

#[tokio::test]
async fn a_body_that_is_too_large_gets_its_413_while_it_still_comes() {
    let server = public().await;
    let body = "x".repeat(5_000_000);
    let announced = format!(
        "POST /fake/hook HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let chunked = format!("POST /fake/hook HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunk}");
    for request in [announced, chunked] {
        let mut client = server.connect().await;
        client.send(&request).await;
        let answer = client.answer().await;
        assert!(
            answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"),
            "{answer}"
        );
        client.end().await;
    }
}

#[tokio::test]
async fn who_asks_before_sending_too_much_is_told_not_to() {
    let server = public().await;
    let mut client = server.connect().await;
    client
        .send("POST /fake/hook HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9999\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_body_in_pieces_is_one_body_and_the_connection_lives_on() {
    let server = public().await;
    let mut client = server.connect().await;
    for _ in 0..2 {
        client
            .send("POST /fake/hook HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n{")
            .await;
        client.send("  ").await;
        client.send("}").await;
        assert!(client.answer().await.starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn only_errors_of_the_listener_itself_call_for_a_pause() {
    assert!(concerns_one_connection(&io::ErrorKind::ConnectionAborted.into()));
    assert!(!concerns_one_connection(&io::Error::from_raw_os_error(
        libc::EMFILE
    )));
}
