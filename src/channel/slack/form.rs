//! The bodies of commands and buttons: forms, not JSON.

use reqwest::Url;
use serde_json::Value;

use crate::channel::{Rejection, json};

/// A form as it was posted.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a body of the type `application/x-www-form-urlencoded`.
    pub(super) fn read(body: &[u8]) -> Result<Self, Rejection> {
        let malformed = Rejection::Malformed {
            code: "not_a_form",
            message: "the body is not a form",
        };
        // The address around it is only there because the parser wants a whole one.
        let (Ok(body), Ok(mut url)) = (std::str::from_utf8(body), Url::parse("http://form.invalid/")) else {
            return Err(malformed);
        };
        url.set_query(Some(body));
        let pairs = url.query_pairs();
        let fields: Vec<_> = pairs
            .map(|(name, value)| (name.into_owned(), json::plain(value.into_owned())))
            .collect();
        if body.contains('=') {
            Ok(Self(fields))
        } else {
            Err(malformed)
        }
    }

    /// The same form as Slack writes it where it sends JSON: an object.
    pub(super) fn of_object(object: &Value) -> Result<Self, Rejection> {
        let fields = object.as_object().ok_or(Rejection::Malformed {
            code: "not_an_object",
            message: "the command is not an object",
        })?;
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            _ => None,
        };
        let fields = fields
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), text(value)?)));
        Ok(Self(fields.collect()))
    }

    /// The first field of this name that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let field = fields.find(|(found, value)| found == name && !value.is_empty());
        field.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded() {
        let form = Form::read(b"text=a+b%26c%23%C3%A9#d&empty=&text=second").unwrap();
        assert_eq!(form.get("text"), Some("a b&c#\u{e9}#d"));
        assert_eq!((form.get("empty"), form.get("other")), (None, None));
    }

    #[test]
    fn an_object_is_the_same_form() {
        let object = serde_json::json!({"text": "a b", "flag": true, "none": null, "deep": {}, "empty": ""});
        let form = Form::of_object(&object).unwrap();
        let get = |name| form.get(name);
        assert_eq!((get("text"), get("flag")), (Some("a b"), Some("true")));
        assert_eq!((get("none"), get("deep"), get("empty")), (None, None, None));
        assert!(Form::of_object(&serde_json::json!(["text"])).is_err());
    }

    #[test]
    fn anything_else_is_malformed() {
        for body in [&b""[..], b"{}", b"\xff=1"] {
            assert!(Form::read(body).is_err(), "{body:?}");
        }
    }
}
