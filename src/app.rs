//! The daemon, put together from its settings.

mod opening;
mod pulse;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::agent::livechatai::LiveChatAi;
use crate::channel::{Acknowledgement, Channel, Received, registry};
use crate::config::{Settings, Shown};
use crate::console::{Console, SettingLine};
use crate::domain::{Clock, SystemClock};
use crate::http::Backend;
use crate::http::accepting::Accepting;
use crate::http::admin::{self, Admin};
use crate::http::guard::Guard;
use crate::http::public::Public;
use crate::http::server::{self, Limits};
use crate::http::sessions::Sessions;
use crate::store::{self, Backlog, Mode, Store, StoreError};
use crate::telemetry::{self, otlp::Exporter};
use crate::worker::{Intake, POLL, Parts, Workers};

use opening::{announce, bind};
pub use pulse::Pulse;

/// When the daemon stops, how long the requests under way may take at most: the rest of the time is for the answers.
const LONGEST_LAST_REQUESTS: Duration = Duration::from_secs(10);

/// What takes the place of the usual parts: for tests and the demo.
#[derive(Default)]
pub struct Overrides {
    /// Who answers, in place of LiveChatAI.
    pub agent: Option<Arc<dyn Agent>>,
    /// The time, in place of the machine's.
    pub clock: Option<Arc<dyn Clock>>,
    /// What is remembered where, in place of the configured database.
    pub store: Option<Arc<dyn Store>>,
    /// How often the workers look around, in place of the usual: with a clock that is driven nobody wakes them.
    pub poll: Option<Duration>,
    /// Listeners that a supervisor opened, in place of `server.bind` and `admin.bind`.
    pub listeners: (Option<std::net::TcpListener>, Option<std::net::TcpListener>),
}

