//! The documents hang together: each link leads to a file that is there, and to a heading that stands in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The documents that a reader meets, below these folders.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "deploy", "benches"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 12, "{found:?}");
    found
}

/// The lines of a document outside of its blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The addresses of a document's headings, as GitHub makes them: lower case, blanks as hyphens, no other signs; the
/// second of the same words gets a number.
fn headings(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in prose(text).filter(|line| line.starts_with('#')) {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        let address = kept.collect::<String>().replace(' ', "-");
        let numbered = (1..).map(|number| format!("{address}-{number}"));
        let free = std::iter::once(address.clone())
            .chain(numbered)
            .find(|name| !found.contains(name));
        found.extend(free);
    }
    found
}

/// What the links of a document lead to, but for other servers.
fn links(text: &str) -> Vec<String> {
    // A link may stand across the end of a line.
    let text = prose(text).collect::<Vec<_>>().join("\n");
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '\n']).next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let mut lost = Vec::new();
    let mut count = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            count += 1;
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                document.clone()
            } else {
                document.parent().unwrap().join(path)
            };
            let there = if heading.is_empty() {
                target.exists()
            } else {
                std::fs::read_to_string(&target).is_ok_and(|text| headings(&text).contains(heading))
            };
            if !there {
                lost.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(count > 100, "only {count} links were found");
    assert!(
        lost.is_empty(),
        "links that lead nowhere:\n  {}",
        lost.join("\n  ")
    );
}

#[test]
fn every_picture_is_shown_somewhere() {
    let texts: Vec<String> = documents()
        .iter()
        .map(|document| std::fs::read_to_string(document).unwrap())
        .collect();
    for picture in std::fs::read_dir(root().join("docs/images")).unwrap() {
        let path = picture.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "png") {
            let name = file_name(&path);
            assert!(
                texts.iter().any(|text| text.contains(&name)),
                "{name} is shown nowhere"
            );
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn troubleshooting_has_a_cause_and_a_remedy_in_each_row() {
    let text = std::fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| symptom"))
        .collect();
    assert!(rows.len() >= 25, "{} rows", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
    }
}

/// What a document puts between backticks.
fn marked(text: &str) -> Vec<String> {
    let text = prose(text).collect::<Vec<_>>().join("\n");
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The test that is meant by `file::name`, `folder::file::name`, `src/file.rs: name`, a name of at least four words, or
/// the beginning of one and `…`: what its file's path ends with, and that name or beginning.
fn test_meant(marked: &str) -> Option<(String, &str)> {
    if let Some((file, name)) = marked.split_once(": ") {
        return file.starts_with("src/").then(|| (file.to_owned(), name));
    }
    let of_words = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:…".contains(c);
    if !marked.chars().all(of_words) || marked == "file::name" {
        return None;
    }
    if let Some((path, name)) = marked.rsplit_once("::") {
        return Some((format!("/{}.rs", path.replace("::", "/")), name));
    }
    (marked.matches('_').count() >= 3 || marked.ends_with('…')).then(|| (String::new(), marked))
}

/// A promise or a threat whose test is renamed or removed would go on being told as tested.
#[test]
fn every_test_that_a_promise_or_a_threat_names_is_there() {
    let tests = crate::harness::source::tests();
    let is_there = |file: &str, name: &str| {
        let begin = name.strip_suffix('…');
        tests.iter().any(|(place, test)| {
            place.replace("/mod.rs", ".rs").ends_with(file)
                && begin.map_or(test == name, |begin| test.starts_with(begin))
        })
    };
    for (document, at_least) in [("threat-model", 60), ("reliability", 30)] {
        let text = std::fs::read_to_string(root().join(format!("docs/{document}.md"))).unwrap();
        let words = marked(&text);
        let meant: Vec<_> = words.iter().filter_map(|word| test_meant(word)).collect();
        assert!(meant.len() >= at_least, "{document}: only {}", meant.len());
        let missing: Vec<_> = meant
            .iter()
            .filter(|(file, name)| !is_there(file, name))
            .collect();
        assert!(missing.is_empty(), "{document}: {missing:#?}");
    }
}

#[test]
fn every_fuzz_target_is_told_of_with_the_threat_that_it_is_for() {
    let text = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    for target in std::fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap() {
        let path = target.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(marked(&text).contains(&name), "{name}");
    }
}
