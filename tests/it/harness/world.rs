//! A daemon between a stub Slack, a stub Meta and a stub agent.

use std::path::Path;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::postgres::{Database, on_postgres};
use super::{
    AgentStub, Config, DEADLINE, Daemon, Finished, Incoming, MetaStub, Metrics, Person, Reply, SlackEvent,
    SlackStub, get, post, run, run_on_terminal, run_watched, slack_signature, webhook, whatsapp_signature,
};

/// How long a replica keeps its claims, in the run on PostgreSQL: short, for there is much killing.
const LEASE: &str = "2s";
/// What encrypts tokens there.
const SECRET_KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// Slack's signing secret.
pub(crate) const SIGNING_SECRET: &str = "slack-signing-secret-5f1e";
/// The Meta app's secret.
pub(crate) const APP_SECRET: &str = "meta-app-secret-77aa";
/// The token of Meta's handshake.
pub(crate) const VERIFY_TOKEN: &str = "verify-token-31c0";
/// The WhatsApp number that most tests write to.
pub(crate) const NUMBER: &str = "106540352242922";
/// What a person reads when all attempts have failed.
pub(crate) const APOLOGY: &str = "I can not answer right now.";
/// What a person reads who sent something other than text.
pub(crate) const ONLY_TEXT: &str = "I only understand text.";
/// What a person reads whose words came with a file.
pub(crate) const FILE_NOT_READ: &str = "I read your words and no files.";
/// What a person reads whose message came too late.
pub(crate) const TOO_OLD: &str = "Your message reached me too late.";

/// Seconds since the epoch.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Looks again and again until `found` finds something: for what nobody can be notified of.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(result) = found() {
            return result;
        }
        assert!(Instant::now() < until, "waited {DEADLINE:?} in vain for {what}");
        thread::sleep(Duration::from_millis(25));
    }
}

/// A daemon between its stubs.
pub(crate) struct World {
    // Before the stubs, so that it is gone first.
    daemon: Option<Daemon>,
    /// What the daemons of earlier lives said.
    earlier: Vec<String>,
    /// Slack.
    pub(crate) slack: SlackStub,
    /// Meta.
    pub(crate) meta: MetaStub,
    /// The agent.
    pub(crate) agent: AgentStub,
    /// What the next start reads.
    pub(crate) config: Config,
    home: TempDir,
    /// Where it keeps everything, in the run on PostgreSQL.
    pub(crate) database: Option<Database>,
}

