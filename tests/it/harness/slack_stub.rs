//! Slack's Web API, as far as the bridge calls it.

use std::collections::HashMap;
use std::ops::Deref;

use serde_json::{Value, json};

use super::slack_oauth::Grants;
use super::slack_surface::Surface;
use super::stub::{Answer, Brain, Call, Stub};

/// A stub of Slack.
pub(crate) struct SlackStub(Stub<Slack>);

impl Deref for SlackStub {
    type Target = Stub<Slack>;
    fn deref(&self) -> &Stub<Slack> {
        &self.0
    }
}

/// A message that Slack took.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    /// Its channel.
    pub(crate) channel: String,
    /// The root of its thread, if it stands in one.
    pub(crate) thread_ts: Option<String>,
    /// Its text, as posted.
    pub(crate) text: String,
    /// All arguments of the call.
    pub(crate) json: Value,
    /// The token with which it was posted.
    pub(crate) token: String,
}

impl SlackStub {
    /// Slack with one workspace, `T1`, in which the bot is `U0BOT`.
    pub(crate) fn start() -> Self {
        Self(Stub::start(Slack::default()))
    }

    /// The token then belongs to this workspace and this bot user.
    pub(crate) fn identity(&self, team: &str, bot_user: &str) {
        self.brain(|slack| {
            team.clone_into(&mut slack.team);
            bot_user.clone_into(&mut slack.bot_user);
        });
    }

    /// Its clock shows this second at least: messages get their time stamps by it.
    pub(crate) fn clock(&self, second: u64) {
        self.brain(|slack| slack.last = slack.last.max(second * 1_000_000));
    }

    /// Waits for an answer to a command whose text contains `text`.
    #[track_caller]
    pub(crate) fn wait_response(&self, text: &str) -> Call {
        self.wait(&format!("an answer to a command with {text:?}"), |log| {
            let taken = |call: &&Call| call.kind == "response_url" && call.reply.is_some();
            log.iter()
                .filter(taken)
                .find(|call| call.json["text"].as_str().is_some_and(|said| said.contains(text)))
                .cloned()
        })
    }

    /// What it shows of the bot in a thread now.
    pub(crate) fn status(&self, channel: &str, thread: &str) -> Option<String> {
        let place = (channel.to_owned(), thread.to_owned());
        self.brain(|slack| slack.surface.statuses.get(&place).cloned())
    }

    /// Waits until it shows this of the bot in a thread.
    #[track_caller]
    pub(crate) fn wait_status(&self, channel: &str, thread: &str, wanted: &str) {
        super::eventually(&format!("{channel} {thread} to be {wanted}"), || {
            (self.status(channel, thread).as_deref() == Some(wanted)).then_some(())
        });
    }

    /// The messages that Slack took, in order.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.log(|log| log.iter().filter_map(as_post).collect())
    }

    /// The messages that Slack took whose text contains `text`.
    pub(crate) fn posts_with(&self, text: &str) -> Vec<Post> {
        self.posts()
            .into_iter()
            .filter(|post| post.text.contains(text))
            .collect()
    }

    /// Waits for a message whose text contains `text`.
    #[track_caller]
    pub(crate) fn wait_post(&self, text: &str) -> Post {
        self.wait(&format!("a Slack message with {text:?}"), |log| {
            log.iter()
                .filter_map(as_post)
                .find(|post| post.text.contains(text))
        })
    }

    /// Waits until Slack took `count` messages.
    #[track_caller]
    pub(crate) fn wait_posts(&self, count: usize) -> Vec<Post> {
        self.wait(&format!("{count} Slack messages"), |log| {
            let posts: Vec<Post> = log.iter().filter_map(as_post).collect();
            (posts.len() >= count).then_some(posts)
        })
    }
}

