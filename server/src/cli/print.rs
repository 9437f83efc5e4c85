//! What commands write: data on standard output, as aligned tables for people or as JSON for programs, and words on
//! standard error.
//!
//! Texts in tables may be what a stranger's token claimed, so nothing in them reaches the terminal as a command to it.

use std::io::{self, Write as _};

use serde::Serialize;

use super::CommandError;

/// Between two columns.
const GAP: &str = "  ";

/// Writes one line of data.
pub fn line(text: &str) -> Result<(), CommandError> {
    // Whoever read it (`head`, for instance) may have seen enough.
    flowing(text).map(drop)
}

/// Writes one line of data; says whether there is still somebody who reads it.
pub fn flowing(text: &str) -> Result<bool, CommandError> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::new(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(true),
    }
}

/// The cells of one row in a line of its own, where the rows that follow are not known yet.
pub fn row(cells: &[String]) -> String {
    cells.iter().map(|cell| harmless(cell)).collect::<Vec<_>>().join(GAP).trim_end().to_owned()
}

/// Writes a value as one line of JSON.
pub fn json(value: &impl Serialize) -> Result<(), CommandError> {
    line(&serde_json::to_string(value)?)
}

/// Writes rows under headings; nothing at all when there are no rows.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> Result<(), CommandError> {
    if rows.is_empty() {
        return Ok(());
    }
    line(&aligned(headings, rows))
}

/// Writes names and values, one a line.
pub fn fields(fields: &[(&str, String)]) -> Result<(), CommandError> {
    let rows: Vec<Vec<String>> = fields.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect();
    line(&columns(&rows))
}

/// Tells the person at the terminal something.
pub fn note(sentence: &str) {
    eprintln!("vitals: {sentence}");
}

fn aligned(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut all = vec![headings.iter().map(|heading| heading.to_uppercase()).collect()];
    all.extend(rows.iter().cloned());
    columns(&all)
}

fn columns(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| harmless(cell)).collect()).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            cells.join(GAP).trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

/// The text in one line, without control characters and without marks that turn the direction of writing.
fn harmless(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() || turns(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_without_spaces() {
        let rows = [row(&["mercy", "Mercy Höspital", ""]), row(&["st-anne", "A", "x"])];
        assert_eq!(
            aligned(&["id", "name", "note"], &rows),
            "ID       NAME            NOTE\nmercy    Mercy Höspital\nst-anne  A               x"
        );
    }

    #[test]
    fn no_cell_speaks_to_the_terminal() {
        let cases = [
            ("plain – ünï", "plain – ünï"),
            ("two\nlines\there", "two lines here"),
            ("\u{1b}[2J\u{7}", "\u{fffd}[2J\u{fffd}"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("abc\u{202e}def", "abc\u{fffd}def"),
        ];
        for (text, shown) in cases {
            assert_eq!(harmless(text), shown);
        }
    }
}
