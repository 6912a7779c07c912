//! The bridge at play: the real daemon between a simulated Slack, a simulated WhatsApp and a small agent, all on this
//! machine.
//!
//! `slack` and `graph` are the platforms and `agent` with its `faq` the agent: each checks the calls it gets as the
//! real one does. Their people write by `webhooks`, signed as the real ones are. What they share is the `scene`: what
//! everybody says stands in the `journal`, and how each message goes its way in `ways`. `exchange` is a conversation
//! that proves that all of it works, and `transcript` shows it; `page` shows the same in a browser, where one can take
//! part. `bridge` is the daemon, and `state` tells other processes where a demo runs.

pub mod agent;
pub mod bridge;
pub mod exchange;
mod faq;
pub mod graph;
pub mod journal;
pub mod page;
pub mod scene;
pub mod server;
pub mod slack;
pub mod state;
mod told;
pub mod transcript;
pub mod ways;
pub mod webhooks;

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use tempfile::TempDir;
use thiserror::Error;

use crate::agent::livechatai;
use crate::app::{self, Overrides, StartError};
use crate::config::{self, ConfigError, Settings};
use agent::DemoAgent;
use bridge::{Apart, Bridge, BridgeError};
use graph::Graph;
use journal::Journal;
use scene::Scene;
use server::Server;
use slack::Slack;
use state::DemoState;
use webhooks::Postman;

/// How long the daemon may take to introduce itself to Slack.
const INTRODUCTION: Duration = Duration::from_secs(10);

/// Why there is no demo.
#[derive(Debug, Error)]
pub enum DemoError {
    /// Neither a folder nor a port could be had.
    #[error("the demo cannot be set up: {0}")]
    SetUp(#[from] io::Error),
    /// The environment sets something that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The daemon does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The daemon's process does not start.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// Nobody can call the daemon.
    #[error("cannot prepare calls: {0}")]
    Client(#[from] reqwest::Error),
    /// The daemon did not say hello.
    #[error("the daemon did not ask the simulated Slack who it is within {} seconds", INTRODUCTION.as_secs())]
    Silent,
}

/// Where the daemon's configuration stands, if it is a process of its own.
const CONFIGURATION: &str = "chatbridge.toml";

/// What the environment names the log's section by: the only one that counts in a demo.
const LOG_VARIABLES: &str = "CHATBRIDGE__LOG__";

/// When the agent is asked again in a demo that is watched: sooner than by default, because somebody waits to see it.
const WATCHED_RETRIES: &str = "[retry]\nagent = [\"1s\", \"2s\", \"4s\", \"8s\", \"15s\", \"30s\", \"1m\"]\n";

/// The services around the daemon, before it runs.
pub struct Stage {
    scene: Scene,
    slack: Slack,
    graph: Graph,
    agent: DemoAgent,
    servers: [Server; 3],
    folder: TempDir,
}

/// A demo that runs. Dropping it ends it and removes its folder.
pub struct Demo {
    /// What everybody says.
    pub journal: Journal,
    /// What the services share; the journal is of it.
    pub scene: Scene,
    /// The simulated Slack.
    pub slack: Slack,
    /// The simulated WhatsApp.
    pub graph: Graph,
    /// The daemon.
    pub daemon: Bridge,
    /// Where the platforms reach it.
    pub public_addr: SocketAddr,
    /// Brings what people write to the daemon.
    pub postman: Postman,
    #[expect(dead_code, reason = "they serve until they are dropped")]
    servers: Vec<Server>,
    // Last, so that it is removed when nobody writes into it any more.
    folder: TempDir,
}

impl Stage {
    /// Starts the services.
    pub async fn set_up() -> Result<Self, DemoError> {
        let scene = Scene::default();
        let slack = Slack::new(scene.clone());
        let graph = Graph::new(scene.clone());
        let agent = DemoAgent::new(scene.clone());
        Ok(Self {
            servers: [slack.serve().await?, graph.serve().await?, agent.serve().await?],
            folder: tempfile::Builder::new()
                .prefix(state::FOLDER)
                .permissions(Permissions::from_mode(0o700))
                .tempdir()?,
            scene,
            slack,
            graph,
            agent,
        })
    }

    /// The daemon's settings: everything is played here, and logs are quiet. Of the environment only the section
    /// `log` counts; a `real` agent takes the place of the demo's.
    pub fn settings(
        &self,
        bind: SocketAddr,
        real: Option<livechatai::Settings>,
    ) -> Result<Settings, ConfigError> {
        let ours = std::env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with(LOG_VARIABLES)));
        let mut settings = config::parse("the demo's settings", &self.toml(bind), ours)?;
        if let Some(real) = real {
            settings.agent = real;
        }
        Ok(settings)
    }

