//! The house rules that a reader relies on: imports only go down, SQL and platform names stay where they belong,
//! files and functions stay small. All of it is read from the sources as text.

use std::path::{Path, PathBuf};

use crate::harness::source::{Source, rust_files};

/// The floors, from the ground up. Modules on one floor do not know each other, except on the last.
const FLOORS: &[&[&str]] = &[
    &["domain"],
    &["telemetry", "crash_point"],
    &["outbound"],
    &["store", "agent", "channel"],
    &["worker"],
    &["http"],
    &["console"],
    &["app", "cli", "config", "demo", "lifecycle", "main", "lib"],
];

/// Where the names of platforms may stand: in the channels, in what plays or lists them, and in the configuration.
const PLATFORM_NAMES: &[&str] = &["channel", "demo", "cli", "config"];

/// The largest file and the longest function that a reader is asked to take in, in lines.
const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 80;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let sources = rust_files(&root().join("src"));
    assert!(
        sources.len() > 10,
        "the sources are not where they are looked for"
    );
    sources
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// Fails with all that was found.
#[track_caller]
fn none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn imports_only_go_down() {
    let mut found = Vec::new();
    for source in sources() {
        let from = source.module();
        let Some(own_floor) = floor(&from) else {
            found.push(format!(
                "{}: {from} is on no floor; give it one in this test",
                source.name
            ));
            continue;
        };
        for (line, to) in source.imports() {
            let upward = match floor(&to) {
                // Not a module but an item of the crate's root.
                None => continue,
                Some(other) => other > own_floor || (other == own_floor && own_floor + 1 < FLOORS.len()),
            };
            if upward && to != from {
                found.push(format!("{}:{line} {from} imports {to}", source.name));
            }
        }
    }
    none(found, "imports that do not go down");
}

#[test]
fn the_ground_floor_knows_no_machinery() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.module() == "domain") {
        for (number, line) in source.code.lines().enumerate() {
            for library in ["axum", "sqlx", "reqwest", "hyper", "tower"] {
                if line.contains(&format!("{library}::")) {
                    found.push(format!("{}:{} uses {library}", source.name, number + 1));
                }
            }
        }
    }
    none(found, "the domain is free of servers, clients and databases");
}

#[test]
fn sql_stands_in_the_store() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.module() != "store") {
        for (number, line) in source.without_comments.lines().enumerate() {
            let words = [
                ("SELECT ", " FROM "),
                ("INSERT ", "INTO "),
                ("DELETE FROM", ""),
                ("UPDATE ", " SET "),
            ];
            let more = [("CREATE TABLE", ""), ("PRAGMA ", ""), ("sqlx::", "")];
            for (first, second) in words.iter().chain(&more) {
                if line.contains(first) && line.contains(second) {
                    found.push(format!("{}:{} {}", source.name, number + 1, line.trim()));
                }
            }
        }
    }
    none(found, "SQL outside of src/store");
}

#[test]
fn platforms_are_named_in_their_channels_only() {
    let mut found = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !PLATFORM_NAMES.contains(&source.module().as_str()))
    {
        for (number, line) in source.without_comments.lines().enumerate() {
            let lower = line.to_lowercase();
            if lower.contains("slack") || lower.contains("whatsapp") {
                found.push(format!("{}:{} {}", source.name, number + 1, line.trim()));
            }
        }
    }
    // Within `channel`, what all channels share names none but in the list of them.
    for source in sources().iter().filter(|source| source.module() == "channel") {
        let shared = !source.name.contains("/slack/") && !source.name.contains("/whatsapp/");
        if shared && !source.name.ends_with("registry.rs") {
            for (number, line) in source.without_comments.lines().enumerate() {
                let lower = line.to_lowercase();
                let declared = line.starts_with("pub mod ") || line.starts_with("mod ");
                if !declared && (lower.contains("slack") || lower.contains("whatsapp")) {
                    found.push(format!("{}:{} {}", source.name, number + 1, line.trim()));
                }
            }
        }
    }
    none(found, "platforms named outside of their place");
}

#[test]
fn files_and_functions_stay_small() {
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches"].map(|folder| root().join(folder)) {
        for source in rust_files(&folder) {
            let lines = source.text.lines().count();
            if lines > FILE_LINES {
                found.push(format!("{}: {lines} lines", source.name));
            }
            for (name, line, length) in source.functions() {
                if length > FUNCTION_LINES {
                    found.push(format!("{}:{line} fn {name}: {length} lines", source.name));
                }
            }
        }
    }
    none(found, "too much at once");
}

/// A path that only one machine has, in anything that is handed on.
#[test]
fn no_file_names_a_place_on_one_machine() {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["target", ".git", "data", "node_modules", ".venv"].contains(&name.as_str())
            {
                folders.push(path);
            } else if path.is_file()
                && name != ".git"
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                found.extend(machine_paths(&path, &text));
            }
        }
    }
    none(found, "paths of one machine");
}

fn machine_paths(path: &Path, text: &str) -> Vec<String> {
    let place = |line: &str| {
        ["home", "root", "Users", "work"].iter().any(|top| {
            let marker = format!("/{top}/");
            line.match_indices(&marker).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + marker.len()..].chars().next();
                before.is_none_or(|c| !c.is_alphanumeric() && !"_.~-$}".contains(c))
                    && after.is_some_and(char::is_alphanumeric)
            })
        })
    };
    let hits = text.lines().enumerate().filter(|(_, line)| place(line));
    hits.map(|(number, line)| format!("{}:{} {}", path.display(), number + 1, line.trim()))
        .collect()
}

#[test]
fn the_reading_of_sources_itself_is_right() {
    let text = r##"
use crate::{store::Store, worker::{Parts, Workers}};
// use crate::http::x; and slack
/* crate::cli */
fn one() {
    let text = "crate::demo \" // no comment"; let c = '"'; let life: &'static str = r#"a "quoted" }"#;
    crate::agent::ask();
}
#[cfg(test)]
mod tests {
    use crate::app::App;
    fn two() {}
}
"##;
    let source = Source::new("src/worker/mod.rs".to_owned(), text.to_owned());
    let imports: Vec<String> = source.imports().into_iter().map(|(_, module)| module).collect();
    assert_eq!(imports, ["store", "worker", "agent"]);
    assert_eq!(source.module(), "worker");
    assert_eq!(source.functions(), [("one".to_owned(), 5, 4)]);
    assert!(source.without_comments.contains("demo") && !source.without_comments.contains("slack"));
    let nested = Source::new(
        "src/store/sqlite/a.rs".to_owned(),
        "use super::super::super::agent::A;\nuse super::b;".to_owned(),
    );
    assert_eq!(nested.imports(), [(1, "agent".to_owned())]);
    let text = ["see /", "home/me and https://a.example/home/page"].concat();
    assert_eq!(machine_paths(Path::new("x"), &text).len(), 1);
}
