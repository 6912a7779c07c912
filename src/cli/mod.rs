//! The commands.

pub mod backup;
pub mod check;
pub mod completions;
mod confirm;
pub mod dead;
pub mod demo;
pub mod migrate;
mod moment;
mod output;
mod progress;
pub mod serve;
pub mod simulate;
pub mod slack;
pub mod threads;
pub mod whatsapp;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use thiserror::Error;

use crate::config::{self, ConfigError, Settings};
use crate::domain::{Clock, SystemClock, Time};
use crate::store::{self, Mode, Store, StoreError};
use crate::telemetry::lines;

/// A bridge between a LiveChatAI agent and the places where people write: Slack and WhatsApp.
#[derive(Debug, Parser)]
#[command(name = "chatbridge", version, arg_required_else_help = true, subcommand_required = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  chatbridge demo                                    see it work, without accounts or configuration
  chatbridge serve --config /etc/chatbridge.toml     run it
  chatbridge threads list                            see who wrote
  chatbridge dead list                               see what could not be answered or delivered

Exit status: 0 done, 1 failed, 2 wrong usage or configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Serve(serve::Args),
    /// See the bridge work: a simulated Slack, WhatsApp and agent on this machine.
    Demo(demo::Args),
    /// Send a signed event, as a platform would, to a running daemon.
    Simulate(simulate::Args),
    /// Bring the database up to date, or move it into another.
    Migrate(migrate::Args),
    /// Copy the database while the daemon runs.
    Backup(backup::Args),
    /// Look at the threads, change them, erase them.
    Threads(threads::Args),
    /// Look at what could not be answered or delivered, and try it again.
    Dead(dead::Args),
    /// Set up the app at Slack.
    Slack(slack::Args),
    /// See whether everything is set up, here and at the platforms.
    Check(check::Args),
    /// Set a WhatsApp number up at Meta.
    Whatsapp(whatsapp::Args),
    /// Print what a shell needs to complete these commands.
    Completions(completions::CompletionsArgs),
    /// Print the manual's page, or write the pages of all commands.
    Man(completions::ManArgs),
}

/// Runs a command.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Simulate(args) => simulate::run(args).await,
        Command::Migrate(args) => migrate::run(args).await,
        Command::Backup(args) => backup::run(args).await,
        Command::Threads(args) => threads::run(args).await,
        Command::Dead(args) => dead::run(args).await,
        Command::Slack(args) => slack::run(&args),
        Command::Check(args) => check::run(args).await,
        Command::Whatsapp(args) => whatsapp::run(args).await,
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
    }
}

/// A command that was called wrongly.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Tells on standard error what went wrong, and returns the status: 2 for wrong usage or configuration, else 1.
pub fn explain(error: &anyhow::Error) -> ExitCode {
    if output::is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        eprintln!("error: the configuration cannot be used");
        error.problems.iter().for_each(|problem| eprintln!("  {problem}"));
        return ExitCode::from(2);
    }
    eprintln!("error: {}", lines::written_out(&sentence(error)));
    if error.is::<Usage>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// The error and its causes. Many errors name their cause themselves: it is not said twice.
fn sentence(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |said, cause| {
            if said.is_empty() {
                cause
            } else if said.contains(&cause) {
                said
            } else {
                format!("{said}: {cause}")
            }
        })
}

/// Which configuration to use.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigFile {
    /// The configuration file [default: config/chatbridge.toml, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads the configuration.
    pub fn load(&self) -> Result<Settings, ConfigError> {
        config::load(self.config.as_deref())
    }
}

/// What the commands about threads and dead letters take.
#[derive(Debug, Args)]
struct Common {
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Opens the store for a command, beside a daemon that may be running.
async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, StoreError> {
    store::open(&settings.store, Mode::Command).await
}

/// The present moment by the clock of those who work on the store.
fn now(store: &dyn Store) -> Time {
    store
        .clock()
        .map_or_else(|| SystemClock.now(), |clock| clock.now())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn refused(arguments: &[&str]) -> ErrorKind {
        let arguments = std::iter::once("chatbridge").chain(arguments.iter().copied());
        Cli::try_parse_from(arguments)
            .expect_err("this is wrong usage")
            .kind()
    }

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_takes_a_configuration_and_shows_examples() {
        let mut root = Cli::command();
        root.build();
        let mut left: Vec<_> = root
            .get_subcommands()
            .filter(|command| command.get_name() != "help")
            .collect();
        while let Some(command) = left.pop() {
            let name = command.get_name();
            left.extend(
                command
                    .get_subcommands()
                    .filter(|command| command.get_name() != "help"),
            );
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(help.contains("chatbridge "), "{name}");
            assert!(
                command
                    .get_arguments()
                    .any(|argument| argument.get_id() == "config"),
                "{name}"
            );
        }
    }

    #[test]
    fn wrong_usage_is_refused() {
        assert_eq!(refused(&[]), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
        assert_eq!(
            refused(&["threads", "list", "--state", "closed"]),
            ErrorKind::InvalidValue
        );
        assert_eq!(refused(&["dead", "purge"]), ErrorKind::MissingRequiredArgument);
        assert_eq!(
            refused(&["dead", "purge", "--limit", "3"]),
            ErrorKind::MissingRequiredArgument
        );
        assert_eq!(refused(&["threads", "erase"]), ErrorKind::MissingRequiredArgument);
        assert_eq!(
            refused(&["threads", "erase", "some-id", "--person", "15550001111"]),
            ErrorKind::ArgumentConflict
        );
        assert_eq!(
            refused(&["dead", "list", "--since", "yesterday"]),
            ErrorKind::ValueValidation
        );
        assert_eq!(
            refused(&["dead", "replay", "some-id", "--all"]),
            ErrorKind::ArgumentConflict
        );
        for half in ["--from", "--to"] {
            assert_eq!(
                refused(&["migrate", half, "sqlite://a.db"]),
                ErrorKind::MissingRequiredArgument
            );
        }
        assert_eq!(refused(&["serve", "--port", "1"]), ErrorKind::UnknownArgument);
    }

    #[test]
    fn errors_say_whose_they_are_by_their_status() {
        let missing = ConfigFile {
            config: Some("no/such.toml".into()),
        }
        .load()
        .unwrap_err();
        let closed_pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(explain(&missing.into()), ExitCode::from(2));
        assert_eq!(explain(&Usage("say --yes".to_owned()).into()), ExitCode::from(2));
        assert_eq!(explain(&StoreError::Closed.into()), ExitCode::FAILURE);
        assert_eq!(explain(&closed_pipe.into()), ExitCode::SUCCESS);
    }
}
