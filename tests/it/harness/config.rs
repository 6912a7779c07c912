//! A configuration that a test can change, key by key.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

/// The daemon's configuration file and the environment over it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    sections: BTreeMap<String, BTreeMap<String, Value>>,
    tail: String,
    env: Vec<(String, String)>,
    shell: Option<String>,
}

impl Config {
    /// Sets `section.key`.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        let (section, key) = key.split_once('.').unwrap();
        self.sections
            .entry(section.to_owned())
            .or_default()
            .insert(key.to_owned(), value.into());
        self
    }

    /// What `section.key` is set to; null if it is not.
    pub(crate) fn get(&self, key: &str) -> Value {
        let (section, key) = key.split_once('.').unwrap();
        let section = self.sections.get(section);
        section
            .and_then(|keys| keys.get(key))
            .cloned()
            .unwrap_or_default()
    }

    /// Leaves `section.key` out.
    pub(crate) fn unset(&mut self, key: &str) -> &mut Self {
        let (section, key) = key.split_once('.').unwrap();
        self.sections.entry(section.to_owned()).or_default().remove(key);
        self
    }

    /// Leaves a whole section out.
    pub(crate) fn without(&mut self, section: &str) -> &mut Self {
        self.sections.remove(section);
        self
    }

    /// Adds lines of TOML at the end: a table of tables, or a mistake.
    pub(crate) fn append(&mut self, toml: &str) -> &mut Self {
        self.tail.push_str(toml);
        self.tail.push('\n');
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a variable of the environment out again.
    pub(crate) fn unset_env(&mut self, name: &str) -> &mut Self {
        self.env.retain(|(set, _)| set != name);
        self
    }

    /// Lets a shell run these words before the daemon takes its place.
    pub(crate) fn prelude(&mut self, shell: &str) -> &mut Self {
        self.shell = Some(shell.to_owned());
        self
    }

    /// What a shell runs before the daemon, if anything.
    pub(crate) fn shell(&self) -> Option<&str> {
        self.shell.as_deref()
    }

    /// The variables of the environment.
    pub(crate) fn environment(&self) -> &[(String, String)] {
        &self.env
    }

    /// The file. JSON's texts, numbers and lists are TOML's as well.
    pub(crate) fn to_toml(&self) -> String {
        let mut text = String::new();
        for (section, keys) in &self.sections {
            writeln!(text, "[{section}]").unwrap();
            for (key, value) in keys {
                writeln!(text, "{key} = {value}").unwrap();
            }
        }
        text + &self.tail
    }
}
