//! Section `slack` of the configuration.

use secrecy::SecretString;
use serde::Deserialize;

use crate::domain::settings;

/// Section `slack`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The app's signing secret; two while one is being replaced. Required.
    #[serde(deserialize_with = "settings::secrets")]
    pub signing_secret: Vec<SecretString>,
    /// The token of the workspace's bot (`xoxb-…`).
    pub bot_token: Option<SecretString>,
    /// Where the Web API stands.
    pub api_base: String,
    /// How long to collect a burst here, if not as `turn.wait` says.
    #[serde(default, deserialize_with = "settings::optional_duration")]
    pub turn_wait: Option<std::time::Duration>,
    /// Whether replies in a thread that the bot takes part in are answered without a new mention.
    pub follow_threads: bool,
}
