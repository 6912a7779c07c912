//! The real binary as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::config::Config;
use super::terminal::Terminal;
use super::{DEADLINE, Metrics, get};

/// A running daemon. It is killed when dropped, and shows its last words if the test failed.
pub(crate) struct Daemon {
    child: Child,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
    public: String,
    admin: String,
}

/// Everything that the process printed so far.
#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    changed: Condvar,
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it complained of.
    pub(crate) stderr: String,
}

impl Finished {
    /// Fails unless it exited with `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// All that it said.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// The binary with a clean environment, at home in `home`.
pub(super) fn command(home: &Path, arguments: &[&str], environment: &[(String, String)]) -> Command {
    binary(env!("CARGO_BIN_EXE_chatbridge"), home, arguments, environment)
}

/// Another program that is to start it, in the same environment.
pub(crate) fn binary(
    program: &str,
    home: &Path,
    arguments: &[&str],
    environment: &[(String, String)],
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(home).stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        let lower = name.to_lowercase();
        if lower.starts_with("chatbridge_") || lower.ends_with("_proxy") || lower.starts_with("rust_log") {
            command.env_remove(name);
        }
    }
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// The same command, which takes the place of a shell that has run some words.
fn behind(shell: &str, command: &Command) -> Command {
    let mut behind = Command::new("sh");
    behind.arg("-c").arg(format!("{shell}; exec \"$0\" \"$@\""));
    behind.arg(command.get_program()).args(command.get_args());
    behind
        .current_dir(command.get_current_dir().unwrap())
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => behind.env(name, value),
            None => behind.env_remove(name),
        };
    }
    behind
}

/// Runs a command of the binary to its end.
#[track_caller]
pub(crate) fn run(home: &Path, arguments: &[&str], environment: &[(String, String)]) -> Finished {
    finish(command(home, arguments, environment), arguments)
}

/// Runs a command of the binary to its end, on a terminal where somebody types this.
#[track_caller]
pub(crate) fn run_on_terminal(
    home: &Path,
    arguments: &[&str],
    environment: &[(String, String)],
    typed: &str,
) -> Finished {
    let (stdin, _kept) = Terminal::with_typed(typed).ends();
    let mut command = command(home, arguments, environment);
    command.stdin(stdin);
    finish(command, arguments)
}

