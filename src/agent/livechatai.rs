//! LiveChatAI.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use crate::domain::settings;

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
