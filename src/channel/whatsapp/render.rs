//! From an answer to the parts that are sent: plain text, as the agent wrote it.

use std::fmt::Write;
use std::ops::Range;

use crate::channel::text;

/// The most that Meta takes in `text.body`, in UTF-16 units.
const LONGEST_PART: usize = 4096;

/// What stands above the links.
const SOURCES: &str = "Sources:";

/// U+200C, the zero-width non-joiner. It shows nowhere, and a mark behind it no longer stands behind a space or at
/// the start of a line, where formatting could begin. (It counts as a letter in Unicode's regular expressions.)
const SILENCER: char = '\u{200c}';

/// What is sent when nothing can be seen of an answer.
const NOTHING: &str = "…";

/// Renders an answer and its sources into at least one part.
pub(super) fn parts(answer: &str, links: &[String]) -> Vec<String> {
    let whole = with_sources(&tidy(answer), links);
    // Each part is charged, so a text that just fits is not split to be careful.
    let silenced = silence(&whole);
    if units(&silenced) <= LONGEST_PART && !whole.is_empty() {
        return vec![silenced];
    }
    // Counting every mark twice leaves room for whatever each part needs.
    let measure = |piece: &str| units(piece) + piece.chars().filter(|c| is_mark(*c)).count();
    let parts: Vec<String> = text::split(&whole, LONGEST_PART, measure)
        .iter()
        .map(|part| silence(part))
        .collect();
    if parts.is_empty() {
        vec![NOTHING.to_owned()]
    } else {
        parts
    }
}

/// The text in the units that Meta counts.
fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Without the control characters that nobody sees and Meta refuses; newlines and tabs stay.
fn tidy(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let kept: String = text
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect();
    kept.trim().to_owned()
}

/// The text with a list of the sources that it does not name itself.
fn with_sources(text: &str, links: &[String]) -> String {
    let mut whole = text.to_owned();
    let mut listed: Vec<String> = Vec::new();
    for link in links.iter().map(|link| tidy(link)) {
        if link.is_empty() || listed.contains(&link) || text.contains(&link) {
            continue;
        }
        if listed.is_empty() {
            let gap = if text.is_empty() { "" } else { "\n\n" };
            let _ = write!(whole, "{gap}{SOURCES}");
        }
        let _ = write!(whole, "\n{link}");
        listed.push(link);
    }
    whole
}

/// The characters that format what stands between two of them: bold, italic, struck out, monospaced.
const MARKS: [char; 4] = ['*', '_', '~', '`'];

fn is_mark(c: char) -> bool {
    MARKS.contains(&c)
}

/// Takes their power from marks that would format something, by a [`SILENCER`] before each mark that would begin it.
///
/// Formatting begins at a mark that stands behind no letter or digit and before no space, and ends at the same mark
/// behind no space and before no letter or digit, on the same line; three backticks also reach over lines. Every
/// other mark is left as it is, so `snake_case`, `2 * 3`, `a*b*c` and addresses are never touched.
fn silence(text: &str) -> String {
    if !text.contains(is_mark) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut done = 0;
    for run in live(runs_of_marks(text)) {
        out.push_str(&text[done..run.start]);
        for mark in text[run.start..run.end].chars() {
            out.push(SILENCER);
            out.push(mark);
        }
        done = run.end;
    }
    out.push_str(&text[done..]);
    out
}

/// Some equal marks in a row.
struct Run {
    /// Which of [`MARKS`].
    mark: usize,
    start: usize,
    end: usize,
    line: usize,
    /// Whether it is three backticks or more.
    fence: bool,
    begins: bool,
    ends: bool,
    /// Whether the outer ones of its marks would format the inner ones.
    ends_itself: bool,
    /// Whether it ends something when silencers stand in it, which are no spaces.
    ends_once_silenced: bool,
}

/// The runs that begin something which is also ended, in order.
fn live(mut runs: Vec<Run>) -> Vec<Run> {
    let mut ended_on_line = [false; MARKS.len()];
    let mut fenced = false;
    let mut line = usize::MAX;
    // From behind, so that it is known of each what follows it.
    for run in runs.iter_mut().rev() {
        if run.line != line {
            line = run.line;
            ended_on_line = [false; MARKS.len()];
        }
        run.begins &= ended_on_line[run.mark] || run.fence && fenced || run.ends_itself;
        ended_on_line[run.mark] |= run.ends || run.begins && run.ends_once_silenced;
        fenced |= run.fence;
    }
    runs.retain(|run| run.begins);
    runs
}

/// All runs of marks, in order.
fn runs_of_marks(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let (mut line, mut address_end) = (0, 0);
    let mut before = None;
    let mut chars = text.char_indices().peekable();
    while let Some((start, char)) = chars.next() {
        let Some(mark) = MARKS.iter().position(|mark| *mark == char) else {
            line += usize::from(char == '\n');
            if start >= address_end && ADDRESSES.iter().any(|begin| text[start..].starts_with(begin)) {
                address_end = start
                    + text[start..]
                        .find(char::is_whitespace)
                        .unwrap_or(text.len() - start);
            }
            before = Some(char);
            continue;
        };
        let mut end = start + 1;
        while chars.next_if(|(_, next)| *next == char).is_some() {
            end += 1;
        }
        let after = chars.peek().map(|(_, next)| *next);
        let run = Run::new(mark, start..end, line, before, after);
        runs.push(Run {
            begins: run.begins && start >= address_end,
            ..run
        });
        before = Some(char);
    }
    runs
}

