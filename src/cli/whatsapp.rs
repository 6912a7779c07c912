//! `chatbridge whatsapp`.

use anyhow::anyhow;
use clap::Subcommand;

use super::check::whatsapp::list;
use super::confirm::{confirmed, may_ask};
use super::{ConfigFile, Usage, output};
use crate::channel::whatsapp::setup::{self, Change, Setup};
use crate::config::Settings;

const EXAMPLES: &str = "\
Examples:
  chatbridge whatsapp setup
  chatbridge whatsapp setup --app-id 670843887433847 --waba-id 102290129340398
  chatbridge whatsapp setup --yes

It shows how everything is set at Meta and what it would change: the callback of the app, overrides of the account and of
numbers, and the subscription of the app to the account. It changes nothing before you agree. The daemon must be running
and reachable at server.public_url: Meta calls it when a callback is set.
An app has one callback: setting it overwrites the one that is there, and whoever used it gets nothing any more.";

/// Arguments of `whatsapp`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Let Meta send the messages of your numbers here.
    #[command(after_help = EXAMPLES)]
    Setup {
        #[command(flatten)]
        ids: Ids,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Ids at Meta that the configuration does not hold.
#[derive(Debug, clap::Args)]
pub(super) struct Ids {
    /// WhatsApp: the id of the Meta app [default: as the API tells]
    #[arg(long, value_name = "ID", value_parser = id)]
    app_id: Option<String>,
    /// WhatsApp: the id of the WhatsApp Business Account [default: as the API tells]
    #[arg(long, value_name = "ID", value_parser = id)]
    waba_id: Option<String>,
}

/// What is given becomes part of an address.
fn id(text: &str) -> Result<String, &'static str> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain
        .then(|| text.to_owned())
        .ok_or("an id of Meta's has digits and letters only")
}

impl From<&Ids> for setup::Ids {
    fn from(ids: &Ids) -> Self {
        Self {
            app: ids.app_id.clone(),
            account: ids.waba_id.clone(),
        }
    }
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let settings = args.config.load()?;
    match args.action {
        Action::Setup { ids, yes } => set_up(&settings, &ids, yes).await,
    }
}

async fn set_up(settings: &Settings, ids: &Ids, yes: bool) -> anyhow::Result<()> {
    let setup = prepare(settings, ids)?;
    output::line("How it is:")?;
    let survey = setup.survey().await;
    show(&list(&survey))?;
    let changes = survey.changes();
    if changes.is_empty() {
        output::line("\nThere is nothing that setup could change.")?;
    } else {
        output::line("\nWhat would be changed:")?;
        for change in &changes {
            output::line(&format!("  - {}", output::tame(&change.to_string())))?;
        }
    }
    may_ask(yes, "nothing was changed: setup asks first")?;
    if changes.is_empty() {
        return verdict(&list(&survey));
    }
    if !yes && !confirmed(&question(changes.len()))? {
        return Err(anyhow!("nothing was changed"));
    }
    make(&setup, &changes).await?;
    output::line("\nHow it is now:")?;
    let checks = list(&setup.survey().await);
    show(&checks)?;
    verdict(&checks)
}

/// What must be configured before Meta can be asked.
fn prepare(settings: &Settings, ids: &Ids) -> anyhow::Result<Setup> {
    let usage = |words: &str| anyhow::Error::from(Usage(words.to_owned()));
    let Some(channel) = &settings.channels.whatsapp else {
        return Err(usage(
            "WhatsApp is off: first set whatsapp.app_secret and whatsapp.verify_token",
        ));
    };
    let Some(public_url) = &settings.server.public_url else {
        return Err(usage(
            "server.public_url is not set: Meta must be told where to send the messages",
        ));
    };
    let setup = Setup::new(channel, Some(public_url), ids.into())?;
    if setup.has_token() {
        Ok(setup)
    } else {
        Err(usage(
            "whatsapp.access_token is not set: without the system user's token Meta tells nothing",
        ))
    }
}

fn show(checks: &[super::check::Check]) -> anyhow::Result<()> {
    checks.iter().try_for_each(|check| output::line(&check.text()))
}

async fn make(setup: &Setup, changes: &[Change]) -> anyhow::Result<()> {
    output::line("")?;
    for (index, change) in changes.iter().enumerate() {
        if let Err(refused) = setup.apply(change).await {
            return Err(anyhow!(
                "this was not done: {change}. {refused}. Of {} changes {index} were made before it",
                changes.len()
            ));
        }
        output::line(&format!("done: {}", output::tame(&change.to_string())))?;
    }
    Ok(())
}

fn verdict(checks: &[super::check::Check]) -> anyhow::Result<()> {
    let failed = checks.iter().filter(|check| check.is_failed()).count();
    if failed == 0 {
        return Ok(());
    }
    Err(anyhow!(
        "{failed} of {} checks failed; each says what to do",
        checks.len()
    ))
}

fn question(count: usize) -> String {
    if count == 1 {
        return "\nMake this change at Meta?".to_owned();
    }
    format!("\nMake these {count} changes at Meta?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_fits_into_an_address() {
        assert_eq!(id("102290129340398").as_deref(), Ok("102290129340398"));
        for wrong in ["", "12/../34", "12?x=1", "US.1"] {
            assert!(id(wrong).is_err(), "{wrong}");
        }
    }
}
