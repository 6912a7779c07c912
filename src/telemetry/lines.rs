//! Text of strangers among our own lines: nothing of it steers a terminal, and nothing of it begins a line.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

/// Whether a character does more than show: what a terminal obeys, what begins a line for some reader, and what turns
/// the direction of the writing (Unicode's explicit directional formatting, UAX #9, 2).
pub fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text on one line, with such characters written out (`\n`, `\u{1b}`).
pub fn written_out(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// JSON in which nothing stands as it is that steers; the line breaks between its tokens stay. The value is the same.
pub fn tame_json(json: &str) -> Cow<'_, str> {
    let wild = |c: char| c != '\n' && steers(c);
    if !json.contains(wild) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        if wild(c) {
            // All of them stand in Unicode's first plane.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// How the lines of a log are made harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dress {
    /// Text without colours.
    Plain,
    /// Text with colours of our own; the formatter has written out what else a terminal would take for one.
    Coloured,
    /// JSON.
    Json,
}

/// Writes the events of a log, each with one call and on one line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines<M> {
    make: M,
    dress: Dress,
}

impl<M> Lines<M> {
    pub(super) fn new(make: M, dress: Dress) -> Self {
        Self { make, dress }
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Lines<M> {
    type Writer = Lines<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Lines {
            make: self.make.make_writer(),
            dress: self.dress,
        }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        let line = match self.dress {
            Dress::Json => tame_json(line),
            Dress::Plain => written_out(line),
            Dress::Coloured => line
                .split('\u{1b}')
                .map(written_out)
                .collect::<Vec<_>>()
                .join("\u{1b}")
                .into(),
        };
        // In one piece with its end: others write at the same time, and what comes in between would be glued to it.
        match line {
            Cow::Borrowed(_) => self.make.write_all(text.as_bytes())?,
            Cow::Owned(line) => self.make.write_all((line + end).as_bytes())?,
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.make.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "a\u{1b}[2J\n\r\u{9b}\u{7f}\u{202e}\u{2028}z ü 👩‍👩‍👧";

    #[test]
    fn what_steers_is_written_out_and_the_rest_stays() {
        assert_eq!(
            written_out(EVIL),
            r"a\u{1b}[2J\n\r\u{9b}\u{7f}\u{202e}\u{2028}z ü 👩‍👩‍👧"
        );
        assert!(matches!(written_out("plain ü"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"a": EVIL, EVIL: [1]});
        let json = serde_json::to_string_pretty(&value).unwrap();
        let tame = tame_json(&json);
        assert!(!tame.contains(|c| c != '\n' && steers(c)), "{tame:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&tame).unwrap(), value);
    }

    /// What it was given, call by call.
    #[derive(Default)]
    struct Calls(Vec<Vec<u8>>);

    impl Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_written_with_one_call() {
        for dress in [Dress::Plain, Dress::Coloured, Dress::Json] {
            let mut lines = Lines::new(Calls::default(), dress);
            for event in ["tame\n", "wild \u{9b}\n"] {
                lines.write_all(event.as_bytes()).unwrap();
            }
            let calls = &lines.make.0;
            assert_eq!(calls.len(), 2, "{dress:?}");
            assert!(calls.iter().all(|call| call.ends_with(b"\n")), "{dress:?}");
        }
    }

    #[test]
    fn an_event_is_one_line() {
        for (dress, colour) in [
            (Dress::Plain, ""),
            (Dress::Coloured, "\u{1b}[2m"),
            (Dress::Json, ""),
        ] {
            let mut lines = Lines::new(Vec::new(), dress);
            lines
                .write_all(format!("{colour}x a\u{9b}b\rc\u{2028}\n").as_bytes())
                .unwrap();
            let text = String::from_utf8(lines.make).unwrap();
            assert!(
                text.starts_with(&format!("{colour}x a")) && text.ends_with('\n'),
                "{text:?}"
            );
            let inside = &text[colour.len()..text.len() - 1];
            assert!(!inside.contains(steers), "{dress:?}: {text:?}");
        }
        let mut lines = Lines::new(Vec::new(), Dress::Plain);
        lines.write_all(b"one\ntwo\n").unwrap();
        assert_eq!(lines.make, b"one\\ntwo\n");
    }
}
