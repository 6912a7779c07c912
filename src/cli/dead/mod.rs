//! `chatbridge dead`.

mod which;

use anyhow::anyhow;
use clap::Subcommand;

use super::confirm::{confirmed, may_ask};
use super::progress::Progress;
use super::{Common, output};
use crate::config::Settings;
use crate::store::Store;
use crate::store::operator::{DeadLetter, DeadQuery};
use which::{Filter, Which};

const EXAMPLES: &str = "\
Examples:
  chatbridge dead list --kind delivery --since 2h
  chatbridge dead show 0198c2d4-5e6f-7a8b-9c0d-1e2f3a4b5c6d
  chatbridge dead replay --all
  chatbridge dead replay --code agent_unavailable --account T0123ABCD
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
        #[command(flatten)]
        filter: Filter,
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

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args { common, action } = args;
    let settings = common.config.load()?;
    if let Action::Purge { yes, .. } = action {
        may_ask(yes, "purge forgets for good and asks first")?;
    }
    let store = super::open_store(&settings).await?;
    let done = act(&*store, &settings, action, common.json).await;
    store.close().await;
    done
}

async fn act(store: &dyn Store, settings: &Settings, action: Action, json: bool) -> anyhow::Result<()> {
    match action {
        Action::List { filter, limit } => list(store, filter.query(limit, super::now(store)), json).await,
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
            limit: 1,
            ..DeadQuery::default()
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
    let ids = which.ids(store, super::now(store)).await?;
    let mut progress = Progress::new("replaying", ids.len());
    for id in ids {
        let found = store.replay(&id, &routes, super::now(store)).await?;
        done.note(id, found);
        progress.step();
    }
    drop(progress);
    done.report("replayed", "back to work", json)
}

async fn purge(store: &dyn Store, which: Which, yes: bool, json: bool) -> anyhow::Result<()> {
    let (mut done, ids) = (Done::default(), which.ids(store, super::now(store)).await?);
    if !ids.is_empty() && !yes && !confirmed(&question(ids.len()))? {
        return Err(anyhow!("nothing is forgotten"));
    }
    let mut progress = Progress::new("purging", ids.len());
    for id in ids {
        let found = store.purge(&id, super::now(store)).await?;
        done.note(id, found);
        progress.step();
    }
    drop(progress);
    done.report("purged", "forgotten", json)
}

fn question(count: usize) -> String {
    if count == 1 {
        return "Forget this dead letter for good?".to_owned();
    }
    format!("Forget these {count} dead letters for good?")
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
