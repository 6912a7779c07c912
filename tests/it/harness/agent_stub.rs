//! LiveChatAI's API, as far as the bridge calls it.

use std::collections::HashMap;
use std::ops::Deref;

use serde_json::{Value, json};

use super::stub::{Answer, Brain, Call, Stub};

/// A stub of LiveChatAI.
pub(crate) struct AgentStub(Stub<LiveChat>);

impl Deref for AgentStub {
    type Target = Stub<LiveChat>;
    fn deref(&self) -> &Stub<LiveChat> {
        &self.0
    }
}

impl AgentStub {
    /// An agent that answers `echo: QUESTION`.
    pub(crate) fn start() -> Self {
        Self(Stub::start(LiveChat::default()))
    }

    /// Answers otherwise from now on.
    pub(crate) fn answer_with(&self, answer: impl FnMut(&str) -> String + Send + 'static) {
        self.brain(|agent| agent.speak = Box::new(answer));
    }

    /// Names these addresses as the sources of its answers.
    pub(crate) fn cite(&self, links: &[&str]) {
        let links = links.iter().map(|link| (*link).to_owned()).collect();
        self.brain(|agent| agent.links = links);
    }

    /// Forgets every conversation.
    pub(crate) fn forget(&self) {
        self.brain(|agent| agent.conversations.clear());
    }

    /// The calls that asked something, in order, whatever became of them.
    pub(crate) fn asks(&self) -> Vec<Call> {
        self.calls()
            .into_iter()
            .filter(|call| call.kind == "ask")
            .collect()
    }

    /// What was asked, in order.
    pub(crate) fn questions(&self) -> Vec<String> {
        self.log(|log| {
            log.iter()
                .filter(|call| call.kind == "ask")
                .map(question)
                .collect()
        })
    }

    /// The calls that asked something with `text` in it.
    pub(crate) fn asks_with(&self, text: &str) -> Vec<Call> {
        self.asks()
            .into_iter()
            .filter(|call| question(call).contains(text))
            .collect()
    }

    /// How many times `text` was asked, in whatever questions.
    pub(crate) fn times_asked(&self, text: &str) -> usize {
        self.questions()
            .iter()
            .map(|question| question.matches(text).count())
            .sum()
    }

    /// Waits for a question with `text` in it.
    #[track_caller]
    pub(crate) fn wait_ask(&self, text: &str) -> Call {
        self.wait(&format!("a question with {text:?}"), |log| {
            log.iter()
                .find(|call| call.kind == "ask" && question(call).contains(text))
                .cloned()
        })
    }
}

fn question(call: &Call) -> String {
    call.json["question"].as_str().unwrap_or_default().to_owned()
}

/// The service.
pub(crate) struct LiveChat {
    speak: Box<dyn FnMut(&str) -> String + Send>,
    links: Vec<String>,
    conversations: HashMap<String, Vec<Value>>,
    opened: usize,
    said: usize,
}

impl Default for LiveChat {
    fn default() -> Self {
        Self {
            speak: Box::new(|question| format!("echo: {question}")),
            links: Vec::new(),
            conversations: HashMap::new(),
            opened: 0,
            said: 0,
        }
    }
}

impl Brain for LiveChat {
    fn kind(&self, call: &Call) -> String {
        match (call.method.as_str(), call.path.as_str()) {
            ("POST", "/api/v2/conversations") => "ask".to_owned(),
            ("GET", path) if path.starts_with("/api/v2/conversations/") => "look".to_owned(),
            (method, path) => format!("{method} {path}"),
        }
    }

    fn answer(&mut self, call: &Call) -> Answer {
        if call.token() != Some("key-test") {
            return error(401, "Unauthorized", "UNAUTHORIZED");
        }
        match call.kind.as_str() {
            "ask" => self.ask(&call.json),
            "look" => self.look(call.path.rsplit('/').next().unwrap_or_default()),
            _ => error(404, "Not found", "NOT_FOUND"),
        }
    }
}

impl LiveChat {
    fn ask(&mut self, asked: &Value) -> Answer {
        let question = asked["question"].as_str().unwrap_or_default();
        if question.is_empty() || asked["agentId"].as_str().is_none_or(str::is_empty) {
            return error(400, "question and agentId are required", "VALIDATION");
        }
        let id = if let Some(id) = asked["conversationId"].as_str() {
            if !self.conversations.contains_key(id) {
                return error(404, "Conversation not found", "CONVERSATION_NOT_FOUND");
            }
            id.to_owned()
        } else {
            self.opened += 1;
            format!("c{}", self.opened)
        };
        let response = (self.speak)(question);
        self.said += 2;
        let (asked_id, answer_id) = (format!("m{}", self.said - 1), format!("m{}", self.said));
        let said = |id: &str, role: &str, content: &str| {
            json!({"id": id, "role": role, "content": content, "type": "TEXT", "source": [],
                "createdAt": format!("{:.3}", jiff::Timestamp::now())})
        };
        let history = self.conversations.entry(id.clone()).or_default();
        history.push(said(&asked_id, "user", question));
        history.push(said(&answer_id, "assistant", &response));
        let links: Vec<Value> = self
            .links
            .iter()
            .map(|link| json!({"link": link, "type": "WEBSITE"}))
            .collect();
        Answer::json(
            200,
            &json!({"status": "success", "message": "Message sent", "data": {"conversationId": id,
                "contactId": "p1", "response": response, "messageId": asked_id, "responseMessageId": answer_id,
                "links": links}}),
        )
    }

    fn look(&self, id: &str) -> Answer {
        match self.conversations.get(id) {
            Some(messages) => Answer::json(
                200,
                &json!({"status": "success", "message": "ok", "data": {"id": id, "contactId": "p1",
                    "isResolved": false, "isAgent": false, "isMuted": false, "messages": messages}}),
            ),
            None => error(404, "Conversation not found", "CONVERSATION_NOT_FOUND"),
        }
    }
}

fn error(status: u16, message: &str, code: &str) -> Answer {
    Answer::json(
        status,
        &json!({"status": "error", "message": message, "code": code}),
    )
}
