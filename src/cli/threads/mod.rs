//! `chatbridge threads`.

mod erase;

use anyhow::anyhow;
use clap::Subcommand;

use super::confirm::may_ask;
use super::{Common, output};
use crate::store::Store;
use crate::store::operator::{ThreadChange, ThreadDetail, ThreadQuery, ThreadRow};

const EXAMPLES: &str = "\
Examples:
  chatbridge threads list --channel slack --limit 20
  chatbridge threads show whatsapp/106540352242922/16505551234
  chatbridge threads pause slack/T0123ABCD/C0123ABCD/1700000000.000100
  chatbridge threads list --json | jq -r '.[].address'
  chatbridge threads erase --person 16505551234

THREAD is an id or an address as the list shows them.";

/// Arguments of `threads`.
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
    /// List the threads, the latest first.
    #[command(after_help = EXAMPLES)]
    List {
        /// Only this channel.
        #[arg(long)]
        channel: Option<String>,
        /// Only this state.
        #[arg(long, value_parser = ["open", "paused"])]
        state: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show a thread with what was said on it.
    #[command(after_help = EXAMPLES)]
    Show(One),
    /// Forget the conversation: the next question opens another.
    #[command(after_help = EXAMPLES)]
    Reset(One),
    /// Keep the bot silent on the thread: a person answers.
    #[command(after_help = EXAMPLES)]
    Pause(One),
    /// Let the bot answer on the thread again.
    #[command(after_help = EXAMPLES)]
    Resume(One),
    /// Erase a thread, or all threads of a person: text, names and numbers.
    #[command(after_help = EXAMPLES)]
    Erase(erase::Erase),
    /// Show what was erased, the latest first.
    #[command(after_help = EXAMPLES)]
    Audit {
        /// At most so many lines.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
}

#[derive(Debug, clap::Args)]
struct One {
    /// An id or an address.
    thread: String,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args { common, action } = args;
    if let Action::Erase(erase) = &action {
        may_ask(erase.yes, "erase cannot be taken back and asks first")?;
    }
    let store = super::open_store(&common.config.load()?).await?;
    let done = act(&*store, action, common.json).await;
    store.close().await;
    done
}

async fn act(store: &dyn Store, action: Action, json: bool) -> anyhow::Result<()> {
    let reset = "is reset: the next question opens a new conversation";
    let paused = "is paused: the bot is silent there";
    let resumed = "is open: the bot answers there";
    match action {
        Action::List {
            channel,
            state,
            limit,
        } => {
            list(
                store,
                ThreadQuery {
                    channel,
                    state,
                    limit,
                    search: None,
                },
                json,
            )
            .await
        }
        Action::Erase(erase) => erase.run(store, json).await,
        Action::Audit { limit } => erase::audit(store, limit, json).await,
        Action::Show(one) => show(store, &one.thread, json).await,
        Action::Reset(one) => change(store, &one.thread, ThreadChange::Reset, reset, json).await,
        Action::Pause(one) => change(store, &one.thread, ThreadChange::Pause, paused, json).await,
        Action::Resume(one) => change(store, &one.thread, ThreadChange::Resume, resumed, json).await,
    }
}

async fn list(store: &dyn Store, query: ThreadQuery, json: bool) -> anyhow::Result<()> {
    let threads = store.threads(query).await?;
    if json {
        return output::json(&threads);
    }
    if threads.is_empty() {
        return output::line("There are no such threads.");
    }
    let row = |thread: ThreadRow| vec![thread.last_at, thread.state, thread.address, thread.id];
    let rows: Vec<_> = threads.into_iter().map(row).collect();
    output::table(&["last at", "state", "address", "id"], &rows)
}

async fn show(store: &dyn Store, name: &str, json: bool) -> anyhow::Result<()> {
    let thread = store.thread(name).await?.ok_or_else(|| unknown(name))?;
    if json {
        output::json(&thread)
    } else {
        print(&thread)
    }
}

fn print(detail: &ThreadDetail) -> anyhow::Result<()> {
    let thread = &detail.thread;
    let aliases = detail.aliases.join(", ");
    let conversation = thread.conversation_id.as_deref().unwrap_or("none yet");
    output::fields(&[
        ("address", &thread.address),
        ("id", &thread.id),
        ("known as", &aliases),
        ("state", &thread.state),
        ("conversation", conversation),
        ("last at", &thread.last_at),
    ])?;
    for item in &detail.history {
        let reason = item
            .reason
            .as_ref()
            .map(|reason| format!(" ({reason})"))
            .unwrap_or_default();
        let head = format!("{} {} {}{reason}", item.at, item.kind, item.state);
        output::line(&format!("\n{}", output::tame(&head)))?;
        for line in item.text.lines() {
            output::line(&format!("  {}", output::tame(line)))?;
        }
    }
    Ok(())
}

async fn change(
    store: &dyn Store,
    name: &str,
    change: ThreadChange,
    words: &str,
    json: bool,
) -> anyhow::Result<()> {
    let thread = store
        .change_thread(name, change, super::now(store))
        .await?
        .ok_or_else(|| unknown(name))?;
    if json {
        return output::json(&thread);
    }
    output::line(&format!("{} {words}.", output::tame(&thread.address)))
}

fn unknown(name: &str) -> anyhow::Error {
    anyhow!("no thread is known as {name:?}; `chatbridge threads list` shows them all")
}
