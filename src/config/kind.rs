//! What a key may hold, and how that is written.

use std::time::Duration;

use bytesize::ByteSize;
use config::ValueKind;

use super::catalogue::Key;
use crate::domain::account::is_plain_id;
use crate::domain::settings::parse_duration;

mod words;

use words::{address, api_version, choice, database, flag_or, template, texts, url};

/// What a key may hold.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text; it may be empty.
    Text,
    /// A text that names something.
    Name,
    /// An identifier of a platform.
    Id,
    /// Identifiers of a platform.
    Ids,
    /// `allow`, `deny`, or the ids of teams.
    Policy,
    /// A text that is never shown.
    Secret,
    /// One such text or several, all of which are live.
    Secrets,
    /// A key of 32 bytes in base64 or several, all of which are live; never shown.
    Keys,
    /// Yes or no.
    Flag,
    /// Yes, no, or one of these words.
    FlagOr(&'static [&'static str]),
    /// Texts, so many at most.
    Texts {
        /// The most.
        most: usize,
    },
    /// A whole number.
    Count {
        /// The least.
        least: i64,
        /// The most.
        most: i64,
    },
    /// A span of time.
    Duration {
        /// The least.
        least: Duration,
        /// The most.
        most: Duration,
    },
    /// The waits between attempts.
    Schedule,
    /// A number of bytes.
    Size {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// An address and port to listen on.
    Address,
    /// An `http` or `https` address without a slash at its end.
    Url,
    /// A database.
    Database,
    /// A version such as `v26.0`.
    ApiVersion,
    /// A message template: its name and language.
    Template,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any number of tables with these keys; in files only.
    Tables(&'static [Key]),
}

/// Where a value was written: a file knows types, the environment only texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    File,
    Environment,
}

impl Kind {
    /// Whether what it holds must never be shown.
    pub fn is_secret(self) -> bool {
        // A database's address may hold a password.
        matches!(self, Self::Secret | Self::Secrets | Self::Keys | Self::Database)
    }

    /// Reads a value, and returns it as the settings take it. The message of an error completes the sentence that
    /// begins with the key's name; it shows no secret.
    pub(super) fn read(self, raw: ValueKind, written: Written) -> Result<ValueKind, String> {
        match self {
            Self::Text => text(raw).map(Into::into),
            Self::Name => named(raw, "a name").map(Into::into),
            Self::Id => plain(raw),
            Self::Ids => list(raw)?
                .into_iter()
                .map(plain)
                .collect::<Result<Vec<_>, _>>()
                .map(Into::into),
            Self::Policy => policy(raw),
            Self::Secret => secret(raw),
            Self::Secrets => secrets(raw),
            Self::Keys => keys(raw),
            Self::Flag => flag(raw, written),
            Self::FlagOr(words) => flag_or(raw, written, words),
            Self::Texts { most } => texts(raw, most),
            Self::Count { least, most } => count(raw, written, least, most),
            Self::Duration { least, most } => span(raw, least, most),
            Self::Schedule => {
                let waits = list(raw)?
                    .into_iter()
                    .map(|wait| span(wait, Duration::ZERO, Duration::MAX));
                waits.collect::<Result<Vec<_>, _>>().map(Into::into)
            }
            Self::Size { least, most } => size(raw, least, most),
            Self::Address => address(raw),
            Self::Url => url(raw),
            Self::Database => database(raw),
            Self::ApiVersion => api_version(raw),
            Self::Template => template(raw),
            Self::Choice(words) => choice(raw, words),
            Self::Tables(_) => {
                Err("is a list of tables: it can only be set in the configuration file".to_owned())
            }
        }
    }
}

/// What sort of value this is, in words.
fn sort(raw: &ValueKind) -> &'static str {
    match raw {
        ValueKind::Nil => "empty",
        ValueKind::Boolean(_) => "true or false",
        ValueKind::Float(_) => "a number",
        ValueKind::String(_) => "a text",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
        _ => "a whole number",
    }
}

fn text(raw: ValueKind) -> Result<String, String> {
    match raw {
        ValueKind::String(text) => Ok(text),
        other => Err(format!("is {}; write a text in quotes", sort(&other))),
    }
}

fn named(raw: ValueKind, what: &str) -> Result<String, String> {
    let text = text(raw)?;
    if text.trim().is_empty() {
        return Err(format!("is empty; give it {what}, or remove it"));
    }
    Ok(text.trim().to_owned())
}

/// A list; a lone text counts as one, its items separated by commas.
fn list(raw: ValueKind) -> Result<Vec<ValueKind>, String> {
    match raw {
        ValueKind::Array(items) => Ok(items.into_iter().map(|item| item.kind).collect()),
        ValueKind::String(text) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(|item| item.to_owned().into()).collect())
        }
        other => Err(format!(
            "is {}; write a list such as [\"a\", \"b\"]",
            sort(&other)
        )),
    }
}

