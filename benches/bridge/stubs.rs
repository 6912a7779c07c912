//! The agent and the platforms: they read as little as they must, and answer at once (the agent after a set time).
//!
//! Slack's methods answer in the shapes of <https://docs.slack.dev/reference/methods>, Meta's in those of
//! <https://developers.facebook.com/documentation/business-messaging/whatsapp>, as far as anybody here reads them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::events::{Platform, number};
use crate::load::exchange;
use crate::report::percentiles;
use crate::wire::{Message, Wire};

/// What arrived at the platforms.
#[derive(Default)]
struct Arrived {
    /// When each event's first answer arrived, by its number.
    at: Vec<Option<Instant>>,
    /// How long the agent had each event's question.
    thought: Vec<Duration>,
    answered: usize,
    again: usize,
    latest: Option<Instant>,
    /// Slack's messages by thread, with the metadata that they were posted with: for whoever looks for them.
    posted: Option<HashMap<String, Vec<Value>>>,
}

struct Shared {
    agent: Duration,
    /// Where Meta tells that an answer was sent; nowhere until it is set.
    told: OnceLock<SocketAddr>,
    arrived: Mutex<Arrived>,
    all: Notify,
}

/// The stubs behind one address.
pub(crate) struct Stubs {
    /// Where they listen.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

/// How many of the events were answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Once at least.
    pub(crate) answered: usize,
    /// Never.
    pub(crate) missing: usize,
    /// Answers too many.
    pub(crate) again: usize,
}

impl Stubs {
    /// Starts them; the agent takes this long, and so many answers are expected.
    pub(crate) async fn start(agent: Duration, events: usize) -> Self {
        Self::start_with(agent, events, false).await
    }

    /// With a Slack that remembers what was posted, so that it can be looked for.
    pub(crate) async fn start_remembering(agent: Duration, events: usize) -> Self {
        Self::start_with(agent, events, true).await
    }

    async fn start_with(agent: Duration, events: usize, remember: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            agent,
            told: OnceLock::new(),
            arrived: Mutex::new(Arrived {
                at: vec![None; events],
                thought: vec![Duration::ZERO; events],
                posted: remember.then(HashMap::new),
                ..Arrived::default()
            }),
            all: Notify::new(),
        });
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        Self { address, shared }
    }

    /// From now on Meta tells there that an answer was sent, again and again until it is acknowledged.
    pub(crate) fn tell(&self, server: SocketAddr) {
        self.shared.told.set(server).unwrap();
    }

    /// Waits until every event is answered.
    pub(crate) async fn all_answered(&self, longest: Duration) {
        let tally = self.answered_or_quiet(longest).await;
        assert!(
            tally.missing == 0,
            "not everything was answered: {tally:?}, nothing more came in {longest:?}"
        );
        assert!(tally.again == 0, "something was answered twice: {tally:?}");
    }

    /// Waits until every event is answered, or no further answer comes for so long.
    pub(crate) async fn answered_or_quiet(&self, quiet: Duration) -> Tally {
        loop {
            let notified = self.shared.all.notified();
            let (tally, latest) = (self.tally(), self.latest());
            let rest = latest.map_or(quiet, |latest| quiet.saturating_sub(latest.elapsed()));
            if tally.missing == 0 || rest.is_zero() {
                return tally;
            }
            if tokio::time::timeout(rest, notified).await.is_err() && self.latest() == latest {
                return self.tally();
            }
        }
    }

    /// What was answered by now.
    pub(crate) fn tally(&self) -> Tally {
        let arrived = self.shared.arrived.lock().unwrap();
        Tally {
            answered: arrived.answered,
            missing: arrived.at.len() - arrived.answered,
            again: arrived.again,
        }
    }

    /// When the latest answer came.
    pub(crate) fn latest(&self) -> Option<Instant> {
        self.shared.arrived.lock().unwrap().latest
    }

    /// What lay between sending an event and its answer, without the time that the agent had its question: 50th and 99th
    /// percentile. The first few are left out, while a server warms up.
    pub(crate) fn added(&self, sent: &[Instant], first: usize) -> (Duration, Duration) {
        let arrived = self.shared.arrived.lock().unwrap();
        let mut added: Vec<Duration> = arrived
            .at
            .iter()
            .zip(sent.iter().zip(&arrived.thought))
            .skip(first)
            .filter_map(|(at, (sent, thought))| at.as_ref()?.duration_since(*sent).checked_sub(*thought))
            .collect();
        percentiles(&mut added)
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut wire = Wire::new(stream);
    while let Some(request) = wire.message().await {
        if is_question(&request) && !shared.agent.is_zero() {
            let (began, id) = (Instant::now(), number(request.body).map(str::to_owned));
            let answer = shared.answer(&request);
            // A timer of tokio's is late by a millisecond or two, which is nobody's doing.
            tokio::time::sleep(shared.agent).await;
            shared.thought(id.as_deref(), began.elapsed());
            if send(&mut wire, &answer).await.is_err() {
                return;
            }
            continue;
        }
        let answer = shared.answer(&request);
        if send(&mut wire, &answer).await.is_err() {
            return;
        }
    }
}

async fn send(wire: &mut Wire, body: &str) -> std::io::Result<()> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    wire.send(answer.as_bytes()).await
}

fn is_question(request: &Message<'_>) -> bool {
    request.head.starts_with("POST /api/v2/conversations")
}

