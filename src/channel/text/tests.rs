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

#[test]
fn code_and_lists_stay_whole_where_they_fit() {
    let code = "```\nfirst line of code\n\nsecond line of code\n```";
    let text = format!("Some words before it.\n\n{code}\n\nAnd some words behind it.");
    assert_eq!(
        split(&text, 60, chars),
        ["Some words before it.", code, "And some words behind it."]
    );
    let list = "- one and more\n- two and more\n- three and more";
    let text = format!("These are the things that you need:\n{list}\nThat is all of them.");
    assert_eq!(
        split(&text, 70, chars),
        [
            "These are the things that you need:",
            &format!("{list}\nThat is all of them.")
        ]
    );
}

#[test]
fn a_list_that_is_too_long_is_cut_between_its_items() {
    let items: Vec<String> = (0..40).map(|n| format!("- item number {n} of many")).collect();
    let parts = split(&items.join("\n"), 200, chars);
    assert!(
        parts
            .iter()
            .all(|part| part.starts_with("- item") && part.ends_with("of many"))
    );
    assert_eq!(parts.join("\n"), items.join("\n"));
}
