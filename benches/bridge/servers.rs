//! The servers that are measured, each a process of its own: the real binary, or a variant of it put together of the
//! same parts.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chatbridge::app::{self, Overrides};
use chatbridge::channel::{
    Acknowledgement, Channel, Endpoint, LookUp, Received, Rejection, SendError, Sent, WebhookRequest,
};
use chatbridge::config;
use chatbridge::domain::delivery::SendClaim;
use chatbridge::http::Backend;
use chatbridge::http::public::Public;
use chatbridge::http::server::{self, Limits};
use chatbridge::store::sqlite::{Mode, SqliteStore, Tuning};
use chatbridge::store::{Backlog, Store, StoreError};
use http::{HeaderName, Method};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::events::SECRET;
use crate::memory_store::MemoryStore;
use crate::processes;
use crate::stubs::Stubs;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The daemon's own listener and signature check; nothing is read or stored.
    Signature,
    /// The real binary; its agent has no key, so that it stores and does not ask.
    Accept,
    /// The same with a transaction for each request.
    AcceptEach,
    /// The real binary, answering.
    Durable,
    /// The same pipeline on a store in memory that keeps nothing.
    NoStore,
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    /// Its public listener.
    pub(crate) address: SocketAddr,
    /// Its admin listener, if it is the real binary.
    pub(crate) admin: Option<SocketAddr>,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// How long a server has before it is loaded: the platform's stub is asked for the bot's name first.
    pub(crate) const SETTLING: Duration = Duration::from_millis(300);

    /// Starts one on a new database and waits until it listens.
    pub(crate) async fn start(kind: Kind, stubs: &Stubs) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("bench.db").display());
        Self::start_in(kind, stubs, folder, &url).await
    }

    /// Starts one on this database and waits until it listens.
    pub(crate) async fn start_on(kind: Kind, stubs: &Stubs, database: &Path) -> Self {
        let url = format!("sqlite://{}", database.display());
        Self::start_in(kind, stubs, tempfile::tempdir().unwrap(), &url).await
    }

    /// Starts one on the database of this address and waits until it listens.
    pub(crate) async fn start_with_url(kind: Kind, stubs: &Stubs, url: &str) -> Self {
        Self::start_in(kind, stubs, tempfile::tempdir().unwrap(), url).await
    }

    async fn start_in(kind: Kind, stubs: &Stubs, folder: tempfile::TempDir, url: &str) -> Self {
        let file = folder.path().join("bench.toml");
        std::fs::write(&file, settings(kind, stubs, url)).unwrap();
        let mut command = match kind {
            Kind::Accept | Kind::Durable => Command::new(env!("CARGO_BIN_EXE_chatbridge")),
            _ => Command::new(std::env::current_exe().unwrap()),
        };
        match kind {
            Kind::Accept | Kind::Durable => command.args(["serve", "--config"]).arg(&file),
            other => command.args(["--serve", &format!("{other:?}")]).arg(&file),
        };
        let mut process = command
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (admin, address) = addresses(lines);
        tokio::time::sleep(Self::SETTLING).await;
        Self {
            address,
            admin,
            process,
            _folder: folder,
        }
    }

    /// Resident memory, in MiB.
    pub(crate) fn resident(&self) -> f64 {
        processes::usage(self.process.id()).resident
    }

    /// Files and connections that it has open.
    pub(crate) fn open_files(&self) -> usize {
        processes::open_files(self.process.id())
    }
}

/// The addresses in the lines that tell of the listeners, the public one last; the rest is read and dropped in the
/// background.
fn addresses(
    mut lines: impl Iterator<Item = std::io::Result<String>> + Send + 'static,
) -> (Option<SocketAddr>, SocketAddr) {
    let mut admin = None;
    let mut public = None;
    for line in &mut lines {
        let line = line.unwrap();
        let Ok(json) = serde_json::from_str::<serde_json::Value>(&line) else {
            continue;
        };
        let listens = |name: &str| json["message"] == name;
        if listens("admin listener") {
            admin = json["address"].as_str().map(|address| address.parse().unwrap());
        } else if listens("public listener") {
            public = json["address"].as_str().map(|address| address.parse().unwrap());
        }
        if let Some(public) = public.filter(|_| admin.is_some() || json["target"].is_null()) {
            std::thread::spawn(move || lines.for_each(drop));
            return (admin, public);
        }
    }
    panic!("the server ended before it listened")
}

