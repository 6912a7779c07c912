//! `chatbridge backup`.

use std::path::PathBuf;

use bytesize::ByteSize;

use super::{ConfigFile, output, progress};
use crate::store;

const EXAMPLES: &str = "\
Examples:
  chatbridge backup /somewhere/safe/chatbridge-2026-01-31.db
  chatbridge backup \"/somewhere/safe/chatbridge-$(date +%F).db\" --config /etc/chatbridge.toml

The daemon may run meanwhile. A file that is there already is left alone. To restore: docs/operating.md.";

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where the copy is to stand.
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
}

/// Copies the database and says what belongs to the copy.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let settings = args.config.load()?.store;
    // SQLite does not say how far it is; the copy itself shows how much is written.
    let so_far = || {
        let written = store::backup_so_far(&args.file)?;
        Some(format!("{} written", ByteSize(written)))
    };
    let copied = store::backup(&settings, &args.file);
    let copy = progress::counting("copying and checking the database", so_far, copied).await?;
    let (file, size) = (args.file.display(), ByteSize(copy.size));
    output::line(&format!("{file}: {size}, whole and checked."))?;
    output::line("To read it again you also need, kept in another place:")?;
    if let Some(key) = copy.key_file {
        output::line(&format!("  {} (encrypts tokens)", key.display()))?;
    }
    if !settings.secret_key.is_empty() {
        output::line("  store.secret_key (encrypts tokens)")?;
    }
    if !settings.text_key.is_empty() {
        output::line("  store.text_key (encrypts texts)")?;
    }
    output::line("  the configuration, with its secrets")
}