fn as_post(call: &Call) -> Option<Post> {
    let taken = call.kind == "chat.postMessage" && call.said["ok"] == true;
    taken.then(|| {
        let json = Value::Object(arguments(call).into_iter().collect());
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        Post {
            channel: text("channel").unwrap_or_default(),
            thread_ts: text("thread_ts"),
            text: text("text").unwrap_or_default(),
            json,
            token: call.token().unwrap_or_default().to_owned(),
        }
    })
}

/// The service.
pub(crate) struct Slack {
    token: String,
    team: String,
    bot_user: String,
    stored: Vec<Value>,
    last: u64,
    /// What it granted to those who installed the app.
    pub(super) grants: Grants,
    /// Where its sockets stand.
    pub(super) sockets: Option<String>,
    /// What it shows of the bot at work.
    pub(crate) surface: Surface,
}

impl Default for Slack {
    fn default() -> Self {
        let [token, team, bot_user] = ["xoxb-test-token", "T1", "U0BOT"].map(str::to_owned);
        Self {
            token,
            team,
            bot_user,
            stored: Vec::new(),
            last: 0,
            grants: Grants::default(),
            sockets: None,
            surface: Surface::default(),
        }
    }
}

impl Brain for Slack {
    fn kind(&self, call: &Call) -> String {
        if call.path.starts_with("/commands/") {
            return "response_url".to_owned();
        }
        call.path.trim_start_matches("/api/").to_owned()
    }

    fn answer(&mut self, call: &Call) -> Answer {
        // Whoever knows the address of a command may answer it.
        if call.kind == "response_url" {
            let headers = vec![("content-type", "text/plain".to_owned())];
            return Answer {
                status: 200,
                headers,
                body: b"ok".to_vec(),
            };
        }
        if call.kind == "oauth.v2.access" {
            return self.grants.access(call);
        }
        if call.kind == "apps.connections.open" {
            return self.give_out_address(call.token());
        }
        let granted = call.token().and_then(|token| self.grants.bot(token));
        if let Some(code) = call.token().and_then(|token| self.grants.refusal(token)) {
            return refuse(code);
        }
        if granted.is_none() && call.token() != Some(&self.token) {
            return refuse(if call.token().is_none() {
                "not_authed"
            } else {
                "invalid_auth"
            });
        }
        if let Some(answer) = self.surface.answer(call) {
            return answer;
        }
        let arguments = arguments(call);
        match call.kind.as_str() {
            "auth.test" => {
                let (team, bot_user) = granted.unwrap_or_else(|| (self.team.clone(), self.bot_user.clone()));
                Answer::json(
                    200,
                    &json!({"ok": true, "url": "https://example.slack.com/", "team": "Example", "user": "bridge",
                        "team_id": team, "user_id": bot_user, "bot_id": "B0BOT", "is_enterprise_install": false}),
                )
                .with("x-oauth-scopes", &self.grants.scopes)
            }
            "chat.postMessage" => self.post(&arguments),
            // Methods that read take no JSON.
            "conversations.replies" | "conversations.history" if !call.json.is_null() => {
                refuse("invalid_arguments")
            }
            "conversations.replies" => self.read(&arguments, true),
            "conversations.history" => self.read(&arguments, false),
            _ => refuse("unknown_method"),
        }
    }
}

impl Slack {
    /// Each address is good once.
    fn give_out_address(&mut self, token: Option<&str>) -> Answer {
        match token {
            Some(super::slack_sockets::APP_TOKEN) => {}
            Some(other) if other.starts_with("xapp-") => return refuse("invalid_auth"),
            Some(_) => return refuse("not_allowed_token_type"),
            None => return refuse("not_authed"),
        }
        self.last += 1;
        let base = self.sockets.as_deref().unwrap_or("wss://nowhere.invalid");
        let url = format!("{base}/link/?ticket={}&app_id=5678", self.last);
        Answer::json(200, &json!({"ok": true, "url": url}))
    }

