//! Lenient reading of JSON: a field of the wrong type is as good as missing.

use serde_json::Value;

/// The text in this field.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// What somebody wrote, in this field: trimmed.
pub(super) fn words(value: &Value, name: &str) -> Option<String> {
    Some(text(value, name)?.trim().to_owned())
}

/// An identifier or number in this field, as text, whether it is written as a string or as a number.
pub(super) fn scalar(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrong_type_is_as_good_as_missing() {
        let value = serde_json::json!({"a": 7, "b": [1], "c": " a b "});
        assert_eq!(text(&value, "a"), None);
        assert_eq!(scalar(&value, "a").as_deref(), Some("7"));
        assert_eq!(scalar(&value, "b"), None);
        assert_eq!(scalar(&Value::Null, "b"), None);
        assert_eq!(words(&value, "c").as_deref(), Some("a b"));
    }
}
