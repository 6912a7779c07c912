//! The reference of the configuration, docs/configuration.md, written out of the catalogue.

use std::fmt::Write;
use std::time::Duration;

use bytesize::ByteSize;

use super::catalogue::notes::{note, reader};
use super::catalogue::{Key, ROUTES, SECTIONS, Section};
use super::gather::{full, variable};
use super::kind::Kind;
use super::nearest;

/// What stands above the sections.
const HEAD: &str = "\
<!-- Written out of src/config/catalogue.rs. To renew it: CHATBRIDGE_RENEW=1 cargo test --locked --lib config::tests::reference -->

# Configuration

Every key, with its default. [config/chatbridge.example.toml](../config/chatbridge.example.toml) is a file to begin with,
[config/default.toml](../config/default.toml) holds the defaults as they are built into the binary.

**Where it is written.** In a TOML file: the one that `--config FILE` names, else `config/chatbridge.toml`, if it is there. Over
it the environment: `CHATBRIDGE__SECTION__KEY`, with two underscores before the section and before the key. A list is written
there with commas between its items. A secret can also be read from a file: put its path into the variable with `_FILE` at
the end, and leave the other one unset. Tables in double brackets stand in the TOML file only.

**How it is written.** Durations are texts with a unit: `\"500ms\"`, `\"2s\"`, `\"24h\"`. Sizes too: `\"512KiB\"`, `\"4MiB\"`.

**Mistakes.** Unknown keys, wrong types and contradictions are errors. All are told at once, each with the key, where it was
written and what to do; the exit status is 2. `chatbridge check --offline` reads the configuration and starts nothing. The page
**Settings** of the [console](operating.md#the-console) shows each value and where it came from, without secrets.

**When it counts.** From the next start on.

";

/// What stands below them.
const FOOT: &str = "\
## Variables that are no keys

| variable | |
|---|---|
| `NO_COLOR` | if it is set and not empty: no colours anywhere |
| `CLICOLOR_FORCE` | if it is set and neither empty nor `0`: colours also where there is no terminal |
| `HTTPS_PROXY`, `NO_PROXY` | count for calls to the platforms, the agent and the collector |
| `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `LISTEN_FDS` | set by systemd: readiness, the watchdog, sockets that it keeps open |
";

/// The whole of it, as Markdown.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| section | keys |\n|---|---|\n");
    for section in SECTIONS {
        index(
            &mut page,
            section.name,
            &format!("[{}]", section.name),
            section.keys,
        );
    }
    index(&mut page, ROUTES.name, "[[routes]]", inner(&ROUTES));
    for section in SECTIONS {
        describe(&mut page, section);
    }
    tables(&mut page, &ROUTES, ROUTES.name);
    page.push('\n');
    page.push_str(FOOT);
    page
}

/// A row of the table of contents.
fn index(page: &mut String, section: &str, title: &str, keys: &[Key]) {
    let link = |key: &Key| {
        let name = full(section, key.name);
        format!("[`{}`](#{})", key.name, anchor(&name))
    };
    let keys: Vec<String> = keys.iter().map(link).collect();
    let _ = writeln!(page, "| [`{title}`](#{section}) | {} |", keys.join(", "));
}

/// How GitHub calls a heading in an address: letters, digits, hyphens and underscores stay.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
        .collect::<String>()
        .to_lowercase()
}

fn describe(page: &mut String, section: &Section) {
    let _ = writeln!(page, "\n## `[{}]`\n\n{}", section.name, section.doc);
    read_by(page, section.name);
    for key in section.keys {
        match key.kind {
            Kind::Tables(_) => tables(page, key, &full(section.name, key.name)),
            _ => entry(page, key, section.name, &source(section.name, key)),
        }
    }
}

/// Tables in double brackets, each key of them.
fn tables(page: &mut String, key: &Key, name: &str) {
    let level = if name.contains('.') { "###" } else { "##" };
    let _ = writeln!(page, "\n{level} `[[{name}]]`\n\n{}", key.doc);
    read_by(page, name);
    for key in inner(key) {
        entry(page, key, name, "in the file only");
    }
}

fn read_by(page: &mut String, section: &str) {
    if let Some(readers) = reader(section) {
        let _ = writeln!(page, "\nRead by {readers}.");
    }
}

fn entry(page: &mut String, key: &Key, section: &str, source: &str) {
    let name = full(section, key.name);
    let _ = writeln!(page, "\n### `{name}`\n\n{}", key.doc);
    if let Some(note) = note(&name) {
        let _ = writeln!(page, "{note}");
    }
    let default = match key.default {
        Some(default) => format!("default `{default}`"),
        None if key.required => "required in this section".to_owned(),
        None => "unset by default".to_owned(),
    };
    let _ = writeln!(page, "\n{source} · {} · {default}", holds(key.kind));
}

/// The variables that set a key.
fn source(section: &'static str, key: &'static Key) -> String {
    let variable = variable((section, key.name));
    if key.kind.is_secret() {
        format!("`{variable}`, `{variable}_FILE`")
    } else {
        format!("`{variable}`")
    }
}

fn inner(key: &Key) -> &'static [Key] {
    match key.kind {
        Kind::Tables(keys) => keys,
        _ => &[],
    }
}

/// What a key may hold.
fn holds(kind: Kind) -> String {
    let fixed = match kind {
        Kind::Text => "text, may be empty",
        Kind::Name => "text",
        Kind::Id => "an id of the platform",
        Kind::Ids => "list of the platform's ids",
        Kind::Policy => "`\"allow\"`, `\"deny\"` or a list of team ids",
        Kind::Secret => "secret",
        Kind::Secrets => "secret, or a list of secrets that all count",
        Kind::Keys => "secret: 32 bytes in base64, or a list of such keys",
        Kind::Flag => "`true` or `false`",
        Kind::Schedule => "list of durations",
        Kind::Address => "IP address and port",
        Kind::Url => "http or https address",
        Kind::Database => "address of a database, hidden where settings are shown",
        Kind::ApiVersion => "version, such as `\"v26.0\"`",
        Kind::Template => "`\"NAME/LANGUAGE\"`",
        Kind::FlagOr(words) => return format!("`true`, `false` or {}", choices(words)),
        Kind::Choice(words) => return choices(words),
        Kind::Texts { most } => return format!("list of texts, {most} at most"),
        Kind::Count { least, most } => return format!("whole number, {least} to {most}"),
        Kind::Duration { least, most } => {
            return format!("duration, {} to {}", span(least), span(most));
        }
        Kind::Size { least, most } => {
            return format!("size, {} to {}", ByteSize(least), ByteSize(most));
        }
        Kind::Tables(_) => "tables",
    };
    fixed.to_owned()
}

fn choices(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    nearest::or(&words)
}

/// A span in whole days, where it has them.
fn span(span: Duration) -> String {
    const DAY: u64 = 24 * 60 * 60;
    match span.as_secs() / DAY {
        days if days > 1 && span == Duration::from_secs(days * DAY) => format!("{days} days"),
        _ => humantime::format_duration(span).to_string(),
    }
}
