//! docs/configuration.md says what the catalogue says.

use std::path::Path;

use super::super::catalogue::notes::{NOTES, READERS};
use super::super::catalogue::{ROUTES, SECTIONS};
use super::super::gather::full;
use super::super::kind::Kind;
use super::super::reference::markdown;

/// Sets this file anew instead of looking whether it is.
const RENEW: &str = "CHATBRIDGE_RENEW";

#[test]
fn the_reference_is_that_of_the_catalogue() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(&file, markdown()).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == markdown(),
        "docs/configuration.md is stale; renew it with\n\n  {RENEW}=1 cargo test --locked --lib config::tests::reference\n"
    );
}

#[test]
fn every_key_is_in_the_reference_with_its_default_and_its_variable() {
    let page = markdown();
    for section in SECTIONS {
        for key in section
            .keys
            .iter()
            .filter(|key| !matches!(key.kind, Kind::Tables(_)))
        {
            let name = full(section.name, key.name);
            let entry = page
                .split(&format!("\n### `{name}`\n"))
                .nth(1)
                .and_then(|rest| rest.split("\n#").next())
                .unwrap_or_else(|| panic!("{name} has no entry"));
            let upper = |text: &str| text.to_uppercase();
            let variable = format!("`CHATBRIDGE__{}__{}`", upper(section.name), upper(key.name));
            assert!(entry.contains(&variable) && entry.contains(key.doc), "{entry}");
            assert!(
                key.default
                    .is_none_or(|default| entry.contains(&format!("default `{default}`"))),
                "{entry}"
            );
            let named = variable.trim_end_matches('`').to_owned() + "_FILE`";
            assert_eq!(entry.contains(&named), key.kind.is_secret(), "{entry}");
        }
    }
    for heading in [
        "### `[[whatsapp.numbers]]`",
        "## `[[routes]]`",
        "### `routes.place`",
    ] {
        assert!(page.contains(heading), "{heading}");
    }
}

#[test]
fn every_link_within_the_reference_leads_to_a_heading() {
    let page = markdown();
    let headings: Vec<String> = page
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
            line.trim_start_matches('#')
                .trim()
                .chars()
                .filter(kept)
                .collect::<String>()
        })
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    let links: Vec<&str> = page
        .split("](#")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
        .collect();
    assert!(links.len() > 80, "{links:?}");
    for link in links {
        assert!(headings.iter().any(|heading| heading == link), "#{link}");
    }
}

#[test]
fn what_is_said_of_keys_and_sections_is_said_of_known_ones() {
    let mut known: Vec<String> = vec![ROUTES.name.to_owned()];
    let mut add = |section: &str, keys: &[super::super::catalogue::Key]| {
        for key in keys {
            known.push(full(section, key.name));
            if let Kind::Tables(inner) = key.kind {
                let outer = full(section, key.name);
                known.extend(inner.iter().map(|key| full(&outer, key.name)));
            }
        }
    };
    for section in SECTIONS {
        add(section.name, section.keys);
    }
    add("", &[ROUTES]);
    for (name, _) in NOTES {
        assert!(known.iter().any(|key| key == name), "{name} is no key");
    }
    let readers: Vec<&str> = READERS.iter().map(|(name, _)| *name).collect();
    let sections: Vec<&str> = SECTIONS
        .iter()
        .map(|section| section.name)
        .chain([ROUTES.name])
        .collect();
    assert_eq!(readers, sections, "who reads each section is said");
}
