//! Calls of the Graph API that did not do what they were to do, in words for the operator.

use std::fmt;

use http::StatusCode;
use serde_json::Value;

use super::super::{errors, json};
use crate::outbound::{Answer, Failure};

/// A call that did not do what it was to do.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No whole answer.
    Call(Failure),
    /// Meta says no.
    Refused {
        /// Meta's code.
        code: i64,
        /// Meta's words, without what should not be written down.
        words: String,
    },
    /// An answer that is none of the Graph API's.
    Garbled(StatusCode),
}

impl Trouble {
    /// Whether Meta does not accept the token at all.
    pub(super) fn is_token(&self) -> bool {
        matches!(self, Self::Refused { code: 0 | 190, .. })
    }

    /// What to do about it.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Call(_) => "see whether this machine reaches whatsapp.api_base: DNS, firewall, proxy",
            Self::Garbled(_) => "check whatsapp.api_base, whatsapp.api_version and any proxy on the way",
            Self::Refused { code: 0 | 190, .. } => {
                "make a new token for the system user (Business settings, Users, System users, Generate token), with \
                 expiration Never, and set whatsapp.access_token"
            }
            Self::Refused { code: 100, .. } => {
                "check the id, and that the system user has the WhatsApp account among its assets (Business settings, \
                 Users, System users, Assign assets)"
            }
            Self::Refused {
                code: 3 | 10 | 200..=299 | 131_005,
                ..
            } => {
                "give the system user the app and the WhatsApp account with full control, and its token the \
                 permissions whatsapp_business_messaging and whatsapp_business_management"
            }
            Self::Refused { code: 4 | 80_007, .. } => {
                "Meta counts too many calls in this hour: try again later"
            }
            Self::Refused { .. } => "look the code up in Meta's list of error codes",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(failure) => write!(f, "the Graph API {failure}"),
            // A token may stand in Meta's words about it, so those are left out.
            Self::Refused { code: 190 | 0, .. } => f.write_str("Meta does not accept the access token"),
            Self::Refused { code, words } => write!(f, "Meta refuses, code {code}: {words}"),
            Self::Garbled(status) => write!(f, "not an answer of the Graph API (HTTP {})", status.as_u16()),
        }
    }
}

/// What an answer holds, unless it is a refusal.
pub(super) fn read(answer: &Answer) -> Result<Value, Trouble> {
    let garbled = Trouble::Garbled(answer.status);
    let body = answer.json().filter(Value::is_object).ok_or(garbled)?;
    match body.get("error") {
        Some(error) => Err(Trouble::Refused {
            code: json::scalar(error, "code")
                .and_then(|code| code.parse().ok())
                .unwrap_or(-1),
            words: errors::words(error),
        }),
        None if answer.status.is_success() => Ok(body),
        None => Err(Trouble::Garbled(answer.status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_without_the_token() {
        let answer = |status: u16, body: &str| Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: http::HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        let told = |status, body| read(&answer(status, body)).unwrap_err();
        let token = told(
            401,
            r#"{"error":{"code":190,"message":"Cannot parse EAAsecretsecretsecret1234"}}"#,
        );
        assert!(token.is_token() && !token.to_string().contains("EAA"), "{token}");
        let unknown = told(400, r#"{"error":{"code":100,"message":"Object does not exist"}}"#);
        assert!(unknown.to_string().contains("Object does not exist"), "{unknown}");
        assert!(matches!(told(502, "<html>"), Trouble::Garbled(_)));
        assert!(matches!(told(404, "{}"), Trouble::Garbled(_)));
        assert!(read(&answer(200, "{}")).is_ok());
    }
}
