//! Section `slack` of the configuration.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::domain::account::is_plain_id;
use crate::domain::settings;

/// The most characters of a command (Slack's manifest schema, `slash_commands`).
const LONGEST_COMMAND: usize = 32;

/// The most prompts that Slack shows (`assistant.threads.setSuggestedPrompts`, and the manifest's `agent_view`).
pub const MOST_PROMPTS: usize = 4;

/// The most characters of an emoji's name (Slack's limit for emoji of one's own is 100), skin tone included.
const LONGEST_EMOJI: usize = 120;

/// Section `slack`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The app's signing secret; two while one is being replaced. Required, unless there is an `app_token`.
    #[serde(default, deserialize_with = "settings::secrets")]
    pub signing_secret: Vec<SecretString>,
    /// The token of the workspace's bot (`xoxb-…`).
    pub bot_token: Option<SecretString>,
    /// The app-level token (`xapp-…`): with it, what comes in is fetched by Socket Mode.
    pub app_token: Option<SecretString>,
    /// How many connections Socket Mode keeps standing.
    #[serde(default = "two")]
    pub socket_connections: usize,
    /// The app's client id, if others may install the app. Set together with the secret.
    pub client_id: Option<String>,
    /// The app's client secret.
    pub client_secret: Option<SecretString>,
    /// Where the Web API stands.
    pub api_base: String,
    /// How long to collect a burst here, if not as `turn.wait` says.
    #[serde(default, deserialize_with = "settings::optional_duration")]
    pub turn_wait: Option<Duration>,
    /// Whether replies in a thread that the bot takes part in are answered without a new mention.
    pub follow_threads: bool,
    /// Whether the app is an agent in Slack's eyes.
    #[serde(default)]
    pub agent_view: AgentView,
    /// Questions that are suggested to whoever opens it; at most [`MOST_PROMPTS`].
    #[serde(default, deserialize_with = "settings::list")]
    pub prompts: Vec<String>,
    /// The emoji on a person's message while an answer is on its way, without colons; empty: none. Not for agents.
    #[serde(default, deserialize_with = "emoji")]
    pub reaction: String,
    /// The command that asks a question (`/ask`); empty: none.
    #[serde(default = "ask", deserialize_with = "command")]
    pub command: String,
    /// Whether buttons stand below an answer: helpful, not helpful, a person.
    #[serde(default)]
    pub feedback: bool,
    /// The channel that hears of it when somebody asks for a person.
    pub alert_channel: Option<String>,
    /// The time between two messages in one channel, after a short burst; zero: no pacing.
    #[serde(default = "every_second", deserialize_with = "settings::duration")]
    pub pace: Duration,
    /// Whether people of other organisations are answered (Slack Connect).
    #[serde(default)]
    pub connect: Connect,
    /// The only channels in which it answers; empty: all. Direct messages are not concerned.
    #[serde(default, deserialize_with = "settings::list")]
    pub allow_channels: Vec<String>,
    /// Channels in which it never answers.
    #[serde(default, deserialize_with = "settings::list")]
    pub deny_channels: Vec<String>,
    /// The only people whom it answers; empty: all.
    #[serde(default, deserialize_with = "settings::list")]
    pub allow_users: Vec<String>,
    /// People whom it never answers.
    #[serde(default, deserialize_with = "settings::list")]
    pub deny_users: Vec<String>,
}

fn ask() -> String {
    "/ask".to_owned()
}

/// Slack may replace one of them while the other listens.
fn two() -> usize {
    2
}

fn every_second() -> Duration {
    Duration::from_secs(1)
}

/// A command as people type it, or nothing.
fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?.trim().to_owned();
    let named = text.strip_prefix('/').is_some_and(|name| {
        !name.is_empty() && !name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_uppercase())
    });
    if text.is_empty() || named && text.chars().count() <= LONGEST_COMMAND {
        return Ok(text);
    }
    Err(de::Error::custom(format!(
        "{text:?} is no command; write it as people type it, such as \"/ask\", or leave it empty for none"
    )))
}

/// The name of an emoji as Slack writes it, with or without its colons, or nothing.
fn emoji<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let name = text.trim().trim_matches(':');
    let plain = |c: char| {
        c.is_lowercase() || c.is_numeric() || matches!(c, '_' | '-' | '+' | ':' | '\'') || !c.is_ascii()
    };
    if name.len() <= LONGEST_EMOJI && name.chars().all(|c| plain(c) && !c.is_whitespace()) {
        return Ok(name.to_owned());
    }
    Err(de::Error::custom(format!(
        "{text:?} is no emoji; write its name as Slack does, such as \"eyes\", or leave it empty for none"
    )))
}

/// What the app is in Slack's eyes: its manifest has `agent_view`, `assistant_view` or neither.
///
/// Written `false`, `true` or `"assistant"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AgentView {
    /// Neither: a bot.
    #[default]
    Off,
    /// An agent (`agent_view`).
    Agent,
    /// An assistant (`assistant_view`), as apps could be until July 2026.
    Assistant,
}

