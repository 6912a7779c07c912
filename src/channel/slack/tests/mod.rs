//! The channel as a whole: requests in, arrivals out; claims in, calls out.

mod events;
mod fixtures;
mod hostile;
mod installing;
mod look_up;
mod people;
mod policy;
mod stub;
mod surface;
mod web_api;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{EVENTS, Settings, Slack};
use crate::channel::registry::Needs;
use crate::channel::signature::{Unverified, sign};
use crate::channel::{Channel, Endpoint, Received, Rejection, WebhookRequest};
use crate::domain::Time;
use crate::domain::clock::ManualClock;
use crate::domain::installation::memory::Memory;
use crate::domain::message::{Arrival, Inbound};
use crate::domain::texts::Texts;

const SECRET: &str = "shhh";
const NOW: Time = Time::from_secs(1_766_458_030);
const ONLY_TEXT: &str = "I read text only & no files";
const FILE: &str = "the file <was> not read";

/// A channel whose settings are these but for the changes.
fn slack(change: impl FnOnce(&mut Settings)) -> Slack {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut settings: Settings = serde_json::from_value(json!({
        "signing_secret": SECRET,
        "bot_token": "xoxb-1",
        "api_base": "http://127.0.0.1:9",
        "follow_threads": true,
    }))
    .unwrap();
    change(&mut settings);
    build(
        settings,
        Arc::new(ManualClock::at(NOW)),
        Arc::new(Memory::default()),
    )
}

fn build(settings: Settings, clock: Arc<ManualClock>, store: Arc<Memory>) -> Slack {
    let texts = Texts {
        unavailable: "no answer".to_owned(),
        only_text: ONLY_TEXT.to_owned(),
        too_old: String::new(),
        file_not_read: FILE.to_owned(),
        person_called: "a person comes".to_owned(),
        forgotten: "forgotten & gone".to_owned(),
        stopped: "stopped & done".to_owned(),
        thinking: "thinks & thinks".to_owned(),
        suggestions: "Ask:".to_owned(),
        help: "write {command} <question>".to_owned(),
        helpful: "Yes".to_owned(),
        not_helpful: "No".to_owned(),
        call_person: "Person".to_owned(),
    };
    let needs = Needs {
        texts: &texts,
        clock,
        public_url: Some("https://bridge.example"),
        installations: store.clone(),
        families: store,
    };
    Slack::new(settings, &needs).unwrap()
}

/// Hands over an event as Slack would.
fn post(slack: &Slack, body: &[u8]) -> Result<Received, Rejection> {
    post_to(slack, EVENTS, body)
}

/// Hands over a body as Slack would, on this route.
fn post_to(slack: &Slack, path: &'static str, body: &[u8]) -> Result<Received, Rejection> {
    let timestamp = NOW.secs().to_string();
    let signature = sign(
        &SecretString::from(SECRET),
        &[b"v0:", timestamp.as_bytes(), b":", body],
    );
    let mut headers = HeaderMap::new();
    headers.insert("x-slack-request-timestamp", timestamp.parse().unwrap());
    headers.insert("x-slack-signature", format!("v0={signature}").parse().unwrap());
    slack.receive(WebhookRequest {
        endpoint: Endpoint {
            method: http::Method::POST,
            path,
        },
        query: None,
        sealed: Unverified::new(headers, Bytes::copy_from_slice(body)),
    })
}

fn receive(slack: &Slack, body: &Value) -> Received {
    post(slack, body.to_string().as_bytes()).unwrap()
}

/// The one message that a body brings, or why it was dropped.
fn outcome(slack: &Slack, body: &Value) -> Result<Inbound, &'static str> {
    let received = receive(slack, body);
    match (&received.arrivals[..], &received.dropped[..]) {
        ([Arrival::Message(message)] | [Arrival::Message(message), Arrival::Edit(_)], []) => {
            Ok(message.clone())
        }
        ([], [reason]) => Err(reason),
        other => panic!("{other:?}"),
    }
}

/// The usual envelope around an event; workspace `T1`, bot `UBOT`.
fn envelope(event: &Value) -> Value {
    json!({
        "token": "x", "team_id": "T1", "api_app_id": "A1", "type": "event_callback",
        "event_id": "Ev1", "event_time": 1_766_458_026, "is_ext_shared_channel": false,
        "authorizations": [
            {"enterprise_id": null, "team_id": "T1", "user_id": "UBOT", "is_bot": true, "is_enterprise_install": false}
        ],
        "event": event,
    })
}

/// A message event with these fields over the usual ones; `null` takes one away.
fn event(kind: &str, fields: &Value) -> Value {
    let mut event = json!({
        "type": kind, "user": "U1", "ts": "1766458026.240809", "text": "hello", "team": "T1", "channel": "C1",
        "client_msg_id": "66cc9473",
    });
    let over = event.as_object_mut().unwrap();
    for (key, value) in fields.as_object().unwrap() {
        if value.is_null() {
            over.remove(key)
        } else {
            over.insert(key.clone(), value.clone())
        };
    }
    event
}

fn mention(fields: &Value) -> Value {
    let mut all = json!({ "text": "<@UBOT> hello" });
    all.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    envelope(&event("app_mention", &all))
}

fn message(fields: &Value) -> Value {
    let mut all = json!({ "channel_type": "channel" });
    all.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    envelope(&event("message", &all))
}

/// The recorded webhooks, where they are: name and body.
fn recorded() -> Option<Vec<(String, Vec<u8>)>> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    let folder = std::env::var_os("CHATBRIDGE_FIXTURES")
        .map_or(default, Into::into)
        .join("slack");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path: &Path| {
        (
            path.file_name().unwrap().to_string_lossy().into_owned(),
            std::fs::read(path).unwrap(),
        )
    };
    Some(files.iter().map(|path| read(path)).collect())
}