/// Why the daemon does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A listener's address is taken, or not this machine's.
    #[error(
        "cannot listen on {address}: {cause}; stop whatever listens there, or set {key} to another address"
    )]
    Bind {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The parts that call other servers cannot be made.
    #[error("cannot prepare calls to other servers: {0}")]
    Client(#[from] reqwest::Error),
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything under way was finished.
    Finished,
    /// The grace was over before that.
    Cut,
}

/// The daemon's main task is gone, by itself.
#[derive(Debug, Error)]
#[error("a part of the daemon has failed: {0}")]
pub struct Died(String);

/// A daemon that serves. Dropping it ends it at once.
#[derive(Debug)]
pub struct Running {
    /// Where the public listener really is.
    pub public_addr: SocketAddr,
    /// Where the admin listener really is.
    pub admin_addr: SocketAddr,
    grace: Duration,
    stop: CancellationToken,
    hard: CancellationToken,
    task: JoinHandle<Result<(), Died>>,
    pulse: Pulse,
}

impl Running {
    /// Feels whether it still works, from time to time.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Waits until the daemon ends by itself, which it should not.
    pub async fn ended(&mut self) -> Result<(), Died> {
        (&mut self.task)
            .await
            .unwrap_or_else(|error| Err(Died(error.to_string())))
    }

    /// Takes nothing new, finishes what is under way within `server.shutdown_grace`, and ends.
    pub async fn stop(&mut self) -> Result<Ended, Died> {
        self.stop.cancel();
        let grace = self.grace;
        if let Ok(ended) = tokio::time::timeout(grace, self.ended()).await {
            return ended.map(|()| Ended::Finished);
        }
        self.hard.cancel();
        self.ended().await.map(|()| Ended::Cut)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.hard.cancel();
        self.stop.cancel();
        self.task.abort();
    }
}

/// Starts the daemon. When this returns, both listeners are open.
pub async fn start(settings: Settings, overrides: Overrides) -> Result<Running, StartError> {
    telemetry::metrics();
    let (public, admin) = overrides.listeners;
    let public = bind("server.bind", settings.server.bind, public).await?;
    let admin = bind("admin.bind", settings.admin.bind, admin).await?;
    let (public_addr, admin_addr) = (public.address, admin.address);
    let (agent, store) = below(overrides.agent, overrides.store, &settings).await?;
    let clock = clock(overrides.clock, &*store);
    let channels = channels(&settings, &clock, &store)?;
    let off = settings.channels_off();
    announce(&settings, &off, public_addr, admin_addr);
    let workers = Arc::new(Workers::new(Parts {
        store: store.clone(),
        agent,
        agent_timeout: settings.agent.timeout,
        channels: channels.clone(),
        clock: clock.clone(),
        routes: Arc::new(settings.routes()),
        turn: settings.turn,
        retry: settings.retry,
        texts: settings.messages,
        links: settings.agent.links,
        concurrency: settings.agent.concurrency,
        poll: overrides.poll.unwrap_or(POLL),
        retention: settings.store.retention(),
    }));
    workers.recover().await?;
    let (stop, hard) = (CancellationToken::new(), CancellationToken::new());
    let grace = settings.server.shutdown_grace;
    let guard = Arc::new(Guard::new(settings.admin.token.as_ref()));
    let sessions = Arc::new(Sessions::default());
    let console = Console {
        workers: workers.clone(),
        guard: guard.clone(),
        sessions: sessions.clone(),
        settings: settings.shown.into_iter().map(setting_line).collect(),
        stop: stop.clone(),
    };
    let backend = Arc::new(Live::new(store, workers));
    let public_router = Public {
        backend: backend.clone(),
        channels: channels.clone(),
        off,
        body_limit: settings.server.body_limit.as_u64(),
    };
    let admin_router = Admin {
        backend: backend.clone(),
        clock,
        guard,
        sessions,
        // Nobody could log in without a token.
        pages: settings.admin.token.is_some().then(|| console.router()),
    };
    let pulse = Pulse::of(backend.clone());
    let daemon = Daemon {
        exporter: Exporter::start(&settings.traces)?,
        backend,
        channels,
        body_limit: settings.server.body_limit.as_u64(),
        public: (public.listener, public_router.router()),
        admin: (admin.listener, admin_router.router()),
        last_requests: LONGEST_LAST_REQUESTS.min(grace / 2),
        stop: stop.clone(),
        hard: hard.clone(),
    };
    let task = tokio::spawn(daemon.run());
    Ok(Running {
        public_addr,
        admin_addr,
        grace,
        stop,
        hard,
        task,
        pulse,
    })
}

/// Who answers, and what is remembered where.
async fn below(
    agent: Option<Arc<dyn Agent>>,
    store: Option<Arc<dyn Store>>,
    settings: &Settings,
) -> Result<(Arc<dyn Agent>, Arc<dyn Store>), StartError> {
    let agent = match agent {
        Some(agent) => agent,
        None => Arc::new(LiveChatAi::new(&settings.agent)?),
    };
    let store = match store {
        Some(store) => store,
        None => store::open(&settings.store, Mode::Serve).await?,
    };
    Ok((agent, store))
}

/// Where several work on one store, its clock is the one that all of them have.
fn clock(given: Option<Arc<dyn Clock>>, store: &dyn Store) -> Arc<dyn Clock> {
    let clock = given.or_else(|| store.clock());
    clock.unwrap_or_else(|| Arc::new(SystemClock))
}

fn channels(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    store: &Arc<dyn Store>,
) -> Result<Vec<Arc<dyn Channel>>, StartError> {
    let needs = registry::Needs {
        texts: &settings.messages,
        clock: clock.clone(),
        public_url: settings.server.public_url.as_deref(),
        installations: store.clone(),
        families: store.clone(),
    };
    Ok(registry::channels(&settings.channels, &needs)?)
}

fn setting_line(shown: Shown) -> SettingLine {
    SettingLine {
        key: shown.key,
        value: shown.value,
        hidden: shown.hidden,
        origin: shown.origin,
        doc: shown.doc,
    }
}

/// What the listeners see of the floors below.
struct Live {
    intake: Arc<Intake>,
    store: Arc<dyn Store>,
    workers: Arc<Workers>,
}

impl Live {
    fn new(store: Arc<dyn Store>, workers: Arc<Workers>) -> Self {
        Self {
            intake: workers.intake(),
            store,
            workers,
        }
    }
}

impl Backend for Live {
    async fn accept(&self, channel: &dyn Channel, received: Received) -> Result<Acknowledgement, StoreError> {
        self.intake.accept(channel, received).await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.store.check_writable().await
    }

    fn agent_refusal(&self) -> Option<String> {
        self.workers.agent_refusal()
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.store.backlog().await
    }
}

/// The tasks of a daemon that serves.
struct Daemon {
    exporter: Option<Exporter>,
    backend: Arc<Live>,
    channels: Vec<Arc<dyn Channel>>,
    body_limit: u64,
    public: (TcpListener, Router),
    admin: (TcpListener, Router),
    last_requests: Duration,
    stop: CancellationToken,
    hard: CancellationToken,
}

impl Daemon {
    /// Serves until stopped, then ends in this order: the public listener and the channels' own connections, the workers (so that what the last
    /// requests brought is still answered), and what the workers need.
    async fn run(self) -> Result<(), Died> {
        let (soft, last) = (CancellationToken::new(), CancellationToken::new());
        let mut workers = JoinSet::new();
        workers.spawn(self.backend.workers.clone().run(soft.clone(), self.hard.clone()));
        let mut helpers = JoinSet::new();
        for channel in self.channels.clone() {
            let last = last.clone();
            helpers.spawn(async move { channel.run(last).await });
        }
        helpers.spawn(telemetry::metrics().upkeep(last.clone()));
        if let Some(exporter) = self.exporter {
            helpers.spawn(exporter.run(last.clone()));
        }
        let (listener, router) = self.admin;
        let at_once = Limits {
            linger: Duration::ZERO,
            ..Limits::default()
        };
        helpers.spawn(server::serve(
            listener,
            at_once,
            move |peer| admin::for_peer(&router, peer),
            last.clone(),
        ));
        let (listener, router) = self.public;
        let mut public = JoinSet::new();
        public.spawn(server::serve(
            listener,
            Limits::default(),
            move |_| router.clone(),
            self.stop.clone(),
        ));
        for channel in self.channels {
            let accepting = Accepting::new(self.backend.clone(), channel.clone(), "connection");
            let (door, stop) = (accepting.limited(self.body_limit), self.stop.clone());
            public.spawn(async move { channel.listen(&door, stop).await });
        }

        tokio::select! {
            // The listeners end by the same signal: whoever looks late must not take that for their death.
            biased;
            () = self.stop.cancelled() => {}
            gone = workers.join_next() => return Err(died("the workers", gone)),
            gone = public.join_next() => return Err(died("what takes in messages", gone)),
        }
        let all = async { while public.join_next().await.is_some() {} };
        let last_requests = tokio::time::timeout(self.last_requests, all);
        let _ = self.hard.run_until_cancelled(last_requests).await;
        drop(public);
        soft.cancel();
        workers.join_next().await;
        last.cancel();
        let _ = self
            .hard
            .run_until_cancelled(async { while helpers.join_next().await.is_some() {} })
            .await;
        drop(helpers);
        self.backend.store.close().await;
        Ok(())
    }
}

fn died(who: &str, how: Option<Result<(), JoinError>>) -> Died {
    match how {
        Some(Err(error)) => Died(format!("{who}: {error}")),
        _ => Died(format!("{who} ended")),
    }
}

#[cfg(test)]
mod tests;
