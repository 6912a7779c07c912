//! `chatbridge demo`.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::watch;

use super::{ConfigFile, Usage, output};
use crate::agent::livechatai;
use crate::app::{self, Overrides};
use crate::config;
use crate::demo::exchange::{self, Verdict};
use crate::demo::journal::{Entry, Journal};
use crate::demo::page::{self, Page};
use crate::demo::transcript::{self, Style, Transcript};
use crate::demo::{Demo, Stage, reachable};
use crate::lifecycle::Signals;
use crate::telemetry;

/// How wide lines are where there is no terminal.
const WIDTH: usize = 80;

/// How much longer than the agent may take an answer is waited for.
const MARGIN: Duration = Duration::from_secs(10);

/// What the environment names the agent's section by.
const AGENT_VARIABLES: &str = "CHATBRIDGE__AGENT__";

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  chatbridge demo                                      see it work, then write to it yourself, in the browser
  chatbridge simulate slack \"Do you repair zips?\"      write to it, from another terminal
  chatbridge demo --exit                               prove that it works, by its status
  CHATBRIDGE__AGENT__API_KEY=… CHATBRIDGE__AGENT__AGENT_ID=… chatbridge demo
                                                       let your own agent answer

Nothing needs to be configured. Only with --config FILE is a file read: then its agent answers.
Everything is kept in a temporary folder that is removed at the end.
CHATBRIDGE__LOG__LEVEL=info shows the log.")]
pub struct Args {
    /// End after the exchange, with status 0 only if every message was answered where it was written.
    #[arg(long)]
    exit: bool,
    /// Where the daemon listens; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    bind: SocketAddr,
    /// Where the page is served on which you can write; port 0 is any free one.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:0",
        conflicts_with = "exit"
    )]
    page: SocketAddr,
    /// Be the daemon of a demo with this configuration, until standard input ends.
    #[arg(long, value_name = "FILE", hide = true, conflicts_with_all = ["exit", "bind", "page", "config"])]
    bridge: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    if let Some(file) = &args.bridge {
        return be_the_bridge(file).await;
    }
    let real = real_agent(&args.config)?;
    let mut signals = Signals::listen()?;
    let stage = Stage::set_up().await?;
    let settings = stage.settings(args.bind, real.clone())?;
    telemetry::init(&settings.log);
    let patience = settings.agent.timeout.saturating_add(MARGIN);
    let starting = async {
        if args.exit {
            stage.start(settings).await
        } else {
            stage.start_apart(args.bind, real.as_ref()).await
        }
    };
    let mut demo = tokio::select! {
        demo = starting => demo?,
        _ = signals.next() => return Ok(()),
    };
    let page = page::serve(&demo, args.page, real.is_some()).await;
    let page = page.with_context(|| format!("the page cannot be served on {}", args.page))?;
    let mut printer = Printer::new(&demo.journal);
    introduce(&printer, demo.public_addr, real.as_ref())?;
    let verdict = tokio::select! {
        verdict = exchange::play(&demo, patience) => verdict,
        error = printer.follow() => return Err(error),
        _ = signals.next() => return stop(demo).await,
    };
    printer.catch_up()?;
    conclude(&printer, &verdict, page.as_ref())?;
    if !args.exit {
        stay(&mut demo, &mut printer, &mut signals).await?;
    }
    stop(demo).await?;
    if args.exit && !verdict.missing.is_empty() {
        bail!("the exchange failed; what is missing stands above");
    }
    Ok(())
}

/// The agent that the operator wants to hear, if any: that of the file they named, else that of the environment.
fn real_agent(file: &ConfigFile) -> anyhow::Result<Option<livechatai::Settings>> {
    let ours = || {
        std::env::vars_os().filter(|(name, _)| {
            name.to_str()
                .is_some_and(|name| name.starts_with(AGENT_VARIABLES))
        })
    };
    let agent = if file.config.is_some() {
        file.load()?.agent
    } else if ours().any(|(name, _)| name.to_string_lossy().starts_with("CHATBRIDGE__AGENT__API_KEY")) {
        config::parse("", "", ours())?.agent
    } else {
        return Ok(None);
    };
    let missing = match (&agent.api_key, &agent.agent_id) {
        (None, _) => "agent.api_key",
        (_, None) => "agent.agent_id",
        _ => return Ok(Some(agent)),
    };
    let variable = missing.to_uppercase().replace('.', "__");
    let message = format!(
        "your own agent is to answer, but {missing} is not set: set CHATBRIDGE__{variable}, or leave out the key and \
         --config to hear the demo's agent"
    );
    Err(Usage(message).into())
}

