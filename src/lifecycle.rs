//! From the first signal to the end.
//!
//! SIGTERM or SIGINT asks the daemon to stop: it takes nothing new, finishes what is under way within
//! `server.shutdown_grace`, and ends with status 0. A second signal ends it at once, with status 1. Either way nothing
//! is lost: what was acknowledged is in the store, and the next start takes it up.

pub mod systemd;

use std::io;

use anyhow::{Context, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{Ended, Pulse, Running};
use systemd::Notify;

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
    let notify = Notify::from_environment();
    notify.ready();
    let name = tokio::select! {
        name = signals.next() => name,
        () = keep_alive(&notify, running.pulse()) => bail!("the watch ended"),
        ended = running.ended() => {
            ended.context("the daemon stopped by itself; the log tells why")?;
            bail!("the daemon stopped by itself");
        }
    };
    notify.stopping();
    tracing::info!(
        signal = name,
        "stopping: nothing new is taken, what is under way is finished"
    );
    let pulse = running.pulse();
    tokio::select! {
        () = keep_alive(&notify, pulse) => {}
        ended = running.stop() => match ended? {
            Ended::Finished => tracing::info!("stopped; everything under way is finished"),
            Ended::Cut => tracing::warn!("stopped before everything was finished; the next start takes it up"),
        },
        name = signals.next() => bail!("{name} again: stopped at once; the next start takes up what was not finished"),
    }
    Ok(())
}

/// Tells the supervisor that the daemon lives, for as long as it does; waits for ever where nobody wants to know.
async fn keep_alive(notify: &Notify, pulse: Pulse) {
    let Some(every) = systemd::watchdog() else {
        return std::future::pending().await;
    };
    loop {
        pulse.beat().await;
        notify.alive();
        tokio::time::sleep(every).await;
    }
}
