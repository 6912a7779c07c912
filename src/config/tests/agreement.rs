//! The catalogue, the shipped files and the types of the settings say the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::super::catalogue::{Key, ROUTES, SECTIONS};
use super::super::kind::Kind;
use super::*;
use crate::agent::livechatai;
use crate::channel::{slack, whatsapp};
use crate::domain::routing::Rule;
use crate::domain::texts::Texts;
use crate::http::{AdminSettings, ServerSettings};
use crate::worker::{RetrySettings, TurnSettings};
use crate::{store, telemetry};

const EXAMPLE: &str = include_str!("../../../config/chatbridge.example.toml");

/// Section by section, the keys, and whether each is live or stands behind a `#`.
type Keys = BTreeMap<String, BTreeMap<String, bool>>;

fn names(keys: &[Key]) -> BTreeMap<String, bool> {
    keys.iter()
        .map(|key| (key.name.to_owned(), key.default.is_some()))
        .collect()
}

/// The catalogue, with tables of tables as sections of their own; a key is live if it has a default.
fn catalogued() -> Keys {
    let mut keys = Keys::new();
    for section in SECTIONS {
        let (tables, plain): (Vec<Key>, Vec<Key>) = section
            .keys
            .iter()
            .partition(|key| matches!(key.kind, Kind::Tables(_)));
        keys.insert(section.name.to_owned(), names(&plain));
        for key in tables {
            let Kind::Tables(inner) = key.kind else {
                unreachable!()
            };
            keys.insert(format!("{}.{}", section.name, key.name), names(inner));
        }
    }
    let Kind::Tables(inner) = ROUTES.kind else {
        unreachable!()
    };
    keys.insert(ROUTES.name.to_owned(), names(inner));
    keys
}

/// A line of a shipped file without a `#` in front, if it is a section's or a key's.
fn uncommented(row: &str) -> Option<(&str, bool)> {
    let (text, live) = match row.strip_prefix("# ") {
        Some(behind) => (behind, false),
        None => (row, true),
    };
    let head = text.starts_with('[');
    let key = text
        .split_once(" = ")
        .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    (head || key).then_some((text, live))
}

/// The keys that a shipped file names, live or behind a `#`; each must have a line of comment above it.
fn shipped(text: &str) -> Keys {
    let mut keys = Keys::new();
    let mut section = String::new();
    for line in text.lines() {
        let Some((bare, live)) = uncommented(line) else {
            continue;
        };
        if bare.starts_with('[') {
            section = bare.split(']').next().unwrap().trim_start_matches('[').to_owned();
            keys.entry(section.clone()).or_default();
        } else {
            let name = bare.split(" = ").next().unwrap().to_owned();
            assert!(
                keys.get_mut(&section)
                    .unwrap()
                    .insert(name.clone(), live)
                    .is_none(),
                "{section}.{name} twice"
            );
        }
    }
    keys
}

#[test]
fn default_toml_has_every_key_and_those_with_a_default_are_live() {
    assert_eq!(shipped(DEFAULTS), catalogued());
}

#[test]
fn the_example_has_every_key() {
    let without_live = |keys: Keys| -> BTreeMap<String, BTreeSet<String>> {
        keys.into_iter()
            .map(|(section, keys)| (section, keys.into_keys().collect()))
            .collect()
    };
    assert_eq!(without_live(shipped(EXAMPLE)), without_live(catalogued()));
}

#[test]
fn the_example_works_as_it_is_and_with_everything_switched_on() {
    let as_it_is = settings(EXAMPLE, &[]);
    assert_eq!(as_it_is.channels_off(), ["slack", "whatsapp"]);
    let lines = EXAMPLE
        .lines()
        .map(|line| uncommented(line).map_or(line, |(bare, _)| bare));
    let everything = settings(&lines.collect::<Vec<_>>().join("\n"), &[]);
    assert!(everything.channels_off().is_empty());
    assert_eq!(everything.routes.len(), 2);
}

