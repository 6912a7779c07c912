//! The simulated Slack: one workspace, as far as the bridge and the demo's people see it.
//!
//! It checks the calls of its Web API as the real one does and refuses them with the real words (docs.slack.dev, the
//! pages of the methods). Whatever the outcome, the status is 200 and `ok` tells.

mod surface;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::journal::{Place, Platform, Said};
use super::scene::Scene;
use super::server::{self, Server};
use super::webhooks::slack::{self as events, Installation, Message};
use super::webhooks::{Acknowledged, Postman, Signed};
use crate::outbound::Failure;

/// What the app is installed in.
pub const TEAM: &str = "T0DEMO";
/// The bot, as people mention it, and its name.
pub const BOT: (&str, &str) = ("U0ASSISTANT", "assistant");
/// The public channel, and its name.
pub const CHANNEL: (&str, &str) = ("C0SUPPORT", "#support");
/// A direct message to the bot.
pub const DIRECT: &str = "D0DIRECT";
/// The people, and their names.
pub const PEOPLE: [(&str, &str); 2] = [("U0ANNA", "Anna"), ("U0BEN", "Ben")];

/// A text is cut off beyond this many characters (docs.slack.dev, chat.postMessage).
const LONGEST_TEXT: usize = 40_000;

/// How many messages a page holds that asks for no other number, and at most (docs.slack.dev, conversations.history).
const PAGE: (usize, usize) = (100, 999);

/// How long the workspace asks to wait, in seconds, when it is told to be limited (docs.slack.dev, "Rate limits").
const RETRY_AFTER: &str = "3";

/// The simulated workspace. Clones share it.
#[derive(Clone)]
pub struct Slack(Arc<Shared>);

struct Shared {
    token: String,
    signing_secret: SecretString,
    scene: Scene,
    messages: Mutex<Vec<Value>>,
    surface: Mutex<surface::Surface>,
    connected: watch::Sender<bool>,
}

impl Slack {
    /// An empty workspace. Its people's and the bot's words go into the scene's journal.
    pub fn new(scene: Scene) -> Self {
        Self(Arc::new(Shared {
            token: format!("xoxb-demo-{}", server::secret()),
            signing_secret: SecretString::from(server::secret()),
            scene,
            messages: Mutex::default(),
            surface: Mutex::default(),
            connected: watch::Sender::new(false),
        }))
    }

    /// The bot's token.
    pub fn token(&self) -> &str {
        &self.0.token
    }

    /// What events are signed with.
    pub fn signing_secret(&self) -> &SecretString {
        &self.0.signing_secret
    }

    /// Where the app is installed.
    pub fn installation() -> Installation {
        Installation {
            team: TEAM.to_owned(),
            bot: BOT.0.to_owned(),
        }
    }

    /// The Web API.
    pub async fn serve(&self) -> std::io::Result<Server> {
        let router = Router::new()
            .route("/api/auth.test", post(auth_test).get(auth_test))
            .route("/api/chat.postMessage", post(post_message))
            .route("/api/conversations.replies", get(replies).post(replies))
            .route("/api/conversations.history", get(history).post(history))
            .merge(surface::router())
            .fallback(|| async { refusal("unknown_method") })
            .with_state(self.clone());
        Server::start(router).await
    }

    /// Waits until the daemon has asked who it is; false if the time is over before.
    pub async fn connected(&self, within: Duration) -> bool {
        let mut connected = self.0.connected.subscribe();
        let waiting = connected.wait_for(|connected| *connected);
        matches!(tokio::time::timeout(within, waiting).await, Ok(Ok(_)))
    }

    /// Writes a message as a person, and has the daemon told of it. The last acknowledgement is returned.
    pub async fn say(
        &self,
        postman: &Postman,
        message: &Message<'_>,
    ) -> Result<(Option<Said>, Acknowledged), Failure> {
        let events = events::events(&Self::installation(), message);
        let mut said = None;
        let mut last = None;
        for event in events {
            said = said.or(self.seen(&event));
            let told = postman.post(self.sign(&event)).await?;
            if let Some(said) = said.as_ref().filter(|_| last.is_none()) {
                let ways = &self.0.scene.ways;
                ways.acknowledged(&said.id, told.status.as_u16(), told.took);
            }
            last = Some(told);
        }
        let last = last.ok_or_else(|| Failure::NotSent("no event".to_owned()))?;
        Ok((said, last))
    }

