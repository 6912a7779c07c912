//! An answer as Slack's text: exactly what the agent wrote, and nothing of it alive.

use crate::channel::text;

/// The most characters of a part as it is posted, after escaping. docs.slack.dev advises no more than 4,000 and cuts
/// off beyond 40,000.
const PART: usize = 4_000;

/// What stands above the links of an answer.
const SOURCES: &str = "Sources:";

/// Escapes the three characters that Slack gives a meaning to, and no other (docs.slack.dev, "Formatting text for app
/// surfaces"). Mentions, channels and labelled links all begin with `<`: none can come alive.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// How many characters a text has once it is escaped.
fn measure(text: &str) -> usize {
    text.chars()
        .map(|character| match character {
            '&' => 5,
            '<' | '>' => 4,
            _ => 1,
        })
        .sum()
}

/// Renders an answer and the links that it rests on into the parts to post; at least one.
pub(super) fn parts(answer: &str, links: &[String]) -> Vec<String> {
    // Split first, escape then: no entity is cut in two.
    let parts = text::split(&with_sources(answer, links), PART, measure);
    let mut parts: Vec<String> = parts.iter().map(|part| escape(part)).collect();
    if parts.is_empty() {
        parts.push(String::new());
    }
    parts
}

/// The answer, and below it its links, each once and on a line of its own.
fn with_sources(answer: &str, links: &[String]) -> String {
    let mut sources: Vec<&str> = Vec::new();
    for link in links {
        let link = link.trim();
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if !link.is_empty() && !link.contains(odd) && !sources.contains(&link) {
            sources.push(link);
        }
    }
    if sources.is_empty() {
        answer.to_owned()
    } else {
        format!("{answer}\n\n{SOURCES}\n{}", sources.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn links(links: &[&str]) -> Vec<String> {
        links.iter().map(|link| (*link).to_owned()).collect()
    }

    #[test]
    fn exactly_three_characters_are_escaped() {
        assert_eq!(
            parts(
                "<!channel> & <@U1> *b* _i_ `c` ~s~ \"q\" &amp; <https://evil.example|your bank>",
                &[]
            ),
            [
                "&lt;!channel&gt; &amp; &lt;@U1&gt; *b* _i_ `c` ~s~ \"q\" &amp;amp; &lt;https://evil.example|your bank&gt;"
            ]
        );
    }

    #[test]
    fn links_are_listed_once_below() {
        assert_eq!(
            parts(
                "See there.",
                &links(&[
                    "https://a.example/?x=1&y=2",
                    " https://b.example ",
                    "https://b.example",
                    "",
                    "a b"
                ])
            ),
            ["See there.\n\nSources:\nhttps://a.example/?x=1&amp;y=2\nhttps://b.example"]
        );
        assert_eq!(parts("See there.", &links(&[" "])), ["See there."]);
        // What fuzzing found: no database and no address takes such a character.
        assert_eq!(
            parts("See there.", &links(&["https://a.example/\0"])),
            ["See there."]
        );
    }

    #[test]
    fn there_is_always_a_part() {
        assert_eq!(parts("", &[]).len(), 1);
    }

    #[test]
    fn a_part_has_at_most_4000_characters_as_posted() {
        let answer = "Fish & chips <hot>. ".repeat(600);
        let parts = parts(&answer, &[]);
        assert!(parts.len() > 3, "{}", parts.len());
        assert!(parts.iter().all(|part| part.chars().count() <= PART));
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&parts.join(" ")), words(&escape(&answer)));
    }

    proptest! {
        #[test]
        fn the_measure_is_that_of_what_is_posted(text in any::<String>()) {
            prop_assert_eq!(measure(&text), escape(&text).chars().count());
        }

        #[test]
        fn nothing_that_slack_reads_is_left(text in any::<String>()) {
            let posted = parts(&text, &[]).concat();
            prop_assert!(!posted.contains(['<', '>']));
            let bare = posted.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            prop_assert!(!bare.contains('&'));
        }
    }
}
