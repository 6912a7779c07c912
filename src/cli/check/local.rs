//! The checks of this machine: files and who may read them, the database, the disk, the clock, the ports. They call
//! nobody but this machine (and the database's server), and change nothing.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Check;
use crate::cli::ConfigFile;
use crate::config::{self, Settings};
use crate::outbound;
use crate::store::{self, Found, Look};

/// Below this the database has no room: a day of a busy bridge and its log, in bytes.
const LEAST_FREE: u64 = 256 * 1024 * 1024;
/// This program was not there before (2026-01-01, so many days after 1970): a clock that says so was never set.
const EARLIEST: Duration = Duration::from_hours(24 * 20_454);
/// How far the database may seem to have been written in the future.
const MOST_AHEAD: Duration = Duration::from_mins(5);
/// How long whoever holds a port may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// All of them. Who may read the files is judged where it is `strict`: a trial on one's own machine needs no closed file.
pub(super) async fn checks(settings: &Settings, file: &ConfigFile, strict: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    let look = store::look(&settings.store).await;
    if strict {
        let mut secrets = config::secret_files(file.config.as_deref());
        if let Ok(look) = &look {
            let beside = look.key.iter().chain(&look.file);
            secrets.extend(beside.filter(|file| file.exists()).cloned());
        }
        checks.push(permissions(&secrets));
    }
    match &look {
        Ok(look) => {
            checks.push(database(look));
            checks.extend(look.file.as_deref().map(room));
        }
        Err(error) => checks.push(Check::failed(
            "database",
            error.to_string(),
            "see store.url, whether the server runs, and who may use the database",
        )),
    }
    checks.push(clock(look.ok().and_then(|look| look.file).as_deref()));
    for (key, address, path) in [
        ("server.bind", settings.server.bind, "/healthz"),
        ("admin.bind", settings.admin.bind, "/metrics"),
    ] {
        checks.push(port(key, address, path).await);
    }
    checks
}

/// Nobody but the owner, and at most their group, may read what is secret.
fn permissions(files: &[PathBuf]) -> Check {
    let name = "file permissions";
    let open: Vec<String> = files
        .iter()
        .filter(|file| is_open(file))
        .map(|file| file.display().to_string())
        .collect();
    if open.is_empty() {
        let found = match files.len() {
            0 => "no file holds secrets".to_owned(),
            1 => "the file with secrets is closed to others".to_owned(),
            count => format!("the {count} files with secrets are closed to others"),
        };
        return Check::ok(name, found);
    }
    Check::failed(
        name,
        format!("everybody on this machine may read {}", open.join(", ")),
        format!("chmod o= {}", open.join(" ")),
    )
}

/// Whether everybody on this machine may read or write a file: it lets them, and so does the way to it.
#[cfg(unix)]
fn is_open(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).map_or(0, |found| found.permissions().mode());
    let Ok(file) = fs::canonicalize(file) else {
        return false;
    };
    mode(&file) & 0o006 != 0 && file.ancestors().skip(1).all(|folder| mode(folder) & 0o001 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

fn database(look: &Look) -> Check {
    let name = "database";
    let at = &look.name;
    match look.found {
        Found::UpToDate => Check::ok(name, format!("{at} is up to date")),
        Found::Nothing => Check::ok(
            name,
            format!("{at} is empty or not there: the first start makes it"),
        ),
        Found::Behind(count) => Check::ok(
            name,
            format!("{at}: the next start brings it up to date ({count} steps)"),
        ),
        Found::Newer => Check::failed(
            name,
            format!("{at} was made by a newer chatbridge, which this one refuses"),
            "install that version again, or restore the backup from before the upgrade",
        ),
        Found::HalfMoved => Check::failed(
            name,
            format!("{at} is in the middle of a move, and does not hold everything yet"),
            "run the same `chatbridge migrate --from … --to …` again, or name another database in store.url",
        ),
    }
}

/// Whether there is room for the database, and whether this user may write there.
fn room(file: &Path) -> Check {
    let name = "disk";
    let folder = existing(file);
    let shown = folder.display();
    if let Err(error) = writable(&folder) {
        return Check::failed(
            name,
            format!("this user may not write in {shown}: {error}"),
            format!("run this as the daemon's user, or let that user write in {shown}"),
        );
    }
    match free(&folder) {
        Ok(free) if free >= LEAST_FREE => Check::ok(name, format!("{} free in {shown}", size(free))),
        Ok(free) => Check::failed(
            name,
            format!("only {} free in {shown}", size(free)),
            "make room: without any, webhooks get 503 and nothing is answered",
        ),
        Err(error) => Check::failed(
            name,
            format!("{shown} does not tell its room: {error}"),
            "look at the disk",
        ),
    }
}

/// The nearest folder above the file that is there.
fn existing(file: &Path) -> PathBuf {
    let mut folders = file.ancestors().skip(1).map(|folder| {
        if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        }
    });
    folders
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// A file without a name, which is gone as soon as it is closed.
fn writable(folder: &Path) -> io::Result<()> {
    tempfile::tempfile_in(folder).map(drop)
}

fn free(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).to_string()
}

