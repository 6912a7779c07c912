//! `chatbridge slack`.

use clap::Subcommand;

use super::{ConfigFile, Usage, output};
use crate::channel::slack::manifest::{self, LONGEST_NAME, NAME};

const EXAMPLES: &str = "\
Examples:
  chatbridge slack manifest
  chatbridge slack manifest --name 'Shop Support' --json
  chatbridge slack manifest --config /etc/chatbridge.toml > manifest.yaml

On https://api.slack.com/apps click Create New App, From a manifest, and paste it. For an app that is there already:
the app, App Manifest.";

/// Arguments of `slack`.
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
    /// Print the app's manifest for this configuration.
    #[command(after_help = EXAMPLES)]
    Manifest {
        /// What the app and its bot are called.
        #[arg(long, default_value = NAME, value_parser = name)]
        name: String,
        /// Print JSON instead of YAML.
        #[arg(long)]
        json: bool,
    },
}

fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_NAME {
        return Err(format!("Slack takes names of 1 to {LONGEST_NAME} characters"));
    }
    Ok(text.to_owned())
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let settings = args.config.load()?;
    let Action::Manifest { name, json } = &args.action;
    let Some(slack) = &settings.channels.slack else {
        let words = "the manifest follows the configuration, and it has no section [slack]; add the section, with any \
                     signing_secret (or, for Socket Mode, any app_token that begins with xapp-) until you have the app's \
                     own";
        return Err(Usage(words.to_owned()).into());
    };
    let public_url = match &settings.server.public_url {
        Some(public_url) => public_url,
        // With Socket Mode Slack needs no address.
        None if slack.app_token.is_some() => "",
        None => {
            let words = "server.public_url is not set: Slack must be told the address by which it reaches this daemon; \
                         where it cannot, set slack.app_token (Socket Mode)";
            return Err(Usage(words.to_owned()).into());
        }
    };
    let manifest = manifest::manifest(slack, public_url, name);
    if *json {
        output::json(&manifest)
    } else {
        output::line(manifest::yaml(&manifest).trim_end())
    }
}
