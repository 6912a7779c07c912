//! What is compared side by side: the real binary and what somebody would take instead, each a process of its own.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::events::{PHONE_NUMBER_ID, Platform, SECRET, VERIFY_TOKEN};
use crate::load::exchange;
use crate::processes::{Usage, usage};
use crate::stubs::Stubs;

/// How long a server may take to come up.
const UP: Duration = Duration::from_mins(1);

/// Somebody who does the job: a signed webhook in, the agent asked, its answer posted.
pub(crate) struct Contestant {
    /// Its name and version.
    pub(crate) name: String,
    /// The platform that it serves here.
    pub(crate) platform: Platform,
    /// How it is started.
    pub(crate) recipe: Recipe,
}

/// How a contestant is started.
pub(crate) enum Recipe {
    /// The real binary.
    Bridge,
    /// A program of benches/rivals, where it was installed. `PORT` in its arguments stands for the port.
    Rival {
        /// Where it was installed.
        folder: PathBuf,
        /// The program, and what it is called with.
        command: Vec<String>,
        /// The program of the Redis that it keeps its state in, if it has one.
        redis: Option<PathBuf>,
    },
}

impl Contestant {
    /// The real binary.
    pub(crate) fn bridge(platform: Platform) -> Self {
        Self {
            name: format!("chatbridge {}", env!("CARGO_PKG_VERSION")),
            platform,
            recipe: Recipe::Bridge,
        }
    }

    /// Whether it is the real binary.
    pub(crate) fn is_bridge(&self) -> bool {
        matches!(self.recipe, Recipe::Bridge)
    }
}

/// A contestant's place: what it keeps here outlives its processes.
pub(crate) struct Home<'a> {
    /// Where it listens, each time.
    pub(crate) address: SocketAddr,
    contestant: &'a Contestant,
    stubs: SocketAddr,
    folder: tempfile::TempDir,
    redis: Option<(Child, u16)>,
}

impl Drop for Home<'_> {
    fn drop(&mut self) {
        if let Some((redis, _)) = &mut self.redis {
            let _ = redis.kill();
            let _ = redis.wait();
        }
    }
}

/// A process that runs until it is dropped.
pub(crate) struct Running {
    /// The time from its start until it first answered with 200.
    pub(crate) up_after: Duration,
    process: Child,
}

impl Running {
    /// What it uses.
    pub(crate) fn usage(&self) -> Usage {
        usage(self.process.id())
    }
}

impl Drop for Running {
    /// Ends it with SIGKILL.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl<'a> Home<'a> {
    /// An empty one.
    pub(crate) async fn new(contestant: &'a Contestant, stubs: &Stubs) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let folder = tempfile::tempdir().unwrap();
        let redis = match &contestant.recipe {
            Recipe::Rival {
                redis: Some(program), ..
            } => Some(start_redis(program, folder.path()).await),
            _ => None,
        };
        let home = Self {
            address,
            contestant,
            stubs: stubs.address,
            folder,
            redis,
        };
        if contestant.is_bridge() {
            std::fs::write(home.file("bench.toml"), home.settings()).unwrap();
        }
        home
    }

    /// Starts the contestant and waits until it answers with 200.
    pub(crate) async fn start(&self) -> Running {
        let mut command = self.command();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.file("log"))
            .unwrap();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let begin = Instant::now();
        let process = command.spawn().unwrap();
        let mut running = Running {
            up_after: Duration::ZERO,
            process,
        };
        let platform = self.contestant.platform;
        while exchange(&mut None, self.address, &platform.greeting())
            .await
            .is_err()
        {
            let ended = running.process.try_wait().unwrap().is_some();
            assert!(
                !ended && begin.elapsed() < UP,
                "{} does not come up: {}",
                self.contestant.name,
                std::fs::read_to_string(self.file("log")).unwrap()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        running.up_after = begin.elapsed();
        running
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let Recipe::Rival { folder, command, .. } = &self.contestant.recipe else {
            let mut command = Command::new(env!("CARGO_BIN_EXE_chatbridge"));
            command.args(["serve", "--config"]).arg(self.file("bench.toml"));
            return command;
        };
        let port = self.address.port().to_string();
        let mut words = command.iter().map(|word| word.replace("PORT", &port));
        let mut process = Command::new(words.next().unwrap());
        let stub = self.stubs;
        process
            .args(words)
            .current_dir(folder)
            .env("NODE_ENV", "production")
            .env("PORT", &port)
            .env("AGENT_URL", format!("http://{stub}"))
            .env("AGENT_KEY", "key")
            .env("AGENT_ID", "agent")
            .env("SLACK_BOT_TOKEN", "xoxb-1")
            .env("SLACK_SIGNING_SECRET", SECRET)
            .env("SLACK_API_URL", format!("http://{stub}/api/"))
            .env("GRAPH_URL", format!("http://{stub}/v26.0"))
            .env("WHATSAPP_PHONE_ID", PHONE_NUMBER_ID)
            .env("WHATSAPP_TOKEN", "token")
            .env("WHATSAPP_APP_SECRET", SECRET)
            .env("WHATSAPP_VERIFY_TOKEN", VERIFY_TOKEN);
        if let Some((_, port)) = self.redis {
            process.env("REDIS_URL", format!("redis://127.0.0.1:{port}"));
        }
        process
    }

    /// The configuration of the real binary.
    fn settings(&self) -> String {
        let (address, stub) = (self.address, self.stubs);
        let channel = match self.contestant.platform {
            Platform::Slack => format!(
                "[slack]\nsigning_secret = \"{SECRET}\"\nbot_token = \"xoxb-1\"\n\
                 api_base = \"http://{stub}/api\"\npace = \"0s\"\n"
            ),
            Platform::WhatsApp => format!(
                "[whatsapp]\napp_secret = \"{SECRET}\"\nverify_token = \"{VERIFY_TOKEN}\"\naccess_token = \"token\"\n\
                 api_base = \"http://{stub}\"\nturn_wait = \"0s\"\n"
            ),
        };
        format!(
            "[server]\nbind = \"{address}\"\n[admin]\nbind = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n\
             [store]\nurl = \"sqlite://{}\"\n\
             [agent]\nbase_url = \"http://{stub}\"\nagent_id = \"agent\"\napi_key = \"key\"\n{channel}",
            self.file("bench.db").display()
        )
    }
}

/// A port that nobody listens on now. Below the range from which Linux takes the ports of outgoing connections (32768 and
/// up): a connection must not take it while a killed server is away.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 8_000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 4_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A Redis that keeps nothing on the disk: of what it holds, nothing is worth more than ten minutes here.
async fn start_redis(program: &Path, folder: &Path) -> (Child, u16) {
    let port = free_port();
    let process = Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "no", "--dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(begin.elapsed() < UP, "redis-server does not come up");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (process, port)
}
