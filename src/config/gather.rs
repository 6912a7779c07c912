//! Collecting what was written, in files and in the environment, each value with where it came from.

use std::collections::BTreeMap;
use std::ffi::OsString;

use config::{File, FileFormat, Source, ValueKind};

use super::catalogue::{self, Key, ROUTES, SECTIONS, Section};
use super::kind::{Kind, Written};
use super::nearest::nearest;
use super::problem::Problem;

/// What the names of our environment variables begin with.
pub(super) const PREFIX: &str = "CHATBRIDGE__";

/// A section's and a key's name; `[[routes]]` stands in no section.
pub(super) type Name = (&'static str, &'static str);

/// A value that was understood.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) value: ValueKind,
    pub(super) origin: String,
}

/// Everything that was written.
#[derive(Default)]
pub(super) struct Gathered {
    /// What was understood; later sources win.
    pub(super) entries: BTreeMap<Name, Entry>,
    /// What was written at all, well or badly, and where.
    pub(super) touched: BTreeMap<Name, String>,
    /// What was not understood.
    pub(super) problems: Vec<Problem>,
}

/// The environment variable of a key.
pub(super) fn variable((section, key): Name) -> String {
    format!("{PREFIX}{}__{}", section.to_uppercase(), key.to_uppercase())
}

/// A key's full name.
pub(super) fn full(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("{section}.{key}")
    }
}

impl Gathered {
    /// Adds the text of a file.
    pub(super) fn add_file(&mut self, origin: &str, text: &str) {
        match File::from_str(text, FileFormat::Toml).collect() {
            Ok(tables) => tables
                .into_iter()
                .for_each(|(name, value)| self.add_table(origin, &name, value.kind)),
            Err(error) => {
                let cause = match error {
                    config::ConfigError::FileParse { cause, .. } => without_excerpt(&cause.to_string()),
                    _ => "it does not read as TOML".to_owned(),
                };
                self.problems
                    .push(Problem::new("", origin, format!("cannot be read: {cause}")));
            }
        }
    }

    fn add_table(&mut self, origin: &str, name: &str, value: ValueKind) {
        if name == ROUTES.name {
            return self.put("", &ROUTES, value, origin, Written::File);
        }
        let Some(section) = catalogue::section(name) else {
            return self.unknown_section(name, origin);
        };
        let ValueKind::Table(table) = value else {
            let message = format!("is a section; write [{name}] and its keys in the lines below");
            return self.problems.push(Problem::new(name, origin, message));
        };
        for (key, value) in table {
            match section.key(&key) {
                Some(key) => self.put(section.name, key, value.kind, origin, Written::File),
                None => self.unknown_key(section, &key, origin),
            }
        }
    }

