//! `chatbridge threads erase` and `threads audit`.

use anyhow::anyhow;
use serde_json::json;

use super::unknown;
use crate::cli::confirm::confirmed;
use crate::cli::output;
use crate::cli::progress::{self, Progress};
use crate::store::Store;
use crate::store::privacy::{AuditLine, Erased, Erasure, Traces, plain_name};

/// What `threads erase` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Erase {
    /// An id or an address.
    #[arg(required_unless_present = "person", conflicts_with = "person")]
    thread: Option<String>,
    /// All threads of this person, over all accounts: a phone number, a user id, the id of a direct message.
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    /// Do not ask.
    #[arg(long)]
    pub(super) yes: bool,
}

impl Erase {
    /// Erases, and tells what that was.
    pub(super) async fn run(self, store: &dyn Store, json: bool) -> anyhow::Result<()> {
        let person = self.person.as_deref().map(plain_name);
        let threads: Vec<String> = match (&self.thread, &person) {
            (Some(name), _) => {
                let thread = store.thread(name).await?.ok_or_else(|| unknown(name))?;
                vec![thread.thread.id]
            }
            (None, Some(person)) => {
                let threads = store.threads_of(person).await?;
                threads.into_iter().map(|thread| thread.id).collect()
            }
            (None, None) => Vec::new(),
        };
        if !self.yes && !confirmed(&question(threads.len(), person.is_some()))? {
            return Err(anyhow!("nothing is erased"));
        }
        let mut erased = Vec::with_capacity(threads.len() + 1);
        let mut progress = Progress::new("erasing", threads.len());
        for thread in threads {
            erased.extend(
                store
                    .erase(Erasure::Thread(thread), crate::cli::now(store))
                    .await?,
            );
            progress.step();
        }
        drop(progress);
        if let Some(person) = person {
            let elsewhere = store
                .erase(Erasure::Person(person), crate::cli::now(store))
                .await?;
            erased.extend(elsewhere.filter(|erased| !erased.is_nothing()));
            if erased.is_empty() {
                return Err(anyhow!(
                    "nobody is known by that name; give it as the addresses have it"
                ));
            }
        }
        // Erased it is already: what the files still hold must be told of in any case.
        let clear = store.clear(crate::cli::now(store));
        let traces = progress::waiting("removing the last traces from the database's files", clear).await;
        let words = if json {
            output::json(&json!({"erased": erased, "traces": traces.as_ref().unwrap_or(&Traces::Left)}))
        } else {
            erased.iter().try_for_each(|erased| output::line(&told(erased)))
        };
        words.and(left(traces, json))
    }
}

fn question(threads: usize, person: bool) -> String {
    match (threads, person) {
        (1, false) => "Erase this thread for good, with all that was said on it?".to_owned(),
        (1, true) => "Erase the one thread of this person for good?".to_owned(),
        (threads, _) => format!("Erase {threads} threads of this person for good?"),
    }
}

fn told(erased: &Erased) -> String {
    let Erased {
        messages,
        deliveries,
        names,
        ratings,
        ..
    } = erased;
    let what = match (&erased.address, &erased.id) {
        (Some(address), Some(id)) => format!("{} ({id})", output::tame(address)),
        _ => "on other threads".to_owned(),
    };
    let conversation = erased.conversation_id.as_deref().map(output::tame);
    let conversation = conversation.map_or_else(String::new, |id| {
        format!("\n  The agent still has conversation {id}: delete it there.")
    });
    format!(
        "erased {what}: messages {messages}, parts of answers {deliveries}, names {names}, ratings {ratings}{conversation}"
    )
}

/// Tells what the database's files still hold.
fn left(traces: Result<Traces, crate::store::StoreError>, json: bool) -> anyhow::Result<()> {
    let again =
        "the daemon tries again every ten minutes, and `chatbridge threads audit` tells when they are gone";
    match traces {
        Ok(Traces::None) => Ok(()),
        Ok(Traces::Left) => Err(anyhow!(
            "it is erased, but the database's files still hold traces, because something reads or writes all the time; {again}"
        )),
        Ok(Traces::Server) if json => Ok(()),
        Ok(Traces::Server) => output::line(
            "What PostgreSQL still holds in dead rows goes with the next VACUUM; its log and your backups are yours to clean.",
        ),
        Err(error) => Err(anyhow!(
            "it is erased, but the database's files still hold traces ({error}); {again}"
        )),
    }
}

/// Prints the audit.
pub(super) async fn audit(store: &dyn Store, limit: u32, json: bool) -> anyhow::Result<()> {
    let lines = store.audit(limit).await?;
    if json {
        return output::json(&lines);
    }
    if lines.is_empty() {
        return output::line("Nothing was erased yet.");
    }
    let row = |line: AuditLine| {
        vec![
            line.at,
            line.what,
            line.thread.unwrap_or_default(),
            line.messages.to_string(),
            line.deliveries.to_string(),
            line.names.to_string(),
            line.ratings.to_string(),
            line.cleared_at.unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = lines.into_iter().map(row).collect();
    let head = [
        "at",
        "what",
        "thread",
        "messages",
        "parts",
        "names",
        "ratings",
        "files clear at",
    ];
    output::table(&head, &rows)
}
