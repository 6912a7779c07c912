//! The configuration: TOML text and environment variables, taken or refused with words, never with a secret in them.
//!
//! The input is the file's text, and behind the first form feed lines of `NAME=VALUE`; a name without the prefix gets it.

#![no_main]

use std::ffi::OsString;

use chatbridge::config;
use libfuzzer_sys::fuzz_target;

/// A secret that is always set beside what the fuzzer writes.
const PLANTED: &str = "planted-6b1f7a90c3";
/// What it is set to.
const PLACES: [&str; 3] = [
    "CHATBRIDGE__ADMIN__TOKEN",
    "CHATBRIDGE__AGENT__API_KEY",
    "CHATBRIDGE__SLACK__SIGNING_SECRET",
];

fn environment(lines: &str) -> Vec<(OsString, OsString)> {
    let written = lines.lines().filter_map(|line| line.split_once('='));
    // A variable that names a file would have the fuzzer read this machine's.
    let harmless = written.filter(|(name, _)| !name.to_ascii_lowercase().ends_with("_file"));
    let full = harmless.map(|(name, value)| {
        let name = if name.starts_with("CHATBRIDGE__") {
            name.to_owned()
        } else {
            format!("CHATBRIDGE__{name}")
        };
        (name.into(), value.into())
    });
    full.chain(PLACES.map(|place| (place.into(), PLANTED.into())))
        .collect()
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if text.contains(PLANTED) {
        return;
    }
    let (file, lines) = text.split_once('\u{c}').unwrap_or((&text, ""));
    match config::parse("chatbridge.toml", file, environment(lines)) {
        Ok(settings) => {
            let shown = format!("{settings:?}");
            assert!(!shown.contains(PLANTED), "a secret shows");
        }
        Err(error) => {
            assert!(!error.problems.is_empty(), "refused without a reason");
            let told = error.to_string();
            assert!(!told.contains(PLANTED), "a secret is told");
            assert!(
                error
                    .problems
                    .iter()
                    .all(|problem| !problem.message.trim().is_empty()),
                "{told}"
            );
            let steers = |c: char| c.is_control() && c != '\n';
            assert!(!told.contains(steers), "a terminal would obey: {told:?}");
            assert_eq!(
                told.lines().count(),
                error.problems.len(),
                "a mistake of several lines: {told:?}"
            );
        }
    }
});