impl World {
    /// Everything up, with the tests' usual configuration.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// Everything up, with a changed configuration.
    #[track_caller]
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut world = Self::stopped();
        change(&mut world.config);
        world.launch();
        world
    }

    /// The stubs only.
    pub(crate) fn stopped() -> Self {
        let (slack, meta, agent) = (SlackStub::start(), MetaStub::start(), AgentStub::start());
        let home = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config
            .set("server.bind", "127.0.0.1:0")
            .set("server.shutdown_grace", "30s")
            .set("admin.bind", "127.0.0.1:0")
            .set("log.format", "json")
            .set("log.level", "info")
            .set(
                "store.url",
                format!("sqlite://{}", home.path().join("chatbridge.db").display()),
            )
            .set("agent.base_url", agent.url())
            .set("agent.api_key", "key-test")
            .set("agent.agent_id", "agent-main")
            .set("agent.timeout", "30s")
            .set("slack.signing_secret", SIGNING_SECRET)
            .set("slack.bot_token", "xoxb-test-token")
            .set("slack.api_base", format!("{}/api", slack.url()))
            .set("slack.pace", "0s")
            .set("whatsapp.app_secret", APP_SECRET)
            .set("whatsapp.verify_token", VERIFY_TOKEN)
            .set("whatsapp.access_token", "EAA-test-token")
            .set("whatsapp.api_base", meta.url())
            .set("whatsapp.api_version", "v26.0")
            .set("whatsapp.reconcile_wait", "2s")
            .set("turn.wait", "0s")
            .set("retry.agent", json!(["100ms", "200ms", "400ms"]))
            .set("retry.delivery", json!(["100ms", "200ms", "400ms"]))
            .set("messages.unavailable", APOLOGY)
            .set("messages.only_text", ONLY_TEXT)
            .set("messages.file_not_read", FILE_NOT_READ)
            .set("messages.too_old", TOO_OLD);
        let database = on_postgres().then(|| Database::new().unwrap());
        if let Some(database) = &database {
            config
                .set("store.url", database.url())
                .set("store.lease", LEASE)
                .set("store.secret_key", SECRET_KEY);
        }
        Self {
            daemon: None,
            earlier: Vec::new(),
            slack,
            meta,
            agent,
            config,
            home,
            database,
        }
    }

    /// The stubs only, and this database.
    pub(crate) fn on(database: Database) -> Self {
        let mut world = Self::stopped();
        world
            .config
            .set("store.url", database.url())
            .set("store.lease", LEASE)
            .set("store.secret_key", SECRET_KEY);
        world.database = Some(database);
        world
    }

    /// The folder of the daemon's files.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes the configuration and returns its file's path.
    pub(crate) fn write_config(&self) -> String {
        let file = self.home().join("chatbridge.toml");
        std::fs::write(&file, self.config.to_toml()).unwrap();
        // It holds secrets, and `check` says so if everybody may read it.
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, closed).unwrap();
        file.display().to_string()
    }

    /// Starts the daemon.
    #[track_caller]
    pub(crate) fn launch(&mut self) {
        self.bury();
        self.write_config();
        // Named from its folder, so that no page shows a folder of this machine.
        self.daemon = Some(Daemon::start(self.home(), "chatbridge.toml", &self.config));
    }

    /// Another daemon on the same database, between the same stubs; with a changed configuration.
    #[track_caller]
    pub(crate) fn replica(&self, name: &str, change: impl FnOnce(&mut Config)) -> Daemon {
        let mut config = self.config.clone();
        change(&mut config);
        let file = self.home().join(name);
        std::fs::write(&file, config.to_toml()).unwrap();
        Daemon::start(self.home(), &file.display().to_string(), &config)
    }

    /// Starts the daemon where it may die at once. Returns how it ended if it did.
    #[track_caller]
    pub(crate) fn try_launch(&mut self) -> Option<ExitStatus> {
        self.bury();
        let file = self.write_config();
        let mut daemon = Daemon::begin(self.home(), &file, &self.config);
        let ended = daemon.wait_up();
        self.daemon = Some(daemon);
        ended
    }

    /// Keeps what the daemon before said to its end.
    fn bury(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill9();
            self.earlier.push(daemon.log());
        }
    }

    /// What the daemon said in all its lives, the present one last.
    pub(crate) fn logs(&self) -> Vec<String> {
        let mut logs = self.earlier.clone();
        logs.extend(self.daemon.as_ref().map(Daemon::log));
        logs
    }

    /// The running daemon.
    pub(crate) fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// The running daemon, to end it.
    pub(crate) fn daemon_mut(&mut self) -> &mut Daemon {
        self.daemon.as_mut().unwrap()
    }

    /// Ends the daemon in the hardest way.
    pub(crate) fn kill9(&mut self) {
        self.daemon_mut().kill9();
    }

    /// Ends the daemon in the hardest way and starts it again on the same database.
    #[track_caller]
    pub(crate) fn crash(&mut self) {
        self.kill9();
        self.launch();
    }

    /// Waits until nothing is claimed any more by a daemon that is gone, and the next one has seen it. On SQLite that is
    /// so at once.
    pub(crate) fn wait_lease(&self) {
        if let Some(database) = &self.database {
            eventually("the leases to end", || {
                let claimed = "SELECT count(*) FROM deliveries WHERE state = 'sending'";
                (database.count(claimed) == 0).then_some(())
            });
        }
    }

    /// Stops the daemon in the proper way.
    #[track_caller]
    pub(crate) fn terminate(&mut self) {
        self.daemon().signal("TERM");
        let status = self.daemon_mut().wait_end();
        assert_eq!(
            status.code(),
            Some(0),
            "the daemon said:\n{}",
            self.daemon().log()
        );
    }

    /// Runs a command of the binary with this world's configuration.
    #[track_caller]
    pub(crate) fn cli(&self, arguments: &[&str]) -> Finished {
        let file = self.home().join("chatbridge.toml").display().to_string();
        run(
            self.home(),
            &[arguments, &["--config", &file]].concat(),
            self.config.environment(),
        )
    }

    /// The same on a terminal where somebody types this.
    #[track_caller]
    pub(crate) fn cli_on_terminal(&self, arguments: &[&str], typed: &str) -> Finished {
        let file = self.home().join("chatbridge.toml").display().to_string();
        let arguments = [arguments, &["--config", &file]].concat();
        run_on_terminal(self.home(), &arguments, self.config.environment(), typed)
    }

    /// The same where a terminal shows what it complains of.
    #[track_caller]
    pub(crate) fn cli_watched(&self, arguments: &[&str]) -> Finished {
        let file = self.home().join("chatbridge.toml").display().to_string();
        let arguments = [arguments, &["--config", &file]].concat();
        run_watched(self.home(), &arguments, self.config.environment())
    }

    /// A look at the daemon's metrics.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        self.daemon().metrics()
    }

    /// Asks one of the public listener's pages.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Reply {
        get(&format!("{}{path}", self.daemon().public())).unwrap()
    }

    /// Waits until nothing waits for an answer any more.
    #[track_caller]
    pub(crate) fn wait_idle(&self) {
        eventually("nothing to be waiting", || {
            (self.metrics().sum("chatbridge_waiting_messages", &[]) == 0.0).then_some(())
        });
    }

    /// Posts a body as Slack would, signed.
    pub(crate) fn post_slack(&self, body: &[u8]) -> Result<Reply, String> {
        self.post_slack_to("/slack/events", "application/json", body)
    }

    /// Posts a body of this type on this route as Slack would, signed.
    pub(crate) fn post_slack_to(&self, path: &str, kind: &str, body: &[u8]) -> Result<Reply, String> {
        slack_posts(self.daemon(), path, kind, body)
    }

    /// Posts a body as Meta would, signed.
    pub(crate) fn post_whatsapp(&self, body: &[u8]) -> Result<Reply, String> {
        meta_posts(self.daemon(), body)
    }

    /// Slack delivers an event, and it is acknowledged.
    #[track_caller]
    pub(crate) fn slack(&self, event: &SlackEvent) {
        let reply = self.post_slack(event.0.to_string().as_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{reply:?} to {}", event.0);
    }

    /// Slack posts a form, and it is acknowledged at once and without a word.
    #[track_caller]
    pub(crate) fn slack_form(&self, path: &str, fields: &[(&str, &str)]) {
        let mut form = reqwest::Url::parse("http://form.invalid/").unwrap();
        form.query_pairs_mut().extend_pairs(fields);
        let body = form.query().unwrap();
        let reply = self.post_slack_to(path, "application/x-www-form-urlencoded", body.as_bytes());
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{body}");
    }

    /// Meta delivers a webhook, and it is acknowledged.
    #[track_caller]
    pub(crate) fn whatsapp(&self, webhook: &Value) {
        let reply = self.post_whatsapp(webhook.to_string().as_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Meta delivers one text to the usual number.
    #[track_caller]
    pub(crate) fn text(&self, person: &Person, body: &str) {
        self.whatsapp(&webhook(NUMBER, &[Incoming::text(person, body)]));
    }

    /// Both platforms still work: a good message of each is answered.
    #[track_caller]
    pub(crate) fn still_works(&self, word: &str) {
        self.slack(&SlackEvent::dm("D0MARK", &format!("slack {word}")));
        self.text(&Person::phone("15559990000"), &format!("whatsapp {word}"));
        self.slack.wait_post(&format!("echo: slack {word}"));
        self.meta.wait_sent(&format!("echo: whatsapp {word}"));
    }
}

/// Posts a body of this type on this route of a daemon as Slack would, signed.
pub(crate) fn slack_posts(daemon: &Daemon, path: &str, kind: &str, body: &[u8]) -> Result<Reply, String> {
    let timestamp = unix_now().to_string();
    let headers = [
        ("content-type", kind.to_owned()),
        (
            "x-slack-signature",
            slack_signature(SIGNING_SECRET, &timestamp, body),
        ),
        ("x-slack-request-timestamp", timestamp),
    ];
    post(&format!("{}{path}", daemon.public()), &headers, body.to_vec())
}

/// Posts a body to a daemon as Meta would, signed.
pub(crate) fn meta_posts(daemon: &Daemon, body: &[u8]) -> Result<Reply, String> {
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("x-hub-signature-256", whatsapp_signature(APP_SECRET, body)),
    ];
    post(
        &format!("{}/whatsapp/webhook", daemon.public()),
        &headers,
        body.to_vec(),
    )
}
