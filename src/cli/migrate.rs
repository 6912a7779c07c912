//! `chatbridge migrate`.

use super::{ConfigFile, output, progress};
use crate::store;

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chatbridge migrate --config /etc/chatbridge.toml

`serve` does the same at its start. A database of a newer chatbridge is refused and left as it is.")]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

/// Brings the database up to date and says what that took.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let settings = args.config.load()?;
    let work = store::migrate(&settings.store);
    let (path, count) = progress::waiting("bringing the database up to date", work).await?;
    output::line(&match count {
        0 => format!("{path} is up to date already."),
        1 => format!("{path} is up to date now: 1 migration ran."),
        _ => format!("{path} is up to date now: {count} migrations ran."),
    })
}
