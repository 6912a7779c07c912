//! Reading the JSON that platforms post, so that nothing in one item costs the others anything.
//!
//! Every text that a platform sends comes in by [`read`], or by [`plain`] where it posts a form. So this is where the
//! character NUL goes, which databases do not take and nobody means: no text behind this, be it words, an id or a part of
//! a key, holds it.
//!
//! A webhook carries what people typed. Some of it is legal JSON that `serde_json` refuses as a whole: half a surrogate
//! pair (`"\ud83d"` alone, the end of a text that somebody cut through an emoji), a number beyond a double's range, a
//! list in a list in a list. A signed request that is refused for it comes again and again and is lost in the end, with
//! everything beside it. Such a value is read as good as can be.

use serde_json::Value;

/// How deep lists and objects may stand in one another; what is deeper is read as null. No platform comes near, and
/// `serde_json` itself ends at 128.
const DEEPEST: usize = 100;

/// How JSON writes the character NUL; as it stands it is allowed nowhere.
const NUL: &[u8] = b"\\u0000";

/// Reads a body; none if it is not JSON.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    let read = serde_json::from_slice(body)
        .ok()
        .or_else(|| serde_json::from_slice(&mended(body)?).ok())?;
    let may_hold_nul = memchr::memmem::find(body, NUL).is_some();
    Some(if may_hold_nul { without_nul(read) } else { read })
}

/// A text without the character NUL.
pub(super) fn plain(mut text: String) -> String {
    text.retain(|c| c != '\0');
    text
}

fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(text)),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(fields) => {
            let field = |(name, value)| (plain(name), without_nul(value));
            Value::Object(fields.into_iter().map(field).collect())
        }
        other => other,
    }
}

/// The body with what cannot be held replaced: lone surrogates by U+FFFD, what is too deep and numbers without bounds
/// by null. None if there is nothing of the kind. What is no JSON stays so.
fn mended(body: &[u8]) -> Option<Vec<u8>> {
    let mut mender = Mender {
        body,
        at: 0,
        out: Vec::with_capacity(body.len()),
        changed: false,
    };
    mender.mend()?;
    mender.changed.then_some(mender.out)
}

struct Mender<'a> {
    body: &'a [u8],
    at: usize,
    out: Vec<u8>,
    changed: bool,
}

impl Mender<'_> {
    /// Goes through all of it. None if brackets do not fit or a text does not end.
    fn mend(&mut self) -> Option<()> {
        // What closes each of the lists and objects that are open.
        let mut open = Vec::new();
        while let Some(&byte) = self.body.get(self.at) {
            // Below the deepest level everything is gone through, and only its ends are looked for.
            let kept = self.out.len();
            let hidden = open.len() > DEEPEST;
            match byte {
                b'"' => self.text()?,
                b'[' | b'{' => {
                    open.push(if byte == b'[' { b']' } else { b'}' });
                    if open.len() == DEEPEST + 1 {
                        self.replace(1, b"null");
                        continue;
                    }
                    self.copy(1);
                }
                b']' | b'}' => {
                    (open.pop()? == byte).then_some(())?;
                    self.copy(1);
                }
                b'-' | b'0'..=b'9' => self.number(),
                _ => self.copy(1),
            }
            if hidden {
                self.out.truncate(kept);
            }
        }
        open.is_empty().then_some(())
    }

    /// Takes over so many bytes.
    fn copy(&mut self, count: usize) {
        let end = self.body.len().min(self.at + count);
        self.out.extend_from_slice(&self.body[self.at..end]);
        self.at = end;
    }

    /// Puts something in the place of so many bytes.
    fn replace(&mut self, count: usize, by: &[u8]) {
        self.out.extend_from_slice(by);
        self.at += count;
        self.changed = true;
    }

    /// A text, with its quotes.
    fn text(&mut self) -> Option<()> {
        self.copy(1);
        loop {
            match *self.body.get(self.at)? {
                b'"' => {
                    self.copy(1);
                    return Some(());
                }
                b'\\' => self.escape(),
                _ => self.copy(1),
            }
        }
    }

    fn escape(&mut self) {
        match unit(self.body, self.at) {
            Some(0xd800..=0xdbff) if matches!(unit(self.body, self.at + 6), Some(0xdc00..=0xdfff)) => {
                self.copy(12);
            }
            Some(0xd800..=0xdfff) => self.replace(6, b"\\ufffd"),
            _ => self.copy(2),
        }
    }

    fn number(&mut self) {
        let rest = &self.body[self.at..];
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
            .unwrap_or(rest.len());
        let value = std::str::from_utf8(&rest[..length])
            .ok()
            .and_then(|text| text.parse::<f64>().ok());
        if value.is_some_and(f64::is_infinite) {
            self.replace(length, b"null");
        } else {
            self.copy(length);
        }
    }
}

