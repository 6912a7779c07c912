//! The daemon of a demo: within the demo's own process, or as a process of its own that can be killed and started
//! again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;
use thiserror::Error;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{oneshot, watch};

use crate::app::{Died, Running};
use crate::outbound;

/// How long the daemon may take until it answers.
const START: Duration = Duration::from_secs(20);
/// How often it is looked whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long it may take to finish what is under way when it is told to end.
const END: Duration = Duration::from_secs(8);
/// Ports that systems do not hand out by themselves: nobody comes by one while the daemon is away.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// Why the daemon's process does not run.
#[derive(Debug, Error)]
pub enum BridgeError {
    /// There is no process.
    #[error("the daemon's process does not start: {0}")]
    Spawn(#[from] std::io::Error),
    /// It ended before it answered.
    #[error("the daemon's process ended before it answered; its log tells why")]
    Ended,
    /// It does not answer.
    #[error("the daemon's process does not answer within {} seconds", START.as_secs())]
    Silent,
}

/// How the daemon's process fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It was started and does not answer yet.
    Starting,
    /// It answers.
    Running {
        /// The process.
        pid: u32,
    },
    /// It was killed with SIGKILL.
    Killed,
    /// It ended otherwise.
    Ended,
}

/// The daemon of a demo.
#[derive(Debug)]
pub enum Bridge {
    /// Within this process.
    Within(Box<Running>),
    /// A process of its own.
    Apart(Apart),
}

impl Bridge {
    /// Waits until the daemon ends by itself, which it should not.
    pub async fn ended(&mut self) -> Result<(), Died> {
        match self {
            Self::Within(running) => running.ended().await,
            Self::Apart(apart) => {
                let mut life = apart.follow();
                let _ = life.wait_for(|life| *life == Life::Ended).await;
                Ok(())
            }
        }
    }

    /// Ends it when what is under way is finished.
    pub async fn stop(&mut self) -> Result<(), Died> {
        match self {
            Self::Within(running) => running.stop().await.map(drop),
            Self::Apart(apart) => {
                apart.stop().await;
                Ok(())
            }
        }
    }
}

/// The daemon as a process of its own: this program, called anew. Clones share it; with the last one it is killed.
#[derive(Debug, Clone)]
pub struct Apart(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    file: PathBuf,
    /// What the environment holds beside ours.
    environment: Vec<(String, String)>,
    life: watch::Sender<Life>,
    process: Mutex<Option<Process>>,
}

/// What ends a process: a word to its keeper, or the end of its standard input.
#[derive(Debug)]
struct Process {
    kill: oneshot::Sender<()>,
    input: Option<ChildStdin>,
}

impl Apart {
    /// A daemon that is to listen on `address` with the configuration in `file` and, over it, these variables.
    pub fn new(address: SocketAddr, file: PathBuf, environment: Vec<(String, String)>) -> Self {
        Self(Arc::new(Shared {
            address,
            file,
            environment,
            life: watch::Sender::new(Life::Ended),
            process: Mutex::default(),
        }))
    }

    /// How it fares.
    pub fn life(&self) -> Life {
        *self.0.life.borrow()
    }

    /// A reader that is woken when it fares otherwise.
    pub fn follow(&self) -> watch::Receiver<Life> {
        self.0.life.subscribe()
    }

    /// Starts it, unless it runs, and waits until it answers.
    pub async fn start(&self) -> Result<(), BridgeError> {
        if matches!(self.life(), Life::Starting | Life::Running { .. }) {
            return Ok(());
        }
        let mut child = self.command()?.spawn()?;
        let pid = child.id().unwrap_or_default();
        let (kill, killed) = oneshot::channel();
        let input = child.stdin.take();
        *self.process() = Some(Process { kill, input });
        self.0.life.send_replace(Life::Starting);
        tokio::spawn(keep(child, killed, self.0.life.clone()));
        self.answers().await?;
        self.0.life.send_if_modified(|life| {
            let starts = *life == Life::Starting;
            if starts {
                *life = Life::Running { pid };
            }
            starts
        });
        Ok(())
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub async fn kill(&self) {
        let process = self.process().take();
        if let Some(process) = process {
            let _ = process.kill.send(());
        }
        self.gone().await;
    }

    /// Lets it finish what is under way, and kills it if that takes too long.
    async fn stop(&self) {
        if let Some(process) = self.process().as_mut() {
            process.input.take();
        }
        if tokio::time::timeout(END, self.gone()).await.is_err() {
            self.kill().await;
        }
    }

    async fn gone(&self) {
        let mut life = self.follow();
        let _ = life
            .wait_for(|life| matches!(life, Life::Killed | Life::Ended))
            .await;
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.0.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This program as the daemon of a demo, with only what it needs of our environment.
    fn command(&self) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["demo", "--bridge"])
            .arg(&self.0.file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Ctrl-C is for the demo, which then ends the daemon.
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("CHATBRIDGE__") && !name.starts_with(super::LOG_VARIABLES) {
                command.env_remove(name);
            }
        }
        command.envs(self.0.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    async fn answers(&self) -> Result<(), BridgeError> {
        let client = outbound::client(START).map_err(std::io::Error::other)?;
        let url = format!("http://{}/healthz", super::reachable(self.0.address));
        let until = Instant::now() + START;
        loop {
            if matches!(self.life(), Life::Killed | Life::Ended) {
                return Err(BridgeError::Ended);
            }
            let answer = outbound::call(client.get(&url)).await;
            if answer.is_ok_and(|answer| answer.status.is_success()) {
                return Ok(());
            }
            if Instant::now() > until {
                self.kill().await;
                return Err(BridgeError::Silent);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Waits for the end of a process, and brings it about when told to.
async fn keep(mut child: Child, killed: oneshot::Receiver<()>, life: watch::Sender<Life>) {
    let ended: std::io::Result<ExitStatus> = tokio::select! {
        ended = child.wait() => ended,
        told = killed => {
            let _ = child.kill().await;
            // Without a word the demo itself is gone, and nobody looks.
            life.send_replace(if told.is_ok() { Life::Killed } else { Life::Ended });
            return;
        }
    };
    if let Err(error) = ended {
        tracing::warn!(%error, "the daemon's process cannot be waited for");
    }
    life.send_replace(Life::Ended);
}

/// The address on which a daemon apart is to listen: a port that was left open becomes a certain one, so that the next
/// process listens there as well.
pub(super) fn settled(bind: SocketAddr) -> SocketAddr {
    if bind.port() != 0 {
        return bind;
    }
    let free = std::iter::repeat_with(|| SocketAddr::new(bind.ip(), rand::rng().random_range(PORTS)));
    let found = free
        .take(usize::from(PORTS.end - PORTS.start))
        .find(|address| std::net::TcpListener::bind(address).is_ok());
    found.unwrap_or(bind)
}
