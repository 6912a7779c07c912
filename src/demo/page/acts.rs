//! What can be done on the page.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Stage;
use super::carrier::{Letter, Post, carry};
use crate::demo::exchange;
use crate::demo::graph::Graph;
use crate::demo::journal::{Place, Platform, Said};
use crate::demo::scene::Moods;
use crate::demo::slack::{CHANNEL, DIRECT, PEOPLE, Slack};
use crate::demo::webhooks::{slack, whatsapp};

/// The longest text that the page sends, in characters.
const LONGEST: usize = 3000;

/// What a person writes, and where.
#[derive(Debug, Deserialize)]
#[serde(tag = "platform", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Words {
    /// In the workspace: in the channel, in one of its threads, or directly to the bot.
    Slack {
        direct: bool,
        thread: Option<String>,
        text: String,
    },
    /// On the phone: as the person with a visible number, or as the one without.
    WhatsApp { hidden: bool, text: String },
}

/// A person writes. The answer names the message; its way can be followed by the events.
pub(super) async fn say(State(stage): State<Arc<Stage>>, Json(words): Json<Words>) -> Response {
    let (said, letters) = match &words {
        Words::Slack { direct, thread, text } => {
            if let Some(refusal) = refuse(text) {
                return refusal;
            }
            in_slack(&stage, *direct, thread.as_deref(), text)
        }
        Words::WhatsApp { hidden, text } => {
            if let Some(refusal) = refuse(text) {
                return refusal;
            }
            on_whatsapp(&stage, *hidden, text)
        }
    };
    let Some(said) = said else {
        return problem(StatusCode::BAD_REQUEST, "this cannot be written there");
    };
    let post = Post {
        message: said.id.clone(),
        letters,
    };
    stage.remember(post.clone());
    tokio::spawn(carry(stage, post));
    Json(json!({"id": said.id, "place": said.place.key})).into_response()
}

fn in_slack(stage: &Stage, direct: bool, thread: Option<&str>, text: &str) -> (Option<Said>, Vec<Letter>) {
    let (channel, person) = if direct {
        (DIRECT, PEOPLE[1])
    } else {
        (CHANNEL.0, PEOPLE[0])
    };
    let message = slack::Message {
        channel,
        user: person.0,
        thread: thread.filter(|_| !direct),
        text: &escaped(text),
    };
    let events = slack::events(&Slack::installation(), &message);
    let said = events.first().and_then(|event| stage.slack.seen(event));
    (said, events.into_iter().map(Letter::Slack).collect())
}

fn on_whatsapp(stage: &Stage, hidden: bool, text: &str) -> (Option<Said>, Vec<Letter>) {
    let person = if hidden {
        exchange::dana()
    } else {
        exchange::carla()
    };
    let webhook = whatsapp::text(&Graph::number(), &person, text);
    (stage.graph.seen(&webhook).pop(), vec![Letter::WhatsApp(webhook)])
}

/// The platform delivers the last message once more, as it does when an acknowledgement was lost.
pub(super) async fn again(State(stage): State<Arc<Stage>>) -> Response {
    let Some(post) = stage.last() else {
        return problem(StatusCode::CONFLICT, "write something first");
    };
    tokio::spawn(carry(stage, post));
    StatusCode::NO_CONTENT.into_response()
}

/// A stranger posts a message that is signed with another secret.
pub(super) async fn forge(State(stage): State<Arc<Stage>>) -> Response {
    let person = whatsapp::Person {
        name: "A stranger".to_owned(),
        ..exchange::carla()
    };
    let webhook = whatsapp::text(&Graph::number(), &person, "Send me all that you know!");
    let message = webhook["entry"][0]["changes"][0]["value"]["messages"][0]["id"]
        .as_str()
        .unwrap_or_default();
    let place = Place {
        platform: Platform::WhatsApp,
        key: "stranger".to_owned(),
        label: "forged".to_owned(),
    };
    let ways = &stage.scene.ways;
    ways.begun(&place, message, &person.name, "Send me all that you know!");
    let guessed = SecretString::from("guessed");
    let signed = whatsapp::sign(&guessed, whatsapp::bytes(&webhook));
    match stage.postman.post(signed).await {
        Ok(told) => ways.acknowledged(message, told.status.as_u16(), told.took),
        Err(_) => ways.unreachable(message),
    }
    StatusCode::NO_CONTENT.into_response()
}

/// The neighbours feel otherwise.
pub(super) async fn set_moods(State(stage): State<Arc<Stage>>, Json(moods): Json<Moods>) -> StatusCode {
    stage.scene.set_moods(moods);
    StatusCode::NO_CONTENT
}

/// What becomes of the daemon's process.
#[derive(Debug, Deserialize)]
#[serde(tag = "to", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Fate {
    /// SIGKILL.
    Kill,
    /// It is started again.
    Start,
}

/// Kills the daemon, or starts it again.
pub(super) async fn bridge(State(stage): State<Arc<Stage>>, Json(fate): Json<Fate>) -> Response {
    match fate {
        Fate::Kill => stage.daemon.kill().await,
        Fate::Start => {
            if let Err(error) = stage.daemon.start().await {
                return problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
            }
        }
    }
    StatusCode::NO_CONTENT.into_response()
}

fn refuse(text: &str) -> Option<Response> {
    if text.trim().is_empty() {
        return Some(problem(StatusCode::BAD_REQUEST, "write a few words first"));
    }
    (text.chars().count() > LONGEST).then(|| {
        problem(
            StatusCode::BAD_REQUEST,
            "that is too long: write at most 3000 characters",
        )
    })
}

fn problem(status: StatusCode, message: &str) -> Response {
    let body: Value = json!({"error": {"message": message}});
    (status, Json(body)).into_response()
}

/// A text as Slack stores it.
fn escaped(text: &str) -> String {
    text.trim()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
