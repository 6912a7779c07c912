//! The load: signed Slack events over kept-alive connections, each sent when the one before is acknowledged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chatbridge::channel::signature::sign;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::report::Accepting;

/// The secret that the servers are started with.
pub(crate) const SECRET: &str = "benchmark-signing-secret";

/// A mention in a channel, of the size and shape that Slack sends: 1.25 KB. Each opens a thread of its own.
const EVENT: &str = r#"{"token":"xAbCdEfGhIjKlMnOpQrStUvW","team_id":"T00BENCH","context_team_id":"T00BENCH","context_enterprise_id":null,"api_app_id":"A00BENCHAPP","event":{"type":"app_mention","user":"U00WRITER01","ts":"{TS}","client_msg_id":"66cc9473-12a2-4934-bd57-30{ID}","text":"<@U00BENCHBOT> bench {ID} When do you open on Saturdays, and may I bring the shoes back that I bought last week?","team":"T00BENCH","blocks":[{"type":"rich_text","block_id":"jEztr","elements":[{"type":"rich_text_section","elements":[{"type":"user","user_id":"U00BENCHBOT"},{"type":"text","text":" When do you open on Saturdays, and may I bring the shoes back that I bought last week?"}]}]}],"channel":"C00BENCHCHAN","event_ts":"{TS}"},"type":"event_callback","event_id":"Ev0A{ID}","event_time":{SECONDS},"authorizations":[{"enterprise_id":null,"team_id":"T00BENCH","user_id":"U00BENCHBOT","is_bot":true,"is_enterprise_install":false}],"is_ext_shared_channel":false,"event_context":"4-eyJldCI6ImFwcF9tZW50aW9uIiwidGlkIjoiVDAzU0g3RzAxR1UiLCJhaWQiOiJBMEE1RlVYUDFFRCIsImNpZCI6IkMwQTUxMU1CQ1VXIn0eyJldCI6ImFwcF9tZW50aW9uIiwidGlkIjoiVDAzU0g3RzAxR1UiLCJhaWQiOiJBMEE1RlVYUDFFRCIsImNpZCI6IkMwQTUxMU1CQ1VXIn0"}"#;

/// A number of events over a number of connections.
pub(crate) struct Load {
    address: SocketAddr,
    connections: usize,
    events: usize,
    rate: Option<u32>,
}

impl Load {
    /// As fast as the acknowledgements come.
    pub(crate) fn new(address: SocketAddr, connections: usize, events: usize) -> Self {
        Self {
            address,
            connections,
            events,
            rate: None,
        }
    }

    /// So many a second, whether or not the ones before were acknowledged.
    pub(crate) fn at_rate(self, rate: u32) -> Self {
        Self {
            rate: Some(rate),
            ..self
        }
    }

    /// Sends everything. Panics if anything is answered otherwise than 200.
    pub(crate) async fn run(self) -> Accepting {
        let next = Arc::new(AtomicUsize::new(0));
        let begin = Instant::now();
        let connections: Vec<_> = (0..self.connections)
            .map(|_| {
                tokio::spawn(connection(
                    self.address,
                    self.events,
                    self.rate,
                    next.clone(),
                    begin,
                ))
            })
            .collect();
        let mut sent = vec![begin; self.events];
        let mut took = Vec::with_capacity(self.events);
        for connection in connections {
            for (id, at, acknowledged) in connection.await.unwrap() {
                sent[id] = at;
                took.push(acknowledged);
            }
        }
        Accepting::new(took, begin.elapsed(), sent)
    }
}

async fn connection(
    address: SocketAddr,
    events: usize,
    rate: Option<u32>,
    next: Arc<AtomicUsize>,
    begin: Instant,
) -> Vec<(usize, Instant, Duration)> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let secret = SecretString::from(SECRET);
    let mut answer = [0; 1024];
    let mut done = Vec::new();
    loop {
        let id = next.fetch_add(1, Ordering::Relaxed);
        if id >= events {
            return done;
        }
        if let Some(rate) = rate {
            let due = begin + Duration::from_secs(1) * u32::try_from(id).unwrap() / rate;
            tokio::time::sleep_until(due.into()).await;
        }
        let request = request(&secret, id);
        let at = Instant::now();
        stream.write_all(&request).await.unwrap();
        let read = stream.read(&mut answer).await.unwrap();
        let head = &answer[..read];
        assert!(
            head.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(head)
        );
        done.push((id, at, at.elapsed()));
    }
}

fn request(secret: &SecretString, id: usize) -> Vec<u8> {
    let now = jiff::Timestamp::now().as_second().to_string();
    let number = format!("{id:08}");
    let ts = format!("{now}.{:06}", id % 1_000_000);
    let body = EVENT
        .replace("{TS}", &ts)
        .replace("{ID}", &number)
        .replace("{SECONDS}", &now);
    let signature = sign(secret, &[b"v0:", now.as_bytes(), b":", body.as_bytes()]);
    format!(
        "POST /slack/events HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         x-slack-request-timestamp: {now}\r\nx-slack-signature: v0={signature}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
