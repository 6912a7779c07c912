//! The agent and the platform: they read as little as they must, and answer at once (the agent after a set time).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::report::percentiles;

/// When each event's answer arrived, by its number.
struct Answers {
    at: Mutex<(Vec<Option<Instant>>, usize)>,
    all: Notify,
}

/// Both stubs behind one address.
pub(crate) struct Stubs {
    /// Where they listen.
    pub(crate) address: SocketAddr,
    answers: Arc<Answers>,
}

impl Stubs {
    /// Starts them; the agent takes this long, and so many answers are expected.
    pub(crate) async fn start(agent: Duration, events: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Answers {
            at: Mutex::new((vec![None; events], 0)),
            all: Notify::new(),
        });
        let shared = answers.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, agent, shared.clone()));
            }
        });
        Self { address, answers }
    }

    /// Waits until every event is answered.
    pub(crate) async fn all_answered(&self, longest: Duration) {
        let waiting = async {
            loop {
                let notified = self.answers.all.notified();
                let left = {
                    let at = self.answers.at.lock().unwrap();
                    at.0.len() - at.1
                };
                if left == 0 {
                    return;
                }
                notified.await;
            }
        };
        assert!(
            tokio::time::timeout(longest, waiting).await.is_ok(),
            "not everything was answered in {longest:?}"
        );
    }

    /// What lay between sending an event and its answer, without the agent's own time: 50th and 99th percentile.
    pub(crate) fn added(&self, sent: &[Instant], agent: Duration) -> (Duration, Duration) {
        let at = self.answers.at.lock().unwrap();
        let mut added: Vec<Duration> =
            at.0.iter()
                .zip(sent)
                .filter_map(|(at, sent)| at.as_ref()?.duration_since(*sent).checked_sub(agent))
                .collect();
        percentiles(&mut added)
    }
}

async fn serve(mut stream: TcpStream, agent: Duration, answers: Arc<Answers>) {
    let mut buffer = Vec::with_capacity(8192);
    loop {
        let Some((head, whole)) = request(&mut stream, &mut buffer).await else {
            return;
        };
        let request = String::from_utf8_lossy(&buffer[..whole]);
        let body = &request[head..];
        let answer = if request.starts_with("POST /api/v2/conversations") {
            if !agent.is_zero() {
                tokio::time::sleep(agent).await;
            }
            let id = number(body);
            format!(
                r#"{{"status":"success","message":"ok","data":{{"conversationId":"conv-{id}","contactId":"k","response":"bench {id} We open at nine on Saturdays, and you may bring shoes back within 30 days.","messageId":"m-{id}","responseMessageId":"r-{id}","links":[]}}}}"#
            )
        } else if request.contains("auth.test") {
            r#"{"ok":true,"team_id":"T00BENCH","user_id":"U00BENCHBOT","bot_id":"B00BENCHBOT"}"#.to_owned()
        } else {
            let id = number(body);
            arrived(&answers, id.parse().unwrap());
            format!(r#"{{"ok":true,"channel":"C00BENCHCHAN","ts":"1800000000.{id}"}}"#)
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        buffer.drain(..whole);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The lengths of the head and of the whole request at the buffer's front; none when the connection ends.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(usize, usize)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.split("\r\n").next());
            let whole = end + 4 + length.and_then(|digits| digits.parse().ok()).unwrap_or(0);
            if buffer.len() >= whole {
                return Some((end + 4, whole));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// The event's number: eight digits behind the word "bench ".
fn number(body: &str) -> &str {
    let at = body.find("bench ").expect("every text bears its number") + 6;
    &body[at..at + 8]
}

fn arrived(answers: &Answers, id: usize) {
    let mut at = answers.at.lock().unwrap();
    assert!(
        at.0[id].replace(Instant::now()).is_none(),
        "event {id} was answered twice"
    );
    at.1 += 1;
    if at.1 == at.0.len() {
        answers.all.notify_waiters();
    }
}
