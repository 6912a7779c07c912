//! The journal as people read it: a heading for each place, then who said what, and for each answer the time it took.

use std::fmt::Write;
use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation;

use super::journal::{Entry, Speaker};

/// How far the words stand from the edge.
const INDENT: usize = 13;

/// The least room for words, however narrow the terminal is.
const NARROWEST: usize = 24;

/// The widest that lines are made: longer ones are hard to read.
const WIDEST: usize = 100;

/// What the agent is called.
const AGENT: &str = "Assistant";

/// How a transcript looks.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// How many characters a line has.
    pub width: usize,
    /// Whether the terminal shows colours.
    pub colours: bool,
}

/// Writes a transcript, entry by entry.
#[derive(Debug)]
pub struct Transcript {
    style: Style,
    place: Option<String>,
}

impl Transcript {
    /// An empty one.
    pub fn new(style: Style) -> Self {
        Self { style, place: None }
    }

    /// The lines of the next entry, with a heading if it was said elsewhere than the one before.
    pub fn lines(&mut self, entry: &Entry) -> String {
        let mut lines = String::new();
        if self.place.as_ref() != Some(&entry.place.key) {
            let heading = format!("{} · {}", entry.place.platform, tame(&entry.place.label));
            let _ = writeln!(lines, "\n{}", self.paint("1", &heading));
            self.place = Some(entry.place.key.clone());
        }
        let (name, colour) = match &entry.speaker {
            Speaker::Person(name) => (tame(name), "36"),
            Speaker::Agent => (AGENT.to_owned(), "32"),
        };
        let name = shorten(&name, INDENT - 4);
        let room = self.style.width.min(WIDEST).saturating_sub(INDENT).max(NARROWEST);
        let took = entry.took.map(|took| format!("({})", duration(took)));
        for (index, line) in wrap(&entry.text, took.as_deref(), room).iter().enumerate() {
            if index == 0 {
                let gap = " ".repeat(INDENT - 2 - name.graphemes(true).count());
                let _ = write!(lines, "  {}{gap}", self.paint(colour, &name));
            } else if !line.is_empty() {
                lines.push_str(&" ".repeat(INDENT));
            }
            match took
                .as_deref()
                .and_then(|took| line.strip_suffix(took).map(|rest| (rest, took)))
            {
                Some((rest, took)) => {
                    let _ = writeln!(lines, "{rest}{}", self.paint("2", took));
                }
                None => {
                    let _ = writeln!(lines, "{line}");
                }
            }
        }
        lines
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.style.colours {
            format!("\u{1b}[{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A duration as people say it: `4 ms`, `1.21 s`.
pub fn duration(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis().max(1))
    } else {
        format!("{:.2} s", took.as_secs_f64())
    }
}

/// A paragraph of prose, in lines of at most `width` characters.
pub fn paragraph(text: &str, width: usize) -> String {
    wrap(text, None, width.clamp(NARROWEST, WIDEST)).join("\n")
}

/// Breaks a text between words into lines of at most `width` characters; a word that is longer stands alone. The
/// `note` comes behind the last word and is not broken.
fn wrap(text: &str, note: Option<&str>, width: usize) -> Vec<String> {
    let text = text.trim_end();
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = tame(line);
        lines.push(String::new());
        line.split_whitespace()
            .for_each(|word| add(&mut lines, word, width));
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    if let Some(note) = note {
        add(&mut lines, note, width);
    }
    lines
}

fn add(lines: &mut Vec<String>, word: &str, width: usize) {
    let length = |text: &str| text.graphemes(true).count();
    match lines.last_mut() {
        Some(line) if line.is_empty() => line.push_str(word),
        Some(line) if length(line) + 1 + length(word) <= width => {
            line.push(' ');
            line.push_str(word);
        }
        _ => lines.push(word.to_owned()),
    }
}

/// A name in at most `width` characters.
fn shorten(name: &str, width: usize) -> String {
    if name.graphemes(true).count() <= width {
        return name.to_owned();
    }
    name.graphemes(true).take(width - 1).chain(["…"]).collect()
}

/// The text without what a terminal would obey.
fn tame(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::journal::{Journal, Place, Platform};

    fn transcript(colours: bool) -> String {
        let place = |key: &str| Place {
            platform: Platform::Slack,
            key: key.to_owned(),
            label: "#support".to_owned(),
        };
        let journal = Journal::default();
        journal.person(
            "Anna",
            place("a"),
            "1",
            "When are you open, and where is the shop?",
        );
        journal.answer(place("a"), "2", "Monday.\n\nTo \u{1b}[2JFriday.");
        journal.person("Ben", place("b"), "3", "Hi");
        let mut transcript = Transcript::new(Style { width: 40, colours });
        let entries = journal.entries();
        entries.iter().map(|entry| transcript.lines(entry)).collect()
    }

    #[test]
    fn every_place_has_its_heading_and_lines_fit() {
        let text = transcript(false);
        let expected = "\nSlack · #support\n  Anna       When are you open, and\n             where is the shop?\n  \
                        Assistant  Monday.\n\n             To [2JFriday. (1 ms)\n\nSlack · #support\n  Ben        Hi\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn colours_are_only_for_those_who_want_them() {
        assert!(transcript(true).contains("\u{1b}[36mAnna\u{1b}[0m"));
        assert!(!transcript(false).contains('\u{1b}'));
    }

    #[test]
    fn times_are_short() {
        assert_eq!(duration(Duration::from_micros(40)), "1 ms");
        assert_eq!(duration(Duration::from_millis(17)), "17 ms");
        assert_eq!(duration(Duration::from_millis(1214)), "1.21 s");
    }
}
