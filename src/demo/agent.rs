//! The demo agent: it speaks LiveChatAI's API, version 2 (the reference's pages "Send a message" and "Retrieve a
//! conversation"), as far as the bridge uses it, and answers from a small list.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::faq;
use super::journal::Platform;
use super::scene::{AgentMood, Scene};
use super::server::{self, Server};

/// The agent's id.
pub const AGENT_ID: &str = "demo-agent";

/// The integrations that the bridge may name.
const INTEGRATIONS: [&str; 2] = ["SLACK", "WHATSAPP"];

/// The agent. Clones share it.
#[derive(Clone)]
pub struct DemoAgent(Arc<Shared>);

struct Shared {
    key: String,
    scene: Scene,
    conversations: Mutex<HashMap<String, Conversation>>,
}

#[derive(Default)]
struct Conversation {
    contact: String,
    integration: String,
    messages: Vec<Value>,
}

impl DemoAgent {
    /// An agent that nobody has asked yet.
    pub fn new(scene: Scene) -> Self {
        Self(Arc::new(Shared {
            key: format!("demo-{}", server::secret()),
            scene,
            conversations: Mutex::default(),
        }))
    }

    /// The key of the account.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The API.
    pub async fn serve(&self) -> std::io::Result<Server> {
        let router = Router::new()
            .route("/api/v2/conversations", post(ask))
            .route("/api/v2/conversations/{id}", get(look))
            .fallback(|| async { refusal(StatusCode::NOT_FOUND, "Not found", "NOT_FOUND") })
            .with_state(self.clone());
        Server::start(router).await
    }

    fn conversations(&self) -> MutexGuard<'_, HashMap<String, Conversation>> {
        self.0
            .conversations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn refuses(&self, headers: &HeaderMap) -> Option<Reply> {
        let refusal = || refusal(StatusCode::UNAUTHORIZED, "Unauthorized", "UNAUTHORIZED");
        (!server::bears(headers, &self.0.key)).then(refusal)
    }
}

type Reply = (StatusCode, Json<Value>);

async fn ask(State(agent): State<DemoAgent>, headers: HeaderMap, body: String) -> Reply {
    if let Some(refusal) = agent.refuses(&headers) {
        return refusal;
    }
    let asked = serde_json::from_str(&body).unwrap_or(Value::Null);
    let question = match check(&asked) {
        Ok(question) => question,
        Err(refusal) => return refusal,
    };
    let integration = asked["integrationType"].as_str().unwrap_or_default();
    let platform = match integration {
        "SLACK" => Platform::Slack,
        _ => Platform::WhatsApp,
    };
    let scene = &agent.0.scene;
    let ways = scene.ways.asked(platform, question);
    match scene.moods().agent {
        AgentMood::Well => {}
        AgentMood::Slow => scene.think().await,
        AgentMood::Down => {
            scene.ways.agent_said(&ways, Some("503: the agent is down"));
            return refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "Service unavailable",
                "UNAVAILABLE",
            );
        }
    }
    let reply = agent.answer(&asked, question, integration);
    if reply.0.is_success() {
        scene.ways.agent_said(&ways, None);
    } else {
        scene.ways.agent_said(&ways, Some(reply.0.as_str()));
    }
    reply
}

impl DemoAgent {
    fn answer(&self, asked: &Value, question: &str, integration: &str) -> Reply {
        let mut conversations = self.conversations();
        let id = match asked["conversationId"].as_str() {
            Some(id) if conversations.contains_key(id) => id.to_owned(),
            Some(_) => return unknown_conversation(),
            None => fresh_id("conv"),
        };
        let conversation = conversations.entry(id.clone()).or_insert_with(|| Conversation {
            contact: fresh_id("contact"),
            integration: integration.to_owned(),
            messages: Vec::new(),
        });
        let answer = faq::answer(question, &conversation.questions());
        let (asked_id, answer_id) = (fresh_id("msg"), fresh_id("msg"));
        conversation.add(&asked_id, "user", question);
        conversation.add(&answer_id, "assistant", &answer.text);
        let links: Vec<_> = answer
            .sources
            .iter()
            .map(|link| json!({"link": link, "type": "WEBSITE"}))
            .collect();
        success(&json!({
            "conversationId": id, "contactId": conversation.contact, "response": answer.text, "messageId": asked_id,
            "responseMessageId": answer_id, "links": links,
        }))
    }
}

/// The question, if what was posted has all that it needs.
fn check(asked: &Value) -> Result<&str, Reply> {
    let invalid = |message: &str| Err(refusal(StatusCode::BAD_REQUEST, message, "VALIDATION_ERROR"));
    let field = |name: &str| asked[name].as_str().filter(|text| !text.trim().is_empty());
    let Some(question) = field("question") else {
        return invalid("question is required");
    };
    if field("messageType") != Some("TEXT") {
        return invalid("messageType must be TEXT");
    }
    if field("responseFormat") != Some("PLAIN") {
        return invalid("this agent answers with responseFormat PLAIN only");
    }
    if !field("integrationType").is_some_and(|name| INTEGRATIONS.contains(&name)) {
        return invalid("integrationType must be SLACK or WHATSAPP");
    }
    match field("agentId") {
        Some(AGENT_ID) => Ok(question),
        Some(_) => Err(refusal(
            StatusCode::NOT_FOUND,
            "Agent not found",
            "AGENT_NOT_FOUND",
        )),
        None => invalid("agentId is required"),
    }
}

