//! Values that are texts of a form: addresses, names, words out of a few.

use std::net::SocketAddr;

use config::ValueKind;

use super::{Written, flag, list, named};
use crate::channel::whatsapp::Template;

pub(super) fn address(raw: ValueKind) -> Result<ValueKind, String> {
    let text = named(raw, "an address")?;
    match text.parse::<SocketAddr>() {
        Ok(address) => Ok(address.to_string().into()),
        Err(_) => Err(format!(
            "{text:?} is no address to listen on; write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\""
        )),
    }
}

pub(super) fn url(raw: ValueKind) -> Result<ValueKind, String> {
    let text = named(raw, "an address")?;
    // The text itself is not shown: somebody may have put a password into it.
    let url = reqwest::Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        return Err(
            "is no http or https address; write for example \"https://bridge.example.com\"".to_owned(),
        );
    };
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err("may hold a scheme, a host, a port and a path, and nothing else".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned().into())
}

pub(super) fn database(raw: ValueKind) -> Result<ValueKind, String> {
    let text = named(raw, "a database")?;
    let file = text.strip_prefix("sqlite://");
    let server = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"));
    match (file, server) {
        (Some(path), _) if !path.is_empty() && !path.starts_with(':') => Ok(text.into()),
        (_, Some(rest)) if !rest.is_empty() && reqwest::Url::parse(&text).is_ok() => Ok(text.into()),
        // Not shown: an address of a database may hold a password.
        _ => Err(
            "is no database; write sqlite://PATH, such as \"sqlite://data/chatbridge.db\", or \
             postgres://USER:PASSWORD@HOST:PORT/NAME"
                .to_owned(),
        ),
    }
}

pub(super) fn api_version(raw: ValueKind) -> Result<ValueKind, String> {
    let text = named(raw, "a version")?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.strip_prefix('v').and_then(|version| version.split_once('.')) {
        Some((major, minor)) if digits(major) && digits(minor) => Ok(text.into()),
        _ => Err(format!(
            "{text:?} is no version of the Graph API; write for example \"v26.0\""
        )),
    }
}

pub(super) fn template(raw: ValueKind) -> Result<ValueKind, String> {
    let text = named(raw, "a template")?;
    match Template::try_from(text.clone()) {
        Ok(_) => Ok(text.into()),
        Err(message) => Err(format!("{text:?} {message}")),
    }
}

pub(super) fn choice(raw: ValueKind, words: &[&str]) -> Result<ValueKind, String> {
    let text = named(raw, "one of its words")?;
    if words.contains(&text.as_str()) {
        Ok(text.into())
    } else {
        Err(format!(
            "{text:?} is not known here; write {}",
            crate::config::nearest::or(words)
        ))
    }
}

/// A flag, or a word that says more.
pub(super) fn flag_or(raw: ValueKind, written: Written, words: &[&str]) -> Result<ValueKind, String> {
    match &raw {
        ValueKind::String(text) if words.contains(&text.trim()) => Ok(text.trim().to_owned().into()),
        ValueKind::String(text) if written == Written::File || flag(raw.clone(), written).is_err() => {
            Err(format!(
                "{text:?} is not known here; write true or false without quotes, or {}",
                crate::config::nearest::or(words)
            ))
        }
        _ => flag(raw, written),
    }
}

/// A few texts, none of them empty.
pub(super) fn texts(raw: ValueKind, most: usize) -> Result<ValueKind, String> {
    let texts = list(raw)?
        .into_iter()
        .map(|text| named(text, "a text"))
        .collect::<Result<Vec<_>, _>>()?;
    if texts.len() > most {
        return Err(format!("holds {} texts; write {most} at most", texts.len()));
    }
    Ok(texts.into())
}