impl<'de> Deserialize<'de> for AgentView {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Flag(bool),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Flag(false) => Ok(Self::Off),
            Written::Flag(true) => Ok(Self::Agent),
            Written::Word(word) if word == "assistant" => Ok(Self::Assistant),
            Written::Word(word) => Err(de::Error::custom(format!(
                "{word:?} is not known here; write true, false or \"assistant\""
            ))),
        }
    }
}

/// What is done with messages that come through Slack Connect: from people of another organisation, or in a
/// conversation that is shared with one.
///
/// Written `"allow"`, `"deny"` or as a list of the team ids that are let in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Connect {
    /// They are answered like everybody.
    #[default]
    Allow,
    /// They are not answered.
    Deny,
    /// People of these teams are answered, and one's own people.
    Only(Vec<String>),
}

impl<'de> Deserialize<'de> for Connect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = settings::list::<D, String>(deserializer)?;
        match items.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["allow"] => return Ok(Self::Allow),
            ["deny"] => return Ok(Self::Deny),
            _ => {}
        }
        // A mistyped word must not pass for a team that never writes.
        match items.iter().find(|item| !is_team_id(item)) {
            Some(odd) => Err(de::Error::custom(format!(
                "{odd:?} is no team id; write \"allow\", \"deny\", or a list of ids such as [\"T0123ABCD\"]"
            ))),
            None => Ok(Self::Only(items)),
        }
    }
}

/// Workspaces are called `T…`, organisations `E…`.
fn is_team_id(text: &str) -> bool {
    text.starts_with(['T', 'E']) && is_plain_id(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn connect(json: &str) -> Result<Connect, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn connect_is_a_word_or_a_list_of_teams() {
        assert_eq!(connect(r#""allow""#), Ok(Connect::Allow));
        assert_eq!(connect(r#""deny""#), Ok(Connect::Deny));
        let two = Connect::Only(vec!["T1".to_owned(), "E2".to_owned()]);
        assert_eq!(connect(r#"["T1","E2"]"#), Ok(two.clone()));
        assert_eq!(connect(r#""T1, E2""#), Ok(two));
        assert_eq!(connect("[]"), Ok(Connect::Only(Vec::new())));
    }

    #[test]
    fn a_mistyped_word_is_no_team() {
        for bad in [r#""alow""#, r#"["T1","deny"]"#, r#"["allow","deny"]"#] {
            let message = connect(bad).unwrap_err();
            assert!(message.contains("is no team id; write \"allow\""), "{message}");
        }
    }

    #[test]
    fn a_command_begins_with_a_slash_or_is_none() {
        let least = r#"{"signing_secret": "s", "api_base": "https://slack.com/api", "follow_threads": true}"#;
        let command = |text: &str| {
            let json = least.replacen('{', &format!("{{\"command\": \"{text}\","), 1);
            serde_json::from_str::<Settings>(&json).map(|settings| settings.command)
        };
        assert_eq!(command("/frag").unwrap(), "/frag");
        assert_eq!(command(" ").unwrap(), "");
        let long = format!("/{}", "x".repeat(32));
        for bad in ["ask", "/", "/a b", "/Ask", "//ask", &long] {
            let message = command(bad).unwrap_err().to_string();
            assert!(message.contains("is no command; write it as"), "{message}");
        }
    }

    #[test]
    fn what_the_app_is_and_its_emoji() {
        let least =
            json!({"signing_secret": "s", "api_base": "https://slack.com/api", "follow_threads": true});
        let read = |key: &str, value: Value| {
            let mut all = least.clone();
            all[key] = value;
            serde_json::from_value::<Settings>(all).map_err(|error| error.to_string())
        };
        for (value, view) in [
            (json!(false), AgentView::Off),
            (json!(true), AgentView::Agent),
            (json!("assistant"), AgentView::Assistant),
        ] {
            assert_eq!(read("agent_view", value).unwrap().agent_view, view);
        }
        assert!(
            read("agent_view", json!("agent"))
                .unwrap_err()
                .contains("is not known here")
        );
        for (value, name) in [
            (":eyes:", "eyes"),
            ("+1::skin-tone-2", "+1::skin-tone-2"),
            (" ", ""),
        ] {
            assert_eq!(read("reaction", json!(value)).unwrap().reaction, name);
        }
        for odd in ["two words", "Eyes", "a/b"] {
            assert!(
                read("reaction", json!(odd)).unwrap_err().contains("is no emoji"),
                "{odd}"
            );
        }
    }

    #[test]
    fn the_lists_may_be_left_out() {
        let least = r#"{"signing_secret": "s", "api_base": "https://slack.com/api", "follow_threads": true}"#;
        let settings: Settings = serde_json::from_str(least).unwrap();
        assert_eq!(
            (settings.connect, settings.allow_channels.len()),
            (Connect::Allow, 0)
        );
        assert!(serde_json::from_str::<Settings>(&least.replace("follow_", "folow_")).is_err());
    }
}
