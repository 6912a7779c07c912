//! Splitting of text that goes to people.

use unicode_segmentation::UnicodeSegmentation;

/// Splits a text into parts that each measure at most `limit`, in order and without losing a word.
///
/// A cut is made between paragraphs if that is possible, else between lines, sentences, words and, as the last
/// resort, graphemes. A better place is preferred to a later one if the part is then at least half full or no further
/// part comes of it, since each part is a message that somebody gets and perhaps pays for. The white space at a cut
/// is dropped, and so is that at both ends of the text; no part is empty, so a blank text has no parts. A number
/// written with spaces, or an address, is cut only if it does not fit in a part by itself.
///
/// `measure` is additive over concatenation up to rounding: UTF-16 units, characters, characters after escaping.
/// Only a single character that measures more than `limit` makes a part larger than it.
pub fn split(text: &str, limit: usize, measure: impl Fn(&str) -> usize) -> Vec<String> {
    let mut rest = trim(text);
    let mut left = measure(rest);
    let mut parts = Vec::new();
    while !rest.is_empty() {
        if left <= limit && measure(rest) <= limit {
            parts.push(rest.to_owned());
            break;
        }
        let Some(window) = Window::scan(rest, limit, &measure) else {
            // The rest fits after all: the sum over its graphemes was too careful.
            parts.push(rest.to_owned());
            break;
        };
        let cut = window.cut(rest, limit, left, &measure);
        parts.push(trim(&rest[..cut]).to_owned());
        left = left.saturating_sub(measure(&rest[..cut]));
        rest = trim_start(&rest[cut..]);
    }
    parts
}

/// The places where a text may be cut without harm, the best first.
#[derive(Clone, Copy)]
enum Place {
    Paragraph,
    Line,
    Sentence,
    Word,
}

/// How many kinds of [`Place`] there are.
const PLACES: usize = 4;

/// How much of a run of white space is looked at to tell what it separates; the run may be as long as the text.
const LONGEST_GAP: usize = 64;

/// A place to cut: its offset, and the measure of what stands before it.
#[derive(Clone, Copy)]
struct Cut {
    at: usize,
    used: usize,
}

/// What fits at the beginning of a text, and where that may be cut.
struct Window {
    /// The last place of each kind.
    cuts: [Option<Cut>; PLACES],
    /// The ends of the graphemes that fit, or of the characters if not even one grapheme does; never empty.
    ends: Vec<usize>,
}

impl Window {
    /// Looks at as much of `rest` as fits; none if all of it does.
    fn scan(rest: &str, limit: usize, measure: &impl Fn(&str) -> usize) -> Option<Self> {
        let mut window = Self {
            cuts: [None; PLACES],
            ends: Vec::new(),
        };
        let mut used = 0;
        let mut before = "";
        for (at, grapheme) in rest.grapheme_indices(true) {
            if at > 0
                && let Some(place) = place_between(before, &rest[..at], &rest[at..])
            {
                window.cuts[place as usize] = Some(Cut { at, used });
            }
            used += measure(grapheme);
            if used > limit {
                if at == 0 {
                    window.ends = ends_of_chars(grapheme, limit, measure);
                }
                window.keep_within(rest, limit, measure);
                return Some(window);
            }
            window.ends.push(at + grapheme.len());
            before = grapheme;
        }
        None
    }

    /// Gives up ends and places that only seemed to fit, because the measure of the whole is more than the sum.
    fn keep_within(&mut self, rest: &str, limit: usize, measure: &impl Fn(&str) -> usize) {
        while let [.., _, end] = self.ends[..]
            && measure(&rest[..end]) > limit
        {
            self.ends.pop();
        }
        let end = self.end();
        for cut in &mut self.cuts {
            cut.take_if(|cut| cut.at > end);
        }
    }