    fn post(&mut self, arguments: &HashMap<String, Value>) -> Answer {
        let Some(channel) = arguments.get("channel").and_then(Value::as_str) else {
            return refuse("channel_not_found");
        };
        let text = arguments.get("text").and_then(Value::as_str).unwrap_or_default();
        if text.is_empty() {
            return refuse("no_text");
        }
        self.last = (super::unix_now() * 1_000_000).max(self.last + 1);
        let ts = format!("{}.{:06}", self.last / 1_000_000, self.last % 1_000_000);
        let mut message = json!({"type": "message", "channel": channel, "ts": ts, "text": text,
            "user": self.bot_user, "bot_id": "B0BOT", "team": self.team});
        for name in ["thread_ts", "metadata"] {
            if let Some(value) = arguments.get(name) {
                message[name] = value.clone();
            }
        }
        self.stored.push(message.clone());
        Answer::json(
            200,
            &json!({"ok": true, "channel": channel, "ts": ts, "message": message}),
        )
    }

    /// The messages of a thread (oldest first), or of a channel's top level (latest first). Metadata comes only when
    /// it is asked for.
    fn read(&self, arguments: &HashMap<String, Value>, of_thread: bool) -> Answer {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
        let with_metadata = matches!(text("include_all_metadata"), "true" | "1");
        let inclusive = matches!(text("inclusive"), "true" | "1");
        let number = |ts: &str| ts.parse::<f64>().unwrap_or_default();
        let (oldest, latest) = (number(text("oldest")), number(text("latest")));
        let limit = text("limit").parse().unwrap_or(100_usize).clamp(1, 1000);
        let skip: usize = text("cursor").parse().unwrap_or_default();

        let mut found: Vec<Value> = Vec::new();
        for message in &self.stored {
            let ts = message["ts"].as_str().unwrap_or_default();
            let here = message["channel"] == text("channel")
                && if of_thread {
                    message["thread_ts"] == text("ts")
                } else {
                    message.get("thread_ts").is_none()
                };
            let edge = inclusive && (number(ts) - oldest).abs().min((number(ts) - latest).abs()) < 1e-7;
            let inside = number(ts) > oldest && (latest == 0.0 || number(ts) < latest);
            if here && (inside || edge) {
                let mut message = message.clone();
                if !with_metadata && let Some(fields) = message.as_object_mut() {
                    fields.remove("metadata");
                }
                found.push(message);
            }
        }
        if of_thread {
            found.insert(
                0,
                json!({"type": "message", "ts": text("ts"), "thread_ts": text("ts"), "user": "U1"}),
            );
        } else {
            found.reverse();
        }
        let more = found.len() > skip + limit;
        let page: Vec<Value> = found.into_iter().skip(skip).take(limit).collect();
        let cursor = if more {
            (skip + limit).to_string()
        } else {
            String::new()
        };
        Answer::json(
            200,
            &json!({"ok": true, "messages": page, "has_more": more, "response_metadata": {"next_cursor": cursor}}),
        )
    }
}

/// Slack refuses with a 200.
pub(super) fn refuse(error: &str) -> Answer {
    Answer::json(200, &json!({"ok": false, "error": error}))
}

/// The arguments from wherever they came: the query, a form, or JSON. Of a form, `metadata` is JSON in a text.
pub(super) fn arguments(call: &Call) -> HashMap<String, Value> {
    if let Value::Object(fields) = &call.json {
        return fields.clone().into_iter().collect();
    }
    let form = String::from_utf8_lossy(&call.body);
    let pairs = call
        .query
        .split('&')
        .chain(form.split('&'))
        .filter_map(|pair| pair.split_once('='));
    let mut fields = HashMap::new();
    for (name, value) in pairs {
        let value = unescape(value);
        let parsed = if name == "metadata" {
            serde_json::from_str(&value).ok()
        } else {
            None
        };
        fields.insert(name.to_owned(), parsed.unwrap_or(Value::String(value)));
    }
    fields
}

/// A text as it was before it was put into a query.
pub(crate) fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let escaped = text
            .get(i + 1..i + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[i], escaped) {
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
