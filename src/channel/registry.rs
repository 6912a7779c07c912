//! The one place that lists the channels. A new one adds its folder and a line in each of the two items here.

use std::sync::Arc;

use serde::Deserialize;

use super::{Channel, slack, whatsapp};
use crate::domain::Clock;
use crate::domain::texts::Texts;

/// The sections of the channels. A channel without a section is off.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Settings {
    /// Section `slack`.
    pub slack: Option<slack::Settings>,
    /// Section `whatsapp`.
    pub whatsapp: Option<whatsapp::Settings>,
}

/// Builds the channels that are on.
pub fn channels(
    settings: &Settings,
    texts: &Texts,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Arc<dyn Channel>>, reqwest::Error> {
    let mut channels = Vec::new();
    if let Some(slack) = &settings.slack {
        channels.push(slack::channel(slack.clone(), texts, clock.clone())?);
    }
    if let Some(whatsapp) = &settings.whatsapp {
        channels.push(whatsapp::channel(whatsapp.clone(), texts, clock.clone())?);
    }
    Ok(channels)
}