#[test]
fn the_defaults_in_the_catalogue_are_those_of_default_toml() {
    let mut file = Gathered::default();
    file.add_file("default.toml", DEFAULTS);
    let mut catalogue = Gathered::default();
    for section in SECTIONS {
        let keys = section
            .keys
            .iter()
            .filter_map(|key| Some(format!("{} = {}\n", key.name, key.default?)));
        catalogue.add_file(
            "catalogue",
            &format!("[{}]\n{}", section.name, keys.collect::<String>()),
        );
    }
    assert!(file.problems.is_empty() && catalogue.problems.is_empty());
    let values = |gathered: Gathered| -> BTreeMap<_, _> {
        gathered
            .entries
            .into_iter()
            .map(|(name, entry)| (name, entry.value.to_string()))
            .collect()
    };
    assert_eq!(values(file), values(catalogue));
}

#[test]
fn default_toml_explains_each_key_in_the_words_of_the_catalogue() {
    for section in SECTIONS {
        for key in section
            .keys
            .iter()
            .filter(|key| !matches!(key.kind, Kind::Tables(_)))
        {
            let comment = format!("# {}\n", key.doc);
            assert!(
                DEFAULTS.contains(&comment),
                "{}.{}: {comment}",
                section.name,
                key.name
            );
        }
    }
}

#[test]
fn the_settings_take_exactly_the_keys_of_the_catalogue() {
    let taken = [
        ("server", fields::<ServerSettings>()),
        ("admin", fields::<AdminSettings>()),
        ("log", fields::<telemetry::Settings>()),
        ("telemetry", fields::<telemetry::otlp::TraceSettings>()),
        ("store", fields::<store::Settings>()),
        ("agent", fields::<livechatai::Settings>()),
        ("slack", fields::<slack::Settings>()),
        ("whatsapp", fields::<whatsapp::Settings>()),
        ("turn", fields::<TurnSettings>()),
        ("retry", fields::<RetrySettings>()),
        ("messages", fields::<Texts>()),
    ];
    let known = SECTIONS
        .iter()
        .map(|section| (section.name, section.keys.iter().map(|key| key.name).collect()));
    assert_eq!(
        BTreeMap::from(taken),
        known.collect::<BTreeMap<&str, BTreeSet<&str>>>()
    );

    let Kind::Tables(route) = ROUTES.kind else {
        unreachable!()
    };
    assert_eq!(fields::<Rule>(), route.iter().map(|key| key.name).collect());
    let Kind::Tables(number) = catalogue::section("whatsapp")
        .unwrap()
        .key("numbers")
        .unwrap()
        .kind
    else {
        unreachable!()
    };
    assert_eq!(
        fields::<whatsapp::Number>(),
        number.iter().map(|key| key.name).collect()
    );
}

#[test]
fn the_channels_sections_are_those_of_the_registry() {
    let sections = SECTIONS
        .iter()
        .filter(|section| section.channel)
        .map(|section| section.name);
    let sections: BTreeSet<&str> = sections.collect();
    assert_eq!(fields::<crate::channel::registry::Settings>(), sections);
    assert_eq!(
        catalogue::CHANNELS.iter().copied().collect::<BTreeSet<_>>(),
        sections
    );
}

/// The names of a type's fields, as it tells them to whoever reads it.
fn fields<'de, T: Deserialize<'de>>() -> BTreeSet<&'static str> {
    struct Fields<'a>(&'a mut BTreeSet<&'static str>);

    impl<'de> Deserializer<'de> for Fields<'_> {
        type Error = de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(de::Error::custom("not a struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            self.0.extend(fields);
            Err(de::Error::custom("seen"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut names = BTreeSet::new();
    assert!(T::deserialize(Fields(&mut names)).is_err_and(|error| error.to_string() == "seen"));
    names
}
