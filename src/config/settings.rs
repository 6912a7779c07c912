//! The configuration as the rest of the crate takes it.

use config::{Map, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::catalogue::{self, CHANNELS};
use super::gather::Gathered;
use super::problem::Problem;
use super::shown::{self, Shown};
use crate::agent::livechatai;
use crate::channel::{registry, whatsapp};
use crate::domain::routing::{Routes, Rule};
use crate::domain::texts::Texts;
use crate::http::{AdminSettings, ServerSettings};
use crate::worker::{RetrySettings, TurnSettings};
use crate::{store, telemetry};

/// Everything that the operator has set. It prints without its secrets.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Section `server`.
    pub server: ServerSettings,
    /// Section `admin`.
    pub admin: AdminSettings,
    /// Section `log`.
    pub log: telemetry::Settings,
    /// Section `telemetry`.
    pub traces: telemetry::otlp::TraceSettings,
    /// Section `store`.
    pub store: store::Settings,
    /// Section `agent`.
    pub agent: livechatai::Settings,
    /// The channels' sections; one without a section is off.
    pub channels: registry::Settings,
    /// Which agent answers where, the first that matches: first the WhatsApp numbers with an agent of their own,
    /// then `[[routes]]`.
    pub routes: Vec<Rule>,
    /// Section `turn`.
    pub turn: TurnSettings,
    /// Section `retry`.
    pub retry: RetrySettings,
    /// Section `messages`.
    pub messages: Texts,
    /// All keys as an operator may look at them.
    pub shown: Vec<Shown>,
}

impl Settings {
    /// The routes, and `agent.agent_id` where none matches.
    pub fn routes(&self) -> Routes {
        Routes::new(
            self.routes.clone(),
            self.agent.agent_id.as_deref().unwrap_or_default(),
        )
    }

    /// The channels that are off.
    pub fn channels_off(&self) -> Vec<&'static str> {
        let on = [self.channels.slack.is_some(), self.channels.whatsapp.is_some()];
        CHANNELS
            .iter()
            .zip(on)
            .filter(|(_, on)| !on)
            .map(|(name, _)| *name)
            .collect()
    }
}

/// Builds the settings from entries that were all understood.
pub(super) fn build(gathered: &Gathered) -> Result<Settings, Problem> {
    let channels = registry::Settings {
        slack: optional_section(gathered, "slack")?,
        whatsapp: optional_section(gathered, "whatsapp")?,
    };
    let mut routes: Vec<Rule> = channels.whatsapp.iter().flat_map(number_rules).collect();
    if let Some(tables) = gathered.entries.get(&("", "routes")) {
        routes.extend(read::<Vec<Rule>>("routes", tables.value.clone())?);
    }
    Ok(Settings {
        server: section(gathered, "server")?,
        admin: section(gathered, "admin")?,
        log: section(gathered, "log")?,
        traces: section(gathered, "telemetry")?,
        store: section(gathered, "store")?,
        agent: section(gathered, "agent")?,
        channels,
        routes,
        turn: section(gathered, "turn")?,
        retry: section(gathered, "retry")?,
        messages: section(gathered, "messages")?,
        shown: shown::all(gathered),
    })
}

/// A number's own agent, as a rule.
fn number_rules(settings: &whatsapp::Settings) -> impl Iterator<Item = Rule> {
    settings.numbers.iter().filter_map(|number| {
        Some(Rule {
            channel: Some("whatsapp".to_owned()),
            account: Some(number.phone_number_id.clone()),
            place: None,
            agent_id: number.agent_id.clone()?,
        })
    })
}

fn optional_section<T: DeserializeOwned>(
    gathered: &Gathered,
    name: &'static str,
) -> Result<Option<T>, Problem> {
    let there = gathered.entries.keys().any(|(section, _)| *section == name);
    there.then(|| section(gathered, name)).transpose()
}

fn section<T: DeserializeOwned>(gathered: &Gathered, name: &'static str) -> Result<T, Problem> {
    let entries = gathered
        .entries
        .iter()
        .filter(|((section, _), _)| *section == name);
    let table: Map<String, ValueKind> = entries
        .map(|((_, key), entry)| ((*key).to_owned(), entry.value.clone()))
        .collect();
    read(name, table.into())
}

/// Reads a section that was checked already: what fails here is told without the value, which may be a secret.
fn read<T: DeserializeOwned>(name: &str, value: ValueKind) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Value::new(None, value)).map_err(|error| {
        let path = error.path().to_string();
        let secret = catalogue::section(name)
            .and_then(|section| section.key(path.split(['.', '[']).next()?))
            .is_none_or(|key| key.kind.is_secret());
        let message = if secret {
            "cannot be used".to_owned()
        } else {
            error.into_inner().to_string()
        };
        Problem::new(format!("{name}.{path}"), "as set", message)
    })
}
