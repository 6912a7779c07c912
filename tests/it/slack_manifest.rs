//! `chatbridge slack manifest`: what Slack is told of the app.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{APP_TOKEN, CLIENT, Config, World};

fn manifest(change: impl FnOnce(&mut Config)) -> Value {
    let mut world = World::stopped();
    world
        .config
        .set("server.public_url", "https://bridge.example.com");
    change(&mut world.config);
    world.write_config();
    world.cli(&["slack", "manifest", "--json"]).exits(0).json()
}

fn texts<'a>(manifest: &'a Value, pointer: &str) -> Vec<&'a str> {
    let list = manifest.pointer(pointer).and_then(Value::as_array);
    list.unwrap_or_else(|| panic!("{pointer} in {manifest}"))
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect()
}

fn with_oauth(config: &mut Config) {
    config
        .set("slack.client_id", CLIENT.0)
        .set("slack.client_secret", CLIENT.1);
}

fn everything(config: &mut Config) {
    with_oauth(config);
    suggesting(config);
    config.set("slack.command", "/shop").set("slack.feedback", true);
}

/// Nobody can reach the daemon; Slack is told no address.
fn by_socket(config: &mut Config) {
    config
        .unset("server.public_url")
        .unset("slack.signing_secret")
        .set("slack.app_token", APP_TOKEN);
}

fn suggesting(config: &mut Config) {
    let prompts = json!(["Where is my order?", "Do you repair zips?"]);
    config.set("slack.agent_view", true).set("slack.prompts", prompts);
}

/// A feature of the configuration, and what Slack's documentation says that it takes: scopes and events.
type Needs = (
    &'static str,
    fn(&mut Config),
    &'static [&'static str],
    &'static [&'static str],
);

const NEEDS: &[Needs] = &[
    (
        "mentions",
        |_| {},
        &["app_mentions:read", "chat:write"],
        &["app_mention"],
    ),
    ("direct messages", |_| {}, &["im:history"], &["message.im"]),
    (
        "followed threads",
        |config| {
            config.set("slack.follow_threads", true);
        },
        &["channels:history", "groups:history", "mpim:history"],
        &["message.channels", "message.groups", "message.mpim"],
    ),
    (
        "looking before sending again",
        |config| {
            config.set("slack.follow_threads", false);
        },
        &["channels:history", "groups:history", "im:history", "mpim:history"],
        &[],
    ),
    (
        "edits and deletions",
        |config| {
            config.set("slack.follow_threads", false);
        },
        &["channels:history", "groups:history", "im:history", "mpim:history"],
        &["message.channels", "message.groups", "message.im", "message.mpim"],
    ),
    (
        "an agent's status and stop button",
        |config| {
            config.set("slack.agent_view", true);
        },
        &["chat:write", "assistant:write"],
        &["agent_session_stopped", "message.im"],
    ),
    (
        "an agent's suggestions",
        suggesting,
        &["assistant:write"],
        &["app_home_opened"],
    ),
    (
        "an assistant",
        |config| {
            config.set("slack.agent_view", "assistant");
        },
        &["chat:write", "assistant:write", "im:history"],
        &[
            "assistant_thread_started",
            "assistant_thread_context_changed",
            "message.im",
        ],
    ),
    (
        "a reaction",
        |config| {
            config.set("slack.reaction", "eyes");
        },
        &["reactions:write"],
        &[],
    ),
    (
        "the command",
        |config| {
            config.set("slack.command", "/shop");
        },
        &["commands"],
        &[],
    ),
    ("removal", with_oauth, &[], &["app_uninstalled", "tokens_revoked"]),
];

