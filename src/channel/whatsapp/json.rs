//! Lenient reading of JSON: a field of the wrong type is as good as missing.

use serde_json::Value;

/// Reads a body; none if it is not JSON.
///
/// Half a surrogate pair (`"\ud83d"` alone, the end of a text that somebody cut through an emoji) is legal JSON that
/// no Rust text can hold. One such name must not cost the whole webhook, so it is read as U+FFFD.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body)
        .ok()
        .or_else(|| serde_json::from_slice(&without_lone_surrogates(body)?).ok())
}

/// The body with each lone surrogate escape replaced; none if there is none.
fn without_lone_surrogates(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = body.to_vec();
    let mut replaced = false;
    let mut at = 0;
    while at < out.len() {
        if out[at] != b'\\' {
            at += 1;
            continue;
        }
        match escape(&out, at) {
            Some(0xd800..=0xdbff) if matches!(escape(&out, at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                out[at + 2..at + 6].copy_from_slice(b"fffd");
                replaced = true;
                at += 6;
            }
            _ => at += 2,
        }
    }
    replaced.then_some(out)
}

/// The value of the escape `\uXXXX` that begins here, if one does.
fn escape(body: &[u8], at: usize) -> Option<u32> {
    let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// The text in this field.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// What somebody wrote, in this field: trimmed, and without the NUL characters that no database takes.
pub(super) fn words(value: &Value, name: &str) -> Option<String> {
    Some(text(value, name)?.replace('\0', "").trim().to_owned())
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
    fn half_an_emoji_costs_one_character() {
        let body = br#"{"a":"x\ud83d","b":"\ude00\ud83d\ude00\\ud83d","c":"\uD83D\uD83D\uDE00"}"#;
        let value = read(body).unwrap();
        assert_eq!(text(&value, "a"), Some("x\u{fffd}"));
        assert_eq!(text(&value, "b"), Some("\u{fffd}😀\\ud83d"));
        assert_eq!(text(&value, "c"), Some("\u{fffd}😀"));
    }

    #[test]
    fn what_is_not_json_stays_so() {
        let deep = "[".repeat(100_000);
        for body in [
            &b"{"[..],
            b"",
            b"{\"a\":\"\\ud83d",
            b"\xff",
            b"{\"a\":\"\xff\"}",
            b"\\",
            deep.as_bytes(),
        ] {
            assert_eq!(read(body), None);
        }
    }

    #[test]
    fn the_wrong_type_is_as_good_as_missing() {
        let value = read(br#"{"a":7,"b":[1],"c":" a\u0000b "}"#).unwrap();
        assert_eq!(text(&value, "a"), None);
        assert_eq!(scalar(&value, "a").as_deref(), Some("7"));
        assert_eq!(scalar(&value, "b"), None);
        assert_eq!(scalar(&Value::Null, "b"), None);
        assert_eq!(words(&value, "c").as_deref(), Some("ab"));
    }
}
