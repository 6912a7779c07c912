//! What `deploy/` ships: judged by the programs that will read it, and tried with the real daemon where that is possible.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::harness::tool::{command, content, project, tool};
use crate::harness::{DEADLINE, Daemon, World, binary, eventually, meta_posts, webhook};
use crate::harness::{Incoming, NUMBER, Person};

const BINARY: &str = env!("CARGO_BIN_EXE_chatbridge");

fn shipped(path: &str) -> String {
    fs::read_to_string(project("deploy").join(path)).unwrap()
}

/// The units, in a folder where their program is this one.
fn units() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["chatbridge.service", "chatbridge.socket"] {
        let unit = shipped(&format!("systemd/{name}")).replace("/usr/local/bin/chatbridge", BINARY);
        fs::write(folder.path().join(name), unit).unwrap();
    }
    folder
}

#[test]
fn systemd_understands_the_units_and_finds_little_exposed() {
    let Some(analyze) = tool("systemd-analyze") else {
        return;
    };
    let folder = units();
    let file = |name: &str| folder.path().join(name);
    let said = content(
        command(
            &analyze,
            &[
                "verify".into(),
                file("chatbridge.service"),
                file("chatbridge.socket"),
            ],
        ),
        "",
    );
    assert!(!said.contains("chatbridge"), "it has remarks:\n{said}");
    // Ten times what it prints: 2.0 of 10 at most.
    let mut security = command(&analyze, &["security", "--offline=true", "--threshold=20"]);
    security.arg(file("chatbridge.service"));
    content(security, "");
}

#[test]
fn caddy_and_nginx_take_their_configurations() {
    if let Some(caddy) = tool("caddy") {
        let mut validate = command(&caddy, &["validate", "--adapter", "caddyfile", "--config"]);
        validate
            .arg(project("deploy/Caddyfile"))
            .env("DOMAIN", "bridge.example.com");
        content(validate, "");
    }
    let (Some(nginx), Some(openssl)) = (tool("nginx"), tool("openssl")) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let (key, certificate, site) = (path("key.pem"), path("certificate.pem"), path("site.conf"));
    let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=bridge.example.com";
    let mut make = command(&openssl, &make.split(' ').collect::<Vec<_>>());
    make.args(["-keyout", &key, "-out", &certificate]);
    content(make, "");
    let letsencrypt = "/etc/letsencrypt/live/bridge.example.com";
    let text = shipped("nginx/chatbridge.conf")
        .replace(&format!("{letsencrypt}/fullchain.pem"), &certificate)
        .replace(&format!("{letsencrypt}/privkey.pem"), &key);
    fs::write(&site, text).unwrap();
    let whole = format!(
        "pid {}; error_log stderr; events {{}} http {{ access_log off; include {site}; }}",
        path("pid")
    );
    fs::write(path("nginx.conf"), whole).unwrap();
    content(
        command(&nginx, &["-t", "-p", &path(""), "-c", &path("nginx.conf")]),
        "",
    );
}

/// The supervisor hears that the daemon serves, that it lives, and that it stops.
#[test]
fn systemd_is_told_of_the_start_the_life_and_the_stop() {
    let mut world = World::stopped();
    let socket = world.home().join("notify");
    let supervisor = UnixDatagram::bind(&socket).unwrap();
    supervisor.set_read_timeout(Some(DEADLINE)).unwrap();
    world
        .config
        .env("NOTIFY_SOCKET", socket.to_str().unwrap())
        .env("WATCHDOG_USEC", "200000");
    world.launch();
    let hear = || {
        let mut heard = [0; 256];
        let length = supervisor.recv(&mut heard).unwrap();
        String::from_utf8_lossy(&heard[..length]).into_owned()
    };
    assert!(hear().starts_with("READY=1"));
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    world.terminate();
    let last: Vec<String> = std::iter::repeat_with(hear)
        .take_while(|said| !said.starts_with("STOPPING=1"))
        .collect();
    assert!(last.iter().all(|said| said == "WATCHDOG=1"), "{last:?}");
}

/// A daemon whose public listener was opened before it, as systemd does: file descriptor 3.
fn activated(world: &World, file: &str, listener: &TcpListener) -> Daemon {
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve --config \"$1\"";
    let mut shell = binary(
        "sh",
        world.home(),
        &["-c", script, BINARY, file],
        world.config.environment(),
    );
    shell.stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())));
    Daemon::adopt(shell)
}

