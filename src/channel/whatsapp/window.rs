//! The customer service window: for 24 hours after a person's last message Meta takes any reply, then templates only.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::channel::{SendDisposition, SendError};
use crate::domain::Time;
use crate::domain::delivery::{DeliveryKind, SendClaim};

/// For how long after a person's last message Meta takes a reply that is no template.
pub(super) const WINDOW: Duration = Duration::from_hours(24);

/// The code of a reply that comes too late.
const CLOSED: &str = "window_closed";

/// The most that a parameter of a template may hold, in UTF-16 units: the whole body of a template has 1,024.
const LONGEST_PARAMETER: usize = 1000;

/// A message template of the account, whose body has one parameter: the reply.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template {
    /// Its name in WhatsApp Manager.
    pub name: String,
    /// Its language there, such as `en_US`.
    pub language: String,
}

impl TryFrom<String> for Template {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match text.trim().split_once('/') {
            Some((name, language)) if plain(name) && plain(language) => Ok(Self {
                name: name.to_owned(),
                language: language.to_owned(),
            }),
            _ => Err("is no template; write its name and language, such as \"late_reply/en_US\""),
        }
    }
}

/// What to post for this part now: its text, or a template around it once the window has closed. It is looked at
/// before every attempt, so also when a part is tried again or replayed.
pub(super) fn content(claim: &SendClaim, now: Time, template: Option<&Template>) -> Result<Value, SendError> {
    if now.since(claim.thread.last_inbound_at) < WINDOW {
        return Ok(json!({"type": "text", "text": {"body": claim.body, "preview_url": false}}));
    }
    let Some(template) = template.filter(|_| claim.kind == DeliveryKind::Answer) else {
        return Err(closed(
            "set whatsapp.window_template to send such replies as a template, or replay it once they have written again",
        ));
    };
    // Meta takes no line breaks, tabs or rows of spaces in a parameter.
    let text = claim.body.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.encode_utf16().count() > LONGEST_PARAMETER {
        return Err(closed(
            "it is too long for whatsapp.window_template; replay it once they have written again",
        ));
    }
    Ok(json!({"type": "template", "template": {
        "name": template.name,
        "language": {"code": template.language},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": text}]}],
    }}))
}

fn closed(remedy: &str) -> SendError {
    SendError {
        code: CLOSED.to_owned(),
        message: format!(
            "not sent: 24 hours have passed since the person last wrote, after which WhatsApp takes templates only; {remedy}"
        ),
        disposition: SendDisposition::Dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_written_as_its_name_and_language() {
        let template = Template::try_from(" late_reply/en_US ".to_owned()).unwrap();
        assert_eq!((&*template.name, &*template.language), ("late_reply", "en_US"));
        for bad in ["", "late_reply", "/en", "late_reply/", "late reply/en", "a/b/c"] {
            let message = Template::try_from(bad.to_owned()).unwrap_err();
            assert!(message.contains("late_reply/en_US"), "{bad}: {message}");
        }
    }
}
