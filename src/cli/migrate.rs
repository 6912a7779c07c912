//! `chatbridge migrate`.

use super::progress::{self, Progress};
use super::{ConfigFile, Usage, output};
use crate::store::moving::{Move, Moved, Phase, Step};
use crate::store::{self, Settings};

const EXAMPLES: &str = "\
Examples:
  chatbridge migrate --config /etc/chatbridge.toml
  chatbridge migrate --from sqlite:///var/lib/chatbridge/chatbridge.db --to postgres://chatbridge@db.example.com/chatbridge
  PGPASSWORD=… chatbridge migrate --from postgres://chatbridge@db.example.com/chatbridge --to sqlite://chatbridge.db

Alone it brings the database of the configuration up to date, as `serve` does at its start. A database of a newer
chatbridge is refused and left as it is.

With --from and --to it moves everything into an empty database. Stop every daemon first. The source is only read. If the
move is cut off, run the same again: it goes on where it was. Step by step: docs/operating.md.";

/// Not a comment of the argument's: there addresses would be marked up.
const FROM: &str =
    "Move everything out of this database: sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/NAME";

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(long, value_name = "URL", requires = "to", help = FROM)]
    from: Option<String>,
    /// Move it into this database, which must be empty
    #[arg(long, value_name = "URL", requires = "from")]
    to: Option<String>,
    /// Print what was moved as JSON
    #[arg(long, requires = "from")]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Brings the database up to date, or moves one into another, and says what that took.
pub async fn run(args: Args) -> anyhow::Result<()> {
    if let (Some(from), Some(to)) = (args.from, args.to) {
        return move_store(&address("--from", from)?, &address("--to", to)?, args.json).await;
    }
    let settings = args.config.load()?;
    let work = store::migrate(&settings.store);
    let (path, count) = progress::waiting("bringing the database up to date", work).await?;
    output::line(&match count {
        0 => format!("{path} is up to date already."),
        1 => format!("{path} is up to date now: 1 migration ran."),
        _ => format!("{path} is up to date now: {count} migrations ran."),
    })
}

/// An address as an operator wrote it. It may hold a password, so no error shows it.
fn address(option: &str, url: String) -> Result<Settings, Usage> {
    let settings = Settings {
        url,
        ..Settings::default()
    };
    if settings.is_postgres() || settings.url.starts_with("sqlite:") {
        return Ok(settings);
    }
    Err(Usage(format!(
        "{option} is written sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/NAME"
    )))
}

async fn move_store(from: &Settings, to: &Settings, json: bool) -> anyhow::Result<()> {
    let opening = Move::open(from, to);
    let moving = progress::waiting("looking at both databases", opening).await?;
    let before = count(moving.moved_before());
    eprintln!("moving {} into {}", moving.from(), moving.to());
    if before > 0 {
        eprintln!("an earlier run has moved {before} rows: going on behind them");
    }
    let mut shown: Option<(Phase, Progress)> = None;
    let mut told = |step: Step| {
        if shown.as_ref().is_none_or(|(phase, _)| *phase != step.phase) {
            // The line of the one before is gone before the next is drawn.
            drop(shown.take());
            drop(shown.take());
            shown = Some((step.phase, begun(step, before)));
        }
        if let Some((_, progress)) = &mut shown {
            progress.reach(count(step.done));
        }
    };
    let moved = moving.run(&mut told).await;
    drop(shown);
    let moved = moved?;
    if json {
        return output::json(&moved.tables);
    }
    tell(&moved)
}

fn begun(step: Step, before: usize) -> Progress {
    match step.phase {
        Phase::Copying => Progress::of_rows("copying", before, count(step.total)),
        Phase::Checking => Progress::of_rows("reading back", 0, count(step.total)),
    }
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// Says what was moved, and what it takes to read it.
fn tell(moved: &Moved) -> anyhow::Result<()> {
    let (from, to) = (&moved.from, &moved.to);
    let row = |table: &store::moving::MovedTable| {
        vec![
            table.table.to_owned(),
            table.rows.to_string(),
            table.checksum.chars().take(16).collect(),
        ]
    };
    let rows: Vec<Vec<String>> = moved.tables.iter().map(row).collect();
    output::table(&["table", "rows", "checksum"], &rows)?;
    output::line("")?;
    output::line(&format!(
        "{to} holds all of {from}: every row was read back and compared."
    ))?;
    for line in keys(moved) {
        output::line(&line)?;
    }
    output::line("Now set store.url to the new address and start chatbridge.")?;
    output::line(&format!(
        "{from} is as it was: the way back, until the new one has taken messages."
    ))
}

/// Which keys the new database needs.
fn keys(moved: &Moved) -> Vec<String> {
    let mut lines = Vec::new();
    if moved.tokens > 0 {
        lines.push(match (&moved.from_key, &moved.to_key) {
            (Some(from), Some(to)) => format!(
                "Tokens moved as they are encrypted. They need the same store.secret_key, or the key in {}: copy that to {}.",
                from.display(),
                to.display()
            ),
            (Some(from), None) => format!(
                "Tokens moved as they are encrypted. They need the same store.secret_key; if none was set, set it to the text \
                 in {}.",
                from.display()
            ),
            (None, _) => "Tokens moved as they are encrypted. They need the same store.secret_key.".to_owned(),
        });
    }
    if moved.texts > 0 {
        lines.push("Texts moved as they are encrypted. They need the same store.text_key.".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_kind_of_database_and_is_not_repeated() {
        assert!(address("--to", "postgres://u:secret@h/d".to_owned()).is_ok());
        assert!(address("--to", "sqlite://a.db".to_owned()).is_ok());
        for wrong in ["a.db", "mysql://u:secret@h/d", ""] {
            let refused = address("--to", wrong.to_owned()).unwrap_err().to_string();
            assert!(
                refused.starts_with("--to ") && !refused.contains("secret"),
                "{refused}"
            );
        }
    }
}