    /// An event, signed as of now.
    pub fn sign(&self, event: &Value) -> Signed {
        events::sign(&self.0.signing_secret, event.to_string().into_bytes())
    }

    /// Puts the message of an event where it was written, as if it had been written there. None if it has none.
    pub fn seen(&self, event: &Value) -> Option<Said> {
        let event = event.get("event")?;
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        let (channel, user, ts) = (text("channel")?, text("user")?, text("ts")?);
        let words = text("text").unwrap_or_default();
        let root = text("thread_ts");
        let mut messages = self.messages();
        if !messages
            .iter()
            .any(|known| known["channel"] == channel && known["ts"] == ts)
        {
            messages.push(json!({
                "type": "message", "channel": channel, "user": user, "ts": ts, "text": words, "thread_ts": root,
            }));
        }
        drop(messages);
        // At the top level of a channel a message is the root of the thread of its answer.
        let root = root.or_else(|| (!channel.starts_with('D')).then_some(ts));
        let (place, words) = (place(channel, root), readable(words));
        let asked = words.strip_prefix(&format!("@{} ", BOT.1)).unwrap_or(&words);
        let Scene { journal, ways, .. } = &self.0.scene;
        ways.begun(&place, ts, name_of(user), asked);
        Some(journal.person(name_of(user), place, ts, &words))
    }

    /// Everything that stands in the workspace, in order, with its metadata.
    pub fn posts(&self) -> Vec<Value> {
        self.messages().clone()
    }

    fn messages(&self) -> MutexGuard<'_, Vec<Value>> {
        self.0.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn surface(&self) -> MutexGuard<'_, surface::Surface> {
        self.0.surface.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuses(&self, headers: &HeaderMap) -> Option<Json<Value>> {
        if !headers.contains_key(http::header::AUTHORIZATION) {
            return Some(refusal("not_authed"));
        }
        (!server::bears(headers, &self.0.token)).then(|| refusal("invalid_auth"))
    }

    /// A page of the messages that `belongs` picks, with their metadata only if they are wanted.
    fn page(&self, reading: &Reading, newest_first: bool, belongs: impl Fn(&Value) -> bool) -> Value {
        let messages = self.messages();
        let after = |message: &&Value| {
            let ts = message["ts"].as_str().unwrap_or_default();
            reading
                .oldest
                .as_deref()
                .is_none_or(|oldest| seconds(ts) > seconds(oldest))
        };
        let mut found: Vec<Value> = messages
            .iter()
            .filter(|m| belongs(m))
            .filter(after)
            .cloned()
            .collect();
        if newest_first {
            found.reverse();
        }
        let from: usize = reading
            .cursor
            .as_deref()
            .and_then(|cursor| cursor.parse().ok())
            .unwrap_or(0);
        let limit = reading.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
        let more = found.len() > from.saturating_add(limit);
        let mut page: Vec<Value> = found.into_iter().skip(from).take(limit).collect();
        for message in page.iter_mut().filter_map(Value::as_object_mut) {
            message.remove("channel");
            if !reading.include_all_metadata {
                message.remove("metadata");
            }
        }
        let cursor = if more {
            (from + limit).to_string()
        } else {
            String::new()
        };
        json!({"ok": true, "messages": page, "has_more": more, "response_metadata": {"next_cursor": cursor}})
    }
}

/// The arguments of the methods that read.
#[derive(Debug, Default, Deserialize)]
struct Reading {
    channel: Option<String>,
    ts: Option<String>,
    oldest: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    include_all_metadata: bool,
}

async fn auth_test(State(slack): State<Slack>, headers: HeaderMap) -> Json<Value> {
    if let Some(refusal) = slack.refuses(&headers) {
        return refusal;
    }
    slack.0.connected.send_replace(true);
    Json(json!({
        "ok": true, "url": "https://demo.slack.com/", "team": "Demo", "user": BOT.1, "team_id": TEAM,
        "user_id": BOT.0, "bot_id": "B0ASSISTANT", "is_enterprise_install": false,
    }))
}

async fn post_message(State(slack): State<Slack>, headers: HeaderMap, body: String) -> Response {
    if let Some(refusal) = slack.refuses(&headers) {
        return refusal.into_response();
    }
    if slack.0.scene.moods().slack_limited {
        return slack.too_many(&body);
    }
    slack.post(&body).into_response()
}