/// Written a second time, from the documentation of each event and method: whoever adds a feature and forgets what it
/// takes fails here.
#[test]
fn what_a_feature_takes_is_in_the_manifest_when_it_is_on() {
    let by_webhook = |_: &mut Config| {};
    let by_token = |config: &mut Config| {
        config.set("slack.app_token", APP_TOKEN);
    };
    let ways: [fn(&mut Config); 2] = [by_webhook, by_token];
    for ((feature, switch_on, scopes, events), way) in
        NEEDS.iter().flat_map(|needs| ways.map(|way| (needs, way)))
    {
        let manifest = manifest(|config| {
            way(config);
            switch_on(config);
        });
        let asked = texts(&manifest, "/oauth_config/scopes/bot");
        let subscribed = texts(&manifest, "/settings/event_subscriptions/bot_events");
        for scope in *scopes {
            assert!(
                asked.contains(scope),
                "{feature} takes the scope {scope}: {manifest}"
            );
        }
        for event in *events {
            assert!(
                subscribed.contains(event),
                "{feature} takes the event {event}: {manifest}"
            );
        }
    }
}

#[test]
fn nothing_is_asked_for_what_is_off() {
    let quiet = manifest(|config| {
        config.set("slack.command", "");
    });
    for absent in ["commands", "assistant:write", "reactions:write"] {
        assert!(
            !texts(&quiet, "/oauth_config/scopes/bot").contains(&absent),
            "{absent}"
        );
    }
    for absent in [
        "/oauth_config/redirect_urls",
        "/features/slash_commands",
        "/features/agent_view",
        "/features/assistant_view",
        "/settings/interactivity",
    ] {
        assert_eq!(quiet.pointer(absent), None, "{absent}");
    }
}

#[test]
fn what_is_on_has_its_address() {
    let open = manifest(everything);
    for (pointer, wanted) in [
        (
            "/oauth_config/redirect_urls/0",
            "https://bridge.example.com/slack/oauth/callback",
        ),
        ("/features/slash_commands/0/command", "/shop"),
        (
            "/features/slash_commands/0/url",
            "https://bridge.example.com/slack/commands",
        ),
        (
            "/settings/interactivity/request_url",
            "https://bridge.example.com/slack/interactivity",
        ),
    ] {
        assert_eq!(open.pointer(pointer), Some(&json!(wanted)), "{pointer}");
    }
    assert_eq!(
        open.pointer("/settings/interactivity/is_enabled"),
        Some(&json!(true))
    );
}

#[test]
fn with_socket_mode_slack_is_told_no_address() {
    let manifest = manifest(|config| {
        by_socket(config);
        config.set("slack.feedback", true);
    });
    assert_eq!(manifest["settings"]["socket_mode_enabled"], true);
    assert_eq!(manifest["settings"]["interactivity"], json!({"is_enabled": true}));
    assert_eq!(manifest["features"]["slash_commands"][0]["command"], "/ask");
    let text = manifest.to_string();
    assert!(!text.contains("http") && !text.contains("url"), "{text}");
    // Who lets others install the app still has an address for their browsers.
    let open = manifest_with_oauth_by_socket();
    assert_eq!(
        open["oauth_config"]["redirect_urls"],
        json!(["https://bridge.example.com/slack/oauth/callback"])
    );
}

fn manifest_with_oauth_by_socket() -> Value {
    manifest(|config| {
        with_oauth(config);
        config.set("slack.app_token", APP_TOKEN);
    })
}

#[test]
fn an_agent_says_what_it_is_and_suggests() {
    let agent = manifest(suggesting);
    let prompts = json!([{"title": "Where is my order?", "message": "Where is my order?"},
        {"title": "Do you repair zips?", "message": "Do you repair zips?"}]);
    assert_eq!(
        agent["features"]["agent_view"],
        json!({"agent_description": "Support Bot answers your questions.", "suggested_prompts": prompts})
    );
    assert_eq!(agent.pointer("/features/assistant_view"), None);
    let assistant = manifest(|config| {
        config.set("slack.agent_view", "assistant");
    });
    assert_eq!(
        assistant["features"]["assistant_view"],
        json!({"assistant_description": "Support Bot answers your questions."})
    );
    assert_eq!(assistant.pointer("/features/agent_view"), None);
}

