//! What the app must be allowed and told at Slack, and the manifest that says so.
//!
//! Schema: slackapi/manifest-schema, `manifest.schema.2.0.0.json`. A feature that needs something of Slack has a row in
//! `FEATURES`; the manifest, the address of `/slack/install` and `chatbridge check` all read that table.

use serde_json::{Value, json};

use super::settings::{AgentView, Settings};
use super::{CALLBACK, COMMANDS, EVENTS, INTERACTIVITY};

/// The name of the app and its bot where none is given.
pub const NAME: &str = "Support Bot";

/// The longest name that Slack takes (`display_information.name`), in characters.
pub const LONGEST_NAME: usize = 35;

/// A feature, and what it needs of Slack.
pub(super) struct Feature {
    /// What it is for, as an operator reads it.
    pub(super) what: &'static str,
    /// Whether it is on.
    pub(super) on: fn(&Settings) -> bool,
    /// The scopes of the bot's token.
    pub(super) scopes: &'static [&'static str],
    /// The events that the app subscribes to.
    pub(super) events: &'static [&'static str],
}

/// All features. Scopes: docs.slack.dev, the pages of the methods and events.
pub(super) const FEATURES: &[Feature] = &[
    Feature {
        what: "answering",
        on: |_| true,
        scopes: &["chat:write"],
        events: &[],
    },
    Feature {
        what: "mentions",
        on: |_| true,
        scopes: &["app_mentions:read"],
        events: &["app_mention"],
    },
    Feature {
        what: "direct messages",
        on: |_| true,
        scopes: &["im:history"],
        events: &["message.im"],
    },
    Feature {
        what: "replies in threads without a mention",
        on: |settings| settings.follow_threads,
        scopes: &["channels:history", "groups:history", "mpim:history"],
        events: &["message.channels", "message.groups", "message.mpim"],
    },
    Feature {
        what: "following edits and deletions",
        on: |_| true,
        scopes: &["channels:history", "groups:history", "im:history", "mpim:history"],
        events: &["message.channels", "message.groups", "message.im", "message.mpim"],
    },
    Feature {
        what: "an agent's status, title and stop button",
        on: |settings| settings.agent_view == AgentView::Agent,
        scopes: &["assistant:write"],
        events: &["agent_session_stopped"],
    },
    Feature {
        what: "an agent's suggested questions",
        on: |settings| settings.agent_view == AgentView::Agent && !settings.prompts.is_empty(),
        scopes: &["assistant:write"],
        events: &["app_home_opened"],
    },
    Feature {
        what: "an assistant's status, title and suggested questions",
        on: |settings| settings.agent_view == AgentView::Assistant,
        scopes: &["assistant:write"],
        events: &["assistant_thread_started", "assistant_thread_context_changed"],
    },
    Feature {
        what: "an emoji while an answer is on its way",
        on: |settings| settings.agent_view == AgentView::Off && !settings.reaction.is_empty(),
        scopes: &["reactions:write"],
        events: &[],
    },
    Feature {
        what: "the command",
        on: |settings| !settings.command.is_empty(),
        scopes: &["commands"],
        events: &[],
    },
    Feature {
        what: "looking whether an answer arrived before it is sent again",
        on: |_| true,
        scopes: &["channels:history", "groups:history", "im:history", "mpim:history"],
        events: &[],
    },
    Feature {
        what: "hearing when it is removed",
        on: |_| true,
        scopes: &[],
        events: &["app_uninstalled", "tokens_revoked"],
    },
];

/// What the features that are on need, each thing once, in the order of the table.
fn needed(settings: &Settings, of: fn(&Feature) -> &'static [&'static str]) -> Vec<&'static str> {
    let mut needed = Vec::new();
    for feature in FEATURES.iter().filter(|feature| (feature.on)(settings)) {
        for thing in of(feature) {
            if !needed.contains(thing) {
                needed.push(*thing);
            }
        }
    }
    needed
}

/// The scopes that the bot's token needs.
pub fn scopes(settings: &Settings) -> Vec<&'static str> {
    needed(settings, |feature| feature.scopes)
}

/// The scopes that are missing among those granted (with commas between them), each with what it is for.
pub fn missing_scopes(settings: &Settings, granted: &str) -> Vec<(&'static str, &'static str)> {
    let granted: Vec<&str> = granted.split(',').map(str::trim).collect();
    let missing = scopes(settings)
        .into_iter()
        .filter(|scope| !granted.contains(scope));
    missing
        .map(|scope| {
            let feature = FEATURES
                .iter()
                .find(|feature| (feature.on)(settings) && feature.scopes.contains(&scope));
            (scope, feature.map_or("", |feature| feature.what))
        })
        .collect()
}