/// Between two daemons nobody is refused: what comes waits in the socket.
#[test]
fn a_restart_by_socket_activation_refuses_nobody() {
    let world = World::stopped();
    let file = world.write_config();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut first = activated(&world, &file, &listener);
    assert_eq!(
        first.public(),
        format!("http://{address}"),
        "the socket that was given is served"
    );
    let text =
        |words: &str| webhook(NUMBER, &[Incoming::text(&Person::phone("15550001111"), words)]).to_string();
    assert_eq!(meta_posts(&first, text("before").as_bytes()).unwrap().status, 200);
    world.meta.wait_sent("echo: before");
    first.signal("TERM");
    assert_eq!(first.wait_end().code(), Some(0));
    let body = text("in between");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| meta_posts(&first, body.as_bytes()));
        wait_in_queue(address);
        let second = activated(&world, &file, &listener);
        assert_eq!(waiting.join().unwrap().unwrap().status, 200);
        world.meta.wait_sent("echo: in between");
        drop(second);
    });
}

/// Waits until somebody stands in the queue of a socket that nobody serves: the kernel lists them in /proc/net/tcp as
/// established (01).
fn wait_in_queue(address: SocketAddr) {
    let port = format!(":{:04X} ", address.port());
    eventually("a caller to stand in the socket's queue", || {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let standing = table.lines().filter(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.len() > 3 && format!("{} ", fields[1]).ends_with(&port) && fields[3] == "01"
        });
        (standing.count() > 0).then_some(())
    });
}

/// How bubblewrap shows the daemon this machine: everything read-only, and of what is its own only a folder. The binary
/// and the folder may lie where only this user comes; the daemon sees neither but by these names.
fn restrictions(state: &Path) -> Vec<String> {
    let view = "--ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --tmpfs /run --tmpfs /root --tmpfs /var/lib \
         --unshare-pid --die-with-parent --chdir /var/lib/chatbridge --bind";
    let mut arguments: Vec<String> = view.split_whitespace().map(str::to_owned).collect();
    arguments.extend([state.display().to_string(), "/var/lib/chatbridge".to_owned()]);
    arguments.extend(["--ro-bind", BINARY, "/run/chatbridge"].map(str::to_owned));
    arguments
}