    /// The end of what fits.
    fn end(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Where to cut. `left` is the measure of all of `rest`.
    fn cut(&self, rest: &str, limit: usize, left: usize, measure: &impl Fn(&str) -> usize) -> usize {
        let parts = |size: usize| size.div_ceil(limit.max(1));
        let good = |cut: &&Cut| cut.used * 2 >= limit || parts(left.saturating_sub(cut.used)) < parts(left);
        if let Some(cut) = self.cuts.iter().flatten().find(good) {
            return cut.at;
        }
        let latest = self.cuts.iter().flatten().map(|cut| cut.at).max();
        match latest {
            Some(at) if first_word_fits(trim_start(&rest[at..]), limit, measure) => at,
            _ => self.cut_inside(rest),
        }
    }

    /// Where to cut what has no white space in a useful place: before an address, between words of a script that
    /// writes none between them, else anywhere between graphemes.
    fn cut_inside(&self, rest: &str) -> usize {
        let end = self.end();
        let whole = |at: &usize| *at > 0 && self.ends.binary_search(at).is_ok();
        if let Some(start) = address_across(rest, end) {
            return Some(start).filter(whole).unwrap_or(end);
        }
        // One grapheme more shows whether a word ends just here.
        let ahead = end + rest[end..].graphemes(true).next().map_or(0, str::len);
        let bounds = rest[..ahead].split_word_bound_indices().map(|(at, _)| at);
        let word = bounds.filter(|at| *at <= end).next_back();
        word.filter(|at| at * 2 >= end).filter(whole).unwrap_or(end)
    }
}

/// What kind of place lies between two neighbouring graphemes, if any: `before` is the first of them, the last of
/// `head`; `tail` begins with the second.
fn place_between(before: &str, head: &str, tail: &str) -> Option<Place> {
    let next = tail.graphemes(true).next()?;
    if is_blank(before) {
        return None;
    }
    if !is_blank(next) {
        let ends = before.starts_with(['。', '！', '？']);
        return (ends && !next.starts_with(CLOSING)).then_some(Place::Sentence);
    }
    let mut newlines = 0;
    let mut after = None;
    for grapheme in tail.graphemes(true).take(LONGEST_GAP) {
        if !is_blank(grapheme) {
            after = grapheme.chars().next();
            break;
        }
        newlines += usize::from(grapheme.contains('\n'));
    }
    let digits = before.ends_with(|c: char| c.is_ascii_digit()) && after.is_some_and(|c| c.is_ascii_digit());
    let sentence = head
        .trim_end_matches(CLOSING)
        .ends_with(['.', '!', '?', '…', '。', '！', '？'])
        && !after.is_some_and(char::is_lowercase);
    match newlines {
        0 if digits => None,
        0 if sentence => Some(Place::Sentence),
        0 => Some(Place::Word),
        1 => Some(Place::Line),
        _ => Some(Place::Paragraph),
    }
}

/// What may stand between the end of a sentence and the white space behind it.
const CLOSING: [char; 9] = ['"', '\'', ')', ']', '”', '’', '»', '」', '）'];

/// Whether everything up to the next white space fits into one part.
fn first_word_fits(text: &str, limit: usize, measure: &impl Fn(&str) -> usize) -> bool {
    let mut used = 0;
    for grapheme in text.graphemes(true).take_while(|grapheme| !is_blank(grapheme)) {
        used += measure(grapheme);
        if used > limit {
            return false;
        }
    }
    true
}

/// Where the address (`https://…`) begins that a cut at `end` would tear.
fn address_across(text: &str, end: usize) -> Option<usize> {
    if !text[end..].starts_with(|c: char| c.is_ascii_graphic()) {
        return None;
    }
    let token = text[..end].trim_end_matches(|c: char| c.is_ascii_graphic()).len();
    let colon = token + text[token..end].find("://")?;
    let scheme = text[token..colon]
        .trim_end_matches(|c: char| c.is_ascii_alphabetic())
        .len();
    Some(token + scheme)
}

/// The ends of the characters of a grapheme that fit; at least the first one's.
fn ends_of_chars(grapheme: &str, limit: usize, measure: &impl Fn(&str) -> usize) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut used = 0;
    for (at, char) in grapheme.char_indices() {
        let end = at + char.len_utf8();
        used += measure(&grapheme[at..end]);
        if used > limit && at > 0 {
            break;
        }
        ends.push(end);
    }
    ends
}

/// Whether a grapheme is nothing but white space. One that carries an accent is not.
fn is_blank(grapheme: &str) -> bool {
    grapheme.chars().all(char::is_whitespace)
}

/// Without the white space at both ends, whole graphemes at a time.
fn trim(text: &str) -> &str {
    let text = trim_start(text);
    let blank: usize = text
        .graphemes(true)
        .rev()
        .take_while(|grapheme| is_blank(grapheme))
        .map(str::len)
        .sum();
    &text[..text.len() - blank]
}

