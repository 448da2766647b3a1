//! The only file that writes stdout: model text, `--json`, and the tables that are a verb's product.
//! Whoever reads stdout may leave at any time; that ends the program quietly, as success.

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    process::ExitCode,
};

use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    notes,
};

/// Writes `text` as it is and hands it on at once, so that tokens are seen as they come.
pub fn text(text: &str) -> Result {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::BrokenPipe,
        _ => Failure::io("stdout", error),
    })
}

/// Writes `text` and ends the line.
pub fn line(text: &str) -> Result {
    self::text(&format!("{text}\n"))
}

/// Whether a person reads stdout at a terminal.
pub fn terminal() -> bool {
    io::stdout().is_terminal()
}

/// Ends a line of model text for the reader at a terminal. A file or a pipe gets the model's text and nothing else.
pub fn end_of_text(last: &str) -> Result {
    if terminal() && !last.ends_with('\n') {
        text("\n")
    } else {
        Ok(())
    }
}

/// One JSON value on one line.
pub fn json(value: &impl Serialize) -> Result {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::Message(format!("--json: {error}")))?;
    line(&text)
}

/// Rows as aligned columns, two spaces apart.
pub fn table(rows: &[Vec<String>]) -> Result {
    text(&aligned(rows))
}

/// Prints the parser's message: help and version are asked for and go to stdout, usage errors to stderr (exit code 2).
pub fn parsing(error: &clap::Error) -> ExitCode {
    let _ = error.print(); // nobody reads it: nothing is left to do
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

fn aligned(rows: &[Vec<String>]) -> String {
    const CELL_MAX: usize = 240; // characters; format! panics at a width of 65,536
    let shown = |cell: &String| notes::visible(cell, CELL_MAX, "");
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(shown).collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let len = |row: &Vec<String>, column| {
        row.get(column)
            .map_or(0, |cell: &String| cell.chars().count())
    };
    let width = |column| rows.iter().map(|row| len(row, column)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(String::from).to_vec();
        assert_eq!(
            aligned(&[row(["é", "1"]), row(["long", "2"])]),
            "é     1\nlong  2\n"
        );
        assert_eq!(aligned(&[]), "");
    }

    #[test]
    fn a_cell_is_cut_and_commands_no_terminal() {
        let cells = aligned(&[vec!["x".repeat(70_000), "\u{1b}[31m".to_owned()]]);
        assert!(cells.len() < 300 && cells.contains("\\u{1b}[31m"));
        assert!(!cells.contains('\u{1b}'), "{cells:?}");
    }
}
