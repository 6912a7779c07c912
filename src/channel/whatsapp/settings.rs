//! Section `whatsapp` of the configuration.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::window::Template;
use crate::channel::UnknownPolicy;
use crate::domain::settings;

/// Section `whatsapp`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The Meta app's secret; several for several apps or while one is being replaced. Required.
    #[serde(deserialize_with = "settings::secrets")]
    pub app_secret: Vec<SecretString>,
    /// The token of the handshake, as typed into Meta's dashboard. Required.
    pub verify_token: SecretString,
    /// The system user's token. Without one, deliveries are held until there is one.
    pub access_token: Option<SecretString>,
    /// The numbers that are served, by Meta's `phone_number_id`; empty: all.
    #[serde(default, deserialize_with = "settings::list")]
    pub phone_number_ids: Vec<String>,
    /// Where the Graph API stands, `https://graph.facebook.com` in earnest.
    pub api_base: String,
    /// The version of the Graph API, such as `v26.0`.
    pub api_version: String,
    /// How long to collect a burst here, if not as `turn.wait` says, nor for this channel's own 1.2 s.
    #[serde(default, deserialize_with = "settings::optional_duration")]
    pub turn_wait: Option<Duration>,
    /// How long a send that nobody knows the outcome of waits for its status.
    #[serde(deserialize_with = "settings::duration")]
    pub reconcile_wait: Duration,
    /// What then: Meta cannot be asked.
    pub unknown: UnknownPolicy,
    /// For how long the bot is silent on a thread where a colleague has written in the Business app; zero: it is not.
    #[serde(deserialize_with = "settings::duration")]
    pub echo_pause: Duration,
    /// The template that carries replies once the 24-hour window has closed; without one they are dead letters.
    pub window_template: Option<Template>,
    /// Numbers with a token of their own.
    #[serde(default)]
    pub numbers: Vec<Number>,
}

impl Settings {
    /// The secrets of all apps, those for every number first.
    pub(super) fn all_secrets(&self) -> impl Iterator<Item = &SecretString> {
        let own = self.numbers.iter().flat_map(|number| &number.app_secret);
        self.app_secret.iter().chain(own)
    }
}

/// One of `[[whatsapp.numbers]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// Which number.
    pub phone_number_id: String,
    /// Its token, if not `whatsapp.access_token`.
    pub access_token: Option<SecretString>,
    /// The secret of its Meta app, if that is another one than `whatsapp.app_secret`'s; several while one is being
    /// replaced. Then nothing else that is signed counts for it.
    #[serde(default, deserialize_with = "settings::secrets")]
    pub app_secret: Vec<SecretString>,
    /// Its agent: short for a route.
    pub agent_id: Option<String>,
}
