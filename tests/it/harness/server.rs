//! A PostgreSQL server of a test's own: one that may be killed, frozen, filled up and closed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::eventually;
use super::postgres::{Database, administer, on_postgres};
use super::program::signal;

/// Who keeps the server.
const KEEPER: &str = "keeper";
/// Who works in the databases, without any right beyond: what is refused to users is refused to this one.
const BRIDGE: &str = "bridge";
/// Whom Debian's package brings to run servers: root may not.
const SYSTEM_USER: &str = "postgres";

/// A running server with its own data; both are gone when it is dropped.
pub(crate) struct Server {
    home: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Server {
    /// A server as it is set by itself; none in the run on SQLite.
    pub(crate) fn start() -> Option<Self> {
        if !on_postgres() {
            return None;
        }
        // Nobody listens on a port that was just given back.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            home: tempfile::tempdir().unwrap(),
            programs: programs(),
            port: port.local_addr().unwrap().port(),
        };
        drop(port);
        give(server.home.path());
        let data = server.data();
        let made = ["--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"];
        assert!(server.run("initdb", &[&["-D", &data, "-U", KEEPER], &made[..]].concat()));
        server.up();
        server.keep(&format!("CREATE ROLE {BRIDGE} LOGIN"));
        Some(server)
    }

    /// Starts it, if it is down. What one that was killed leaves behind lets go of its memory a moment later.
    pub(crate) fn up(&self) {
        let log = self.home.path().join("log").display().to_string();
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 -c shared_buffers=16MB",
            self.port
        );
        let data = self.data();
        let start = ["-D", &data, "-w", "-l", &log, "-o", &options, "start"];
        eventually("the server to start", || self.run("pg_ctl", &start).then_some(()));
    }

    /// Ends it in the hardest way. Its other processes notice that the first is gone, and end too.
    pub(crate) fn kill9(&self) {
        let first = self.first();
        signal(first, "KILL");
        eventually("the server to be gone", || gone(first).then_some(()));
    }

    /// Stops all of it where it stands, as a disk does that hangs; or lets it go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        let first = self.first();
        let others = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
        let others = others.split_whitespace().map(|id| id.parse().unwrap());
        for id in std::iter::once(first).chain(others) {
            signal(id, if frozen { "STOP" } else { "CONT" });
        }
    }

    /// Carries out a statement as the server's keeper.
    pub(crate) fn keep(&self, sql: &str) {
        administer(&self.url(), sql.to_owned());
    }

    /// Lets the server read its settings anew, after a change of one.
    pub(crate) fn set(&self, change: &str) {
        self.keep(&format!("ALTER SYSTEM {change}"));
        self.keep("SELECT pg_reload_conf()");
    }

    /// A new database.
    pub(crate) fn database(&self) -> Database {
        self.database_in("pg_default")
    }

    /// A new database in this tablespace.
    pub(crate) fn database_in(&self, tablespace: &str) -> Database {
        Database::at(self.url(), BRIDGE, tablespace)
    }

    fn url(&self) -> String {
        format!("postgres://{KEEPER}@127.0.0.1:{}/postgres", self.port)
    }

    fn data(&self) -> String {
        self.home.path().join("data").display().to_string()
    }

    /// The process that began the others.
    fn first(&self) -> u32 {
        let file = std::fs::read_to_string(format!("{}/postmaster.pid", self.data())).unwrap();
        file.lines().next().unwrap().trim().parse().unwrap()
    }

    /// Runs one of the server's programs to its end. True if it did what it was to do.
    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", SYSTEM_USER, "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir("/").stdin(Stdio::null());
        // What it starts would keep a pipe open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.data();
        if Path::new(&data).join("postmaster.pid").exists() && !gone(self.first()) {
            // A test that failed may leave it frozen.
            self.freeze(false);
            self.run("pg_ctl", &["-D", &data, "-m", "immediate", "stop"]);
        }
    }
}

/// Makes a folder the servers' own.
pub(crate) fn give(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").arg(SYSTEM_USER).arg(folder).status();
        assert!(given.unwrap().success());
    }
}

/// Whether a process has ended.
fn gone(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat"));
    // Whoever is to bury the dead may take its time.
    status.map_or(true, |status| {
        status
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z'))
    })
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Where the server's programs are: `tests/run` says so, or the newest of Debian's.
fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("CHATBRIDGE_TEST_POSTGRES_PROGRAMS") {
        return folder.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let version = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str()?.parse::<u32>().ok())
    };
    let newest = versions.map(|folder| folder.unwrap().path()).max_by_key(version);
    newest.expect("PostgreSQL is installed").join("bin")
}