/// Without the white space at its beginning, whole graphemes at a time.
fn trim_start(text: &str) -> &str {
    let blank: usize = text
        .graphemes(true)
        .take_while(|grapheme| is_blank(grapheme))
        .map(str::len)
        .sum();
    &text[blank..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chars(text: &str) -> usize {
        text.chars().count()
    }

    fn units(text: &str) -> usize {
        text.encode_utf16().count()
    }

    #[test]
    fn what_fits_stays_whole() {
        assert_eq!(split("  one\n\ntwo ", 20, chars), ["one\n\ntwo"]);
        assert_eq!(split("abcde", 5, chars), ["abcde"]);
    }

    #[test]
    fn a_blank_text_has_no_parts() {
        assert!(split("", 10, chars).is_empty());
        assert!(split(" \n\t\u{a0} ", 2, chars).is_empty());
    }

    #[test]
    fn cuts_between_paragraphs_first() {
        let text = "One. Two.\nThree.\n\nFour is here. And five.";
        assert_eq!(
            split(text, 25, chars),
            ["One. Two.\nThree.", "Four is here. And five."]
        );
        assert_eq!(
            split("A.\n\n12345678", 9, chars),
            ["A.", "12345678"],
            "no further part comes of it"
        );
    }

    #[test]
    fn then_between_lines_sentences_and_words() {
        assert_eq!(split("one two\nthree four", 12, chars), ["one two", "three four"]);
        assert_eq!(
            split("It really is so. Then (it is not.) Why not?", 20, chars),
            ["It really is so.", "Then (it is not.)", "Why not?"]
        );
        assert_eq!(split("one two three four", 10, chars), ["one two", "three four"]);
        assert_eq!(
            split("e.g. this goes on and on", 16, chars),
            ["e.g. this goes", "on and on"]
        );
    }

    #[test]
    fn a_tiny_first_paragraph_costs_no_message_of_its_own() {
        let text = format!("Hi.\n\n{}", "word ".repeat(40));
        let parts = split(&text, 100, chars);
        assert_eq!(parts.len(), 3);
        assert!(parts[0].starts_with("Hi.\n\nword"));
    }

    #[test]
    fn cuts_scripts_without_spaces_after_a_sentence_or_between_words() {
        assert_eq!(
            split("今日は晴れです。明日は雨です。", 10, chars),
            ["今日は晴れです。", "明日は雨です。"]
        );
        let parts = split(&"漢字".repeat(30), 16, chars);
        assert!(
            parts.iter().all(|part| chars(part) <= 16) && parts.len() <= 5,
            "{parts:?}"
        );
    }

    #[test]
    fn keeps_addresses_and_numbers_whole() {
        let url = "https://shop.example/a/b?c=d-e_f";
        assert_eq!(
            split(&format!("see {url} for more"), 34, chars),
            ["see", url, "for more"]
        );
        assert_eq!(split(&format!("見て{url}"), 33, chars), ["見て", url]);
        assert_eq!(
            split("It costs just 1 234 567 euros", 20, chars),
            ["It costs just", "1 234 567 euros"]
        );
        assert_eq!(
            split("It costs just about 12,345.67 euros", 26, chars),
            ["It costs just about", "12,345.67 euros"]
        );
    }

    #[test]
    fn keeps_graphemes_whole_while_they_fit() {
        let family = "👩‍👩‍👧‍👦";
        assert_eq!(units(family), 11);
        let parts = split(&family.repeat(5), 23, units);
        assert_eq!(parts, [family.repeat(2), family.repeat(2), family.to_owned()]);
        assert_eq!(split(family, 4, units).concat(), family);
    }

    #[test]
    fn ends_even_where_nothing_fits() {
        assert_eq!(split("abc", 0, chars), ["a", "b", "c"]);
        let escaped = |text: &str| text.chars().map(|c| if c == '&' { 5 } else { 1 }).sum();
        assert_eq!(split("a&b", 3, escaped), ["a", "&", "b"]);
    }

    #[test]
    fn a_measure_that_is_not_quite_additive_is_kept_too() {
        let padded = |text: &str| text.chars().count() + text.len() / 10;
        let parts = split(&"word ".repeat(50), 25, padded);
        assert!(parts.iter().all(|part| padded(part) <= 25), "{parts:?}");
    }

    #[test]
    fn large_texts_are_split_in_about_linear_time() {
        for text in [
            "word ".repeat(200_000),
            "x".repeat(1_000_000),
            " ".repeat(999_999) + "x",
            "a\n\n".repeat(330_000),
        ] {
            let parts = split(&text, 4096, units);
            assert!(parts.len() <= text.len() / 2048 + 1, "{}", parts.len());
        }
        let gap = format!(
            "{}{}{}",
            "a ".repeat(3000),
            " ".repeat(900_000),
            "b ".repeat(3000)
        );
        assert_eq!(
            split(&gap, 4096, units).join(" ").split_whitespace().count(),
            6000
        );
    }

    fn without_blanks(text: &str) -> Vec<&str> {
        text.graphemes(true)
            .filter(|grapheme| !is_blank(grapheme))
            .collect()
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_everything_fits(
            text in r"(\PC|[ \n\t]|[a-z]{1,8}[.!?,]? |👩‍👩‍👧|e\u{301}|https://[a-z/.]{1,20} |[0-9]{1,4} ){0,120}",
            limit in 12usize..80,
        ) {
            let parts = split(&text, limit, units);
            let mut kept = Vec::new();
            for part in &parts {
                prop_assert!(units(part) <= limit, "{part:?}");
                prop_assert_eq!(trim(part), part.as_str());
                prop_assert!(!part.is_empty());
                kept.extend(without_blanks(part));
            }
            if text.graphemes(true).any(|grapheme| units(grapheme) > limit) {
                let bare = |text: &str| text.split_whitespace().collect::<String>();
                prop_assert_eq!(bare(&parts.concat()), bare(&text));
            } else {
                prop_assert_eq!(kept, without_blanks(&text));
            }
        }

        #[test]
        fn any_text_is_split_at_any_limit(text in any::<String>(), limit in 0usize..9) {
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            let parts = split(&text, limit, chars);
            prop_assert_eq!(bare(&parts.concat()), bare(&text));
            prop_assert!(parts.iter().all(|part| chars(part) <= limit.max(1)));
        }
    }
}
