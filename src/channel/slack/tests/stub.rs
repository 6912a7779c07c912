//! A Slack that answers as it is told and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::{NOW, Slack, slack};
use crate::domain::delivery::{DeliveryKind, SendClaim};
use crate::domain::thread::Thread;
use crate::domain::turn::ClaimKey;
use crate::domain::{AccountKey, ClaimToken, DeliveryId, ThreadId};

/// One call that came.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) http_method: Method,
    pub(super) method: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<(u16, Option<u64>, Value)>,
    calls: Vec<Call>,
}

/// The stub; it lives as long as the test.
#[derive(Clone)]
pub(super) struct Stub {
    script: Arc<Mutex<Script>>,
    /// For `slack.api_base`.
    pub(super) base: String,
}

impl Stub {
    /// Starts on a free port.
    pub(super) async fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/api/", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { script, base }
    }

    /// Answers the next call with this body.
    pub(super) fn answers(&self, body: Value) -> &Self {
        self.answers_with(200, None, body)
    }

    /// Answers the next call with this status, `Retry-After` and body.
    pub(super) fn answers_with(&self, status: u16, retry_after: Option<u64>, body: Value) -> &Self {
        self.script
            .lock()
            .unwrap()
            .answers
            .push_back((status, retry_after, body));
        self
    }

    /// Answers the next call as `auth.test` of workspace `T1` and bot `UBOT`.
    pub(super) fn introduces(&self) -> &Self {
        self.answers(
            json!({"ok": true, "team_id": "T1", "user_id": "UBOT", "bot_id": "B1", "enterprise_id": "E1"}),
        )
    }

    /// The calls since the last time.
    pub(super) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.script.lock().unwrap().calls)
    }
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    http_method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let mut script = script.lock().unwrap();
    script.calls.push(Call {
        http_method,
        method: uri
            .path()
            .strip_prefix("/api/")
            .unwrap_or("not below the base")
            .to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    });
    let (status, retry_after, body) = script.answers.pop_front().expect("an answer for every call");
    let mut headers = HeaderMap::new();
    if let Some(seconds) = retry_after {
        headers.insert("retry-after", seconds.into());
    }
    (StatusCode::from_u16(status).unwrap(), headers, body.to_string())
}

/// A claim of a part for this account and route.
pub(super) fn claim(account: &str, route: Value) -> SendClaim {
    let account = AccountKey::new("slack", account).unwrap();
    let id = ThreadId::new();
    SendClaim {
        key: ClaimKey {
            thread: id,
            token: ClaimToken::new(),
            lane: account.as_str().into(),
        },
        thread: Thread {
            id,
            place: Some("C1".to_owned()),
            address: account.alias(&["C1", "1.5"]).unwrap(),
            account,
            conversation_id: None,
            route,
            country: None,
            last_inbound_at: NOW,
            answer_id: None,
        },
        delivery: DeliveryId::new(ThreadId::new(), 1),
        kind: DeliveryKind::Answer,
        body: "fish &amp; chips".to_owned(),
        last: false,
        attempt: 1,
        pauses: 0,
        unknown: false,
        asked_at: None,
        created_at: NOW,
        last_attempt_at: None,
    }
}

/// The usual one.
pub(super) fn in_thread() -> SendClaim {
    claim("T1", json!({"channel": "C1", "thread_ts": "1.5"}))
}

/// A channel that has learnt who it is.
pub(super) async fn introduced() -> (Stub, Slack) {
    let stub = Stub::start().await;
    let slack = slack(|settings| settings.api_base = stub.base.clone());
    stub.introduces();
    assert_eq!(slack.installations.load().await, Ok(0));
    assert_eq!(slack.installations.fixed.learn(&slack.client, 0).await, None);
    let [call] = &stub.calls()[..] else {
        panic!("one call")
    };
    assert_eq!(
        (call.method.as_str(), bearer(call)),
        ("auth.test", "Bearer xoxb-1")
    );
    (stub, slack)
}

/// The token of a call.
pub(super) fn bearer(call: &Call) -> &str {
    call.headers["authorization"].to_str().unwrap()
}