    fn toml(&self, bind: SocketAddr) -> String {
        let [slack, graph, agent] = &self.servers;
        let table = |name: &str, pairs: &[(&str, &str)]| {
            // A JSON text is also one of TOML.
            let line = |(key, value): &(&str, &str)| format!("{key} = {}\n", Value::from(*value));
            format!("[{name}]\n{}", pairs.iter().map(line).collect::<String>())
        };
        [
            table("server", &[("bind", &bind.to_string()), ("shutdown_grace", "5s")]),
            table("admin", &[("bind", "127.0.0.1:0")]),
            table("log", &[("level", "warn")]),
            table("store", &[("url", &database(&self.folder))]),
            table(
                "agent",
                &[
                    ("base_url", &agent.url()),
                    ("api_key", self.agent.key()),
                    ("agent_id", agent::AGENT_ID),
                ],
            ),
            table(
                "slack",
                &[
                    ("api_base", &format!("{}/api", slack.url())),
                    ("bot_token", self.slack.token()),
                    ("signing_secret", self.slack.signing_secret().expose_secret()),
                    ("reaction", "eyes"),
                ],
            ),
            table(
                "whatsapp",
                &[
                    ("api_base", &graph.url()),
                    ("access_token", self.graph.token()),
                    ("app_secret", self.graph.app_secret().expose_secret()),
                    ("verify_token", self.graph.verify_token()),
                ],
            ),
        ]
        .join("\n")
    }

    /// Starts the daemon within this process, and waits until it has introduced itself to Slack.
    pub async fn start(self, settings: Settings) -> Result<Demo, DemoError> {
        let running = app::start(settings, Overrides::default()).await?;
        let address = running.public_addr;
        self.introduced(Bridge::Within(Box::new(running)), address).await
    }

    /// Starts the daemon as a process of its own, and waits until it has introduced itself to Slack. A `real` agent
    /// takes the place of the demo's.
    pub async fn start_apart(
        self,
        bind: SocketAddr,
        real: Option<&livechatai::Settings>,
    ) -> Result<Demo, DemoError> {
        let address = bridge::settled(bind);
        let file = self.folder.path().join(CONFIGURATION);
        std::fs::write(&file, format!("{}\n{WATCHED_RETRIES}", self.toml(address)))?;
        let environment = real.map(variables).unwrap_or_default();
        let daemon = Apart::new(address, file, environment);
        daemon.start().await?;
        self.introduced(Bridge::Apart(daemon), address).await
    }

    async fn introduced(self, daemon: Bridge, address: SocketAddr) -> Result<Demo, DemoError> {
        let postman = Postman::new(&format!("http://{}", reachable(address)))?;
        self.graph.subscribe(postman.clone());
        let (told, told_token) = told::serve(self.slack.clone(), self.graph.clone()).await?;
        let state = DemoState {
            address: reachable(address),
            signing_secret: self.slack.signing_secret().expose_secret().to_owned(),
            app_secret: self.graph.app_secret().expose_secret().to_owned(),
            told_at: told.url(),
            told_token,
        };
        state.write(self.folder.path())?;
        if !self.slack.connected(INTRODUCTION).await {
            return Err(DemoError::Silent);
        }
        Ok(Demo {
            journal: self.scene.journal.clone(),
            scene: self.scene,
            slack: self.slack,
            graph: self.graph,
            daemon,
            public_addr: address,
            postman,
            servers: self.servers.into_iter().chain([told]).collect(),
            folder: self.folder,
        })
    }
}

impl Demo {
    /// The URL of its database.
    fn database(&self) -> String {
        database(&self.folder)
    }
}

fn database(folder: &TempDir) -> String {
    format!("sqlite://{}", folder.path().join("chatbridge.db").display())
}

/// The environment variables that tell the daemon's process of this agent.
fn variables(agent: &livechatai::Settings) -> Vec<(String, String)> {
    let key = agent.api_key.as_ref().map(|key| key.expose_secret().to_owned());
    let links = match agent.links {
        livechatai::Links::List => "list",
        livechatai::Links::Off => "off",
    };
    let values = [
        ("BASE_URL", Some(agent.base_url.clone())),
        ("API_KEY", key),
        ("AGENT_ID", agent.agent_id.clone()),
        (
            "TIMEOUT",
            Some(humantime::format_duration(agent.timeout).to_string()),
        ),
        ("CONCURRENCY", Some(agent.concurrency.to_string())),
        ("LINKS", Some(links.to_owned())),
    ];
    let variable =
        |(name, value): (&str, Option<String>)| Some((format!("CHATBRIDGE__AGENT__{name}"), value?));
    values.into_iter().filter_map(variable).collect()
}

/// The address by which this machine reaches a listener: one that listens everywhere is reached on the loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let loopback = match address {
        SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    let ip = if address.ip().is_unspecified() {
        loopback
    } else {
        address.ip()
    };
    SocketAddr::new(ip, address.port())
}
