//! From the first signal to the end.
//!
//! SIGTERM or SIGINT asks the daemon to stop: it takes nothing new, finishes what is under way within
//! `server.shutdown_grace`, and ends with status 0. A second signal ends it at once, with status 1. Either way nothing
//! is lost: what was acknowledged is in the store, and the next start takes it up.

use std::io;

use anyhow::{Context, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{Ended, Running};

/// The signals that stop the daemon, heard from now on.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to listen. From here on the signals do not end the process by themselves.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one's name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Runs until a signal has stopped the daemon. An error is a stop that nobody asked for, or a second signal.
pub async fn run(mut running: Running, mut signals: Signals) -> anyhow::Result<()> {
    let name = tokio::select! {
        name = signals.next() => name,
        ended = running.ended() => {
            ended.context("the daemon stopped by itself; the log tells why")?;
            bail!("the daemon stopped by itself");
        }
    };
    tracing::info!(
        signal = name,
        "stopping: nothing new is taken, what is under way is finished"
    );
    tokio::select! {
        ended = running.stop() => match ended? {
            Ended::Finished => tracing::info!("stopped; everything under way is finished"),
            Ended::Cut => tracing::warn!("stopped before everything was finished; the next start takes it up"),
        },
        name = signals.next() => bail!("{name} again: stopped at once; the next start takes up what was not finished"),
    }
    Ok(())
}
