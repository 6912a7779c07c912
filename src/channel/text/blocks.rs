//! What should stay together when a text is split: code between fences, and lists.

use std::ops::Range;

/// What opens and closes a stretch of code.
const FENCES: [&str; 2] = ["```", "~~~"];

/// The most digits of a number in front of an item.
const LONGEST_NUMBER: usize = 3;

/// The stretches of a text that should stay whole, in order; the line breaks at their edges are not part of them.
pub(super) fn of(text: &str) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    let mut fence: Option<(&str, usize)> = None;
    let mut list: Option<Range<usize>> = None;
    for (start, line) in lines(text) {
        let end = start + line.trim_end().len();
        let bare = line.trim_start();
        let mark = FENCES.into_iter().find(|mark| bare.starts_with(mark));
        match (fence, mark) {
            (Some((open, from)), Some(mark)) if mark == open => {
                blocks.push(from..end);
                fence = None;
            }
            (Some(_), _) => {}
            (None, Some(mark)) => {
                blocks.extend(list.take());
                fence = Some((mark, start));
            }
            (None, None) if is_item(bare) => {
                list = Some(list.map_or(start..end, |list| list.start..end));
            }
            // A line that is indented goes on with its item.
            (None, None) if bare.len() < line.len() && !bare.is_empty() && list.is_some() => {
                list = list.map(|list| list.start..end);
            }
            (None, None) => blocks.extend(list.take()),
        }
    }
    blocks.extend(list);
    blocks
}

/// The lines and where they begin.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line)
    })
}

/// Whether a line is an item: `- one`, `* one`, `• one`, `1. one`, `1) one`.
fn is_item(line: &str) -> bool {
    let after = |rest: &str| rest.starts_with([' ', '\t']);
    if let Some(rest) = line.strip_prefix(['-', '*', '+', '•', '–']) {
        return after(rest);
    }
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = line.len() - rest.len();
    (1..=LONGEST_NUMBER).contains(&digits) && rest.strip_prefix(['.', ')']).is_some_and(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Vec<&str> {
        of(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn fences_and_lists_are_found() {
        assert_eq!(
            whole("Do this:\n```sh\nls - a\n\n- b\n```\nand\n- one\n  more\n* two\n\nend 1. x"),
            ["```sh\nls - a\n\n- b\n```", "- one\n  more\n* two"]
        );
        assert_eq!(whole("1. one\n12) two\n2026. a year\n"), ["1. one\n12) two"]);
        assert_eq!(whole("-no\n1.5 no\n* yes"), ["* yes"]);
        assert_eq!(whole("~~~\n```\n~~~\n"), ["~~~\n```\n~~~"]);
        assert_eq!(whole("- a\n```\nb\n```"), ["- a", "```\nb\n```"]);
    }

    #[test]
    fn a_fence_without_an_end_is_none() {
        assert!(whole("```\nnever closed\n\nmore").is_empty());
        assert!(whole("").is_empty());
    }
}
