//! The configuration: defaults, then a file, then the environment.
//!
//! `config/default.toml` holds every default and is part of the binary. Over it comes the operator's file, over that
//! environment variables `CHATBRIDGE__SECTION__KEY`, and for secrets also `CHATBRIDGE__SECTION__KEY_FILE`, which
//! names a file. Everything is checked against the [`catalogue`], and all mistakes are told at once: each with the
//! key, where it was written, and what to do.

pub mod catalogue;
mod checks;
mod gather;
pub mod kind;
mod nearest;
mod problem;
pub mod reference;
mod settings;
mod shown;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use problem::{ConfigError, Problem};
pub use settings::Settings;
pub use shown::Shown;

use gather::Gathered;
use kind::Kind;

/// Every default, with a line of comment.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Read if no file is named and this one is there.
pub const USUAL_FILE: &str = "config/chatbridge.toml";

/// Reads the configuration of this process.
pub fn load(file: Option<&Path>) -> Result<Settings, ConfigError> {
    load_with(file, std::env::vars_os())
}

/// Reads a file (else [`USUAL_FILE`], if it is there) and, over it, this environment.
pub fn load_with(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Settings, ConfigError> {
    let usual = Path::new(USUAL_FILE);
    let path = file.or_else(|| usual.exists().then_some(usual));
    let Some(path) = path else {
        return parse("", "", environment);
    };
    let origin = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&origin, &text, environment),
        Err(error) => {
            let problem = Problem::new(
                "",
                origin,
                format!("cannot be read: {error}; name another with --config FILE"),
            );
            Err(problem.into())
        }
    }
}

/// The files that hold secrets of this process's configuration: the configuration's own, if a secret is written in it,
/// and those that variables of the environment name.
pub fn secret_files(file: Option<&Path>) -> Vec<PathBuf> {
    let usual = Path::new(USUAL_FILE);
    let path = file.or_else(|| usual.exists().then_some(usual));
    let own = path.filter(|path| std::fs::read_to_string(path).is_ok_and(|text| holds_secret(&text)));
    let named = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str()?.strip_prefix(gather::PREFIX)?;
        let (section, key) = name.strip_suffix("_FILE")?.split_once("__")?;
        let key = catalogue::section(&section.to_lowercase())?.key(&key.to_lowercase())?;
        key.kind.is_secret().then(|| PathBuf::from(value))
    });
    own.map(Path::to_path_buf).into_iter().chain(named).collect()
}

fn holds_secret(text: &str) -> bool {
    let mut gathered = Gathered::default();
    gathered.add_file("", text);
    gathered.entries.iter().any(|((section, name), entry)| {
        let key = catalogue::section(section).and_then(|section| section.key(name));
        key.is_some_and(|key| match key.kind {
            // The address of a file is no secret; that of a server may hold a password.
            Kind::Database => entry.value.to_string().contains('@'),
            Kind::Tables(keys) => keys.iter().any(|key| key.kind.is_secret()),
            kind => kind.is_secret(),
        })
    })
}

/// Reads this text, which came from `origin`, and, over it, this environment.
pub fn parse(
    origin: &str,
    text: &str,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Settings, ConfigError> {
    let mut gathered = Gathered::default();
    gathered.add_file(origin, text);
    gathered.add_environment(environment);
    add_defaults(&mut gathered);
    checks::check(&mut gathered);
    if gathered.problems.is_empty() {
        return settings::build(&gathered).map_err(Into::into);
    }
    gathered
        .problems
        .sort_by(|a, b| (&a.key, &a.origin).cmp(&(&b.key, &b.origin)));
    Err(ConfigError {
        problems: gathered.problems,
    })
}

/// Fills in what was not written. The defaults of a channel count only if something of its section was.
fn add_defaults(gathered: &mut Gathered) {
    let mut defaults = Gathered::default();
    defaults.add_file("config/default.toml", DEFAULTS);
    gathered.problems.append(&mut defaults.problems);
    for ((section, key), entry) in defaults.entries {
        let off =
            catalogue::section(section).is_some_and(|section| section.channel) && !begun(gathered, section);
        if !off && !gathered.touched.contains_key(&(section, key)) {
            gathered.entries.insert((section, key), entry);
        }
    }
}

/// Whether the operator wrote anything in this section.
fn begun(gathered: &Gathered, section: &str) -> bool {
    gathered.touched.keys().any(|(name, _)| *name == section)
}
