//! What the daemon is built of keeps to `deny.toml`: the licences, the crates that are not wanted, where crates come
//! from. The same as `cargo deny check bans licenses sources`, from what cargo itself knows, so that it is checked
//! wherever the tests run; advisories need cargo-deny and a network, see `tests/run`.

use std::collections::{BTreeMap, HashSet};
use std::process::Command;

use config::{Config, File, FileFormat};
use serde_json::Value;

/// Where crates.io's crates come from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn rules() -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    let rules = Config::builder().add_source(File::from_str(&text, FileFormat::Toml));
    rules.build().unwrap().try_deserialize().unwrap()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The packages of a platform, tests included.
fn packages(platform: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--all-features",
            "--filter-platform",
            platform,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let used: HashSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| used.contains(package["id"].as_str().unwrap()))
        .cloned()
        .collect()
}

fn ours() -> Vec<Value> {
    let packages = packages("x86_64-unknown-linux-gnu");
    assert!(packages.len() > 100, "only {} packages", packages.len());
    packages
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

#[test]
fn every_crate_has_a_licence_that_is_allowed() {
    let rules = rules();
    let allowed: HashSet<&str> = texts(&rules["licenses"]["allow"]).collect();
    let mut wrong = Vec::new();
    let mut needed = HashSet::new();
    for package in ours() {
        let licence = package["license"].as_str().unwrap_or("none").replace('/', " OR ");
        if fits(&licence, &allowed) {
            needed.extend(
                allowed
                    .iter()
                    .filter(|allowed| licence.contains(**allowed))
                    .copied(),
            );
        } else {
            wrong.push(format!("{}: {licence}", name(&package)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let spare: Vec<_> = allowed.difference(&needed).collect();
    assert!(spare.is_empty(), "allowed, and nobody has it: {spare:?}");
}

/// Whether an SPDX expression is met by these licences. `AND` binds stronger than `OR`.
fn fits(expression: &str, allowed: &HashSet<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    let met = any(&mut rest, allowed);
    assert!(rest.is_empty(), "what licence is {expression:?}?");
    met
}

fn any(rest: &mut &[&str], allowed: &HashSet<&str>) -> bool {
    let mut met = all(rest, allowed);
    while rest.first() == Some(&"OR") {
        *rest = &rest[1..];
        met |= all(rest, allowed);
    }
    met
}

fn all(rest: &mut &[&str], allowed: &HashSet<&str>) -> bool {
    let mut met = one(rest, allowed);
    while rest.first() == Some(&"AND") {
        *rest = &rest[1..];
        met &= one(rest, allowed);
    }
    met
}

fn one(rest: &mut &[&str], allowed: &HashSet<&str>) -> bool {
    let (first, behind) = rest.split_first().expect("a licence");
    *rest = behind;
    if *first == "(" {
        let met = any(rest, allowed);
        assert_eq!(rest.first(), Some(&")"));
        *rest = &rest[1..];
        return met;
    }
    if let ["WITH", exception, behind @ ..] = rest {
        let whole = format!("{first} WITH {exception}");
        *rest = behind;
        return allowed.contains(whole.as_str());
    }
    allowed.contains(first)
}

#[test]
fn no_crate_is_there_that_is_not_wanted() {
    let rules = rules();
    let denied: Vec<&str> = rules["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ban| ban["crate"].as_str().unwrap())
        .collect();
    assert!(!denied.is_empty());
    // The other platforms differ in what binds to the operating system; their crates may never have been fetched here.
    let packages = ours();
    let found: Vec<&str> = packages
        .iter()
        .map(name)
        .filter(|name| denied.contains(name))
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_crate_comes_from_the_registry_in_a_version_that_is_named() {
    let rules = rules();
    assert_eq!(
        (
            &rules["sources"]["unknown-registry"],
            &rules["sources"]["unknown-git"]
        ),
        (&"deny".into(), &"deny".into())
    );
    for package in ours() {
        let source = package["source"].as_str();
        assert!(
            source.is_none_or(|source| source == CRATES_IO),
            "{}: {source:?}",
            name(&package)
        );
        if source.is_some() {
            continue;
        }
        for dependency in package["dependencies"].as_array().unwrap() {
            assert_ne!(dependency["req"], "*", "{} in any version", dependency["name"]);
        }
    }
}

/// The versions of each crate, without what is only there for another platform.
fn versions() -> BTreeMap<String, Vec<String>> {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in ours() {
        let version = package["version"].as_str().unwrap().to_owned();
        versions
            .entry(name(&package).to_owned())
            .or_default()
            .push(version);
    }
    versions
}

/// Two versions of what carries a protocol or a secret are out of the question, whatever `deny.toml` says.
#[test]
fn what_guards_secrets_is_there_once() {
    let versions = versions();
    for single in [
        "rustls",
        "ring",
        "hyper",
        "tokio",
        "secrecy",
        "subtle",
        "chacha20poly1305",
        "axum",
        "reqwest",
        "sqlx-core",
    ] {
        assert_eq!(
            versions.get(single).map(Vec::len),
            Some(1),
            "{single}: {:?}",
            versions.get(single)
        );
    }
}

#[test]
fn no_crate_is_there_twice_but_those_with_a_reason() {
    let rules = rules();
    assert_eq!(rules["bans"]["multiple-versions"], "deny");
    let skips: Vec<(&str, &str)> = rules["bans"]["skip"]
        .as_array()
        .unwrap()
        .iter()
        .map(|skip| {
            let reason = skip["reason"].as_str().unwrap_or_default();
            assert!(!reason.is_empty(), "without a reason: {skip}");
            skip["crate"].as_str().unwrap().split_once(':').unwrap()
        })
        .collect();
    let mut spare: HashSet<(&str, &str)> = skips.iter().copied().collect();
    let mut twice = Vec::new();
    for (name, versions) in versions() {
        let skipped = |version: &str| {
            let of_it = |skip: &&(&str, &str)| skip.0 == name && version.starts_with(&format!("{}.", skip.1));
            skips.iter().find(of_it).copied()
        };
        if versions.len() == 1 {
            continue;
        }
        for skip in versions.iter().filter_map(|version| skipped(version)) {
            spare.remove(&skip);
        }
        if versions
            .iter()
            .filter(|version| skipped(version).is_none())
            .count()
            > 1
        {
            twice.push((name, versions));
        }
    }
    assert!(twice.is_empty(), "in several versions: {twice:?}");
    assert!(spare.is_empty(), "no longer there twice: {spare:?}");
}

/// The fuzz targets have a lock of their own, which a new dependency is easily left out of; they are built last in a run.
#[test]
fn the_fuzz_targets_lock_what_the_daemon_depends_on() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/Cargo.lock")).unwrap();
    let (_, behind) = lock.split_once("name = \"chatbridge\"\n").unwrap();
    let locked = behind.split("\n\n").next().unwrap();
    let packages = ours();
    let daemon = packages.iter().find(|package| name(package) == "chatbridge");
    let dependencies = daemon.unwrap()["dependencies"].as_array().unwrap();
    let missing: Vec<&str> = dependencies
        .iter()
        .filter(|dependency| dependency["kind"].is_null())
        .map(|dependency| dependency["name"].as_str().unwrap())
        .filter(|name| !locked.contains(&format!("\"{name}\"")) && !locked.contains(&format!("\"{name} ")))
        .collect();
    assert!(
        missing.is_empty(),
        "{missing:?}: cargo update --workspace --manifest-path fuzz/Cargo.toml"
    );
}

#[test]
fn licences_are_read_as_they_are_meant() {
    let allowed: HashSet<&str> = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].into();
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("GPL-3.0 OR MIT AND Apache-2.0", true),
        ("(GPL-3.0 OR MIT) AND BSD-3-Clause", false),
        ("(GPL-3.0 OR MIT) AND (MIT)", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT WITH LLVM-exception", false),
    ] {
        assert_eq!(fits(expression, &allowed), met, "{expression}");
    }
}
