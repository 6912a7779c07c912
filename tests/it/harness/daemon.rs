//! The real binary as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::config::Config;
use super::files::Files;
use super::program::{behind, command, end_of, signal};
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
        // Whoever it started may hold its output open still.
        let patience = Instant::now() + Duration::from_secs(2);
        for reader in self.readers.drain(..) {
            while !reader.is_finished() && Instant::now() < patience {
                thread::sleep(Duration::from_millis(1));
            }
            if reader.is_finished() {
                let _ = reader.join();
            }
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

    /// The files and sockets that it has open.
    pub(crate) fn open_files(&self) -> Files {
        Files::of(self.child.id())
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
