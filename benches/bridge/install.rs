//! Installs what chatbridge is compared with: the small programs of benches/rivals, with the libraries that their
//! manifests pin, into target/rivals. What this machine cannot run is left out, and it is said why.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contest::{Contestant, Recipe};
use crate::events::Platform;

/// The folder of the sources.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/rivals");

/// One of the programs.
struct Program {
    /// Its folder.
    folder: &'static str,
    name: &'static str,
    /// The library whose version counts, as the manifest names it.
    library: &'static str,
    platform: Platform,
    language: Language,
    /// What it is called with, behind the interpreter's folder.
    command: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    JavaScript,
    Python,
}

const PROGRAMS: [Program; 4] = [
    Program {
        folder: "bolt-js",
        name: "Bolt for JavaScript",
        library: "@slack/bolt",
        platform: Platform::Slack,
        language: Language::JavaScript,
        command: &["node", "app.mjs"],
    },
    Program {
        folder: "bolt-python",
        name: "Bolt for Python",
        library: "slack-bolt",
        platform: Platform::Slack,
        language: Language::Python,
        command: &[
            "uvicorn",
            "app:api",
            "--host",
            "127.0.0.1",
            "--port",
            "PORT",
            "--log-level",
            "warning",
            "--no-access-log",
        ],
    },
    Program {
        folder: "chat-sdk",
        name: "Chat SDK",
        library: "chat",
        platform: Platform::Slack,
        language: Language::JavaScript,
        command: &["node", "app.mjs"],
    },
    Program {
        folder: "pywa",
        name: "pywa",
        library: "pywa[server]",
        platform: Platform::WhatsApp,
        language: Language::Python,
        command: &[
            "pywa",
            "run",
            "bot.py",
            "--host",
            "127.0.0.1",
            "--port",
            "PORT",
            "--log-level",
            "warning",
        ],
    },
];

/// The real binary and all that could be installed of what serves this platform too, the binary first.
pub(crate) fn contestants(platform: Platform) -> Vec<Contestant> {
    let rivals = PROGRAMS.iter().filter(|program| program.platform == platform);
    let installed = rivals.filter_map(|program| {
        program
            .install()
            .inspect_err(|why| println!("{} is left out: {why}\n", program.name))
            .ok()
    });
    std::iter::once(Contestant::bridge(platform))
        .chain(installed)
        .collect()
}

impl Program {
    fn install(&self) -> Result<Contestant, String> {
        let source = Path::new(SOURCES).join(self.folder);
        let folder = target().join("rivals").join(self.folder);
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let shared = match self.language {
            Language::JavaScript => "agent.mjs",
            Language::Python => "agent.py",
        };
        copy(&Path::new(SOURCES).join(shared), &folder)?;
        for entry in std::fs::read_dir(&source).map_err(|error| error.to_string())? {
            copy(&entry.map_err(|error| error.to_string())?.path(), &folder)?;
        }
        let manifest = folder.join(match self.language {
            Language::JavaScript => "package.json",
            Language::Python => "requirements.txt",
        });
        let manifest = std::fs::read_to_string(manifest).map_err(|error| error.to_string())?;
        self.install_libraries(&folder, &manifest)?;
        let mut command: Vec<String> = self.command.iter().map(|&word| word.to_owned()).collect();
        if self.language == Language::Python {
            command[0] = folder.join("venv/bin").join(&command[0]).display().to_string();
        }
        let (redis, remark) = match (self.folder, on_path("redis-server")) {
            ("chat-sdk", Some(redis)) => (Some(redis), " with Redis"),
            ("chat-sdk", None) => (None, ", its state in memory for want of redis-server"),
            _ => (None, ""),
        };
        Ok(Contestant {
            name: format!("{} {}{remark}", self.name, version(&manifest, self.library)),
            platform: self.platform,
            recipe: Recipe::Rival {
                folder,
                command,
                redis,
            },
        })
    }

    fn install_libraries(&self, folder: &Path, manifest: &str) -> Result<(), String> {
        let mark = folder.join("installed");
        if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == manifest) {
            return Ok(());
        }
        match self.language {
            Language::JavaScript => {
                run(folder, &["node", "--version"])?;
                run(
                    folder,
                    &[
                        "npm",
                        "install",
                        "--no-audit",
                        "--no-fund",
                        "--no-package-lock",
                        "--omit=dev",
                    ],
                )?;
            }
            Language::Python => {
                run(folder, &["python3", "-m", "venv", "venv"])?;
                run(
                    folder,
                    &["venv/bin/pip", "install", "--quiet", "-r", "requirements.txt"],
                )?;
            }
        }
        std::fs::write(mark, manifest).map_err(|error| error.to_string())
    }
}

fn copy(file: &Path, folder: &Path) -> Result<(), String> {
    let name = file.file_name().ok_or("a source without a name")?;
    std::fs::copy(file, folder.join(name))
        .map(drop)
        .map_err(|error| format!("{}: {error}", file.display()))
}

fn run(folder: &Path, words: &[&str]) -> Result<(), String> {
    // A path relative to the folder, or a name on the PATH.
    let program = Some(folder.join(words[0]))
        .filter(|path| words[0].contains('/') && path.exists())
        .unwrap_or_else(|| PathBuf::from(words[0]));
    let output = Command::new(program)
        .args(&words[1..])
        .current_dir(folder)
        .output()
        .map_err(|error| format!("{}: {error}", words[0]))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default();
    Err(format!(
        "`{}` ended with {}: {last}",
        words.join(" "),
        output.status
    ))
}

/// The build's folder: this program stands in `release/deps` of it.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().to_owned()
}

fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The version that a manifest pins of a library: `"name": "1.2.3"` or `name==1.2.3`.
fn version<'a>(manifest: &'a str, library: &str) -> &'a str {
    manifest
        .lines()
        .find_map(|line| {
            let line = line.trim();
            let json = line.strip_prefix(&format!("\"{library}\": \""));
            json.or_else(|| line.strip_prefix(&format!("{library}==")))
        })
        .map_or("", |rest| rest.trim_end_matches(['"', ',']))
}
