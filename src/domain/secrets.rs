//! Hiding what looks like a secret in words that others wrote: an error of a platform may repeat the token that it
//! refuses.

/// What stands in the place of a secret.
const HIDDEN: &str = "[hidden]";

/// How tokens begin that are recognised however short they are: Slack's (docs.slack.dev, "Tokens": `xoxb-`, `xoxp-`,
/// `xoxe.`, `xapp-`), and the access tokens of Meta's Graph API, which all begin with `EAA`.
const PREFIXES: [&str; 3] = ["xox", "xapp-", "EAA"];

/// So long a word with small letters, capitals and digits was not made by a person.
const RANDOM: usize = 24;

/// So long a word of hexadecimal digits is a key. (An id of ours has hyphens.)
const HEX: usize = 32;

/// The text without what looks like a secret.
pub fn hidden(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut shown = String::with_capacity(text.len());
    let (mut rest, mut bearer) = (text, false);
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if is_secret(word) || bearer && !word.is_empty() {
            shown.push_str(HIDDEN);
        } else {
            shown.push_str(word);
        }
        if !word.is_empty() {
            bearer = word == "Bearer";
        }
        let next = after.find(is_part).unwrap_or(after.len());
        shown.push_str(&after[..next]);
        rest = &after[next..];
    }
    shown
}

fn is_secret(word: &str) -> bool {
    let has = |is: fn(&u8) -> bool| word.as_bytes().iter().any(is);
    let begins = PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    let random = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit);
    let hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    begins && word.len() > 6 || word.len() >= RANDOM && random || word.len() >= HEX && hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_hidden() {
        for (text, shown) in [
            ("token xoxb-1-abc refused", "token [hidden] refused"),
            ("xoxe.xoxp-1-Mi0yLTE", "xoxe.[hidden]"),
            ("access_token=EAAGm0PX4ZCpsBA&x=1", "access_token=[hidden]&x=1"),
            ("Authorization: Bearer abc", "Authorization: Bearer [hidden]"),
            ("key 0123456789abcdef0123456789ABCDEF!", "key [hidden]!"),
            ("lc_A7f3kQ9zLmN2pR5tV8wX1yB4", "[hidden]"),
        ] {
            assert_eq!(hidden(text), shown);
        }
    }

    #[test]
    fn plain_words_stay() {
        for text in [
            "",
            "the platform took none of the attempts",
            "part 0198c2d4-5e6f-7a8b-9c0d-1e2f3a4b5c6d.d1 waited longer than turn.max_age",
            "131047: Re-engagement message; https://graph.facebook.com/v26.0/106540352242922/messages",
            "the bearer of bad news, größer",
        ] {
            assert_eq!(hidden(text), text);
        }
    }
}
