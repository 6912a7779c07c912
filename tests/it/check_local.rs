//! What `check` sees of this machine: files, database, disk, clock, ports.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::harness::{World, pretend_newer};

/// What `check --offline` finds by this name.
#[track_caller]
fn offline(world: &World, code: i32, name: &str) -> Value {
    let checks = world.cli(&["check", "--offline", "--json"]).exits(code).json();
    let checks = checks.as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("{name} in {checks:#?}")).clone()
}

fn allow(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn offline_calls_nobody_and_changes_nothing() {
    let world = World::stopped();
    world.write_config();
    let before = std::fs::read_dir(world.home()).unwrap().count();
    let checks = world.cli(&["check", "--offline", "--json"]).exits(0).json();
    let names: Vec<&str> = checks
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    let mut expected = vec![
        "configuration",
        "file permissions",
        "database",
        "disk",
        "clock",
        "server.bind",
        "admin.bind",
    ];
    if world.database.is_some() {
        expected.retain(|name| *name != "disk");
    }
    assert_eq!(names, expected);
    assert!(
        checks
            .as_array()
            .unwrap()
            .iter()
            .all(|check| check["outcome"] == "ok"),
        "{checks:#}"
    );
    assert_eq!((world.slack.calls().len(), world.meta.calls().len()), (0, 0));
    assert_eq!(
        std::fs::read_dir(world.home()).unwrap().count(),
        before,
        "a file was made"
    );
    world.cli(&["check", "--offline", "--live"]).exits(2);
}

#[test]
fn a_configuration_with_secrets_that_everybody_may_read_is_told() {
    let mut world = World::stopped();
    let file = world.write_config();
    allow(world.home(), 0o755);
    allow(file.as_ref(), 0o644);
    let check = offline(&world, 1, "file permissions");
    assert_eq!(check["outcome"], "failed");
    assert!(check["found"].as_str().unwrap().contains(&file), "{check}");
    assert!(
        check["remedy"].as_str().unwrap().starts_with("chmod o= "),
        "{check}"
    );
    allow(file.as_ref(), 0o640);
    offline(&world, 0, "file permissions");
    // A file that the environment names is a secret too.
    let secret = world.home().join("key");
    std::fs::write(&secret, "key-test").unwrap();
    allow(&secret, 0o604);
    world
        .config
        .env("CHATBRIDGE__AGENT__API_KEY_FILE", secret.to_str().unwrap());
    let check = offline(&world, 1, "file permissions");
    assert!(check["found"].as_str().unwrap().ends_with("key"), "{check}");
}

#[test]
fn the_database_is_looked_at_and_left_as_it_is() {
    let mut world = World::stopped();
    world.write_config();
    let found = |world: &World, code| {
        offline(world, code, "database")["found"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(found(&world, 0).contains("the first start makes it"));
    world.cli(&["migrate"]).exits(0);
    assert!(found(&world, 0).ends_with("is up to date"));
    world.launch();
    assert!(
        found(&world, 0).ends_with("is up to date"),
        "while a daemon serves it"
    );
    world.terminate();
    if world.database.is_none() {
        pretend_newer(&world);
        assert!(found(&world, 1).contains("newer"));
        std::fs::write(world.home().join("chatbridge.db"), "no database").unwrap();
        assert!(!found(&world, 1).is_empty());
    }
}

/// Whatever its size: a large database is not gone through at each start.
#[test]
fn damage_anywhere_in_the_database_is_told_with_the_remedy() {
    use std::os::unix::fs::FileExt;

    let mut world = World::start();
    if world.database.is_some() {
        println!("skipped: a server looks after its own files");
        return;
    }
    world.terminate();
    let file = world.home().join("chatbridge.db");
    assert_eq!(offline(&world, 0, "database")["outcome"], "ok");
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    let last = file.metadata().unwrap().len() / 4096 - 1;
    file.write_all_at(&[0xa5; 4096], last * 4096).unwrap();
    let found = offline(&world, 1, "database");
    let said = found.to_string();
    assert!(
        said.contains("is damaged") && said.contains("restore the newest backup"),
        "{said}"
    );
}

#[test]
fn a_port_is_free_or_ours_or_anothers() {
    let mut world = World::start();
    let public = world.daemon().public().trim_start_matches("http://").to_owned();
    let admin = world.daemon().admin().trim_start_matches("http://").to_owned();
    world.config.set("server.bind", public).set("admin.bind", admin);
    world.write_config();
    for key in ["server.bind", "admin.bind"] {
        let check = offline(&world, 0, key);
        assert!(
            check["found"].as_str().unwrap().contains("held by a chatbridge"),
            "{check}"
        );
    }
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    world
        .config
        .set("server.bind", stranger.local_addr().unwrap().to_string());
    world.config.set("admin.bind", json!("192.0.2.1:9090"));
    world.write_config();
    let check = offline(&world, 1, "server.bind");
    assert!(
        check["found"].as_str().unwrap().contains("another program"),
        "{check}"
    );
    let check = offline(&world, 1, "admin.bind");
    assert!(
        check["remedy"].as_str().unwrap().contains("admin.bind"),
        "{check}"
    );
}
