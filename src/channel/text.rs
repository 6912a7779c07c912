//! Splitting of text that goes to people.

mod blocks;

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Splits a text into parts that each measure at most `limit`, in order and without losing a word.
///
/// A cut is made between paragraphs if that is possible, else between lines, sentences, words and, as the last
/// resort, graphemes. A better place is preferred to a later one if the part is then at least half full or no further
/// part comes of it, since each part is a message that somebody gets and perhaps pays for. The white space at a cut
/// is dropped, and so is that at both ends of the text; no part is empty, so a blank text has no parts. A number
/// written with spaces, or an address, is cut only if it does not fit in a part by itself. So are code between fences
/// and a list.
///
/// `measure` is additive over concatenation up to rounding: UTF-16 units, characters, characters after escaping.
/// Only a single character that measures more than `limit` makes a part larger than it.
pub fn split(text: &str, limit: usize, measure: impl Fn(&str) -> usize) -> Vec<String> {
    let whole = trim(text);
    let fits = |block: &Range<usize>| measure(&whole[block.clone()]) <= limit;
    let blocks: Vec<_> = blocks::of(whole).into_iter().filter(fits).collect();
    let mut rest = whole;
    let mut left = measure(rest);
    let mut parts = Vec::new();
    while !rest.is_empty() {
        if left <= limit && measure(rest) <= limit {
            parts.push(rest.to_owned());
            break;
        }
        let from = whole.len() - rest.len();
        let Some(window) = Window::scan(rest, limit, &measure, |at| tears(&blocks, from + at)) else {
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

/// Whether a cut at this offset would tear one of these blocks, which are in order.
fn tears(blocks: &[Range<usize>], at: usize) -> bool {
    let next = blocks.partition_point(|block| block.end <= at);
    blocks.get(next).is_some_and(|block| block.start < at)
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
    /// Looks at as much of `rest` as fits; none if all of it does. `tears` tells of a place where no cut is to be made.
    fn scan(
        rest: &str,
        limit: usize,
        measure: &impl Fn(&str) -> usize,
        tears: impl Fn(usize) -> bool,
    ) -> Option<Self> {
        let mut window = Self {
            cuts: [None; PLACES],
            ends: Vec::new(),
        };
        let mut used = 0;
        let mut before = "";
        for (at, grapheme) in rest.grapheme_indices(true) {
            if at > 0
                && let Some(place) = place_between(before, &rest[..at], &rest[at..])
                && !tears(at)
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
        let mut bounds = rest[..ahead].split_word_bound_indices().map(|(at, _)| at);
        let word = bounds.rfind(|at| *at <= end);
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
mod tests;