    /// Adds what the environment holds for us.
    pub(super) fn add_environment(&mut self, environment: impl IntoIterator<Item = (OsString, OsString)>) {
        let ours = environment.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            name.starts_with(PREFIX).then_some((name, value))
        });
        // In order, so that KEY comes before KEY_FILE, and the messages always in the same order.
        let ours: BTreeMap<String, OsString> = ours.collect();
        for (name, value) in ours {
            match value.into_string() {
                Ok(value) => self.add_variable(&name, value),
                Err(_) => self
                    .problems
                    .push(Problem::new(dotted(&name), name, "is not written in UTF-8")),
            }
        }
    }

    fn add_variable(&mut self, variable: &str, value: String) {
        let lower = variable[PREFIX.len()..].to_ascii_lowercase();
        let (section_name, key_name) = lower.split_once("__").unwrap_or((&lower, ""));
        if section_name == ROUTES.name {
            return self.put("", &ROUTES, value.into(), variable, Written::Environment);
        }
        let Some(section) = catalogue::section(section_name) else {
            return self.unknown_section(section_name, variable);
        };
        if key_name.is_empty() {
            let message = format!("names a section and no key; write {variable}__KEY");
            return self.problems.push(Problem::new(section_name, variable, message));
        }
        let stem = key_name.strip_suffix("_file").and_then(|stem| section.key(stem));
        let outer = key_name.split("__").next().unwrap_or(key_name);
        match (section.key(outer), stem) {
            (Some(key), _) if outer == key_name || matches!(key.kind, Kind::Tables(_)) => {
                self.put(section.name, key, value.into(), variable, Written::Environment);
            }
            (_, Some(key)) if key.kind.is_secret() => self.put_secret_file(section, key, &value, variable),
            (_, Some(key)) => {
                let other = self::variable((section.name, key.name));
                let message = format!("only secrets are read from files; set {other} to the value itself");
                self.problems
                    .push(Problem::new(full(section.name, key.name), variable, message));
            }
            _ => self.unknown_key(section, key_name, variable),
        }
    }

    fn put_secret_file(&mut self, section: &'static Section, key: &'static Key, path: &str, variable: &str) {
        let name = full(section.name, key.name);
        let other = self::variable((section.name, key.name));
        if self.touched.get(&(section.name, key.name)) == Some(&other) {
            let message = format!("is set both by {other} and by {variable}; remove one of them");
            return self.problems.push(Problem::new(name, variable, message));
        }
        self.touched.insert((section.name, key.name), variable.to_owned());
        // The path is not shown: it may be the secret itself, put into the wrong variable.
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
                self.put(section.name, key, text.into(), variable, Written::Environment);
            }
            Err(error) => {
                let message = format!("the file that it names cannot be read: {error}");
                self.problems.push(Problem::new(name, variable, message));
            }
        }
    }

    fn put(
        &mut self,
        section: &'static str,
        key: &'static Key,
        raw: ValueKind,
        origin: &str,
        written: Written,
    ) {
        self.touched.insert((section, key.name), origin.to_owned());
        let name = full(section, key.name);
        let read = match (key.kind, written) {
            (Kind::Tables(keys), Written::File) => self.tables(&name, keys, raw, origin),
            _ => match key.kind.read(raw, written) {
                Ok(value) => Some(value),
                Err(message) => {
                    self.problems.push(Problem::new(name, origin, message));
                    None
                }
            },
        };
        if let Some(value) = read {
            self.entries.insert(
                (section, key.name),
                Entry {
                    value,
                    origin: origin.to_owned(),
                },
            );
        }
    }

    /// Reads an array of tables; none if anything in it was not understood.
    fn tables(
        &mut self,
        name: &str,
        keys: &'static [Key],
        raw: ValueKind,
        origin: &str,
    ) -> Option<ValueKind> {
        let before = self.problems.len();
        let ValueKind::Array(items) = raw else {
            let message = format!("is a list of tables; write [[{name}]] and its keys in the lines below");
            self.problems.push(Problem::new(name, origin, message));
            return None;
        };
        let mut tables = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let name = format!("{name}[{index}]");
            if let ValueKind::Table(table) = item.kind {
                let table = table.into_iter().map(|(key, value)| (key, value.kind)).collect();
                tables.push(self.table(&name, keys, table, origin));
            } else {
                self.problems.push(Problem::new(name, origin, "is no table"));
            }
        }
        (self.problems.len() == before).then(|| tables.into())
    }

    fn table(
        &mut self,
        name: &str,
        keys: &'static [Key],
        table: BTreeMap<String, ValueKind>,
        origin: &str,
    ) -> config::Map<String, ValueKind> {
        for key in keys
            .iter()
            .filter(|key| key.required && !table.contains_key(key.name))
        {
            self.problems
                .push(Problem::new(full(name, key.name), origin, "is missing"));
        }
        let mut read = config::Map::new();
        for (key_name, raw) in table {
            let Some(key) = keys.iter().find(|key| key.name == key_name) else {
                let names: Vec<_> = keys.iter().map(|key| key.name).collect();
                let message = format!("is not known; {}", suggestion(&key_name, &names));
                self.problems
                    .push(Problem::new(full(name, &key_name), origin, message));
                continue;
            };
            match key.kind.read(raw, Written::File) {
                Ok(value) => drop(read.insert(key_name, value)),
                Err(message) => self
                    .problems
                    .push(Problem::new(full(name, &key_name), origin, message)),
            }
        }
        read
    }

    fn unknown_section(&mut self, name: &str, origin: &str) {
        let names: Vec<_> = SECTIONS
            .iter()
            .map(|section| section.name)
            .chain([ROUTES.name])
            .collect();
        let message = format!("is no section; {}", suggestion(name, &names));
        self.problems.push(Problem::new(name, origin, message));
    }

    fn unknown_key(&mut self, section: &Section, key: &str, origin: &str) {
        let names: Vec<_> = section.keys.iter().map(|key| key.name).collect();
        let elsewhere = SECTIONS.iter().find(|other| other.key(key).is_some());
        let advice = match (nearest(key, names.iter().copied()), elsewhere) {
            (None, Some(other)) => format!("did you mean {}.{key}?", other.name),
            _ => suggestion(key, &names),
        };
        self.problems.push(Problem::new(
            full(section.name, key),
            origin,
            format!("is not known; {advice}"),
        ));
    }
}

fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known are {}", super::nearest::or(known).replace(" or ", " and ")),
    }
}

/// A variable's name as a key's.
fn dotted(variable: &str) -> String {
    variable[PREFIX.len()..].to_ascii_lowercase().replace("__", ".")
}

/// The TOML reader's message without the lines that it quotes: a secret may stand in them.
fn without_excerpt(message: &str) -> String {
    let quoted = |line: &str| {
        line.trim_start_matches(|c: char| c.is_ascii_digit() || c.is_whitespace())
            .starts_with('|')
    };
    let lines: Vec<_> = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !quoted(line))
        .collect();
    lines.join(": ")
}
