//! `chatbridge demo` as a process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::program::{command, end_of, signal};
use super::{DEADLINE, eventually};

/// A demo that runs. It ends when dropped.
pub(crate) struct Demo {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    _home: TempDir,
}

impl Demo {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = command(home.path(), &["demo"], &[])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                written.lock().unwrap().push(line.unwrap());
            }
        });
        Self {
            child,
            lines,
            _home: home,
        }
    }

    /// Where its page is, once it is told.
    #[track_caller]
    pub(crate) fn page(&self) -> String {
        eventually("the address of the demo's page", || {
            let lines = self.lines.lock().unwrap();
            let address = lines
                .iter()
                .find_map(|line| line.trim().strip_prefix("http://"))?;
            Some(format!("http://{address}"))
        })
    }

    /// The daemon's process, which is the only child of the demo's.
    pub(crate) fn bridge(&self) -> Option<u32> {
        let id = self.child.id();
        let threads = std::fs::read_dir(format!("/proc/{id}/task")).ok()?.flatten();
        // Whichever of its threads started it.
        let all: String = threads
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
            .collect();
        all.split_whitespace().next()?.parse().ok()
    }

    /// Stops it as Ctrl-C does, and returns its exit code.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Option<i32> {
        signal(self.child.id(), "INT");
        let status = end_of(&mut self.child, DEADLINE);
        status.expect("the demo does not end").code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.child.id(), "INT");
            if end_of(&mut self.child, DEADLINE).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        if std::thread::panicking() {
            eprintln!("the demo said:\n{}", self.lines.lock().unwrap().join("\n"));
        }
    }
}