#[track_caller]
fn finish(mut command: Command, arguments: &[&str]) -> Finished {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let drain = |stream: Option<Box<dyn Read + Send>>| {
        let mut stream = stream.unwrap();
        thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stream.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let stdout = drain(child.stdout.take().map(|stream| Box::new(stream) as _));
    let stderr = drain(child.stderr.take().map(|stream| Box::new(stream) as _));
    let status = end_of(&mut child, 2 * DEADLINE);
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let finished = Finished {
        code: status.and_then(|status| status.code()),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    };
    assert!(
        status.is_some(),
        "{arguments:?} did not end within {:?}: {finished:#?}",
        2 * DEADLINE
    );
    finished
}

/// By the shell's own `kill`: a process that is gone already needs no signal.
pub(super) fn signal(id: u32, name: &str) {
    let kill = format!("kill -{name} {id}");
    Command::new("sh")
        .args(["-c", &kill])
        .stderr(Stdio::null())
        .status()
        .unwrap();
}

pub(super) fn end_of(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() > until {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

impl Daemon {
    /// Starts `serve` and waits until it is up.
    #[track_caller]
    pub(crate) fn start(home: &Path, config_file: &str, config: &Config) -> Self {
        let mut daemon = Self::begin(home, config_file, config);
        daemon.expect_up();
        daemon
    }

    /// Starts what becomes a daemon, and waits until it is up.
    #[track_caller]
    pub(crate) fn adopt(command: Command) -> Self {
        let mut daemon = Self::spawn(command);
        daemon.expect_up();
        daemon
    }

    #[track_caller]
    fn expect_up(&mut self) {
        if let Some(ended) = self.wait_up() {
            panic!(
                "the daemon ended at its start ({ended:?}); it said:\n{}",
                self.log()
            );
        }
    }

    /// Starts `serve` where it may die at once; whoever calls waits until it is up, or its end.
    pub(crate) fn begin(home: &Path, config_file: &str, config: &Config) -> Self {
        let command = command(home, &["serve", "--config", config_file], config.environment());
        Self::spawn(match config.shell() {
            Some(shell) => behind(shell, &command),
            None => command,
        })
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Output::default());
        let readers = vec![
            output.follow(child.stdout.take().unwrap()),
            output.follow(child.stderr.take().unwrap()),
        ];
        Self {
            child,
            output,
            readers,
            public: String::new(),
            admin: String::new(),
        }
    }

    /// Waits until it is up. Returns how it ended if it did.
    #[track_caller]
    pub(crate) fn wait_up(&mut self) -> Option<ExitStatus> {
        for name in ["public", "admin"] {
            match self.listener(name) {
                Ok(address) if name == "public" => self.public = address,
                Ok(address) => self.admin = address,
                Err(ended) => return Some(ended),
            }
        }
        let until = Instant::now() + DEADLINE;
        while !get(&format!("{}/healthz", self.public)).is_ok_and(|reply| reply.status == 200) {
            if let Some(ended) = self.ended() {
                return Some(ended);
            }
            assert!(
                Instant::now() < until,
                "/healthz does not answer 200; the daemon said:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// The address that the log names for a listener, in the line that says so; or how the daemon ended.
    #[track_caller]
    fn listener(&mut self, name: &str) -> Result<String, ExitStatus> {
        let until = Instant::now() + DEADLINE;
        let said = format!("{name} listener");
        loop {
            let lines = self.output.lines.lock().unwrap();
            let address = lines.iter().find_map(|line| address_in(line, &said));
            drop(lines);
            if let Some(address) = address {
                return Ok(format!("http://{address}"));
            }
            if let Some(ended) = self.ended() {
                return Err(ended);
            }
            assert!(
                Instant::now() < until,
                "the daemon did not name its {name} listener; it said:\n{}",
                self.log()
            );
            let lines = self.output.lines.lock().unwrap();
            drop(
                self.output
                    .changed
                    .wait_timeout(lines, Duration::from_millis(20))
                    .unwrap(),
            );
        }
    }

    /// Where the platforms reach it.
    pub(crate) fn public(&self) -> &str {
        &self.public
    }

    /// Where the operator reaches it.
    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    /// Everything that it printed.
    pub(crate) fn log(&self) -> String {
        self.output.lines.lock().unwrap().join("\n")
    }

    /// Waits until its log holds these words: what it has printed is heard a moment later.
    #[track_caller]
    pub(crate) fn wait_log(&self, words: &str) {
        let until = Instant::now() + DEADLINE;
        while !self.log().contains(words) {
            assert!(
                Instant::now() < until,
                "{words:?} is not in the log:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A fresh look at its metrics.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        let reply = get(&format!("{}/metrics", self.admin)).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        Metrics::new(reply.body)
    }

    /// Ends it in the hardest way, if it has not ended; returns how it did. Its last words are heard.
    pub(crate) fn kill9(&mut self) -> ExitStatus {
        let _ = self.child.kill();
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        status
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// What ends it in the hardest way, for another thread. The process stays ours to wait for, so its id does not
    /// pass to anyone else meanwhile.
    pub(crate) fn killer(&self) -> impl FnOnce() + Send + use<> {
        let id = self.child.id();
        move || signal(id, "KILL")
    }

    /// The most memory that it ever had resident, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// The memory that it has resident now, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    fn status(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many files and sockets it has open.
    pub(crate) fn open_files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(folder).unwrap().count()
    }

    /// Whether it ended, and how.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        let status = end_of(&mut self.child, DEADLINE);
        status.unwrap_or_else(|| panic!("the daemon does not end; it said:\n{}", self.log()))
    }
}

/// The address that a line of the log names, if it is the one that says this; in either format of the log.
fn address_in(line: &str, said: &str) -> Option<String> {
    let Ok(json) = serde_json::from_str::<Value>(line) else {
        let (_, fields) = line.split_once(&format!(": {said} "))?;
        return fields
            .strip_prefix("address=")
            .map(|address| address.trim().to_owned());
    };
    let fields = json.get("fields").unwrap_or(&json);
    (fields["message"] == said).then_some(fields["address"].as_str()?.to_owned())
}

impl Output {
    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) -> JoinHandle<()> {
        let output = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { break };
                output.lines.lock().unwrap().push(line);
                output.changed.notify_all();
            }
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill9();
        if thread::panicking() {
            let lines = self.output.lines.lock().unwrap();
            let last = &lines[lines.len().saturating_sub(80)..];
            eprintln!("the daemon's last words:\n{}", last.join("\n"));
        }
    }
}
