//! What each key allows by itself and the keys forbid together.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use config::ValueKind;

use super::catalogue::SECTIONS;
use super::gather::{Entry, Gathered, Name, full, variable};
use super::problem::Problem;
use crate::domain::settings::parse_duration;

/// Looks for keys that are missing and keys that contradict each other.
pub(super) fn check(gathered: &mut Gathered) {
    let mut problems = Vec::new();
    missing(gathered, &mut problems);
    way_in(gathered, &mut problems);
    listeners(gathered, &mut problems);
    waits(gathered, &mut problems);
    numbers(gathered, &mut problems);
    allowed_and_denied(gathered, &mut problems);
    installing(gathered, &mut problems);
    shown_at_slack(gathered, &mut problems);
    gathered.problems.append(&mut problems);
}

/// A section that is begun has what it needs.
fn missing(gathered: &Gathered, problems: &mut Vec<Problem>) {
    for section in SECTIONS {
        let begun = gathered
            .touched
            .iter()
            .find(|((name, _), _)| *name == section.name);
        let Some((_, origin)) = begun else { continue };
        for key in section.keys.iter().filter(|key| key.required) {
            let name = (section.name, key.name);
            if !gathered.touched.contains_key(&name) {
                problems.push(Problem::new(full(name.0, name.1), origin, is_missing(name)));
            }
        }
    }
}

fn is_missing(name: Name) -> String {
    let (section, variable) = (name.0, variable(name));
    format!("is missing; set it in [{section}] or as {variable}, or from a file as {variable}_FILE")
}

/// Slack has a way to reach us: signed requests, or a token with which we fetch.
fn way_in(gathered: &Gathered, problems: &mut Vec<Problem>) {
    let (secret, token) = (("slack", "signing_secret"), ("slack", "app_token"));
    let there = |name| gathered.touched.contains_key(&name);
    let begun = gathered
        .touched
        .iter()
        .find(|((section, _), _)| *section == "slack");
    if let Some((_, origin)) = begun.filter(|_| !there(secret) && !there(token)) {
        let message = format!(
            "{}. Where Slack cannot reach this machine, set slack.app_token instead",
            is_missing(secret)
        );
        problems.push(Problem::new(full(secret.0, secret.1), origin, message));
    }
    let odd = |entry: &&Entry| text(entry).is_some_and(|token| !token.starts_with("xapp-"));
    if let Some(entry) = gathered.entries.get(&token).filter(odd) {
        let message = "is no app-level token; those start with xapp- (Slack app settings, Basic Information, \
                       App-Level Tokens)";
        problems.push(Problem::new(full(token.0, token.1), &entry.origin, message));
    }
}

/// The two listeners do not want the same port.
fn listeners(gathered: &Gathered, problems: &mut Vec<Problem>) {
    let address = |name| text(gathered.entries.get(&name)?)?.parse::<SocketAddr>().ok();
    let (Some(public), Some(admin)) = (address(("server", "bind")), address(("admin", "bind"))) else {
        return;
    };
    let overlap = public.ip() == admin.ip() || public.ip().is_unspecified() || admin.ip().is_unspecified();
    if overlap && public.port() == admin.port() && public.port() != 0 {
        let origin = origin(gathered, ("admin", "bind"));
        let message =
            format!("{admin} is taken by server.bind ({public}); give the two listeners different ports");
        problems.push(Problem::new("admin.bind", origin, message));
    }
}

/// No burst is to be collected for longer than `turn.max_wait` allows.
fn waits(gathered: &Gathered, problems: &mut Vec<Problem>) {
    let Some(most) = duration(gathered, ("turn", "max_wait")) else {
        return;
    };
    for name in [
        ("turn", "wait"),
        ("slack", "turn_wait"),
        ("whatsapp", "turn_wait"),
    ] {
        if duration(gathered, name).is_some_and(|wait| wait > most) {
            let message = format!(
                "is longer than turn.max_wait ({}); shorten it, or lengthen turn.max_wait",
                humantime::format_duration(most)
            );
            problems.push(Problem::new(
                full(name.0, name.1),
                origin(gathered, name),
                message,
            ));
        }
    }
}