/// The UTF-16 unit of the escape `\uXXXX` that begins here, if one does.
fn unit(body: &[u8], at: usize) -> Option<u32> {
    let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// For tests: each text with the character NUL in it.
#[cfg(test)]
pub(super) fn sprinkled(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let mut text = text.clone();
            text.insert(text.chars().next().map_or(0, char::len_utf8), '\0');
            Value::String(text + "\0")
        }
        Value::Array(items) => items.iter().map(sprinkled).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), sprinkled(value)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn half_an_emoji_costs_one_character() {
        let body = br#"{"a":"x\ud83d","b":"\ude00\ud83d\ude00\\ud83d","c":"\uD83D\uD83D\uDE00","\ud83d":1}"#;
        let expected = json!({"a": "x\u{fffd}", "b": "\u{fffd}😀\\ud83d", "c": "\u{fffd}😀", "\u{fffd}": 1});
        assert_eq!(read(body), Some(expected));
    }

    #[test]
    fn what_is_too_deep_costs_itself() {
        let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        for depth in [99, 100, 500, 100_000] {
            let body = format!(r#"{{"a":"]}}","deep":{},"b":[{{"c":"\"["}}]}}"#, deep(depth));
            let value = read(body.as_bytes()).unwrap();
            assert_eq!(
                (&value["a"], &value["b"]),
                (&json!("]}"), &json!([{"c": "\"["}])),
                "{depth}"
            );
        }
        let objects = format!(r"[{}1{},2]", r#"{"x":"#.repeat(300), "}".repeat(300));
        assert_eq!(read(objects.as_bytes()).unwrap()[1], 2);
    }

    #[test]
    fn a_number_without_bounds_is_none() {
        let body = br#"{"a":1e999,"b":[-1E+400,2.5e3,"1e999"],"c":18446744073709551616}"#;
        let value = read(body).unwrap();
        assert_eq!(value["a"], json!(null));
        assert_eq!(value["b"], json!([null, 2500.0, "1e999"]));
        assert!(value["c"].is_number());
    }

    #[test]
    fn what_is_not_json_stays_so() {
        let deep = "[".repeat(100_000);
        for body in [
            &b"{"[..],
            b"",
            b"{\"a\":\"\\ud83d",
            b"[1e999",
            b"[1e999}",
            b"1e999-",
            b"[nul,1e999]",
            b"\xff",
            b"{\"a\":\"\xff\"}",
            b"\\",
            deep.as_bytes(),
        ] {
            assert_eq!(read(body), None, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn no_text_and_no_name_holds_a_nul() {
        let body =
            br#"{"a\u0000":["x\u0000\u0000y",{"\u0000":"\u0000"}],"b":"\\u0000","c":"\\\u0000\ud83d"}"#;
        let expected = json!({"a": ["xy", {"": ""}], "b": "\\u0000", "c": "\\\u{fffd}"});
        assert_eq!(read(body), Some(expected));
        assert_eq!(plain("\0a\0".to_owned()), "a");
    }

    proptest! {
        #[test]
        fn what_is_json_is_read_as_it_is(text in "[^\0]*", number in any::<i64>()) {
            let value = json!({"a": [text, {"b": number, "c": [-0.25e3, null, true]}]});
            let body = value.to_string();
            prop_assert_eq!(read(body.as_bytes()), Some(value));
            // The mending changes nothing of it either.
            let body = format!("[{body},1e999]");
            prop_assert_eq!(&read(body.as_bytes()).unwrap()[0].to_string(), &body[1..body.len() - 7]);
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in "[\\[\\]{}\"\\\\a-fu0-9,:.e+-]{0,60}") {
            let strict = serde_json::from_str::<Value>(&body).ok();
            if strict.is_some() {
                prop_assert_eq!(read(body.as_bytes()), strict.map(without_nul));
            } else {
                let _ = read(body.as_bytes());
            }
        }
    }
}