impl Shared {
    fn answer(&self, request: &Message<'_>) -> String {
        let path = request.head.split(' ').nth(1).unwrap_or_default();
        if is_question(request) {
            let id = number(request.body).expect("every question bears its number");
            return format!(
                r#"{{"status":"success","message":"ok","data":{{"conversationId":"conv-{id}","contactId":"k","response":"bench {id} We open at nine on Saturdays, and you may bring shoes back within 30 days.","messageId":"m-{id}","responseMessageId":"r-{id}","links":[]}}}}"#
            );
        }
        match path.strip_prefix("/api/") {
            Some(method) => self.slack(method.split('?').next().unwrap_or(method), path, request.body),
            None => self.whatsapp(path, request.body),
        }
    }

    fn slack(&self, method: &str, path: &str, body: &str) -> String {
        match method {
            "chat.postMessage" => {
                let id = number(body).expect("every text bears its number");
                self.posted(id, body);
                format!(
                    r#"{{"ok":true,"channel":"C00BENCHCHAN","ts":"1800000000.{id}","message":{{"type":"message","bot_id":"B00BENCHBOT","ts":"1800000000.{id}"}}}}"#
                )
            }
            "conversations.replies" | "conversations.history" => {
                json!({ "ok": true, "messages": self.found(path), "has_more": false }).to_string()
            }
            _ => known(method).to_owned(),
        }
    }

    fn whatsapp(&self, path: &str, body: &str) -> String {
        assert!(path.ends_with("/messages"), "nobody answers {path} here");
        match number(body) {
            Some(id) => {
                self.arrived(id);
                if let Some(server) = self.told.get() {
                    let message: Value = serde_json::from_str(body).unwrap();
                    let mark = message["biz_opaque_callback_data"].as_str().unwrap_or_default();
                    tokio::spawn(tell(*server, id.to_owned(), mark.to_owned()));
                }
                format!(
                    r#"{{"messaging_product":"whatsapp","contacts":[{{"input":"4915{id}","wa_id":"4915{id}"}}],"messages":[{{"id":"wamid.ANSWER{id}"}}]}}"#
                )
            }
            // That it was read, and that somebody is typing.
            None => r#"{"success":true}"#.to_owned(),
        }
    }

    fn posted(&self, id: &str, body: &str) {
        self.arrived(id);
        let mut arrived = self.arrived.lock().unwrap();
        // What comes as a form carries no mark that anybody would look for.
        if let Some(posted) = &mut arrived.posted
            && let Ok(message) = serde_json::from_str::<Value>(body)
            && let Some(thread) = message["thread_ts"].as_str()
        {
            let kept = json!({ "type": "message", "ts": format!("1800000000.{id}"), "metadata": message["metadata"] });
            posted.entry(thread.to_owned()).or_default().push(kept);
        }
    }

    /// What was posted in the thread that a request asks for.
    fn found(&self, path: &str) -> Vec<Value> {
        let thread = path.split(['?', '&']).find_map(|pair| pair.strip_prefix("ts="));
        let arrived = self.arrived.lock().unwrap();
        let posted = arrived.posted.as_ref().zip(thread);
        posted
            .and_then(|(posted, thread)| posted.get(thread))
            .cloned()
            .unwrap_or_default()
    }

    /// How long the agent had a question.
    fn thought(&self, id: Option<&str>, took: Duration) {
        let id: usize = id.expect("every question bears its number").parse().unwrap();
        if let Some(thought) = self.arrived.lock().unwrap().thought.get_mut(id) {
            *thought = took;
        }
    }

    fn arrived(&self, id: &str) {
        let id: usize = id.parse().unwrap();
        let now = Instant::now();
        let mut arrived = self.arrived.lock().unwrap();
        arrived.latest = Some(now);
        let Some(place) = arrived.at.get_mut(id) else {
            return;
        };
        if place.is_some() {
            arrived.again += 1;
            return;
        }
        *place = Some(now);
        arrived.answered += 1;
        if arrived.answered == arrived.at.len() {
            self.all.notify_waiters();
        }
    }
}

/// Tells a server that an answer was sent, again and again until it takes it.
async fn tell(server: SocketAddr, id: String, mark: String) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if exchange(&mut None, server, &Platform::status(&id, &mark))
            .await
            .is_ok()
        {
            return;
        }
    }
}

/// What Slack answers to the methods that tell who and where somebody is.
fn known(method: &str) -> &'static str {
    match method {
        "auth.test" => {
            r#"{"ok":true,"url":"https://bench.slack.com/","team":"Bench","user":"bench","team_id":"T00BENCH","user_id":"U00BENCHBOT","bot_id":"B00BENCHBOT","is_enterprise_install":false}"#
        }
        "users.info" => {
            r#"{"ok":true,"user":{"id":"U00WRITER01","team_id":"T00BENCH","name":"writer","real_name":"Bench Writer","is_bot":false,"tz":"Europe/Berlin","profile":{"display_name":"writer","real_name":"Bench Writer"}}}"#
        }
        "bots.info" => {
            r#"{"ok":true,"bot":{"id":"B00BENCHBOT","app_id":"A00BENCHAPP","user_id":"U00BENCHBOT","name":"bench"}}"#
        }
        "conversations.info" => {
            r#"{"ok":true,"channel":{"id":"C00BENCHCHAN","name":"bench","is_channel":true,"is_im":false,"is_private":false,"is_member":true}}"#
        }
        "conversations.members" => {
            r#"{"ok":true,"members":["U00WRITER01","U00BENCHBOT"],"response_metadata":{"next_cursor":""}}"#
        }
        // Statuses, reactions and the like: only whether it worked is read.
        _ => r#"{"ok":true}"#,
    }
}