/// Each of `[[whatsapp.numbers]]` is there once, and is served.
fn numbers(gathered: &Gathered, problems: &mut Vec<Problem>) {
    let Some(Entry {
        value: ValueKind::Array(tables),
        origin,
    }) = gathered.entries.get(&("whatsapp", "numbers"))
    else {
        return;
    };
    let served = ids(gathered, ("whatsapp", "phone_number_ids"));
    let mut seen = BTreeSet::new();
    for (index, table) in tables.iter().enumerate() {
        let ValueKind::Table(table) = &table.kind else {
            continue;
        };
        let Some(ValueKind::String(id)) = table.get("phone_number_id").map(|id| &id.kind) else {
            continue;
        };
        let key = format!("whatsapp.numbers[{index}].phone_number_id");
        if !seen.insert(id) {
            problems.push(Problem::new(
                &key,
                origin,
                format!("{id} is there twice; remove one of the two tables"),
            ));
        }
        if !served.is_empty() && !served.contains(id) {
            let message =
                format!("{id} is not among whatsapp.phone_number_ids; add it there, or empty that list");
            problems.push(Problem::new(key, origin, message));
        }
    }
}

/// Nothing is both allowed and denied.
fn allowed_and_denied(gathered: &Gathered, problems: &mut Vec<Problem>) {
    for (allow, deny) in [("allow_channels", "deny_channels"), ("allow_users", "deny_users")] {
        let (allow, deny) = (("slack", allow), ("slack", deny));
        let both: Vec<String> = ids(gathered, allow)
            .intersection(&ids(gathered, deny))
            .cloned()
            .collect();
        if !both.is_empty() {
            let message = format!(
                "{} is allowed by slack.{} too; remove it from one of them",
                both.join(", "),
                allow.1
            );
            problems.push(Problem::new(
                full(deny.0, deny.1),
                origin(gathered, deny),
                message,
            ));
        }
    }
}

/// Who lets others install the app has all that it takes.
fn installing(gathered: &Gathered, problems: &mut Vec<Problem>) {
    let (id, secret) = (("slack", "client_id"), ("slack", "client_secret"));
    let address = ("server", "public_url");
    let there = |name| gathered.touched.contains_key(&name);
    let mut wanted = |name: Name, other: Name, why: &str| {
        let (full, other_full) = (full(name.0, name.1), full(other.0, other.1));
        let message = format!("needs {other_full}, {why}; set it too, or remove {full}");
        problems.push(Problem::new(full, origin_touched(gathered, name), message));
    };
    if there(id) && !there(secret) {
        wanted(
            id,
            secret,
            "which stands beside it on the app's Basic Information page",
        );
    }
    if there(secret) && !there(id) {
        wanted(
            secret,
            id,
            "which stands beside it on the app's Basic Information page",
        );
    }
    if there(id) && !there(address) {
        wanted(id, address, "the address to which Slack sends people back");
    }
    let server = gathered.entries.get(&("store", "url")).and_then(text);
    let server = server.is_some_and(|url| !url.starts_with("sqlite:"));
    let key = ("store", "secret_key");
    if there(id) && server && !there(key) {
        wanted(
            id,
            key,
            "which encrypts the tokens in a PostgreSQL database (openssl rand -base64 32)",
        );
    }
}

/// Suggestions are an agent's, reactions a plain bot's.
fn shown_at_slack(gathered: &Gathered, problems: &mut Vec<Problem>) {
    let view = gathered.entries.get(&("slack", "agent_view"));
    let is_agent = view.is_some_and(|view| !matches!(view.value, ValueKind::Boolean(false)));
    let (prompts, reaction) = (("slack", "prompts"), ("slack", "reaction"));
    if !is_agent && !ids(gathered, prompts).is_empty() {
        let message =
            "needs slack.agent_view: a plain bot suggests nothing; set it too, or remove slack.prompts";
        problems.push(Problem::new(
            "slack.prompts",
            origin(gathered, prompts),
            message.to_owned(),
        ));
    }
    let reacts = gathered.entries.get(&reaction).and_then(text);
    if is_agent && reacts.is_some_and(|name| !name.trim().is_empty()) {
        let message = "is of no use beside slack.agent_view, which shows a status; remove one of the two";
        problems.push(Problem::new(
            "slack.reaction",
            origin(gathered, reaction),
            message.to_owned(),
        ));
    }
}

fn origin_touched(gathered: &Gathered, name: Name) -> &str {
    gathered.touched.get(&name).map_or("", String::as_str)
}

fn text(entry: &Entry) -> Option<&str> {
    match &entry.value {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

fn duration(gathered: &Gathered, name: Name) -> Option<Duration> {
    parse_duration(text(gathered.entries.get(&name)?)?).ok()
}

fn ids(gathered: &Gathered, name: Name) -> BTreeSet<String> {
    match gathered.entries.get(&name).map(|entry| &entry.value) {
        Some(ValueKind::Array(items)) => items
            .iter()
            .filter_map(|item| item.clone().into_string().ok())
            .collect(),
        _ => BTreeSet::new(),
    }
}

fn origin(gathered: &Gathered, name: Name) -> &str {
    gathered.entries.get(&name).map_or("", |entry| &entry.origin)
}
