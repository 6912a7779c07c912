//! `chatbridge check`: is everything set up, on both sides?
//!
//! Each channel brings its own checks in a file of its own here. A check is one question with one answer, and, where
//! the answer is no, one remedy.

mod certificate;
mod live;
mod local;
mod slack;
pub(super) mod whatsapp;

use std::io::{self, IsTerminal};

use serde::Serialize;
use thiserror::Error;

use super::whatsapp::Ids;
use super::{ConfigFile, output, progress};
use crate::config::{ConfigError, Settings};
use crate::telemetry;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  chatbridge check
  chatbridge check --offline
  chatbridge check --live --config /etc/chatbridge.toml
  chatbridge check --json | jq '.[] | select(.outcome == \"failed\")'

It looks at this machine (files, database, disk, clock, ports), calls the platforms with your tokens, and the daemon \
through its public address. It changes nothing. With --offline it looks at this machine only, and \
at who may read its secrets. With --live it does all of that, asks \
each agent a real question, in a conversation that nobody goes on with, reads the certificate of the public address, and \
posts something forged there.
Exit status: 0 all is well, 1 something failed, 2 the configuration cannot be used.")]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Look at this machine only: call no platform.
    #[arg(long, conflicts_with = "live")]
    offline: bool,
    /// Also ask each agent a real question, and try the public address as a stranger would.
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    ids: Ids,
    #[command(flatten)]
    config: ConfigFile,
}

/// One line of the checklist.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    /// What is looked at: `slack token`.
    name: String,
    /// How it is.
    outcome: Outcome,
    /// What was found, in a few words.
    found: String,
    /// What to do; none if all is well.
    remedy: Option<String>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// All is well.
    Ok,
    /// Something must be done.
    Failed,
    /// It could not be looked at.
    Skipped,
}

impl Check {
    /// All is well.
    fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            outcome: Outcome::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    /// Something must be done, and this.
    fn failed(name: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            outcome: Outcome::Failed,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }

    /// Whether something must be done.
    pub(super) fn is_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }

    /// The line as people read it, the remedy below.
    pub(super) fn text(&self) -> String {
        self.painted(false)
    }

    /// The same, its first word in colour or not.
    fn painted(&self, colours: bool) -> String {
        let (word, colour) = match self.outcome {
            Outcome::Ok => ("ok     ", "32"),
            Outcome::Failed => ("failed ", "31"),
            Outcome::Skipped => ("skipped", "33"),
        };
        let word = if colours {
            format!("\u{1b}[{colour}m{word}\u{1b}[0m")
        } else {
            word.to_owned()
        };
        let line = format!("{word} {}: {}", self.name, output::tame(&self.found));
        match &self.remedy {
            Some(remedy) => format!("{line}\n        {}", output::tame(remedy)),
            None => line,
        }
    }
}

/// Some checks failed; which was printed already.
#[derive(Debug, Error)]
#[error("{failed} of {all} checks failed")]
struct Failed {
    failed: usize,
    all: usize,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let settings = match args.config.load() {
        Ok(settings) => settings,
        Err(error) => {
            if args.json {
                output::json(&unusable(&error))?;
            }
            return Err(error.into());
        }
    };
    let work = checks(&settings, &args);
    let checks = progress::waiting("looking", work).await;
    if args.json {
        output::json(&checks)?;
    } else {
        let colours = telemetry::colours(io::stdout().is_terminal());
        for check in &checks {
            output::line(&check.painted(colours))?;
        }
    }
    let failed = checks.iter().filter(|check| check.is_failed()).count();
    if failed > 0 {
        return Err(Failed {
            failed,
            all: checks.len(),
        }
        .into());
    }
    Ok(())
}

/// All checks, in the order in which things are set up.
async fn checks(settings: &Settings, args: &Args) -> Vec<Check> {
    let off = settings.channels_off();
    let found = if off.is_empty() {
        "loads; all channels are on".to_owned()
    } else {
        format!("loads; off: {}", off.join(", "))
    };
    let mut checks = vec![Check::ok("configuration", found)];
    checks.extend(local::checks(settings, &args.config, args.offline || args.live).await);
    if args.offline {
        return checks;
    }
    // A channel that is on adds its own.
    if let Some(slack) = &settings.channels.slack {
        checks.extend(slack::checks(settings, slack).await);
    }
    if let Some(channel) = &settings.channels.whatsapp {
        let public_url = settings.server.public_url.as_deref();
        checks.extend(whatsapp::checks(channel, public_url, &args.ids).await);
    }
    if args.live {
        checks.extend(live::checks(settings).await);
    }
    checks
}

/// A configuration that does not load, as checks.
fn unusable(error: &ConfigError) -> Vec<Check> {
    let check = |problem: &crate::config::Problem| {
        let name = if problem.key.is_empty() {
            "configuration".to_owned()
        } else {
            format!("configuration {}", problem.key)
        };
        let remedy = format!("correct it in {}", problem.origin);
        Check::failed(name, problem.message.clone(), remedy)
    };
    error.problems.iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_it_is_and_what_to_do() {
        assert_eq!(Check::ok("a b", "fine").text(), "ok      a b: fine");
        let failed = Check::failed("a", "not\u{1b} found", "look");
        assert_eq!(failed.text(), "failed  a: not  found\n        look");
        assert_eq!(
            failed.painted(true),
            "\u{1b}[31mfailed \u{1b}[0m a: not  found\n        look"
        );
        assert_eq!(
            serde_json::to_value(failed).unwrap(),
            serde_json::json!({"name": "a", "outcome": "failed", "found": "not\u{1b} found", "remedy": "look"})
        );
    }
}
