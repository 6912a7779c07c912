//! The configuration as an operator may look at it: each key with its value and where that was written, without
//! secrets.

use bytesize::ByteSize;
use config::ValueKind;

use super::catalogue::{Key, ROUTES, SECTIONS};
use super::gather::{Entry, Gathered, full};
use super::kind::Kind;

/// A key and what it is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The key's full name.
    pub key: String,
    /// Its value, if it has one and may be seen.
    pub value: Option<String>,
    /// Whether there is a value that is not shown.
    pub hidden: bool,
    /// Where the value was written; empty if there is none.
    pub origin: String,
    /// What the key does.
    pub doc: &'static str,
}

/// All keys in the order in which they are documented. Of a channel that is off, none.
pub(super) fn all(gathered: &Gathered) -> Vec<Shown> {
    let mut shown = Vec::new();
    for section in SECTIONS {
        let on = !section.channel || gathered.entries.keys().any(|(name, _)| *name == section.name);
        for key in section.keys.iter().filter(|_| on) {
            shown.push(one(
                section.name,
                key,
                gathered.entries.get(&(section.name, key.name)),
            ));
        }
    }
    shown.push(one("", &ROUTES, gathered.entries.get(&("", ROUTES.name))));
    shown
}

fn one(section: &str, key: &'static Key, entry: Option<&Entry>) -> Shown {
    let hidden = entry.is_some() && key.kind.is_secret();
    let value = entry.filter(|_| !hidden);
    Shown {
        key: full(section, key.name),
        value: value.map(|entry| written(key.kind, &entry.value)),
        hidden,
        origin: entry.map(|entry| entry.origin.clone()).unwrap_or_default(),
        doc: key.doc,
    }
}

/// A value as text, without the secrets within it.
fn written(kind: Kind, value: &ValueKind) -> String {
    match (kind, value) {
        (Kind::Tables(keys), ValueKind::Array(tables)) => {
            let table = |table: &config::Value| match &table.kind {
                ValueKind::Table(pairs) => {
                    let mut pairs: Vec<String> = pairs
                        .iter()
                        .map(|(name, value)| pair(keys, name, &value.kind))
                        .collect();
                    pairs.sort_unstable();
                    format!("{{ {} }}", pairs.join(", "))
                }
                _ => "…".to_owned(),
            };
            tables.iter().map(table).collect::<Vec<_>>().join("\n")
        }
        (Kind::Size { .. }, ValueKind::U64(bytes)) => ByteSize(*bytes).to_string(),
        (_, ValueKind::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| item.kind.to_string()).collect();
            items.join(", ")
        }
        (_, other) => without_password(&other.to_string()),
    }
}

fn pair(keys: &'static [Key], name: &str, value: &ValueKind) -> String {
    let kind = keys.iter().find(|key| key.name == name).map(|key| key.kind);
    match kind {
        Some(kind) if !kind.is_secret() => format!("{name} = {}", written(kind, value)),
        _ => format!("{name} = …"),
    }
}

/// An address without the password that it may hold: `postgres://user:…@host`.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:…@{host}{path}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_with_their_source_and_secrets_are_not() {
        let text = r#"
            [admin]
            token = "hush-token"
            [agent]
            api_key = "hush-key"
            [turn]
            wait = "2s"
            [whatsapp]
            app_secret = ["hush-one", "hush-two"]
            verify_token = "hush-word"
            phone_number_ids = ["1", "2"]
            [[whatsapp.numbers]]
            phone_number_id = "1"
            access_token = "hush-number"
            [[routes]]
            channel = "slack"
            agent_id = "agent-two"
        "#;
        let variable = ("CHATBRIDGE__LOG__LEVEL".into(), "debug".into());
        let settings = crate::config::parse("here.toml", text, [variable]).unwrap();
        let of = |key: &str| {
            settings
                .shown
                .iter()
                .find(|shown| shown.key == key)
                .unwrap_or_else(|| panic!("{key}"))
        };
        assert_eq!(of("turn.wait").value.as_deref(), Some("2s"));
        assert_eq!(of("server.body_limit").value.as_deref(), Some("4.0 MiB"));
        assert_eq!(of("turn.wait").origin, "here.toml");
        assert_eq!(of("log.level").origin, "CHATBRIDGE__LOG__LEVEL");
        assert_eq!(of("server.bind").origin, "config/default.toml");
        assert_eq!(of("whatsapp.phone_number_ids").value.as_deref(), Some("1, 2"));
        assert!(of("admin.token").hidden && of("agent.api_key").hidden);
        assert_eq!(
            (of("agent.agent_id").value.as_deref(), of("agent.agent_id").hidden),
            (None, false)
        );
        let numbers = of("whatsapp.numbers").value.as_deref();
        assert_eq!(numbers, Some("{ access_token = …, phone_number_id = 1 }"));
        let routes = of("routes").value.as_deref();
        assert_eq!(routes, Some("{ agent_id = agent-two, channel = slack }"));
        assert!(!format!("{:?}", settings.shown).contains("hush"));
        assert!(!settings.shown.iter().any(|shown| shown.key.starts_with("slack.")));
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        for (written, shown) in [
            (
                "postgres://ann:hush@db/chat?x=a@b",
                "postgres://ann:…@db/chat?x=a@b",
            ),
            ("postgres://ann:hu@sh@db/chat", "postgres://ann:…@db/chat"),
            ("sqlite://data/chat@home.db", "sqlite://data/chat@home.db"),
            ("24h", "24h"),
        ] {
            assert_eq!(without_password(written), shown);
        }
    }
}
