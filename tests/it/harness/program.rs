//! The binary as a command that is run to its end, and what starts it as a daemon.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::DEADLINE;
use super::terminal::Terminal;

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
pub(super) fn behind(shell: &str, command: &Command) -> Command {
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

/// Runs a command of the binary to its end. What it complains of goes to a terminal.
#[track_caller]
pub(crate) fn run_watched(home: &Path, arguments: &[&str], environment: &[(String, String)]) -> Finished {
    let (stderr, seen) = Terminal::with_typed("").ends();
    let mut command = command(home, arguments, environment);
    command.env("TERM", "xterm").stdout(Stdio::piped()).stderr(stderr);
    let child = command.spawn().unwrap();
    // The terminal ends when nobody but us holds it.
    drop(command);
    collect(child, Box::new(seen), arguments)
}

#[track_caller]
fn finish(mut command: Command, arguments: &[&str]) -> Finished {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = child.stderr.take().unwrap();
    collect(child, Box::new(stderr), arguments)
}

#[track_caller]
fn collect(mut child: Child, stderr: Box<dyn Read + Send>, arguments: &[&str]) -> Finished {
    let drain = |stream: Option<Box<dyn Read + Send>>| {
        let mut stream = stream.unwrap();
        thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stream.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let stdout = drain(child.stdout.take().map(|stream| Box::new(stream) as _));
    let stderr = drain(Some(stderr));
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