/// What can be told of the clock without asking anybody: Slack's check asks Slack.
fn clock(database: Option<&Path>) -> Check {
    let remedy = "set this machine's clock by a time server (timedatectl set-ntp true)";
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let written = database.and_then(|file| fs::metadata(file).ok()?.modified().ok());
    let ahead = written.and_then(|written| written.duration_since(now).ok());
    let shown = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
    if since < EARLIEST {
        return Check::failed("clock", format!("it says {shown}, which is long ago"), remedy);
    }
    match ahead.filter(|ahead| *ahead > MOST_AHEAD) {
        Some(ahead) => {
            let ahead = humantime::format_duration(Duration::from_secs(ahead.as_secs()));
            let found = format!("it says {shown}, but the database was written {ahead} later");
            Check::failed("clock", found, remedy)
        }
        None => Check::ok("clock", shown),
    }
}

/// Whether a listener's address is free, or held by a daemon of ours.
async fn port(key: &str, address: SocketAddr, path: &str) -> Check {
    match TcpListener::bind(address) {
        Ok(_) if address.port() == 0 => Check::ok(key, "any port that is free"),
        Ok(_) => Check::ok(key, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if is_ours(address, path).await {
                return Check::ok(key, format!("{address} is held by a chatbridge that runs"));
            }
            Check::failed(
                key,
                format!("{address} is held by another program"),
                format!("stop that program (ss -ltnp shows it), or set {key} to another address"),
            )
        }
        Err(error) => Check::failed(
            key,
            format!("nobody can listen on {address}: {error}"),
            format!("set {key} to an address of this machine and a port that this user may use"),
        ),
    }
}

/// Whether it answers as our listeners do. The admin listener may want its token, and says so in our words.
async fn is_ours(address: SocketAddr, path: &str) -> bool {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    let Ok(client) = outbound::client(PATIENCE) else {
        return false;
    };
    let Ok(answer) = outbound::call(client.get(format!("http://{address}{path}"))).await else {
        return false;
    };
    let body = String::from_utf8_lossy(&answer.body);
    answer.status.is_success() && (body == "ok" || body.contains("chatbridge_build_info"))
        || answer
            .json()
            .is_some_and(|body| body["error"]["code"].is_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Outcome;
    use super::*;

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_secret_is_open_if_the_way_to_it_is() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("key");
        fs::write(&file, "secret").unwrap();
        for (folder, own, outcome) in [
            (0o755, 0o644, Outcome::Failed),
            (0o755, 0o640, Outcome::Ok),
            (0o755, 0o602, Outcome::Failed),
            (0o700, 0o644, Outcome::Ok),
        ] {
            allow(home.path(), folder);
            allow(&file, own);
            let check = permissions(std::slice::from_ref(&file));
            assert_eq!(check.outcome, outcome, "{folder:o} {own:o}: {check:?}");
        }
    }

    #[test]
    fn the_database_tells_what_the_next_start_does() {
        let look = |found| Look {
            name: "db".to_owned(),
            found,
            file: None,
            key: None,
        };
        for (found, outcome) in [
            (Found::Nothing, Outcome::Ok),
            (Found::UpToDate, Outcome::Ok),
            (Found::Behind(2), Outcome::Ok),
            (Found::Newer, Outcome::Failed),
            (Found::HalfMoved, Outcome::Failed),
        ] {
            assert_eq!(database(&look(found)).outcome, outcome, "{found:?}");
        }
    }

    #[test]
    fn a_database_of_the_future_shows_a_wrong_clock() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("db");
        let file = fs::File::create(&path).unwrap();
        assert_eq!(clock(Some(&path)).outcome, Outcome::Ok);
        file.set_modified(SystemTime::now() + Duration::from_hours(2))
            .unwrap();
        assert_eq!(clock(Some(&path)).outcome, Outcome::Failed);
        assert_eq!(clock(None).outcome, Outcome::Ok);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_looked_for_above() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(existing(&home.path().join("a/b/db")), home.path());
        assert_eq!(existing(Path::new("db")), Path::new("."));
        assert_eq!(room(&home.path().join("a/db")).outcome, Outcome::Ok);
    }
}
