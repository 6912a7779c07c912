//! Everything that the page shows, as one JSON object.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Stage;
use crate::demo::bridge::Life;
use crate::demo::journal::{Entry, Platform, Speaker};
use crate::demo::slack::{BOT, CHANNEL, DIRECT, PEOPLE};
use crate::demo::ways::{Station, Way};

/// So many of the latest messages are shown.
const ENTRIES: usize = 200;

/// So many of the latest ways are shown.
const WAYS: usize = 30;

/// The whole of it.
pub(super) fn of(stage: &Stage) -> Value {
    let (entries, ways) = (stage.scene.journal.entries(), stage.scene.ways.all());
    let (life, pid) = match stage.daemon.life() {
        Life::Starting => ("starting", None),
        Life::Running { pid } => ("running", Some(pid)),
        Life::Killed => ("killed", None),
        Life::Ended => ("ended", None),
    };
    let first = |length: usize, most: usize| length.saturating_sub(most);
    json!({
        "bridge": {"life": life, "pid": pid, "waiting": *stage.waiting.borrow()},
        "moods": stage.scene.moods(),
        "ownAgent": stage.own_agent,
        "again": stage.last().is_some(),
        "slack": {"channel": CHANNEL, "direct": DIRECT, "bot": BOT.1, "people": PEOPLE.map(|(_, name)| name)},
        "entries": entries[first(entries.len(), ENTRIES)..].iter().map(|entry| said(entry, &ways)).collect::<Vec<_>>(),
        "ways": ways[first(ways.len(), WAYS)..].iter().map(way).collect::<Vec<_>>(),
    })
}

fn said(entry: &Entry, ways: &[Way]) -> Value {
    let who = match &entry.speaker {
        Speaker::Person(name) => Some(name),
        Speaker::Agent => None,
    };
    let way = ways
        .iter()
        .rev()
        .find(|way| way.message == entry.id && way.place == entry.place);
    let ticks = way.map_or(0, |way| {
        1 + u8::from(way.passed(Station::Stored)) + u8::from(way.read)
    });
    json!({
        "platform": platform(entry.place.platform),
        "place": entry.place.key,
        "label": entry.place.label,
        "who": who,
        "id": entry.id,
        "text": entry.text,
        "at": millis(entry.when),
        "tookMs": entry.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        "ticks": ticks,
        "typing": way.is_some_and(|way| way.read && !way.passed(Station::Delivered)),
    })
}

fn way(way: &Way) -> Value {
    json!({
        "number": way.number,
        "platform": platform(way.place.platform),
        "label": way.place.label,
        "who": way.who,
        "text": way.text,
        "at": millis(way.at),
        "steps": way.steps,
    })
}

fn platform(platform: Platform) -> &'static str {
    match platform {
        Platform::Slack => "slack",
        Platform::WhatsApp => "whatsapp",
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