/// The unit's restrictions, as far as an ordinary process can have them: nobody's user, no capabilities, no new
/// privileges, everything read-only but its own folder.
#[test]
fn the_daemon_works_under_the_units_restrictions() {
    let (Some(bwrap), Some(setpriv)) = (tool("bwrap"), tool("setpriv")) else {
        return;
    };
    let nobody = "--reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --no-new-privs";
    let world = World::stopped();
    let state = world.home().join("state");
    fs::create_dir(&state).unwrap();
    let mut config = world.config.clone();
    if world.database.is_none() {
        config.set("store.url", "sqlite:///var/lib/chatbridge/chatbridge.db");
    }
    let file = state.join("chatbridge.toml");
    fs::write(&file, config.to_toml()).unwrap();
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0);
    if is_root {
        for path in [&state, &file] {
            std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
        }
    }
    let mut arguments = restrictions(&state);
    let probe = Command::new(&bwrap)
        .args(&arguments)
        .arg("true")
        .output()
        .unwrap();
    if !probe.status.success() {
        println!(
            "skipped: this machine lets nobody restrict a process: {}",
            String::from_utf8_lossy(&probe.stderr)
        );
        return;
    }
    if is_root {
        arguments.push(setpriv.display().to_string());
        arguments.extend(nobody.split(' ').map(str::to_owned));
    }
    arguments.extend(
        [
            "/run/chatbridge",
            "serve",
            "--config",
            "/var/lib/chatbridge/chatbridge.toml",
        ]
        .map(str::to_owned),
    );
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let daemon = Daemon::adopt(binary(
        bwrap.to_str().unwrap(),
        world.home(),
        &arguments,
        config.environment(),
    ));
    let body = webhook(
        NUMBER,
        &[Incoming::text(&Person::phone("15550001111"), "restricted")],
    )
    .to_string();
    assert_eq!(meta_posts(&daemon, body.as_bytes()).unwrap().status, 200);
    world.meta.wait_sent("echo: restricted");
    if world.database.is_none() {
        let mode = fs::metadata(state.join("chatbridge.db"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// The image's own health check, run by this machine's shell against a daemon and against nobody.
#[test]
fn the_images_health_check_tells_life_from_death() {
    let file = shipped("Containerfile");
    let from: Vec<&str> = file
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "))
        .collect();
    assert!(
        from.iter()
            .all(|image| image.contains(':') && !image.contains(":latest")),
        "{from:?}"
    );
    let user = file
        .lines()
        .filter_map(|line| line.strip_prefix("USER "))
        .next_back()
        .unwrap();
    assert!(
        user.starts_with(|c: char| c.is_ascii_digit()) && !user.starts_with('0'),
        "{user}"
    );
    let check = file
        .lines()
        .find_map(|line| line.trim().strip_prefix("CMD [\"bash\""))
        .unwrap();
    let check: Vec<String> = serde_json::from_str(&format!("[\"bash\"{check}")).unwrap();
    let world = World::start();
    let ask = |port: &str| {
        let script = check[2].replace("8080", port);
        Command::new(&check[0])
            .args(["-c", &script])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    };
    let port = world.daemon().public().rsplit(':').next().unwrap();
    assert!(ask(port));
    assert!(!ask("9"));
}

/// The package: what is in it is whole and runs.
#[test]
fn the_debian_package_is_whole() {
    let (Some(dpkg), Some(analyze)) = (tool("dpkg-deb"), tool("systemd-analyze")) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    let mut build = Command::new(project("deploy/debian/build"));
    build.args(["--binary", BINARY, "--out"]).arg(&out);
    build.env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    let package = PathBuf::from(content(build, "").trim());
    assert!(package.exists(), "{package:?}");
    let control = content(command(&dpkg, &[Path::new("--field"), package.as_path()]), "");
    for words in ["Package: chatbridge", "Depends: libc6 (>= 2.", "Installed-Size: "] {
        assert!(control.contains(words), "{control}");
    }
    let root = home.path().join("root");
    content(
        command(&dpkg, &[Path::new("-x"), package.as_path(), root.as_path()]),
        "",
    );
    let program = root.join("usr/bin/chatbridge");
    assert!(content(command(&program, &["--version"]), "").starts_with("chatbridge "));
    for file in [
        "usr/share/man/man1/chatbridge.1.gz",
        "usr/share/man/man1/chatbridge-threads-list.1.gz",
        "usr/share/bash-completion/completions/chatbridge",
        "usr/share/zsh/vendor-completions/_chatbridge",
        "usr/share/fish/vendor_completions.d/chatbridge.fish",
        "usr/share/doc/chatbridge/copyright",
        "usr/share/doc/chatbridge/README.md",
        "usr/share/doc/chatbridge/docs/README.md",
        "usr/share/doc/chatbridge/docs/images/console-overview.png",
        "etc/chatbridge/chatbridge.toml",
        "lib/systemd/system/chatbridge.socket",
        "usr/sbin/chatbridgectl",
    ] {
        assert!(
            fs::metadata(root.join(file)).is_ok_and(|found| found.len() > 0),
            "{file}"
        );
    }
    // What the example says is a configuration that loads.
    let toml = root.join("etc/chatbridge/chatbridge.toml");
    let example = ["check", "--offline", "--json", "--config", toml.to_str().unwrap()];
    let mut check = command(&program, &example);
    check.current_dir(home.path());
    let said = String::from_utf8(check.output().unwrap().stdout).unwrap();
    assert!(said.contains("\"configuration\""), "{said}");
    // Root alone comes to the secrets, and the unit's program is where the package puts it.
    let secrets = fs::metadata(root.join("etc/chatbridge/secrets")).unwrap();
    assert_eq!(secrets.permissions().mode() & 0o777, 0o700);
    let unit = fs::read_to_string(root.join("lib/systemd/system/chatbridge.service")).unwrap();
    assert!(
        unit.contains("ExecStart=/usr/bin/chatbridge serve") && !unit.contains("/usr/local"),
        "{unit}"
    );
    let file = home.path().join("chatbridge.service");
    fs::write(
        &file,
        unit.replace("/usr/bin/chatbridge", program.to_str().unwrap()),
    )
    .unwrap();
    content(command(&analyze, &[Path::new("verify"), file.as_path()]), "");
}

/// Shell scripts are read by their shells.
#[test]
fn the_scripts_are_scripts() {
    for (shell, script) in [
        ("sh", "deploy/systemd/chatbridgectl"),
        ("bash", "deploy/debian/build"),
        ("bash", "tests/run"),
    ] {
        content(command(Path::new(shell), &["-n".into(), project(script)]), "");
    }
}
