//! `chatbridge check`: is everything set up, on both sides?
//!
//! Each channel brings its own checks in a file of its own here. A check is one question with one answer, and, where
//! the answer is no, one remedy.

mod slack;
pub(super) mod whatsapp;

use serde::Serialize;
use thiserror::Error;

use super::whatsapp::Ids;
use super::{ConfigFile, output};
use crate::config::{ConfigError, Settings};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  chatbridge check
  chatbridge check --config /etc/chatbridge.toml
  chatbridge check --json | jq '.[] | select(.outcome == \"failed\")'

It calls the platforms with your tokens and the daemon through its public address; it changes nothing.
Exit status: 0 all is well, 1 something failed, 2 the configuration cannot be used.")]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
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
        let word = match self.outcome {
            Outcome::Ok => "ok     ",
            Outcome::Failed => "failed ",
            Outcome::Skipped => "skipped",
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
    let checks = checks(&settings, &args.ids).await;
    if args.json {
        output::json(&checks)?;
    } else {
        for check in &checks {
            output::line(&check.text())?;
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
async fn checks(settings: &Settings, ids: &Ids) -> Vec<Check> {
    let off = settings.channels_off();
    let found = if off.is_empty() {
        "loads; all channels are on".to_owned()
    } else {
        format!("loads; off: {}", off.join(", "))
    };
    let mut checks = vec![Check::ok("configuration", found)];
    // A channel that is on adds its own.
    if let Some(slack) = &settings.channels.slack {
        checks.extend(slack::checks(settings, slack).await);
    }
    if let Some(channel) = &settings.channels.whatsapp {
        checks.extend(whatsapp::checks(channel, settings.server.public_url.as_deref(), ids).await);
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
            serde_json::to_value(failed).unwrap(),
            serde_json::json!({"name": "a", "outcome": "failed", "found": "not\u{1b} found", "remedy": "look"})
        );
    }
}
