//! `chatbridge dead`.

use std::io::{self, IsTerminal, Write};

use anyhow::anyhow;
use clap::Subcommand;

use super::{ConfigFile, Usage, output};
use crate::config::Settings;
use crate::store::Store;
use crate::store::operator::{DeadLetter, DeadQuery};

const EXAMPLES: &str = "\
Examples:
  chatbridge dead list --kind delivery
  chatbridge dead show 0198c2d4-5e6f-7a8b-9c0d-1e2f3a4b5c6d
  chatbridge dead replay --all
  chatbridge dead purge 0198c2d4-5e6f-7a8b-9c0d-1e2f3a4b5c6d --yes

A dead letter is a message that was never answered, or a part of an answer that was never delivered.";

/// Arguments of `dead`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the dead letters, the oldest first.
    #[command(after_help = EXAMPLES)]
    List {
        /// Only this kind.
        #[arg(long, value_parser = ["message", "delivery"])]
        kind: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show one.
    #[command(after_help = EXAMPLES)]
    Show {
        /// Its id.
        id: String,
    },
    /// Try again.
    #[command(after_help = EXAMPLES)]
    Replay {
        #[command(flatten)]
        which: Which,
    },
    /// Forget them.
    #[command(after_help = EXAMPLES)]
    Purge {
        #[command(flatten)]
        which: Which,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Their ids.
    ids: Vec<String>,
    /// All of them.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args { common, action } = args;
    let settings = common.config.load()?;
    if matches!(action, Action::Purge { yes: false, .. }) && !io::stdin().is_terminal() {
        let words = "purge forgets for good and asks first; without a terminal say --yes";
        return Err(Usage(words.to_owned()).into());
    }
    let store = super::open_store(&settings).await?;
    let done = act(&*store, &settings, action, common.json).await;
    store.close().await;
    done
}

async fn act(store: &dyn Store, settings: &Settings, action: Action, json: bool) -> anyhow::Result<()> {
    match action {
        Action::List { kind, limit } => {
            list(
                store,
                DeadQuery {
                    kind,
                    id: None,
                    limit,
                },
                json,
            )
            .await
        }
        Action::Show { id } => show(store, id, json).await,
        Action::Replay { which } => replay(store, settings, which, json).await,
        Action::Purge { which, yes } => purge(store, which, yes, json).await,
    }
}

async fn list(store: &dyn Store, query: DeadQuery, json: bool) -> anyhow::Result<()> {
    let letters = store.dead(query).await?;
    if json {
        return output::json(&letters);
    }
    if letters.is_empty() {
        return output::line("There are no such dead letters.");
    }
    let row = |letter: DeadLetter| {
        vec![
            letter.at,
            letter.kind,
            letter.code,
            letter.address,
            letter.id,
            letter.reason,
        ]
    };
    let rows: Vec<_> = letters.into_iter().map(row).collect();
    output::table(&["at", "kind", "code", "address", "id", "reason"], &rows)
}

async fn show(store: &dyn Store, id: String, json: bool) -> anyhow::Result<()> {
    let letters = store
        .dead(DeadQuery {
            id: Some(id.clone()),
            kind: None,
            limit: 1,
        })
        .await?;
    let letter = letters.first().ok_or_else(|| unknown(&id))?;
    if json {
        return output::json(letter);
    }
    output::fields(&[
        ("id", &letter.id),
        ("kind", &letter.kind),
        ("address", &letter.address),
        ("thread", &letter.thread),
        ("at", &letter.at),
        ("attempts", &letter.attempts.to_string()),
        ("code", &letter.code),
        ("reason", &letter.reason),
    ])
}

async fn replay(store: &dyn Store, settings: &Settings, which: Which, json: bool) -> anyhow::Result<()> {
    let (mut done, routes) = (Done::default(), settings.routes());
    for id in ids(store, which).await? {
        let found = store.replay(&id, &routes, super::now(store)).await?;
        done.note(id, found);
    }
    done.report("replayed", "back to work", json)
}

async fn purge(store: &dyn Store, which: Which, yes: bool, json: bool) -> anyhow::Result<()> {
    let (mut done, ids) = (Done::default(), ids(store, which).await?);
    if !ids.is_empty() && !yes && !confirmed(ids.len())? {
        return Err(anyhow!("nothing is forgotten"));
    }
    for id in ids {
        let found = store.purge(&id, super::now(store)).await?;
        done.note(id, found);
    }
    done.report("purged", "forgotten", json)
}

fn confirmed(count: usize) -> io::Result<bool> {
    let letters = if count == 1 {
        "this dead letter".to_owned()
    } else {
        format!("these {count} dead letters")
    };
    write!(io::stderr(), "Forget {letters} for good? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn ids(store: &dyn Store, which: Which) -> anyhow::Result<Vec<String>> {
    if !which.all {
        return Ok(which.ids);
    }
    let letters = store
        .dead(DeadQuery {
            limit: u32::MAX,
            ..DeadQuery::default()
        })
        .await?;
    Ok(letters.into_iter().map(|letter| letter.id).collect())
}

/// What became of each id.
#[derive(Debug, Default)]
struct Done {
    found: Vec<String>,
    unknown: Vec<String>,
}

impl Done {
    fn note(&mut self, id: String, found: bool) {
        let list = if found { &mut self.found } else { &mut self.unknown };
        list.push(id);
    }

    fn report(self, key: &str, words: &str, json: bool) -> anyhow::Result<()> {
        if json {
            output::json(&serde_json::json!({key: self.found, "unknown": self.unknown}))?;
        } else {
            let letters = if self.found.len() == 1 {
                "dead letter"
            } else {
                "dead letters"
            };
            output::line(&format!("{} {letters} {words}.", self.found.len()))?;
        }
        if self.unknown.is_empty() {
            Ok(())
        } else {
            Err(unknown(&self.unknown.join(", ")))
        }
    }
}

fn unknown(id: &str) -> anyhow::Error {
    anyhow!("no dead letter is known as {id:?}; `chatbridge dead list` shows them all")
}