async fn look(State(agent): State<DemoAgent>, Path(id): Path<String>, headers: HeaderMap) -> Reply {
    if let Some(refusal) = agent.refuses(&headers) {
        return refusal;
    }
    match agent.conversations().get(&id) {
        Some(conversation) => success(&json!({
            "id": id, "contactId": conversation.contact, "agentId": AGENT_ID, "isResolved": false, "isAgent": false,
            "isMuted": false, "integrationType": conversation.integration, "messages": conversation.messages,
        })),
        None => unknown_conversation(),
    }
}

impl Conversation {
    fn add(&mut self, id: &str, role: &str, content: &str) {
        self.messages.push(json!({
            "id": id, "content": content, "role": role, "type": "TEXT", "source": [],
            "createdAt": jiff::Timestamp::now().to_string(),
        }));
    }

    /// What was asked so far.
    fn questions(&self) -> Vec<String> {
        let asked = self.messages.iter().filter(|message| message["role"] == "user");
        asked
            .filter_map(|message| message["content"].as_str().map(str::to_owned))
            .collect()
    }
}

fn success(data: &Value) -> Reply {
    (
        StatusCode::OK,
        Json(json!({"status": "success", "message": "ok", "data": data})),
    )
}

fn unknown_conversation() -> Reply {
    refusal(
        StatusCode::NOT_FOUND,
        "Conversation not found",
        "CONVERSATION_NOT_FOUND",
    )
}

fn refusal(status: StatusCode, message: &str, code: &str) -> Reply {
    (
        status,
        Json(json!({"status": "error", "message": message, "code": code})),
    )
}

fn fresh_id(kind: &str) -> String {
    format!("{kind}_{}", Uuid::now_v7().simple())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outbound;

    async fn post(agent: &DemoAgent, server: &Server, body: &Value) -> (u16, Value) {
        let client = outbound::client(Duration::from_secs(10)).unwrap();
        let url = format!("{}/api/v2/conversations", server.url());
        let answer = outbound::call(client.post(url).bearer_auth(agent.key()).json(body))
            .await
            .unwrap();
        (answer.status.as_u16(), answer.json().unwrap())
    }

    async fn agent() -> (DemoAgent, Server) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let agent = DemoAgent::new(Scene::default());
        let server = agent.serve().await.unwrap();
        (agent, server)
    }

    fn question(text: &str) -> Value {
        json!({
            "question": text, "agentId": AGENT_ID, "messageType": "TEXT", "responseFormat": "PLAIN",
            "integrationType": "SLACK",
        })
    }

    #[tokio::test]
    async fn goes_on_with_a_conversation_and_shows_it() {
        let (agent, server) = agent().await;
        let (status, first) = post(&agent, &server, &question("When are you open?")).await;
        assert_eq!(status, 200);
        let mut again = question("What did I ask before?");
        again["conversationId"] = first["data"]["conversationId"].clone();
        let (_, second) = post(&agent, &server, &again).await;
        let said = second["data"]["response"].as_str().unwrap();
        assert!(said.contains("When are you open?"), "{said}");
        let id = first["data"]["conversationId"].as_str().unwrap();
        let client = outbound::client(Duration::from_secs(10)).unwrap();
        let url = format!("{}/api/v2/conversations/{id}", server.url());
        let shown = outbound::call(client.get(url).bearer_auth(agent.key()))
            .await
            .unwrap();
        assert_eq!(
            shown.json().unwrap()["data"]["messages"]
                .as_array()
                .unwrap()
                .len(),
            4
        );
    }

    #[tokio::test]
    async fn refuses_what_the_service_refuses() {
        let (agent, server) = agent().await;
        let stranger = DemoAgent::new(Scene::default());
        assert_eq!(post(&stranger, &server, &question("Hi")).await.0, 401);
        let with = |key: &str, value: &str| {
            let mut asked = question("Hi");
            asked[key] = value.into();
            asked
        };
        for (asked, status, named) in [
            (with("question", " "), 400, "question"),
            (with("agentId", ""), 400, "agentId"),
            (with("agentId", "another"), 404, "Agent"),
            (with("messageType", ""), 400, "messageType"),
            (with("responseFormat", "MARKDOWN"), 400, "PLAIN"),
            (with("integrationType", "FAX"), 400, "integrationType"),
            (with("conversationId", "conv_gone"), 404, "Conversation"),
            (Value::Null, 400, "question"),
        ] {
            let (got, body) = post(&agent, &server, &asked).await;
            assert_eq!((got, body["status"].as_str()), (status, Some("error")), "{asked}");
            assert!(body["message"].as_str().unwrap().contains(named), "{body}");
        }
    }
}