impl Slack {
    fn post(&self, body: &str) -> Json<Value> {
        let Ok(arguments) = serde_json::from_str::<Value>(body) else {
            return refusal("invalid_json");
        };
        let argument = |key: &str| arguments[key].as_str().filter(|text| !text.is_empty());
        let Some(channel) = argument("channel").filter(|channel| channel.starts_with(['C', 'D', 'G'])) else {
            return refusal("channel_not_found");
        };
        let Some(text) = argument("text") else {
            return refusal("no_text");
        };
        let text: String = text.chars().take(LONGEST_TEXT).collect();
        let root = argument("thread_ts");
        let ts = events::fresh_ts();
        let message = json!({
            "type": "message", "channel": channel, "user": BOT.0, "bot_id": "B0ASSISTANT", "ts": ts, "text": text,
            "thread_ts": root, "metadata": arguments["metadata"],
        });
        self.messages().push(message.clone());
        let (place, Scene { journal, ways, .. }) = (place(channel, root), &self.0.scene);
        journal.answer(place.clone(), &ts, &readable(&text));
        ways.delivered(&place.key);
        Json(json!({"ok": true, "channel": channel, "ts": ts, "message": message}))
    }

    /// Refuses a post for the number of posts.
    fn too_many(&self, body: &str) -> Response {
        let arguments: Value = serde_json::from_str(body).unwrap_or_default();
        if let Some(channel) = arguments["channel"].as_str() {
            let place = place(channel, arguments["thread_ts"].as_str());
            let note = format!("429: Slack asks to wait for {RETRY_AFTER} s");
            self.0.scene.ways.limited(&place.key, &note);
        }
        let wait = [(http::header::RETRY_AFTER, RETRY_AFTER)];
        (StatusCode::TOO_MANY_REQUESTS, wait, refusal("ratelimited")).into_response()
    }
}

async fn replies(
    State(slack): State<Slack>,
    headers: HeaderMap,
    Query(reading): Query<Reading>,
) -> Json<Value> {
    if let Some(refusal) = slack.refuses(&headers) {
        return refusal;
    }
    let (Some(channel), Some(root)) = (&reading.channel, &reading.ts) else {
        return refusal("invalid_arguments");
    };
    let of_thread = |m: &Value| m["channel"] == **channel && (m["ts"] == **root || m["thread_ts"] == **root);
    if !slack.messages().iter().any(of_thread) {
        return refusal("thread_not_found");
    }
    Json(slack.page(&reading, false, of_thread))
}

async fn history(
    State(slack): State<Slack>,
    headers: HeaderMap,
    Query(reading): Query<Reading>,
) -> Json<Value> {
    if let Some(refusal) = slack.refuses(&headers) {
        return refusal;
    }
    let Some(channel) = &reading.channel else {
        return refusal("channel_not_found");
    };
    let top_level =
        |m: &Value| m["channel"] == **channel && (m["thread_ts"].is_null() || m["thread_ts"] == m["ts"]);
    Json(slack.page(&reading, true, top_level))
}

fn refusal(code: &str) -> Json<Value> {
    Json(json!({"ok": false, "error": code}))
}

/// A `ts` as a number, to compare.
fn seconds(ts: &str) -> f64 {
    ts.parse().unwrap_or(0.0)
}

fn place(channel: &str, root: Option<&str>) -> Place {
    let key = root.map_or_else(|| channel.to_owned(), |root| format!("{channel}/{root}"));
    let channel = match channel {
        id if id == CHANNEL.0 => CHANNEL.1.to_owned(),
        DIRECT => "direct message".to_owned(),
        id if id.starts_with('D') => format!("direct message {id}"),
        id => id.to_owned(),
    };
    let label = root.map_or_else(|| channel.clone(), |root| format!("{channel}, thread {root}"));
    Place {
        platform: Platform::Slack,
        key,
        label,
    }
}

fn name_of(user: &str) -> &str {
    PEOPLE
        .iter()
        .find(|(id, _)| *id == user)
        .map_or(user, |(_, name)| name)
}

/// A text as Slack shows it: mentions by name, escapes undone.
fn readable(text: &str) -> String {
    text.replace(&format!("<@{}>", BOT.0), &format!("@{}", BOT.1))
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests;
