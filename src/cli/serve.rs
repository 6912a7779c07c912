//! `chatbridge serve`.

use super::ConfigFile;
use crate::app::{self, Overrides};
use crate::lifecycle::{self, Signals, systemd};
use crate::telemetry;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  chatbridge serve
  chatbridge serve --config /etc/chatbridge.toml
  CHATBRIDGE__LOG__FORMAT=json CHATBRIDGE__AGENT__API_KEY_FILE=/run/secrets/key chatbridge serve

SIGTERM stops it when what is under way is finished; a second signal stops it at once.")]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

/// Runs the daemon until a signal stops it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    // Before anything else runs: it changes the environment.
    let listeners = systemd::listeners()?;
    let settings = args.config.load()?;
    telemetry::init(&settings.log);
    let mut signals = Signals::listen()?;
    let overrides = Overrides {
        listeners,
        ..Overrides::default()
    };
    let running = tokio::select! {
        running = app::start(settings, overrides) => running?,
        // Nothing is under way yet.
        _ = signals.next() => return Ok(()),
    };
    lifecycle::run(running, signals).await
}
