//! The simulated Graph API of Meta: one WhatsApp number, as far as the bridge and the demo's people see it.
//!
//! It checks what is posted as the real one does, refuses it in the real form, and tells the daemon by signed webhooks
//! how each message fares.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use super::journal::{Place, Platform, Said};
use super::scene::Scene;
use super::server::{self, Server};
use super::webhooks::whatsapp::{self as webhooks, Number, Person, Sent};
use super::webhooks::{Acknowledged, Postman, Signed};
use crate::outbound::Failure;

/// Meta's id of the business's number, and the number as people dial it (one that is reserved for fiction).
pub const NUMBER: (&str, &str) = ("100200300400500", "15550100100");

/// The longest text, in characters (Meta, "Text messages").
const LONGEST_TEXT: usize = 4096;

/// The longest `biz_opaque_callback_data`, in bytes (Meta, "Messages").
const LONGEST_OPAQUE: usize = 512;

/// Codes of the Graph API (Meta, "Error codes"): the token, a parameter, the number of messages.
const BAD_TOKEN: u32 = 190;
const BAD_PARAMETER: u32 = 100;
const LIMITED: u32 = 130_429;

/// What the webhooks tell of every message, in order.
const STAGES: [&str; 2] = ["sent", "delivered"];

/// The simulated number. Clones share it.
#[derive(Clone)]
pub struct Graph(Arc<Shared>);

struct Shared {
    token: String,
    app_secret: SecretString,
    verify_token: String,
    scene: Scene,
    postman: OnceLock<Postman>,
    statuses: TaskTracker,
}

impl Graph {
    /// A number that nobody has written to yet. Its people's and the business's words go into the scene's journal.
    pub fn new(scene: Scene) -> Self {
        Self(Arc::new(Shared {
            token: format!("EAAdemo{}", server::secret()),
            app_secret: SecretString::from(server::secret()),
            verify_token: server::secret(),
            scene,
            postman: OnceLock::new(),
            statuses: TaskTracker::new(),
        }))
    }

    /// The token of the business.
    pub fn token(&self) -> &str {
        &self.0.token
    }

    /// What webhooks are signed with.
    pub fn app_secret(&self) -> &SecretString {
        &self.0.app_secret
    }

    /// What the daemon expects in the handshake.
    pub fn verify_token(&self) -> &str {
        &self.0.verify_token
    }

    /// The business's number.
    pub fn number() -> Number {
        Number {
            id: NUMBER.0.to_owned(),
            display: NUMBER.1.to_owned(),
        }
    }

    /// The Graph API.
    pub async fn serve(&self) -> std::io::Result<Server> {
        let router = Router::new()
            .route("/{version}/{number}/messages", post(messages))
            .fallback(|| async { parameter("Unsupported request", "There is nothing at this path.") })
            .with_state(self.clone());
        Server::start(router).await
    }

    /// Tells where webhooks go. Until then statuses are not told.
    pub fn subscribe(&self, postman: Postman) {
        let _ = self.0.postman.set(postman);
    }

    /// Writes a text as a person, and has the daemon told of it.
    pub async fn say(
        &self,
        postman: &Postman,
        person: &Person,
        text: &str,
    ) -> Result<(Option<Said>, Acknowledged), Failure> {
        let webhook = webhooks::text(&Self::number(), person, text);
        let said = self.seen(&webhook).pop();
        let told = postman.post(self.sign(&webhook)).await?;
        if let Some(said) = &said {
            let ways = &self.0.scene.ways;
            ways.acknowledged(&said.id, told.status.as_u16(), told.took);
        }
        Ok((said, told))
    }

    /// A webhook, signed.
    pub fn sign(&self, webhook: &Value) -> Signed {
        webhooks::sign(&self.0.app_secret, webhooks::bytes(webhook))
    }

    /// Writes down the texts of a webhook, as if they had been written here.
    pub fn seen(&self, webhook: &Value) -> Vec<Said> {
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let mut said = Vec::new();
        for change in list(webhook, "entry")
            .iter()
            .flat_map(|entry| list(entry, "changes"))
        {
            let value = &change["value"];
            let contacts = list(value, "contacts");
            for message in list(value, "messages") {
                said.extend(self.seen_message(&value["metadata"], &contacts, &message));
            }
        }
        said
    }

    fn seen_message(&self, metadata: &Value, contacts: &[Value], message: &Value) -> Option<Said> {
        let number = metadata["phone_number_id"].as_str()?;
        let (id, text) = (message["id"].as_str()?, message["text"]["body"].as_str()?);
        let (phone, user_id) = (message["from"].as_str(), message["from_user_id"].as_str());
        let contact = contacts.iter().find(|contact| {
            phone.is_some_and(|phone| contact["wa_id"] == phone)
                || user_id.is_some_and(|user_id| contact["user_id"] == user_id)
        });
        let name = contact.and_then(|contact| contact["profile"]["name"].as_str());
        let person = phone.or(user_id)?;
        let place = place(number, person);
        // Who wrote here before is still called the same.
        let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
        let Scene { journal, ways, .. } = &self.0.scene;
        let name = name.or_else(|| journal.writer(&place.key));
        let name = name.unwrap_or_else(|| person.to_owned());
        ways.begun(&place, id, &name, text);
        Some(journal.person(&name, place, id, text))
    }

    /// Waits until the daemon was told how every message fares; false if the time is over before.
    pub async fn settled(&self, within: Duration) -> bool {
        self.0.statuses.close();
        let settled = tokio::time::timeout(within, self.0.statuses.wait()).await.is_ok();
        self.0.statuses.reopen();
        settled
    }