/// The app's manifest for these settings, reached at `public_url`: with Socket Mode this counts only for the way back
/// of those who install the app.
pub fn manifest(settings: &Settings, public_url: &str, name: &str) -> Value {
    let mut manifest = json!({
        "_metadata": { "major_version": 2 },
        "display_information": { "name": name },
        "features": {
            "app_home": { "messages_tab_enabled": true, "messages_tab_read_only_enabled": false },
            "bot_user": { "display_name": name, "always_online": true },
        },
        "oauth_config": { "scopes": { "bot": scopes(settings) } },
        "settings": {
            "event_subscriptions": {
                "request_url": format!("{public_url}{EVENTS}"),
                "bot_events": needed(settings, |feature| feature.events),
            },
            "org_deploy_enabled": false,
            "socket_mode_enabled": false,
            "token_rotation_enabled": false,
        },
    });
    if !settings.command.is_empty() {
        manifest["features"]["slash_commands"] = json!([{
            "command": settings.command,
            "url": format!("{public_url}{COMMANDS}"),
            "description": "Ask a question",
            "usage_hint": "your question",
            "should_escape": false,
        }]);
    }
    if let Some((name, view)) = view(settings, name) {
        manifest["features"][name] = view;
    }
    if settings.feedback {
        // The buttons below an answer come back there.
        manifest["settings"]["interactivity"] =
            json!({ "is_enabled": true, "request_url": format!("{public_url}{INTERACTIVITY}") });
    }
    if settings.client_id.is_some() {
        manifest["oauth_config"]["redirect_urls"] = json!([format!("{public_url}{CALLBACK}")]);
        // Whoever installs it may be a whole organisation, and what it is granted is renewed in time.
        manifest["settings"]["org_deploy_enabled"] = json!(true);
    }
    if settings.app_token.is_some() {
        by_socket(&mut manifest);
    }
    manifest
}

/// With Socket Mode Slack posts nothing, and takes no address to post to.
fn by_socket(manifest: &mut Value) {
    manifest["settings"]["socket_mode_enabled"] = json!(true);
    let commands = manifest["features"]
        .get_mut("slash_commands")
        .and_then(Value::as_array_mut);
    for command in commands.into_iter().flatten() {
        forget(command, "url");
    }
    for part in ["event_subscriptions", "interactivity"] {
        if let Some(part) = manifest["settings"].get_mut(part) {
            forget(part, "request_url");
        }
    }
}

fn forget(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(field);
    }
}

/// What makes the app an agent, or an assistant.
fn view(settings: &Settings, name: &str) -> Option<(&'static str, Value)> {
    let (key, description) = match settings.agent_view {
        AgentView::Off => return None,
        AgentView::Agent => ("agent_view", "agent_description"),
        AgentView::Assistant => ("assistant_view", "assistant_description"),
    };
    let mut view = json!({ description: format!("{name} answers your questions.") });
    if !settings.prompts.is_empty() {
        let prompt = |text: &String| json!({ "title": text, "message": text });
        view["suggested_prompts"] = settings.prompts.iter().map(prompt).collect();
    }
    Some((key, view))
}

/// JSON as YAML: maps and lists in blocks, every text that could be taken for something else in quotes. What JSON
/// writes in double quotes, YAML reads in the same way.
pub fn yaml(value: &Value) -> String {
    let mut lines = Vec::new();
    match value {
        Value::Object(_) | Value::Array(_) if !is_empty(value) => block(value, 0, &mut lines),
        other => lines.push(inline(other)),
    }
    lines.join("\n") + "\n"
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    }
}

fn block(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let mut entry = |head: String, value: &Value| {
        if is_empty(value) {
            lines.push(format!("{indent}{head} {}", inline(value)));
        } else {
            lines.push(format!("{indent}{head}"));
            block(value, depth + 1, lines);
        }
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| entry(format!("{}:", scalar(key)), value)),
        Value::Array(items) => items.iter().for_each(|item| entry("-".to_owned(), item)),
        _ => {}
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text without quotes where nobody can misread it.
fn scalar(text: &str) -> String {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let inside = |c: char| c.is_ascii_alphanumeric() || "_./ -".contains(c);
    let address = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain = match address {
        Some(rest) => rest.chars().all(|c| inside(c) && c != ' ' || c == ':') && !rest.ends_with(':'),
        None => first && !text.ends_with(' ') && text.chars().all(|c| inside(c) || c == ':') && scoped(text),
    };
    let word = text.to_ascii_lowercase();
    let taken = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&word.as_str());
    if plain && !taken {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

/// A colon within a word (`chat:write`) is a part of it; before a space or the end it would make a key.
fn scoped(text: &str) -> bool {
    !text.contains(": ") && !text.ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
        let least = r#"{"signing_secret": "s", "api_base": "https://slack.com/api", "follow_threads": true}"#;
        let mut settings = serde_json::from_str(least).unwrap();
        change(&mut settings);
        settings
    }

    #[test]
    fn what_is_missing_is_told_with_what_it_is_for() {
        let settings = settings(|_| {});
        let all = scopes(&settings).join(",");
        assert!(missing_scopes(&settings, &all).is_empty());
        let missing = missing_scopes(
            &settings,
            "chat:write, commands,im:history,groups:history,mpim:history",
        );
        assert_eq!(
            missing,
            [
                ("app_mentions:read", "mentions"),
                ("channels:history", "replies in threads without a mention")
            ]
        );
    }

    #[test]
    fn who_lets_others_install_is_sent_back_to() {
        let manifest = manifest(
            &settings(|settings| settings.client_id = Some("1.2".to_owned())),
            "https://a.example/x",
            NAME,
        );
        assert_eq!(
            manifest["oauth_config"]["redirect_urls"],
            json!(["https://a.example/x/slack/oauth/callback"])
        );
    }

    #[test]
    fn yaml_is_plain_where_it_may_be() {
        let value = json!({
            "a": {"list": ["chat:write", "x: y", "no", ""], "number": 2, "yes": true},
            "e": [], "o": {}, "u": "https://a.example:8443/b", "q": "say \"hi\"\n", "#": null, "w": "two words",
        });
        let wanted = "\"#\": null\na:\n  list:\n    - chat:write\n    - \"x: y\"\n    - \"no\"\n    - \"\"\n  number: 2\n  \
             \"yes\": true\ne: []\no: {}\nq: \"say \\\"hi\\\"\\n\"\nu: https://a.example:8443/b\nw: two words\n";
        assert_eq!(yaml(&value), wanted);
    }
}
