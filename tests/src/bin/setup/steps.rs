//! A table of steps, each run whatever became of the others, and a table of results at the end.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use super::{system::in_ci, test_run::Counts};

/// End of a step.
pub enum Outcome {
    /// Nothing is wrong.
    Passed,
    /// Nothing is wrong; the implementation it ran on, and what ran there.
    Ran { on: String, did: String },
    /// How many tests did what, and whether that is well.
    Tested(Counts, Result<(), String>),
    /// Something is wrong.
    Failed(String),
    /// Something it needs is missing. In CI that is a failure.
    Missing(String),
    /// There is nothing for it to do, or it is one that may be left out anywhere.
    Nothing(String),
}

/// One row of a table of steps.
pub struct Step {
    /// The name to select it by.
    pub name: &'static str,
    /// Its use, in a line.
    pub what: &'static str,
    /// The step itself.
    pub run: fn() -> Outcome,
}

/// Runs the steps named, or all, and prints the table of results; `--list` prints the steps. `record` sees each step with
/// its outcome.
pub fn run_steps(
    command: &str,
    steps: &[Step],
    names: &[&str],
    mut record: impl FnMut(&Step, &Outcome),
) -> ExitCode {
    if names == ["--list"] {
        for step in steps {
            eprintln!("{:<10} {}", step.name, step.what);
        }
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| !steps.iter().any(|step| step.name == **name))
    {
        eprintln!("{command}: no step is called {unknown:?}; `{command} --list` shows them");
        return ExitCode::from(2);
    }
    let mut table = format!("\n{:<10} {:<9} {:>7}\n", "step", "result", "seconds");
    let mut all_well = true;
    let mut tests = None;
    for step in steps
        .iter()
        .filter(|step| names.is_empty() || names.contains(&step.name))
    {
        eprintln!("\n== {}: {}", step.name, step.what);
        let start = Instant::now();
        let outcome = (step.run)();
        if let Outcome::Tested(counts, _) = &outcome {
            tests = Some(*counts);
        }
        record(step, &outcome);
        let (result, reason) = verdict(outcome, in_ci());
        all_well &= result != "FAILED";
        table += &row(step.name, result, start.elapsed(), &reason);
    }
    eprint!("{table}");
    if let Some(Counts {
        passed,
        failed,
        skipped,
    }) = tests
    {
        eprintln!("\ntests: {passed} passed, {failed} failed, {skipped} skipped");
    }
    if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A word for the table, and the reason where there is one.
fn verdict(outcome: Outcome, in_ci: bool) -> (&'static str, String) {
    match outcome {
        Outcome::Passed | Outcome::Tested(_, Ok(())) => ("passed", String::new()),
        Outcome::Ran { on, did } => ("passed", format!("{on}: {did}")),
        Outcome::Failed(reason) | Outcome::Tested(_, Err(reason)) => ("FAILED", reason),
        Outcome::Missing(reason) if in_ci => ("FAILED", reason),
        Outcome::Missing(reason) | Outcome::Nothing(reason) => ("skipped", reason),
    }
}

fn row(name: &str, result: &str, time: Duration, reason: &str) -> String {
    let reason = reason.replace('\n', "\n    ");
    format!(
        "{name:<10} {result:<9} {:>7.1}  {reason}",
        time.as_secs_f64()
    )
    .trim_end()
    .to_owned()
        + "\n"
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Outcome {
        result.map_or_else(Outcome::Failed, |()| Outcome::Passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_fails_in_ci_and_is_skipped_elsewhere() {
        let missing = || Outcome::Missing("no tool".to_owned());
        assert_eq!(verdict(missing(), true).0, "FAILED");
        assert_eq!(verdict(missing(), false).0, "skipped");
        assert_eq!(verdict(Outcome::Nothing(String::new()), true).0, "skipped");
    }

    #[test]
    fn failed_tests_fail_the_step() {
        let tested = Outcome::Tested(Counts::default(), Err("1 failed".to_owned()));
        assert_eq!(verdict(tested, false), ("FAILED", "1 failed".to_owned()));
    }

    #[test]
    fn a_row_holds_name_result_and_seconds() {
        let line = row("lint", "FAILED", Duration::from_millis(1250), "two\nlines");
        assert_eq!(line, "lint       FAILED        1.2  two\n    lines\n");
    }
}
