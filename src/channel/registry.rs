//! The one place that lists the channels. A new one adds its folder and a line in each of the two items here.

use std::sync::Arc;

use serde::Deserialize;

use super::{Channel, slack, whatsapp};
use crate::domain::Clock;
use crate::domain::family::FamilyStore;
use crate::domain::installation::InstallationStore;
use crate::domain::texts::Texts;

/// The sections of the channels. A channel without a section is off.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Settings {
    /// Section `slack`.
    pub slack: Option<slack::Settings>,
    /// Section `whatsapp`.
    pub whatsapp: Option<whatsapp::Settings>,
}

/// What channels are built with.
pub struct Needs<'a> {
    /// What a person may see of the bridge.
    pub texts: &'a Texts,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The address by which the world reaches the public listener.
    pub public_url: Option<&'a str>,
    /// Where installations are kept.
    pub installations: Arc<dyn InstallationStore>,
    /// Where it is kept which accounts belong together.
    pub families: Arc<dyn FamilyStore>,
}

/// Builds the channels that are on.
pub fn channels(settings: &Settings, needs: &Needs) -> Result<Vec<Arc<dyn Channel>>, reqwest::Error> {
    let mut channels = Vec::new();
    if let Some(slack) = &settings.slack {
        channels.push(slack::channel(slack.clone(), needs)?);
    }
    if let Some(whatsapp) = &settings.whatsapp {
        channels.push(whatsapp::channel(
            whatsapp.clone(),
            needs.texts,
            needs.clock.clone(),
            Some(needs.families.clone()),
        )?);
    }
    Ok(channels)
}
