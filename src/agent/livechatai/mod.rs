//! LiveChatAI, by its API version 2 (the reference's pages "Send a message" and "Retrieve a conversation").
//!
//! The API knows no idempotency key: a question that is posted twice is asked twice. So an attempt whose answer got
//! lost is looked for in its conversation before it is made again. What the reference leaves open (limits, what an
//! exhausted quota answers) is met by the HTTP status alone.

mod answers;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Agent, AgentError, Answer, Disposition, Question};
use crate::domain::settings;
use crate::outbound::{self, Failure, Service};

/// The agent in the metrics.
const SERVICE: Service = Service::new("agent").traced();

/// Section `agent` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the API stands.
    pub base_url: String,
    /// The account's key. Without one all questions are held.
    pub api_key: Option<SecretString>,
    /// The agent that answers where no route says otherwise.
    pub agent_id: Option<String>,
    /// How long one question may take.
    #[serde(deserialize_with = "settings::duration")]
    pub timeout: Duration,
    /// How many questions one agent gets at once.
    pub concurrency: u32,
    /// What becomes of the addresses that the agent names as its sources.
    pub links: Links,
}

/// What becomes of an answer's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Links {
    /// They are listed below the answer.
    List,
    /// They are left out.
    Off,
}

/// A client of LiveChatAI.
#[derive(Debug)]
pub struct LiveChatAi {
    client: Client,
    base_url: String,
    api_key: Option<SecretString>,
}

impl LiveChatAi {
    /// A client for this account. Nothing is asked yet.
    pub fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: outbound::client(settings.timeout)?,
            base_url: settings.base_url.trim_end_matches('/').to_owned(),
            api_key: settings.api_key.clone(),
        })
    }

    fn key(&self, question: &Question) -> Result<&str, AgentError> {
        if question.agent_id.is_empty() {
            return Err(held("agent_id_missing", "no agent is named: set agent.agent_id"));
        }
        match &self.api_key {
            Some(key) => Ok(key.expose_secret()),
            None => Err(held(
                "api_key_missing",
                "there is no key for LiveChatAI: set agent.api_key",
            )),
        }
    }
}

fn held(code: &'static str, message: &str) -> AgentError {
    AgentError {
        code,
        message: message.to_owned(),
        disposition: Disposition::Hold,
    }
}

/// The body of a question. The address of who asks is never sent: the daemon does not know it, and its own would be
/// wrong.
fn body(question: &Question) -> Value {
    let mut body = json!({
        "question": question.text,
        "agentId": question.agent_id,
        "messageType": "TEXT",
        "responseFormat": "PLAIN",
        "integrationType": question.integration_type,
    });
    if let Some(id) = &question.conversation_id {
        body["conversationId"] = id.as_str().into();
    }
    if let Some(country) = &question.country {
        body["country"] = country.as_str().into();
    }
    body
}

#[async_trait]
impl Agent for LiveChatAi {
    async fn ask(&self, question: &Question) -> Result<Answer, AgentError> {
        let key = self.key(question)?;
        let url = format!("{}/api/v2/conversations", self.base_url);
        let request = self.client.post(url).bearer_auth(key).json(&body(question));
        match SERVICE.call(request).await {
            Ok(answer) => answers::read(&answer, question),
            Err(failure @ Failure::NotSent(_)) => Err(AgentError {
                code: "unreachable",
                message: format!("LiveChatAI {failure}"),
                disposition: Disposition::Retry { after: None },
            }),
            Err(failure @ Failure::Unknown(_)) => Err(AgentError {
                code: "no_whole_answer",
                message: format!("LiveChatAI {failure}"),
                disposition: Disposition::Ambiguous,
            }),
        }
    }

    async fn look_up(&self, question: &Question) -> Result<Option<Answer>, AgentError> {
        let Some(conversation) = &question.conversation_id else {
            return Ok(None);
        };
        let key = self.key(question)?;
        let Ok(mut url) = reqwest::Url::parse(&format!("{}/api/v2/conversations", self.base_url)) else {
            return Ok(None);
        };
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(conversation);
        }
        match SERVICE.call(self.client.get(url).bearer_auth(key)).await {
            Ok(answer) => Ok(answers::find(&answer, question)),
            Err(failure) => {
                tracing::debug!(%failure, "a conversation could not be looked up");
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests;