fn settings(kind: Kind, stubs: &Stubs, url: &str) -> String {
    let stub = stubs.address;
    let key = if matches!(kind, Kind::Durable | Kind::NoStore) {
        "api_key = \"key\"\n"
    } else {
        ""
    };
    format!(
        "[server]\nbind = \"127.0.0.1:0\"\n[admin]\nbind = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n\
         [store]\nurl = \"{url}\"\n[agent]\nbase_url = \"http://{stub}\"\nagent_id = \"agent\"\n{key}\
         [slack]\nsigning_secret = \"{SECRET}\"\nbot_token = \"xoxb-1\"\napi_base = \"http://{stub}/api\"\npace = \"0s\"\n"
    )
}

/// Serves as a variant: the other side of [`Server::start`].
pub(crate) async fn serve(arguments: &[String]) {
    let (kind, file) = (&arguments[0], std::path::Path::new(&arguments[1]));
    let settings = config::load(Some(file)).unwrap();
    chatbridge::telemetry::init(&settings.log);
    if kind == "Signature" {
        return serve_signature().await;
    }
    let store: Arc<dyn Store> = if kind == "NoStore" {
        Arc::new(MemoryStore::default())
    } else {
        Arc::new(
            SqliteStore::open_tuned(
                &settings.store,
                Mode::Serve,
                Tuning {
                    batch: 1,
                    ..Tuning::default()
                },
            )
            .await
            .unwrap(),
        )
    };
    let overrides = Overrides {
        store: Some(store),
        ..Overrides::default()
    };
    let mut running = app::start(settings, overrides).await.unwrap();
    running.ended().await.unwrap();
}

async fn serve_signature() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let channels: Vec<Arc<dyn Channel>> = vec![Arc::new(SignatureOnly {
        secrets: vec![SECRET.into()],
    })];
    let router = Public {
        backend: Arc::new(Nothing),
        channels,
        off: Vec::new(),
        body_limit: 4 << 20,
    }
    .router();
    eprintln!(
        "{}",
        serde_json::json!({ "message": "public listener", "address": address.to_string() })
    );
    server::serve(
        listener,
        Limits::default(),
        move |_| router.clone(),
        CancellationToken::new(),
    )
    .await;
}

struct Nothing;

impl Backend for Nothing {
    async fn accept(&self, _: &dyn Channel, received: Received) -> Result<Acknowledgement, StoreError> {
        Ok(received.answer)
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn agent_refusal(&self) -> Option<String> {
        None
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        Ok(Backlog::default())
    }
}

/// A channel that checks who signed, and nothing else.
struct SignatureOnly {
    secrets: Vec<SecretString>,
}

#[async_trait]
impl Channel for SignatureOnly {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn integration_type(&self) -> &'static str {
        "SLACK"
    }

    fn turn_wait(&self, _: Option<Duration>) -> Duration {
        Duration::ZERO
    }

    fn reply_window(&self) -> Option<Duration> {
        None
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint {
            method: Method::POST,
            path: "/slack/events",
        }]
    }

    fn receive(&self, request: WebhookRequest) -> Result<Received, Rejection> {
        let refused = Rejection::Unauthenticated {
            code: "signature_invalid",
            message: "not signed",
        };
        let header = |name: &'static str| request.sealed.header(&HeaderName::from_static(name));
        let stamp = header("x-slack-request-timestamp")
            .ok_or(refused.clone())?
            .to_owned();
        let signature = header("x-slack-signature").ok_or(refused.clone())?.to_owned();
        let hex = signature.strip_prefix("v0=").ok_or(refused.clone())?;
        let prefix: [&[u8]; 3] = [b"v0:", stamp.as_bytes(), b":"];
        request
            .sealed
            .verify(&self.secrets, &prefix, hex)
            .ok_or(refused)?;
        Ok(Received::default())
    }

    fn render(&self, text: &str, _: &[String]) -> Vec<String> {
        vec![text.to_owned()]
    }

    async fn send(&self, _: &SendClaim) -> Result<Sent, SendError> {
        Ok(Sent { platform_id: None })
    }

    async fn look_up(&self, _: &SendClaim) -> LookUp {
        LookUp::Absent
    }

    async fn run(&self, cancel: CancellationToken) {
        cancel.cancelled().await;
    }
}