fn plain(raw: ValueKind) -> Result<ValueKind, String> {
    let id = named(raw, "an id")?;
    if is_plain_id(&id) {
        Ok(id.into())
    } else {
        Err(format!(
            "{id:?} is no id of a platform; copy it as the platform shows it"
        ))
    }
}

fn policy(raw: ValueKind) -> Result<ValueKind, String> {
    if let ValueKind::String(word) = &raw
        && matches!(word.trim(), "allow" | "deny")
    {
        return Ok(word.trim().to_owned().into());
    }
    let ids = list(raw)?
        .into_iter()
        .map(|id| named(id, "an id"))
        .collect::<Result<Vec<_>, _>>()?;
    // A mistyped word must not pass for a team. Workspaces are called T…, organisations E….
    match ids
        .iter()
        .find(|id| !id.starts_with(['T', 'E']) || !is_plain_id(id))
    {
        Some(odd) => Err(format!(
            "{odd:?} is no team id; write \"allow\", \"deny\", or a list such as [\"T0123ABCD\"]"
        )),
        None => Ok(ids.into()),
    }
}

fn secret(raw: ValueKind) -> Result<ValueKind, String> {
    let secret = named(raw, "its value")?;
    if secret.chars().any(char::is_control) {
        return Err("holds a line break or another control character; copy it again".to_owned());
    }
    Ok(secret.into())
}

fn secrets(raw: ValueKind) -> Result<ValueKind, String> {
    let secrets = list(raw)?
        .into_iter()
        .map(secret)
        .collect::<Result<Vec<_>, _>>()?;
    if secrets.is_empty() {
        return Err("is empty; give it its value, or remove it".to_owned());
    }
    Ok(secrets.into())
}

fn keys(raw: ValueKind) -> Result<ValueKind, String> {
    let keys = secrets(raw)?;
    let fits = |key: &config::Value| match &key.kind {
        ValueKind::String(text) => crate::store::is_key(text),
        _ => false,
    };
    match &keys {
        ValueKind::Array(items) if items.iter().all(fits) => Ok(keys),
        _ => Err(
            "holds something other than 32 bytes in base64; make a key with: openssl rand -base64 32"
                .to_owned(),
        ),
    }
}

fn flag(raw: ValueKind, written: Written) -> Result<ValueKind, String> {
    match (raw, written) {
        (ValueKind::Boolean(flag), _) => Ok(flag.into()),
        (ValueKind::String(text), Written::Environment) => match text.trim() {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            other => Err(format!("{other:?} is neither true nor false")),
        },
        (other, _) => Err(format!(
            "is {}; write true or false, without quotes",
            sort(&other)
        )),
    }
}

fn count(raw: ValueKind, written: Written, least: i64, most: i64) -> Result<ValueKind, String> {
    let number = match (raw, written) {
        (ValueKind::I64(number), _) => number,
        (ValueKind::String(text), Written::Environment) => text
            .trim()
            .parse()
            .map_err(|_| format!("{text:?} is no whole number"))?,
        (other, _) => {
            return Err(format!(
                "is {}; write a whole number, without quotes",
                sort(&other)
            ));
        }
    };
    if (least..=most).contains(&number) {
        Ok(number.into())
    } else {
        Err(format!(
            "{number} is out of bounds; write a number from {least} to {most}"
        ))
    }
}

fn span(raw: ValueKind, least: Duration, most: Duration) -> Result<ValueKind, String> {
    let ValueKind::String(text) = raw else {
        return Err(format!(
            "is {}; write a duration with its unit, such as \"500ms\", \"2s\" or \"24h\"",
            sort(&raw)
        ));
    };
    let span = parse_duration(&text)?;
    let shown = humantime::format_duration;
    if span < least || span > most {
        return Err(format!(
            "{text:?} is out of bounds; write {} to {}",
            shown(least),
            shown(most)
        ));
    }
    Ok(text.trim().to_owned().into())
}

fn size(raw: ValueKind, least: u64, most: u64) -> Result<ValueKind, String> {
    let (shown, size) = match raw {
        ValueKind::String(text) => (
            format!("{text:?}"),
            text.trim().parse::<ByteSize>().ok().map(|size| size.as_u64()),
        ),
        ValueKind::I64(number) => (number.to_string(), u64::try_from(number).ok()),
        other => return Err(format!("is {}; write a size such as \"4MiB\"", sort(&other))),
    };
    match size {
        None => Err(format!(
            "{shown} is no size; write for example \"512KiB\" or \"4MiB\""
        )),
        Some(size) if (least..=most).contains(&size) => Ok(size.into()),
        Some(_) => Err(format!(
            "{shown} is out of bounds; write {} to {}",
            ByteSize(least),
            ByteSize(most)
        )),
    }
}