    fn tell(&self, sent: Sent) {
        let Some(postman) = self.0.postman.get().cloned() else {
            return;
        };
        let graph = self.clone();
        self.0.statuses.spawn(async move {
            for stage in STAGES {
                let webhook = webhooks::status(&Self::number(), &sent, stage);
                match postman.post(graph.sign(&webhook)).await {
                    Ok(told) if told.status.is_success() => {}
                    Ok(told) => tracing::warn!(status = %told.status, "the daemon does not take a status"),
                    // It is being stopped, and nobody waits for the news.
                    Err(failure) => tracing::debug!(%failure, "the daemon cannot be told of a status"),
                }
            }
        });
    }
}

type Reply = (StatusCode, Json<Value>);

async fn messages(
    State(graph): State<Graph>,
    Path((_version, number)): Path<(String, String)>,
    headers: HeaderMap,
    body: String,
) -> Reply {
    if !server::bears(&headers, &graph.0.token) {
        let message = "Invalid OAuth access token - Cannot parse access token";
        return refusal(StatusCode::UNAUTHORIZED, BAD_TOKEN, message, "");
    }
    if number != NUMBER.0 {
        return parameter("Unsupported post request", "There is no such phone number.");
    }
    let message = serde_json::from_str(&body).unwrap_or(Value::Null);
    if message["status"] == "read" {
        return graph.mark_read(&message);
    }
    match read(&message) {
        Ok((sent, _)) if graph.0.scene.moods().whatsapp_limited => graph.too_many(&number, &sent),
        Ok((sent, text)) => {
            let contact = sent
                .to
                .as_deref()
                .or(sent.recipient.as_deref())
                .unwrap_or_default();
            let mut told = json!({"input": contact});
            // The user id comes back only where the message went to one.
            told[if sent.to.is_some() { "wa_id" } else { "user_id" }] = contact.into();
            let answer = json!({
                "messaging_product": "whatsapp", "contacts": [told], "messages": [{"id": sent.wamid}],
            });
            let (place, Scene { journal, ways, .. }) = (place(&number, contact), &graph.0.scene);
            journal.answer(place.clone(), &sent.wamid, &text);
            ways.delivered(&place.key);
            graph.tell(sent);
            (StatusCode::OK, Json(answer))
        }
        Err(details) => parameter("Invalid parameter", details),
    }
}

impl Graph {
    /// The person sees that the message was read.
    fn mark_read(&self, message: &Value) -> Reply {
        match message["message_id"].as_str() {
            Some(id) if !id.is_empty() => {
                self.0.scene.ways.read(id);
                (StatusCode::OK, Json(json!({"success": true})))
            }
            _ => parameter("Invalid parameter", "The parameter message_id is required."),
        }
    }

    /// Refuses a message for the number of messages.
    fn too_many(&self, number: &str, sent: &Sent) -> Reply {
        let person = sent
            .to
            .as_deref()
            .or(sent.recipient.as_deref())
            .unwrap_or_default();
        let note = "130429: WhatsApp asks for a pause, each time a longer one";
        self.0.scene.ways.limited(&place(number, person).key, note);
        let message = "(#130429) Rate limit hit";
        refusal(
            StatusCode::TOO_MANY_REQUESTS,
            LIMITED,
            message,
            "Too many messages.",
        )
    }
}

/// Reads what is to be sent, or says what is wrong with it.
fn read(message: &Value) -> Result<(Sent, String), &'static str> {
    let text = |key: &str| {
        message[key]
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    if text("messaging_product").as_deref() != Some("whatsapp") {
        return Err("messaging_product must be \"whatsapp\".");
    }
    // Where both are given, `to` wins.
    let to = text("to");
    let recipient = text("recipient").filter(|_| to.is_none());
    if to.is_none() && recipient.is_none() {
        return Err("The parameter to is required, or recipient.");
    }
    if text("type").is_some_and(|kind| kind != "text") {
        return Err("This number sends messages of type text only.");
    }
    let body = message["text"]["body"].as_str().filter(|body| !body.is_empty());
    let body = body.ok_or("The parameter text['body'] is required.")?;
    if body.encode_utf16().count() > LONGEST_TEXT {
        return Err("Param text['body'] must be at most 4096 characters long.");
    }
    let opaque = text("biz_opaque_callback_data");
    if opaque
        .as_ref()
        .is_some_and(|opaque| opaque.len() > LONGEST_OPAQUE)
    {
        return Err("Param biz_opaque_callback_data must be at most 512 characters long.");
    }
    let wamid = webhooks::fresh_wamid();
    let sent = Sent {
        wamid,
        to,
        recipient,
        opaque,
    };
    Ok((sent, body.to_owned()))
}

fn parameter(message: &str, details: &str) -> Reply {
    refusal(
        StatusCode::BAD_REQUEST,
        BAD_PARAMETER,
        &format!("(#100) {message}"),
        details,
    )
}

fn refusal(status: StatusCode, code: u32, message: &str, details: &str) -> Reply {
    let mut error = json!({
        "message": message, "type": "OAuthException", "code": code, "fbtrace_id": server::secret(),
    });
    if !details.is_empty() {
        error["error_data"] = json!({"messaging_product": "whatsapp", "details": details});
    }
    (status, Json(json!({"error": error})))
}

fn place(number: &str, person: &str) -> Place {
    let is_phone = person.bytes().all(|byte| byte.is_ascii_digit());
    let label = if is_phone {
        format!("+{person}")
    } else {
        format!("user id {person}, number hidden")
    };
    Place {
        platform: Platform::WhatsApp,
        key: format!("{number}/{person}"),
        label,
    }
}

#[cfg(test)]
mod tests;
