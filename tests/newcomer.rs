//! A newcomer's path: an empty folder, a fresh clone, and the commands of the README, taken from the README.
//!
//! It is a program of its own, and `tests/run` runs it when no other test runs: the clone is built in the same target
//! folder, so that only this crate is built anew.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and literals read best when they are handed over"
)]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the slowest step may take: it builds.
const PATIENCE: Duration = Duration::from_mins(20);

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The commands of the README's blocks of shell, in order, without their comments.
fn commands(readme: &str) -> Vec<String> {
    let blocks = readme
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let lines = blocks
        .flat_map(str::lines)
        .map(|line| line.split('#').next().unwrap().trim().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// A command in the clone, with a newcomer's environment.
fn shell(folder: &Path, line: &str) -> Command {
    let mut command = Command::new("sh");
    // The shell makes way for the command, so that a signal reaches that.
    command
        .args(["-c", &format!("exec {line}")])
        .current_dir(folder)
        .stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        if name.starts_with("CHATBRIDGE_")
            || name.starts_with("CARGO_MANIFEST")
            || name.starts_with("CARGO_PKG")
        {
            command.env_remove(name);
        }
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| home().join("target"), PathBuf::from);
    // Two folders, one target: the recorded paths of the other one count for nothing here.
    command.env("CARGO_TARGET_DIR", home().join(target));
    command
}

#[track_caller]
fn done(mut command: Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A command that runs until it is told to stop.
struct Running(Child, std::sync::mpsc::Receiver<String>);

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, heard) = std::sync::mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let say = say.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = say.send(line);
                }
            });
        }
        Self(child, heard)
    }

    /// Waits for a line with these words, and returns it and what came before.
    #[track_caller]
    fn wait(&self, words: &str) -> Vec<String> {
        let (until, mut said) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.1.recv_timeout(left) else {
                panic!("it did not say {words:?}, but:\n{}", said.join("\n"));
            };
            let found = line.contains(words);
            said.push(line);
            if found {
                return said;
            }
        }
    }

    /// Presses Ctrl-C; it must end well.
    #[track_caller]
    fn interrupt(mut self) {
        // cargo waits for what it runs, and both get the signal of a terminal.
        let id = self.0.id();
        let script = format!("kill -INT {id} $(cat /proc/{id}/task/{id}/children 2>/dev/null)");
        done(shell(home(), &format!("sh -c '{script}'")));
        let until = Instant::now() + Duration::from_mins(1);
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_readme_leads_from_an_empty_folder_to_a_running_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("file://{}", home().display());
    let cloned = Command::new("git")
        .args(["clone", "--quiet", "--depth=1", &source, "chatbridge"])
        .current_dir(folder.path())
        .output();
    let clone = folder.path().join("chatbridge");
    if !cloned.is_ok_and(|output| output.status.success()) {
        println!("skipped: this is no repository that git can clone");
        return;
    }
    let readme = std::fs::read_to_string(clone.join("README.md")).unwrap();
    let commands = commands(&readme);

    // See it work.
    let demo = commands
        .iter()
        .position(|line| line.ends_with("-- demo"))
        .unwrap();
    assert_eq!(demo, 0, "the first command shows it: {commands:#?}");
    let running = Running::start(shell(&clone, &commands[demo]));
    let said = running.wait("messages were answered").join("\n");
    assert!(said.contains("Fjord & Pine"), "{said}");
    running.interrupt();

    // Make a configuration, and serve with it. --release is left out: the same daemon, sooner built.
    let copy = commands
        .iter()
        .find(|line| line.starts_with("cp config/"))
        .unwrap();
    done(shell(&clone, copy));
    let serve = commands.iter().find(|line| line.ends_with("-- serve")).unwrap();
    let mut command = shell(&clone, &serve.replace(" --release", ""));
    // Other daemons of this machine may have the usual ports.
    command
        .env("CHATBRIDGE__SERVER__BIND", "127.0.0.1:0")
        .env("CHATBRIDGE__ADMIN__BIND", "127.0.0.1:0");
    command.env("NO_COLOR", "1");
    let running = Running::start(command);
    let said = running.wait("admin listener").join("\n");
    assert!(said.contains("public listener"), "{said}");
    running.interrupt();
    assert!(
        clone.join("data/chatbridge.db").exists(),
        "the database is made where the documentation says"
    );
}
