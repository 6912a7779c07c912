//! What the simulated Slack shows of a bot at work: sessions, statuses, suggestions, titles, reactions.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{Slack, refusal};

/// The statuses of a session (docs.slack.dev, agents.sessions.setStatus).
const STATUSES: [&str; 4] = ["processing", "active", "suspended", "closed"];

/// The longest title, and the most suggestions (docs.slack.dev, agents.sessions.setStatus and
/// assistant.threads.setSuggestedPrompts).
const LONGEST_TITLE: usize = 200;
const MOST_PROMPTS: usize = 4;

/// What is shown, by channel and time stamp.
#[derive(Debug, Default)]
pub(super) struct Surface {
    statuses: BTreeMap<(String, String), String>,
    reactions: BTreeMap<(String, String), Vec<String>>,
}

impl Slack {
    /// What stands behind the bot's name in a thread.
    pub fn status(&self, channel: &str, thread: &str) -> Option<String> {
        let place = (channel.to_owned(), thread.to_owned());
        self.surface().statuses.get(&place).cloned()
    }

    /// The emoji on a message.
    pub fn reactions(&self, channel: &str, message: &str) -> Vec<String> {
        let place = (channel.to_owned(), message.to_owned());
        self.surface().reactions.get(&place).cloned().unwrap_or_default()
    }
}

/// The methods.
pub(super) fn router() -> Router<Slack> {
    Router::new()
        .route("/api/agents.sessions.setStatus", post(session))
        .route("/api/assistant.threads.setStatus", post(status))
        .route("/api/assistant.threads.setTitle", post(title))
        .route("/api/assistant.threads.setSuggestedPrompts", post(prompts))
        .route("/api/reactions.add", post(react))
        .route("/api/reactions.remove", post(unreact))
}

/// The arguments, or why Slack refuses the call.
fn read(slack: &Slack, headers: &HeaderMap, body: &str) -> Result<Value, Json<Value>> {
    if let Some(refusal) = slack.refuses(headers) {
        return Err(refusal);
    }
    serde_json::from_str(body).map_err(|_| refusal("invalid_json"))
}

/// Two arguments that must be there.
fn place(arguments: &Value, channel: &str, ts: &str) -> Result<(String, String), Json<Value>> {
    let argument = |key: &str| arguments[key].as_str().filter(|text| !text.is_empty());
    let channel = argument(channel).ok_or_else(|| refusal("channel_not_found"))?;
    let ts = argument(ts).ok_or_else(|| refusal("invalid_arguments"))?;
    Ok((channel.to_owned(), ts.to_owned()))
}

fn answer(outcome: Result<Value, Json<Value>>) -> Json<Value> {
    outcome.map_or_else(|refusal| refusal, Json)
}

async fn session(State(slack): State<Slack>, headers: HeaderMap, body: String) -> Json<Value> {
    let set = || {
        let arguments = read(&slack, &headers, &body)?;
        let place = place(&arguments, "channel_id", "thread_ts")?;
        let status = arguments["status"].as_str().unwrap_or_default();
        let title = arguments["title"].as_str().unwrap_or_default();
        if !STATUSES.contains(&status) || title.chars().count() > LONGEST_TITLE {
            return Err(refusal("invalid_arguments"));
        }
        slack.surface().statuses.insert(place, status.to_owned());
        Ok(json!({ "ok": true, "status": status, "agent_status": status }))
    };
    answer(set())
}

async fn status(State(slack): State<Slack>, headers: HeaderMap, body: String) -> Json<Value> {
    let set = || {
        let arguments = read(&slack, &headers, &body)?;
        let place = place(&arguments, "channel_id", "thread_ts")?;
        let mut surface = slack.surface();
        match arguments["status"].as_str() {
            None => return Err(refusal("invalid_arguments")),
            Some("") => drop(surface.statuses.remove(&place)),
            Some(words) => drop(surface.statuses.insert(place, words.to_owned())),
        }
        Ok(json!({ "ok": true }))
    };
    answer(set())
}

async fn title(State(slack): State<Slack>, headers: HeaderMap, body: String) -> Json<Value> {
    let set = || {
        let arguments = read(&slack, &headers, &body)?;
        place(&arguments, "channel_id", "thread_ts")?;
        Ok(json!({ "ok": true }))
    };
    answer(set())
}

async fn prompts(State(slack): State<Slack>, headers: HeaderMap, body: String) -> Json<Value> {
    let set = || {
        let arguments = read(&slack, &headers, &body)?;
        let prompts = arguments["prompts"].as_array().map_or(0, Vec::len);
        if arguments["channel_id"].as_str().is_none_or(str::is_empty) {
            return Err(refusal("channel_not_found"));
        }
        if prompts == 0 || prompts > MOST_PROMPTS {
            return Err(refusal("invalid_arguments"));
        }
        Ok(json!({ "ok": true }))
    };
    answer(set())
}

async fn react(State(slack): State<Slack>, headers: HeaderMap, body: String) -> Json<Value> {
    let add = || {
        let arguments = read(&slack, &headers, &body)?;
        let place = place(&arguments, "channel", "timestamp")?;
        let name = arguments["name"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| refusal("invalid_name"))?.to_owned();
        let mut surface = slack.surface();
        let there = surface.reactions.entry(place).or_default();
        if there.contains(&name) {
            return Err(refusal("already_reacted"));
        }
        there.push(name);
        Ok(json!({ "ok": true }))
    };
    answer(add())
}

async fn unreact(State(slack): State<Slack>, headers: HeaderMap, body: String) -> Json<Value> {
    let remove = || {
        let arguments = read(&slack, &headers, &body)?;
        let place = place(&arguments, "channel", "timestamp")?;
        let mut surface = slack.surface();
        let there = surface.reactions.entry(place).or_default();
        let known = there.iter().position(|name| arguments["name"] == *name);
        there.remove(known.ok_or_else(|| refusal("no_reaction"))?);
        Ok(json!({ "ok": true }))
    };
    answer(remove())
}
