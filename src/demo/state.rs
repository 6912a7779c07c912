//! How `chatbridge simulate` finds a demo that runs: a file in the demo's own temporary folder, which only its owner
//! may read and which goes with the demo.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// What the names of demos' folders begin with.
pub(super) const FOLDER: &str = "chatbridge-demo-";

/// The file's name.
const FILE: &str = "demo.json";

/// How long a demo may take to show that it lives.
const PATIENCE: Duration = Duration::from_secs(1);

/// What `simulate` needs to write to a demo. It holds the demo's secrets, which are worth nothing elsewhere.
#[derive(Clone, Serialize, Deserialize)]
pub struct DemoState {
    /// The daemon's public listener.
    pub address: SocketAddr,
    /// What Slack's events are signed with.
    pub signing_secret: String,
    /// What WhatsApp's webhooks are signed with.
    pub app_secret: String,
    /// Where the demo is told what people write, so that its transcript shows it.
    pub told_at: String,
    /// The token for that.
    pub told_token: String,
}

impl DemoState {
    /// Writes the file into a demo's folder, for its owner alone.
    pub(super) fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(FILE);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(serde_json::to_string(self)?.as_bytes())?;
        Ok(path)
    }

    /// The demo that was started last among those that run.
    pub fn find() -> Option<Self> {
        Self::find_in(&std::env::temp_dir())
    }

    fn find_in(temporary: &Path) -> Option<Self> {
        let mut found: Vec<(SystemTime, PathBuf)> = fs::read_dir(temporary)
            .ok()?
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(FOLDER))
            .map(|entry| entry.path().join(FILE))
            .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        let states = found
            .iter()
            .filter_map(|(_, path)| serde_json::from_str::<Self>(&fs::read_to_string(path).ok()?).ok());
        // One that was killed leaves its file behind.
        states
            .into_iter()
            .find(|state| std::net::TcpStream::connect_timeout(&state.address, PATIENCE).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn state(address: SocketAddr) -> DemoState {
        DemoState {
            address,
            signing_secret: "s".to_owned(),
            app_secret: "a".to_owned(),
            told_at: "http://127.0.0.1:1".to_owned(),
            told_token: "t".to_owned(),
        }
    }

    #[test]
    fn the_demo_that_runs_is_found_and_one_that_died_is_not() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = temporary.path().join(format!("{FOLDER}{name}"));
            fs::create_dir(&path).unwrap();
            path
        };
        assert!(DemoState::find_in(temporary.path()).is_none());
        let living = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = living.local_addr().unwrap();
        let path = state(address).write(&folder("living")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        state(dead).write(&folder("dead")).unwrap();
        fs::write(folder("broken").join(FILE), "{").unwrap();
        assert_eq!(DemoState::find_in(temporary.path()).unwrap().address, address);
    }
}
