//! The configuration as an operator meets it.

mod agreement;
mod mistakes;
mod reference;

use std::ffi::OsString;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::channel::UnknownPolicy;
use crate::worker::TooOld;

/// An environment of these variables.
fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// The settings of this file's text and this environment.
fn settings(text: &str, variables: &[(&str, &str)]) -> Settings {
    parse("my.toml", text, environment(variables)).unwrap_or_else(|error| panic!("{error}"))
}

const SLACK: &str = "[slack]\nsigning_secret = \"s3cret\"\n";
const WHATSAPP: &str = "[whatsapp]\napp_secret = \"s3cret\"\nverify_token = \"v3rify\"\n";

#[test]
fn without_anything_the_defaults_hold_and_no_channel_is_on() {
    let settings = settings("", &[]);
    assert_eq!(settings.server.bind.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.server.body_limit.as_u64(), 4 * 1024 * 1024);
    assert_eq!(settings.server.shutdown_grace, Duration::from_secs(30));
    assert_eq!(settings.admin.bind.to_string(), "127.0.0.1:9090");
    assert!(settings.admin.token.is_none() && settings.agent.api_key.is_none());
    assert_eq!(settings.store.url, "sqlite://data/chatbridge.db");
    assert_eq!(settings.agent.timeout, Duration::from_mins(1));
    assert_eq!(settings.turn.too_old, TooOld::Record);
    assert_eq!(settings.turn.max_wait, Duration::from_secs(5));
    assert!(settings.channels.slack.is_none() && settings.channels.whatsapp.is_none());
    assert_eq!(settings.channels_off(), ["slack", "whatsapp"]);
    assert!(settings.routes.is_empty());
}

#[test]
fn any_key_of_its_section_switches_a_channel_on_with_its_defaults() {
    let by_file = settings(SLACK, &[]);
    let slack = by_file.channels.slack.as_ref().unwrap();
    assert_eq!(slack.api_base, "https://slack.com/api");
    assert!(slack.follow_threads);
    assert_eq!(by_file.channels_off(), ["whatsapp"]);

    let variables = [
        ("CHATBRIDGE__WHATSAPP__APP_SECRET", "a, b"),
        ("CHATBRIDGE__WHATSAPP__VERIFY_TOKEN", "v"),
    ];
    let by_environment = settings("[slack]\n# signing_secret = \"…\"\n", &variables);
    let whatsapp = by_environment.channels.whatsapp.as_ref().unwrap();
    assert_eq!(whatsapp.app_secret.len(), 2);
    assert_eq!(whatsapp.api_version, "v26.0");
    assert_eq!(whatsapp.reconcile_wait, Duration::from_secs(30));
    assert_eq!(whatsapp.unknown, UnknownPolicy::Resend);
    assert_eq!(by_environment.channels_off(), ["slack"]);
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let text = "[server]\nbind = \"127.0.0.1:1\"\nshutdown_grace = \"1s\"\n[agent]\nconcurrency = 2\n";
    let variables = [
        ("CHATBRIDGE__SERVER__BIND", "127.0.0.1:2"),
        ("CHATBRIDGE__SERVER__BODY_LIMIT", "5MiB"),
        ("CHATBRIDGE__AGENT__CONCURRENCY", "3"),
        ("CHATBRIDGE__RETRY__AGENT", "1s, 2s"),
        ("CHATBRIDGE_VERSION", "not ours"),
        ("PATH", "/bin"),
    ];
    let settings = settings(text, &variables);
    assert_eq!(settings.server.bind.port(), 2);
    assert_eq!(settings.server.shutdown_grace, Duration::from_secs(1));
    assert_eq!(settings.server.body_limit.as_u64(), 5 * 1024 * 1024);
    assert_eq!(settings.agent.concurrency, 3);
    assert!(settings.retry.agent.after(2, None).is_some());
    assert!(settings.retry.agent.after(3, None).is_none());
    assert!(settings.retry.delivery.after(7, None).is_some());
}

#[test]
fn lists_and_flags_are_read_from_the_environment() {
    let variables = [
        ("CHATBRIDGE__WHATSAPP__PHONE_NUMBER_IDS", "1, 2,"),
        ("CHATBRIDGE__SLACK__FOLLOW_THREADS", "false"),
    ];
    let settings = settings(&format!("{SLACK}{WHATSAPP}"), &variables);
    assert_eq!(settings.channels.whatsapp.unwrap().phone_number_ids, ["1", "2"]);
    assert!(!settings.channels.slack.unwrap().follow_threads);
}

#[test]
fn a_secret_can_come_from_a_file_without_its_last_line_break() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "the key \r\n").unwrap();
    let variables = [("CHATBRIDGE__AGENT__API_KEY_FILE", path.to_str().unwrap())];
    let settings = settings("[agent]\napi_key = \"another\"\n", &variables);
    assert_eq!(settings.agent.api_key.unwrap().expose_secret(), "the key");
}

#[test]
fn a_number_with_an_agent_is_a_route_in_front_of_the_others() {
    let text = format!(
        "{WHATSAPP}[[whatsapp.numbers]]\nphone_number_id = \"11\"\nagent_id = \"one\"\n\
         [[whatsapp.numbers]]\nphone_number_id = \"22\"\naccess_token = \"t\"\n\
         [[routes]]\nchannel = \"whatsapp\"\nagent_id = \"two\"\n[agent]\nagent_id = \"three\"\n"
    );
    let settings = settings(&text, &[]);
    let agents: Vec<_> = settings
        .routes
        .iter()
        .map(|rule| (rule.account.as_deref(), rule.agent_id.as_str()))
        .collect();
    assert_eq!(agents, [(Some("11"), "one"), (None, "two")]);
    let account = crate::domain::AccountKey::new("slack", "T1").unwrap();
    assert_eq!(settings.routes().agent(&account, None), "three");
}

#[test]
fn an_address_loses_the_slash_at_its_end() {
    let settings = settings("[agent]\nbase_url = \"http://127.0.0.1:5/base/\"\n", &[]);
    assert_eq!(settings.agent.base_url, "http://127.0.0.1:5/base");
}

#[test]
fn no_secret_is_ever_printed() {
    let text = format!(
        "{SLACK}bot_token = \"xoxb-s3cret\"\n{WHATSAPP}access_token = \"s3cret\"\n[[whatsapp.numbers]]\n\
         phone_number_id = \"1\"\naccess_token = \"s3cret\"\n[agent]\napi_key = \"s3cret\"\n[admin]\ntoken = \"s3cret\"\n"
    );
    let shown = format!("{:?}", settings(&text, &[]));
    assert!(!shown.contains("s3cret") && !shown.contains("v3rify"), "{shown}");
    assert!(shown.contains("sqlite://data/chatbridge.db"), "{shown}");
}

#[test]
fn a_file_that_is_named_and_missing_is_an_error() {
    let error = load_with(Some(Path::new("no/such/file.toml")), [])
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("no/such/file.toml cannot be read: "), "{error}");
    assert!(error.contains("--config"), "{error}");
}

#[test]
fn a_file_that_is_named_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, "[server]\nbind = \"[::1]:7\"\n").unwrap();
    assert_eq!(
        load_with(Some(&path), []).unwrap().server.bind.to_string(),
        "[::1]:7"
    );
}