impl Run {
    /// The run at `place`, between these two characters.
    fn new(mark: usize, place: Range<usize>, line: usize, before: Option<char>, after: Option<char>) -> Self {
        let long = place.len() >= 3;
        let letter_before = before.is_some_and(|c| c.is_alphanumeric() || c == SILENCER);
        let letter_after = after.is_some_and(char::is_alphanumeric);
        let space_after = after.is_none_or(char::is_whitespace);
        Self {
            mark,
            line,
            fence: long && MARKS[mark] == '`',
            begins: !letter_before && (!space_after || long),
            ends: !before.is_none_or(char::is_whitespace) && !letter_after,
            ends_itself: long && !letter_after,
            ends_once_silenced: place.len() >= 2 || !letter_after,
            start: place.start,
            end: place.end,
        }
    }
}

/// How an address of the web begins.
const ADDRESSES: [&str; 3] = ["http://", "https://", "www."];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn visible(text: &str) -> String {
        text.replace(SILENCER, "")
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        for text in [
            "Just a text.",
            "2 * 3 * 4 = 24, or 2*3*4",
            "snake_case_name and other_name_too",
            "about ~5 to ~10 days",
            "* one\n* two",
            "see https://shop.example/_a_/*b*?c=~d~ and www.x.example/_y_",
            "a `tick alone",
            "Der Preis (*) gilt ab 1. Mai",
            "1_000_000",
        ] {
            assert_eq!(parts(text, &[]), [text]);
        }
    }

    #[test]
    fn nothing_comes_alive_by_accident() {
        for (text, expected) in [
            ("*bold*", "|*bold*"),
            ("so (_so_)!", "so (|_so_)!"),
            ("~no~", "|~no~"),
            ("**twice**", "|*|*twice**"),
            ("*_both_*", "|*|_both_*"),
            ("`code`", "|`code`"),
            ("*https://shop.example/*", "|*https://shop.example/*"),
            ("*a* and *b*", "|*a* and |*b*"),
            ("***", "|*|*|*"),
            ("*", "*"),
            ("*one\ntwo*", "*one\ntwo*"),
            ("```sh\nrun\n```", "|`|`|`sh\nrun\n|`|`|`"),
            ("```\na = 1\n```", "|`|`|`\na = 1\n|`|`|`"),
        ] {
            let silenced = parts(text, &[]);
            assert_eq!(silenced, [expected.replace('|', "\u{200c}")], "{text}");
        }
    }

    #[test]
    fn sources_are_listed_once_and_only_if_not_named() {
        let links = ["https://a.example", "https://b.example", "https://a.example", " "].map(str::to_owned);
        assert_eq!(
            parts("Hi.", &links),
            ["Hi.\n\nSources:\nhttps://a.example\nhttps://b.example"]
        );
        assert_eq!(
            parts("See https://a.example", &links[..1]),
            ["See https://a.example"]
        );
    }

    /// What fuzzing found: a NUL in the address of a source, which neither Meta nor every database takes.
    #[test]
    fn control_characters_in_sources_are_left_out_too() {
        let links = ["https://a.example/_y_ 1\0 2\u{7}".to_owned(), "\0".to_owned()];
        assert_eq!(
            parts("Hi.", &links),
            ["Hi.\n\nSources:\nhttps://a.example/_y_ 1 2"]
        );
    }

    #[test]
    fn control_characters_are_left_out_and_something_is_always_sent() {
        assert_eq!(parts("a\0b\r\nc\u{7}\td ", &[]), ["ab\nc\td"]);
        assert_eq!(parts(" \n", &[]), ["…"]);
    }

    #[test]
    fn what_just_fits_is_one_part_and_more_is_several() {
        let text = format!("5 * 3 {}", "😀".repeat(2045));
        assert_eq!(units(&text), 4096);
        assert_eq!(parts(&text, &[]).len(), 1);
        assert_eq!(parts(&format!("{text}!"), &[]).len(), 2);
        let paragraphs = format!("{}\n\n{}", "a".repeat(3000), "b".repeat(3000));
        assert_eq!(parts(&paragraphs, &[]), ["a".repeat(3000), "b".repeat(3000)]);
    }

    proptest! {
        #[test]
        fn every_part_fits_and_reads_the_same(text in r"([*_~`]{0,4}[a-z ]{0,5}\n?){0,40}") {
            let long = text.repeat(60);
            let parts = parts(&long, &[]);
            prop_assert!(parts.iter().all(|part| units(part) <= LONGEST_PART));
            let bare = |text: &str| visible(text).split_whitespace().collect::<String>();
            let expected = if bare(&long).is_empty() { NOTHING.to_owned() } else { bare(&long) };
            prop_assert_eq!(bare(&parts.concat()), expected);
        }

        #[test]
        fn silencing_twice_changes_nothing_more(text in r"([*_~`]{0,4}[a-z ,]{0,5}\n?){0,20}") {
            let once = silence(&text);
            prop_assert_eq!(visible(&once), text);
            prop_assert_eq!(silence(&once), once);
        }
    }
}
