//! What Slack shows of a bot at work: sessions, statuses, reactions, suggestions, titles.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::slack_stub::refuse;
use super::stub::{Answer, Call};

/// A place, and what is shown there: by channel and time stamp.
type Shown = BTreeMap<(String, String), String>;

/// What is shown.
pub(crate) struct Surface {
    /// Whether the app's manifest has `agent_view`.
    pub(crate) is_agent: bool,
    /// Whether it subscribed to the stop button's event.
    pub(crate) has_stop_button: bool,
    /// The status of each session; of an app without sessions, the words behind its name, if there are any.
    pub(crate) statuses: Shown,
    /// The emoji on each message.
    pub(crate) reactions: Shown,
    /// The titles of threads.
    pub(crate) titles: Shown,
    /// What was suggested last in each place; the time stamp is empty at the top of a direct message.
    pub(crate) suggested: BTreeMap<(String, String), Value>,
}

impl Default for Surface {
    fn default() -> Self {
        Self {
            is_agent: true,
            has_stop_button: true,
            statuses: Shown::new(),
            reactions: Shown::new(),
            titles: Shown::new(),
            suggested: BTreeMap::new(),
        }
    }
}

impl Surface {
    /// Acts on a call; none if it is none of these.
    pub(super) fn answer(&mut self, call: &Call) -> Option<Answer> {
        let text = |name: &str| call.json[name].as_str().unwrap_or_default().to_owned();
        let channel = [text("channel_id"), text("channel")].concat();
        let place = || (channel.clone(), text("thread_ts"));
        let message = || (channel.clone(), text("timestamp"));
        let missing = channel.is_empty();
        Some(match call.kind.as_str() {
            _ if missing && call.kind.contains("threads") => refuse("channel_not_found"),
            "agents.sessions.setStatus" if !self.is_agent => refuse("not_an_agent"),
            "agents.sessions.setStatus" if missing || text("thread_ts").is_empty() => {
                refuse("invalid_arguments")
            }
            "agents.sessions.setStatus" => self.session(place(), &text("status"), text("title")),
            "assistant.threads.setStatus" => {
                match text("status") {
                    words if words.is_empty() => drop(self.statuses.remove(&place())),
                    words => drop(self.statuses.insert(place(), words)),
                }
                Answer::json(200, &json!({"ok": true}))
            }
            "assistant.threads.setTitle" => {
                self.titles.insert(place(), text("title"));
                Answer::json(200, &json!({"ok": true}))
            }
            "assistant.threads.setSuggestedPrompts" => {
                self.suggested.insert(place(), call.json.clone());
                Answer::json(200, &json!({"ok": true}))
            }
            "reactions.add" if self.reactions.contains_key(&message()) => refuse("already_reacted"),
            "reactions.add" => {
                self.reactions.insert(message(), text("name"));
                Answer::json(200, &json!({"ok": true}))
            }
            "reactions.remove" => match self.reactions.remove(&message()) {
                Some(_) => Answer::json(200, &json!({"ok": true})),
                None => refuse("no_reaction"),
            },
            _ => return None,
        })
    }

    fn session(&mut self, place: (String, String), status: &str, title: String) -> Answer {
        if !["processing", "active", "suspended", "closed"].contains(&status) || title.chars().count() > 200 {
            return refuse("invalid_arguments");
        }
        // A title counts only when the session begins.
        if !self.statuses.contains_key(&place) && !title.is_empty() {
            self.titles.insert(place.clone(), title);
        }
        let title = self.titles.get(&place).cloned();
        self.statuses.insert(place, status.to_owned());
        let mut said = json!({"ok": true, "status": status, "agent_status": status, "title": title});
        if !self.has_stop_button {
            said["warning"] = json!("missing_agent_session_stopped_event_subscription");
        }
        Answer::json(200, &said)
    }
}
