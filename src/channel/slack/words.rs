//! Slack's text as a person would read it: what an agent can understand.
//!
//! Slack writes mentions, channels and links as `<…>` and escapes `&`, `<` and `>` (docs.slack.dev, "Formatting text
//! for app surfaces").

/// A text, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// The words, without the mentions of the bot.
    pub(super) text: String,
    /// Whether the bot is mentioned.
    pub(super) mentions_bot: bool,
    /// Whether somebody else is: a person or a group.
    pub(super) mentions_other: bool,
}

/// Reads a text. `is_bot` tells which user id is the bot's.
pub(super) fn read(text: &str, is_bot: impl Fn(&str) -> bool) -> Words {
    let mut words = Words::default();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        words.text.push_str(&unescape(&rest[..start]));
        let inside = &rest[start + 1..];
        match inside.find(['<', '>']) {
            Some(end) if inside[end..].starts_with('>') => {
                rest = &inside[end + 1..];
                if token(&inside[..end], &is_bot, &mut words) {
                    rest = close_gap(&words.text, rest);
                }
            }
            // Not what Slack writes: left as it stands.
            _ => {
                words.text.push('<');
                rest = inside;
            }
        }
    }
    words.text.push_str(&unescape(rest));
    words.text = words.text.trim().to_owned();
    words
}

/// Takes in what stood between `<` and `>`. True if it was the bot's mention, of which nothing is left.
fn token(inside: &str, is_bot: &impl Fn(&str) -> bool, words: &mut Words) -> bool {
    let (head, label) = match inside.split_once('|') {
        Some((head, label)) => (head, Some(label).filter(|label| !label.is_empty())),
        None => (inside, None),
    };
    let read = match head.as_bytes().first() {
        Some(b'@') if is_bot(&head[1..]) => {
            words.mentions_bot = true;
            return true;
        }
        Some(b'@') => {
            words.mentions_other = true;
            named('@', &head[1..], label)
        }
        Some(b'#') => named('#', &head[1..], label),
        Some(b'!') => {
            words.mentions_other |= head.starts_with("!subteam^");
            special(&head[1..], label)
        }
        _ => link(head, label),
    };
    words.text.push_str(&unescape(&read));
    false
}

/// A person or a channel: by name where there is one.
fn named(mark: char, id: &str, label: Option<&str>) -> String {
    let name = label.unwrap_or(id);
    format!("{mark}{}", name.strip_prefix(mark).unwrap_or(name))
}

/// `!here`, `!channel`, `!everyone`, `!subteam^ID`, `!date^…`: the label is what Slack shows where it cannot do more.
fn special(command: &str, label: Option<&str>) -> String {
    match (command, label) {
        ("here" | "channel" | "everyone", _) => format!("@{command}"),
        (_, Some(label)) => label.to_owned(),
        (_, None) => format!("@{}", command.split('^').nth(1).unwrap_or(command)),
    }
}

/// A link: the address alone where the label says nothing more.
fn link(address: &str, label: Option<&str>) -> String {
    let bare = ["mailto:", "tel:"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme));
    let Some(label) = label else {
        return bare.unwrap_or(address).to_owned();
    };
    if let Some(bare) = bare {
        return if label == bare {
            label.to_owned()
        } else {
            format!("{label} ({bare})")
        };
    }
    let without_scheme = address.split_once("://").map_or(address, |(_, rest)| rest);
    if label == address || label.trim_end_matches('/') == without_scheme.trim_end_matches('/') {
        address.to_owned()
    } else {
        format!("{label} ({address})")
    }
}

/// After a mention was cut out: no double space is left, and no comma or colon at the very beginning.
fn close_gap<'a>(before: &str, mut rest: &'a str) -> &'a str {
    let at_start = before.trim().is_empty();
    if at_start && let Some(after) = rest.strip_prefix([',', ':']) {
        // ":smile:" is no punctuation.
        if after.is_empty() || after.starts_with(char::is_whitespace) {
            rest = after;
        }
    }
    if at_start || before.ends_with(char::is_whitespace) {
        rest.strip_prefix(' ').unwrap_or(rest)
    } else {
        rest
    }
}

/// `&lt;`, `&gt;` and `&amp;`, each once: `&amp;lt;` is the text `&lt;`.
pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&')]
            .into_iter()
            .find(|(name, _)| rest.starts_with(name));
        let (name, character) = entity.unwrap_or(("&", '&'));
        plain.push(character);
        rest = &rest[name.len()..];
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channel::slack::render;

    fn words(text: &str) -> String {
        read(text, |id| id == "UBOT").text
    }

    #[test]
    fn reads_as_a_person_would() {
        for (slack, plain) in [
            ("<@UBOT> hello", "hello"),
            ("<@UBOT|bot>: hello", "hello"),
            ("<@UBOT>, hello", "hello"),
            ("<@UBOT>:smile: hi", ":smile: hi"),
            ("hey <@UBOT> can you", "hey can you"),
            ("can you, <@UBOT>?", "can you, ?"),
            ("<@UBOT>", ""),
            (" <@UBOT> <@UBOT> \n", ""),
            ("ask <@U2> or <@U3|ann>", "ask @U2 or @ann"),
            (
                "see <#C1|general> and <#C2> and <#C3|>",
                "see #general and #C2 and #C3",
            ),
            ("<!channel> <!here|here> <!everyone>", "@channel @here @everyone"),
            ("<!subteam^S1|@sales> <!subteam^S2>", "@sales @S2"),
            ("<!date^1392734382^{date}|18 Feb 2014>", "18 Feb 2014"),
            ("<https://a.example/x?a=1&amp;b=2>", "https://a.example/x?a=1&b=2"),
            ("<https://a.example/x|the shop>", "the shop (https://a.example/x)"),
            ("<http://a.example|a.example>", "http://a.example"),
            ("<mailto:a@b.example|a@b.example>", "a@b.example"),
            ("<mailto:a@b.example|Ann>", "Ann (a@b.example)"),
            ("<tel:+123|123>", "123 (+123)"),
            ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
            ("&amp;lt; &quot; & &", "&lt; &quot; & &"),
            ("a < b", "a < b"),
            ("a <b <@UBOT> c", "a <b c"),
            ("<>", ""),
            ("line\n\n<@UBOT> two", "line\n\ntwo"),
        ] {
            assert_eq!(words(slack), plain, "{slack:?}");
        }
    }

    #[test]
    fn tells_who_is_meant() {
        for (text, bot, other) in [
            ("<@UBOT> hi", true, false),
            ("<@U2> hi", false, true),
            ("<@UBOT> ask <@U2>", true, true),
            ("<!subteam^S1>", false, true),
            ("<!here> <#C1>", false, false),
            ("@UBOT &lt;@UBOT&gt;", false, false),
        ] {
            let read = read(text, |id| id == "UBOT");
            assert_eq!((read.mentions_bot, read.mentions_other), (bot, other), "{text}");
        }
    }

    proptest! {
        /// What a person types comes back as typed, whatever it is: Slack escapes it and we read it.
        #[test]
        fn escaped_text_is_read_as_it_was(text in "[^\0]*") {
            let slack = render::escape(&text);
            prop_assert_eq!(words(&slack), text.trim());
        }

        #[test]
        fn no_text_is_too_strange(text in "[<>&@#!|^: a-zUBOT\0]*") {
            let read = read(&text, |id| id == "UBOT");
            prop_assert_eq!(read.text.trim(), &read.text);
        }
    }
}
