//! `chatbridge simulate`.

use super::ConfigFile;

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chatbridge simulate")]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    args.config.load()?;
    anyhow::bail!("this build has no simulate")
}