fn introduce(
    printer: &Printer,
    address: SocketAddr,
    real: Option<&livechatai::Settings>,
) -> anyhow::Result<()> {
    let agent = match real {
        Some(agent) => format!(
            "Your own agent at {} answers; everything else stays on this machine.",
            agent.base_url
        ),
        None => "The agent is a small one that answers for Fjord & Pine, a shop that does not exist. Nothing leaves \
                 this machine."
            .to_owned(),
    };
    printer.say(&format!(
        "This is chatbridge at http://{address}, the real daemon, between a simulated Slack and a simulated WhatsApp. \
         {agent} Behind each answer stands how long the person waited for it."
    ))
}

/// The daemon of a demo, as the demo starts it: until a signal, or until nobody holds the other end of its input.
async fn be_the_bridge(file: &Path) -> anyhow::Result<()> {
    let settings = config::load(Some(file))?;
    telemetry::init(&settings.log);
    let mut signals = Signals::listen()?;
    let (ended, mut input) = watch::channel(false);
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        ended.send_replace(true);
    });
    let mut running = app::start(settings, Overrides::default()).await?;
    tokio::select! {
        _ = signals.next() => {}
        _ = input.wait_for(|ended| *ended) => {}
        ended = running.ended() => ended?,
    }
    running.stop().await?;
    Ok(())
}

fn conclude(printer: &Printer, verdict: &Verdict, page: Option<&Page>) -> anyhow::Result<()> {
    output::line("")?;
    if verdict.missing.is_empty() {
        printer.say(&format!(
            "All {} messages were answered where they were written; the two that Carla wrote at once got one answer, \
             because on WhatsApp the bridge waits a moment for more.",
            verdict.messages
        ))?;
    } else {
        printer.say("Not all went well:")?;
        verdict
            .missing
            .iter()
            .try_for_each(|missing| printer.say(&format!("- {missing}")))?;
    }
    let Some(page) = page else {
        return Ok(());
    };
    let us = ourselves();
    output::line(&format!(
        "\nNow write yourself, and make the neighbours fail, in a browser:\n  \
         http://{}\n\
         Or from another terminal:\n  \
         {us} simulate slack \"Do you repair zips?\"\n  \
         {us} simulate whatsapp \"How long does shipping take?\"\n\
         Ctrl-C ends the demo.",
        reachable(page.address)
    ))
}

/// How this command was called.
fn ourselves() -> String {
    // Cargo sets it for what it runs.
    if std::env::var_os("CARGO").is_some() {
        return "cargo run --".to_owned();
    }
    std::env::args().next().unwrap_or_else(|| "chatbridge".to_owned())
}

/// Shows what is said until somebody ends the demo.
async fn stay(demo: &mut Demo, printer: &mut Printer, signals: &mut Signals) -> anyhow::Result<()> {
    tokio::select! {
        _ = signals.next() => Ok(()),
        error = printer.follow() => Err(error),
        ended = demo.daemon.ended() => {
            ended.context("the daemon stopped by itself")?;
            bail!("the daemon stopped by itself");
        }
    }
}

async fn stop(mut demo: Demo) -> anyhow::Result<()> {
    demo.daemon.stop().await?;
    Ok(())
}

/// Prints the transcript as it grows.
struct Printer {
    transcript: Transcript,
    style: Style,
    entries: watch::Receiver<Vec<Entry>>,
    printed: usize,
}

impl Printer {
    fn new(journal: &Journal) -> Self {
        let terminal = io::stdout().is_terminal();
        let size = terminal.then(terminal_size::terminal_size).flatten();
        let style = Style {
            width: size.map_or(WIDTH, |(terminal_size::Width(columns), _)| usize::from(columns)),
            colours: telemetry::colours(terminal),
        };
        Self {
            transcript: Transcript::new(style),
            style,
            entries: journal.follow(),
            printed: 0,
        }
    }

    /// Prints what was not printed yet.
    fn catch_up(&mut self) -> anyhow::Result<()> {
        let new: Vec<Entry> = self
            .entries
            .borrow_and_update()
            .iter()
            .skip(self.printed)
            .cloned()
            .collect();
        self.printed += new.len();
        new.iter()
            .try_for_each(|entry| output::line(self.transcript.lines(entry).trim_end()))
    }

    /// Prints what comes until it cannot.
    async fn follow(&mut self) -> anyhow::Error {
        loop {
            if let Err(error) = self.catch_up() {
                return error;
            }
            if self.entries.changed().await.is_err() {
                return anyhow::anyhow!("the demo has ended");
            }
        }
    }

    /// Prints a paragraph.
    fn say(&self, text: &str) -> anyhow::Result<()> {
        output::line(&transcript::paragraph(text, self.style.width))
    }
}
