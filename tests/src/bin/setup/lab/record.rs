//! Results of the lab in `tests/results/lab.json`: a row for each step that was ever run, which its next run replaces.
//! README's table is made from it.

use std::{fs, path::PathBuf};

use super::super::{
    steps::Outcome,
    system::{output, program, root},
};

/// One step's last run.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    step: String,
    /// The row as a line of JSON.
    line: String,
}

impl Row {
    /// The row of a step that ran; None for one that was left out.
    pub fn new(step: &str, outcome: &Outcome) -> Option<Row> {
        let (result, on, did) = match outcome {
            Outcome::Ran { on, did } => ("passed", on.as_str(), did.as_str()),
            Outcome::Failed(reason) => ("failed", "", reason.lines().next().unwrap_or_default()),
            _ => return None,
        };
        let date = output(program("date").args(["-u", "+%F"])).unwrap_or_default();
        let commit = output(program("git").args(["rev-parse", "--short", "HEAD"]));
        let fields = [
            ("step", step),
            ("result", result),
            ("on", on),
            ("did", did),
            ("date", &date),
            ("commit", &commit.unwrap_or_default()),
        ];
        let fields = fields.map(|(key, value)| format!("\"{key}\": {}", quoted(value)));
        Some(Row {
            step: step.to_owned(),
            line: format!("{{ {} }}", fields.join(", ")),
        })
    }

    /// The row that a line of the file holds, where it holds one.
    fn read(line: &str) -> Option<Row> {
        let line = line.trim().trim_end_matches(',');
        let step = line.strip_prefix("{ \"step\": \"")?.split('"').next()?;
        Some(Row {
            step: step.to_owned(),
            line: line.to_owned(),
        })
    }
}

/// Replaces the rows of the steps that ran.
pub fn keep(rows: Vec<Row>) -> Result<(), String> {
    if rows.is_empty() {
        return Ok(());
    }
    let path = path();
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(&path, merged(&before, rows)).map_err(|error| format!("{}: {error}", path.display()))
}

fn path() -> PathBuf {
    root().join("tests/results/lab.json")
}

fn merged(before: &str, rows: Vec<Row>) -> String {
    let mut all: Vec<Row> = before.lines().filter_map(Row::read).collect();
    for row in rows {
        match all.iter_mut().find(|old| old.step == row.step) {
            Some(old) => *old = row,
            None => all.push(row),
        }
    }
    let lines: Vec<String> = all
        .into_iter()
        .map(|row| format!("  {}", row.line))
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut all = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => all.extend(['\\', character]),
            control if control < ' ' => all.push(' '),
            other => all.push(other),
        }
    }
    all + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_replaces_the_rows_of_its_steps_and_no_others() {
        let row = |step: &str, result: &str| Row {
            step: step.to_owned(),
            line: format!(r#"{{ "step": "{step}", "result": "{result}" }}"#),
        };
        let first = merged("", vec![row("mesa", "failed"), row("deno", "passed")]);
        let second = merged(&first, vec![row("mesa", "passed"), row("dxc", "passed")]);
        let rows: Vec<Row> = second.lines().filter_map(Row::read).collect();
        let expected = [("mesa", "passed"), ("deno", "passed"), ("dxc", "passed")];
        assert_eq!(rows, expected.map(|(step, result)| row(step, result)));
    }

    #[test]
    fn what_a_program_printed_stays_one_string() {
        assert_eq!(quoted("a \"b\"\n\\c"), r#""a \"b\" \\c""#);
    }
}