#[test]
fn the_addresses_and_names_are_those_of_the_configuration() {
    let mut world = World::stopped();
    world.config.set("server.public_url", "https://a.example/bridge/");
    world.write_config();
    let manifest = world
        .cli(&["slack", "manifest", "--json", "--name", "Shop & Co"])
        .exits(0)
        .json();
    assert_eq!(
        manifest["settings"]["event_subscriptions"]["request_url"],
        "https://a.example/bridge/slack/events"
    );
    for name in ["/display_information/name", "/features/bot_user/display_name"] {
        assert_eq!(manifest.pointer(name), Some(&json!("Shop & Co")), "{name}");
    }
    assert_eq!(manifest["settings"]["socket_mode_enabled"], false);
    world
        .cli(&[
            "slack",
            "manifest",
            "--name",
            "A name that is much too long for Slack",
        ])
        .exits(2);
}

#[test]
fn yaml_says_the_same_in_lines() {
    let mut world = World::stopped();
    world
        .config
        .set("server.public_url", "https://bridge.example.com");
    with_oauth(&mut world.config);
    world.write_config();
    let yaml = world
        .cli(&["slack", "manifest", "--name", "Shop: help"])
        .exits(0)
        .stdout;
    for part in [
        "_metadata:\n  major_version: 2\n",
        "display_information:\n  name: \"Shop: help\"\n",
        "  redirect_urls:\n    - https://bridge.example.com/slack/oauth/callback\n",
        "  scopes:\n    bot:\n      - chat:write\n      - app_mentions:read\n",
        "    request_url: https://bridge.example.com/slack/events\n",
        "  socket_mode_enabled: false\n",
    ] {
        assert!(yaml.contains(part), "{part} in {yaml}");
    }
}

#[test]
fn what_the_manifest_needs_is_told() {
    let mut world = World::stopped();
    world.write_config();
    let said = world.cli(&["slack", "manifest"]).exits(2).said();
    assert!(
        said.contains("server.public_url") && said.contains("slack.app_token"),
        "{said}"
    );
    world
        .config
        .without("slack")
        .set("server.public_url", "https://a.example");
    world.write_config();
    let said = world.cli(&["slack", "manifest"]).exits(2).said();
    assert!(said.contains("[slack]"), "{said}");
}

/// Takes out the patterns that look ahead, which Rust's regular expressions cannot: two, of the domains of features that
/// the manifest does not use.
fn forget_lookarounds(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                name != "pattern" || !value.as_str().is_some_and(|p| p.contains("(?!"))
            });
            fields.values_mut().for_each(forget_lookarounds);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_lookarounds),
        _ => {}
    }
}

/// Against Slack's own schema, where it is at hand.
#[test]
fn slacks_schema_takes_it() {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    let folder = std::env::var_os("CHATBRIDGE_FIXTURES").map_or(default, Into::into);
    let Ok(schema) = std::fs::read(folder.join("slack-manifest.schema.2.0.0.json")) else {
        eprintln!("no schema at {}: skipped", folder.display());
        return;
    };
    let mut schema: Value = serde_json::from_slice(&schema).unwrap();
    forget_lookarounds(&mut schema);
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler
        .add_resource("https://schema.example/manifest", schema)
        .unwrap();
    let index = compiler
        .compile("https://schema.example/manifest", &mut schemas)
        .unwrap();
    let quiet = |config: &mut Config| {
        config.set("slack.follow_threads", false).set("slack.command", "");
    };
    let all_by_socket = |config: &mut Config| {
        everything(config);
        config.set("slack.app_token", APP_TOKEN);
    };
    let assistant = |config: &mut Config| {
        suggesting(config);
        config.set("slack.agent_view", "assistant");
    };
    let all = [
        manifest(|_| {}),
        manifest(everything),
        manifest(quiet),
        manifest(by_socket),
        manifest(all_by_socket),
        manifest(assistant),
    ];
    for manifest in all {
        if let Err(error) = schemas.validate(&manifest, index) {
            panic!("{error}\n{manifest}");
        }
        // The check itself is no rubber stamp.
        let mut wrong = manifest.clone();
        wrong["display_information"]["name"] = json!("x".repeat(36));
        assert!(schemas.validate(&wrong, index).is_err());
        let mut wrong = manifest;
        wrong["settings"]["event_subscription"] = json!({});
        assert!(schemas.validate(&wrong, index).is_err());
    }
}
