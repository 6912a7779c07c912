//! Meta's Graph API, as far as the bridge calls it.

use std::ops::Deref;
use std::time::Instant;

use serde_json::{Value, json};

use super::stub::{Answer, Brain, Call, Stub};

/// A stub of Meta's Graph API.
pub(crate) struct MetaStub(Stub<Meta>);

impl Deref for MetaStub {
    type Target = Stub<Meta>;
    fn deref(&self) -> &Stub<Meta> {
        &self.0
    }
}

/// A message that Meta took.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// The number that sent it.
    pub(crate) phone_number_id: String,
    /// To which phone number.
    pub(crate) to: Option<String>,
    /// To which user id.
    pub(crate) recipient: Option<String>,
    /// The text.
    pub(crate) body: String,
    /// Meta's id of it.
    pub(crate) wamid: String,
    /// What comes back with its statuses.
    pub(crate) opaque: Option<String>,
    /// The whole call.
    pub(crate) call: Call,
}

impl Sent {
    /// When the call arrived, and when its answer left.
    pub(crate) fn span(&self) -> (Instant, Option<Instant>) {
        (self.call.at, self.call.done_at)
    }
}

impl MetaStub {
    /// A Graph API that knows every number.
    pub(crate) fn start() -> Self {
        Self(Stub::start(Meta { sent: 0 }))
    }

    /// The messages that Meta took, in order.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.log(|log| log.iter().filter_map(as_sent).collect())
    }

    /// The messages that Meta took whose text contains `text`.
    pub(crate) fn sent_with(&self, text: &str) -> Vec<Sent> {
        self.sent()
            .into_iter()
            .filter(|sent| sent.body.contains(text))
            .collect()
    }

    /// Waits for a message whose text contains `text`.
    #[track_caller]
    pub(crate) fn wait_sent(&self, text: &str) -> Sent {
        self.wait(&format!("a WhatsApp message with {text:?}"), |log| {
            log.iter()
                .filter_map(as_sent)
                .find(|sent| sent.body.contains(text))
        })
    }

    /// Waits until Meta took `count` messages whose text contains `text`.
    #[track_caller]
    pub(crate) fn wait_sents(&self, text: &str, count: usize) -> Vec<Sent> {
        self.wait(&format!("{count} WhatsApp messages with {text:?}"), |log| {
            let sent: Vec<Sent> = log
                .iter()
                .filter_map(as_sent)
                .filter(|sent| sent.body.contains(text))
                .collect();
            (sent.len() >= count).then_some(sent)
        })
    }
}

fn as_sent(call: &Call) -> Option<Sent> {
    let wamid = call.said["messages"][0]["id"].as_str()?.to_owned();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Sent {
        phone_number_id: call.path.split('/').nth(2)?.to_owned(),
        to: text(&call.json["to"]),
        recipient: text(&call.json["recipient"]),
        body: written(&call.json).to_owned(),
        opaque: text(&call.json["biz_opaque_callback_data"]),
        wamid,
        call: call.clone(),
    })
}

/// A message's text, or what a template carries.
fn written(message: &Value) -> &str {
    let parameter = &message["template"]["components"][0]["parameters"][0]["text"];
    message["text"]["body"]
        .as_str()
        .or(parameter.as_str())
        .unwrap_or_default()
}

/// The service.
pub(crate) struct Meta {
    sent: u64,
}

impl Brain for Meta {
    fn kind(&self, call: &Call) -> String {
        match (call.method.as_str(), call.path.rsplit('/').next()) {
            ("POST", Some("messages")) if call.json["status"] == "read" => "mark_read".to_owned(),
            ("POST", Some("messages")) => "messages".to_owned(),
            (method, _) => format!("{method} {}", call.path),
        }
    }

    fn answer(&mut self, call: &Call) -> Answer {
        if call.token().is_none_or(|token| !token.starts_with("EAA-test")) {
            return error(401, 190, "Invalid OAuth access token.");
        }
        match call.kind.as_str() {
            "mark_read" => Answer::json(200, &json!({"success": true})),
            "messages" => self.send(call),
            _ => error(400, 100, "Unsupported request."),
        }
    }
}

impl Meta {
    fn send(&mut self, call: &Call) -> Answer {
        let message = &call.json;
        if message["messaging_product"] != "whatsapp" {
            return error(400, 100, "The parameter messaging_product is required.");
        }
        let person = [&message["to"], &message["recipient"]]
            .into_iter()
            .find_map(Value::as_str);
        let Some(person) = person.filter(|person| !person.is_empty()) else {
            return error(400, 131_008, "Required parameter is missing: to or recipient.");
        };
        let body = written(message);
        let takes = match message["type"].as_str() {
            Some("text") => body.encode_utf16().count() <= 4096,
            Some("template") => {
                let template = &message["template"];
                template["name"] == "late_reply"
                    && template["language"]["code"] == "en_US"
                    && !body.contains('\n')
            }
            _ => false,
        };
        if body.is_empty() || !takes {
            return error(400, 131_009, "Parameter value is not valid.");
        }
        self.sent += 1;
        let wamid = format!("wamid.OUT{:06}", self.sent);
        Answer::json(
            200,
            &json!({"messaging_product": "whatsapp", "contacts": [{"input": person}], "messages": [{"id": wamid}]}),
        )
    }
}

fn error(status: u16, code: u32, message: &str) -> Answer {
    let error = json!({"message": message, "type": "OAuthException", "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": message}, "fbtrace_id": "A1"});
    Answer::json(status, &json!({"error": error}))
}
