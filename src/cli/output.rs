//! What commands print on standard output: lines, tables and JSON.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

use crate::telemetry::lines;

/// The narrowest that a column is made.
const NARROWEST: usize = 6;

/// Prints a line.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// Prints a value as JSON.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&lines::tame_json(&serde_json::to_string_pretty(value)?))
}

/// Prints a table: on a terminal as wide as that is, elsewhere whole.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let width = io::stdout()
        .is_terminal()
        .then(terminal_size::terminal_size)
        .flatten();
    let width = width.map(|(terminal_size::Width(columns), _)| usize::from(columns));
    line(&layout(head, rows, width))
}

/// Prints names and values, one pair a line.
pub(super) fn fields(pairs: &[(&str, &str)]) -> anyhow::Result<()> {
    let width = pairs.iter().map(|(name, _)| length(name)).max().unwrap_or(0);
    pairs
        .iter()
        .try_for_each(|(name, value)| line(&format!("{}  {}", padded(name, width), tame(value))))
}

/// Whether the error is that the reader of our output has gone (`| head`), which is its right.
pub(super) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The text without what a terminal would obey: strangers wrote it.
pub(super) fn tame(text: &str) -> String {
    text.chars()
        .map(|c| if lines::steers(c) { ' ' } else { c })
        .collect()
}

fn layout(head: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let head: Vec<String> = head.iter().map(|title| title.to_uppercase()).collect();
    let rows = rows.iter().map(|row| row.iter().map(|cell| tame(cell)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = lines[0].len();
    let mut widths: Vec<usize> = (0..columns).map(|column| widest(&lines, column)).collect();
    if let Some(width) = width {
        fit(&mut widths, width);
    }
    let lines = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| padded(cell, *width));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn widest(lines: &[Vec<String>], column: usize) -> usize {
    lines.iter().map(|line| length(&line[column])).max().unwrap_or(0)
}

/// Takes from the widest column until all fit; two spaces stand between columns.
fn fit(widths: &mut [usize], width: usize) {
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        match widths.iter_mut().max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => break,
        }
    }
}

fn length(text: &str) -> usize {
    text.graphemes(true).count()
}

fn padded(text: &str, width: usize) -> String {
    let length = length(text);
    if length <= width {
        return format!("{text}{}", " ".repeat(width - length));
    }
    text.graphemes(true)
        .take(width.saturating_sub(1))
        .chain(["…"])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        vec![
            vec!["a".into(), "short".into()],
            vec!["bb".into(), "a very long reason".into()],
        ]
    }

    #[test]
    fn a_table_stands_in_columns() {
        assert_eq!(
            layout(&["id", "why"], &rows(), None),
            "ID  WHY\na   short\nbb  a very long reason"
        );
    }

    #[test]
    fn a_table_fits_the_terminal() {
        let text = layout(&["id", "why"], &rows(), Some(14));
        assert_eq!(text, "ID  WHY\na   short\nbb  a very lo…");
        assert!(text.lines().all(|line| length(line) <= 14), "{text}");
    }

    #[test]
    fn what_strangers_wrote_does_not_steer_the_terminal() {
        assert_eq!(
            layout(&["x"], &[vec!["a\u{1b}[2Jb\n\u{9b}c".into()]], None),
            "X\na [2Jb  c"
        );
    }
}
