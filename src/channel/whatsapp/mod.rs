//! WhatsApp.

mod settings;

pub use settings::{Number, Settings};

use std::sync::Arc;

use super::Channel;
use crate::domain::Clock;
use crate::domain::texts::Texts;

/// Builds the channel.
pub fn channel(
    _settings: Settings,
    _texts: &Texts,
    _clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, reqwest::Error> {
    todo!()
}
