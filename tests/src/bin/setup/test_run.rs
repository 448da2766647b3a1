//! The one run of all tests, and its count. With cargo-nextest, which is installed where it is missing; where that fails,
//! with `cargo test`.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    thread,
};

use super::{
    drivers,
    system::{cargo, in_ci, shown},
    tools,
};

/// How many tests did what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Passed.
    pub passed: usize,
    /// Failed, ran out of time, or could not be started.
    pub failed: usize,
    /// Left out by a filter or `#[ignore]`.
    pub skipped: usize,
}

impl Counts {
    fn add(self, other: Counts) -> Counts {
        Counts {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// Runs every test once. The counts are there even when tests failed; no test at all is an error.
pub fn run_all() -> (Counts, Result<(), String>) {
    let mut command = runner();
    command
        .envs(drivers::environment())
        .env("CARGO_TERM_COLOR", "never");
    eprintln!("$ {}", shown(&command));
    let (counts, success) = match watched(&mut command) {
        Ok(seen) => seen,
        Err(error) => {
            return (
                Counts::default(),
                Err(format!("{}: {error}", shown(&command))),
            );
        }
    };
    let result = match counts {
        _ if !success => Err(format!(
            "{} of the tests failed, or they could not be run",
            counts.failed
        )),
        Counts {
            passed: 0,
            failed: 0,
            ..
        } => Err("no test was run".to_owned()),
        _ => Ok(()),
    };
    (counts, result)
}

/// cargo-nextest, which runs tests of all programs side by side and each in a process of its own; or else `cargo test`.
fn runner() -> Command {
    match tools::nextest() {
        Ok(mut command) => {
            command.args(["run", "--release", "--workspace"]);
            command.args(in_ci().then_some(["--profile", "ci"]).into_iter().flatten());
            command
        }
        Err(reason) => {
            eprintln!("{reason}: using `cargo test`, which takes longer");
            let mut command = cargo();
            command.args(CARGO_TEST);
            command
        }
    }
}

/// With as many threads as .config/nextest.toml allows tests on the GPU.
const CARGO_TEST: [&str; 9] = [
    "test",
    "--release",
    "--workspace",
    "--bins",
    "--lib",
    "--tests",
    "--no-fail-fast",
    "--",
    "--test-threads=2",
];

/// Runs the command, passes its lines on to stderr and counts what they report.
fn watched(command: &mut Command) -> std::io::Result<(Counts, bool)> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().expect("piped");
    let stderr = child.stderr.take().expect("piped");
    let reader = thread::spawn(move || count_lines(stdout));
    let counts = count_lines(stderr);
    let others = reader.join().expect("reading lines does not panic");
    let (nextest, libtest) = (counts.0.add(others.0), counts.1.add(others.1));
    // nextest shows the closing lines of the tests that failed again: its own summary has them all.
    let counts = if nextest == Counts::default() {
        libtest
    } else {
        nextest
    };
    Ok((counts, child.wait()?.success()))
}

/// Counts in nextest's summary, and the sum of those in libtest's closing lines; passes every line on to stderr.
pub fn count_lines(stream: impl Read) -> (Counts, Counts) {
    let mut all = (Counts::default(), Counts::default());
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        if let Some(counts) = counts_in(&line) {
            let of_nextest = line.trim_start().starts_with("Summary [");
            let sum = if of_nextest { &mut all.0 } else { &mut all.1 };
            *sum = sum.add(counts);
        }
    }
    all
}

/// Counts from a closing line: nextest's `Summary […] 3 tests run: 2 passed (1 slow), 1 failed, 0 skipped`, or
/// libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; …`, one for each binary.
fn counts_in(line: &str) -> Option<Counts> {
    let line = line.trim();
    let report = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None if line.starts_with("Summary [") => line.split_once(" run: ")?.1,
        None => return None,
    };
    let mut counts = Counts::default();
    for part in report.split([',', ';']) {
        let Some((number, what)) = part.trim().split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse::<usize>() else {
            continue;
        };
        match what.split(" (").next().unwrap_or(what) {
            "passed" => counts.passed += number,
            "failed" | "timed out" | "exec failed" => counts.failed += number,
            "skipped" | "ignored" => counts.skipped += number,
            _ => {}
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_closing_lines_are_counted() {
        let nextest = "     Summary [  12.5s] 9/12 tests run: 5 passed (2 slow), 2 failed, 1 timed out, 1 exec failed, 3 skipped";
        assert_eq!(
            counts_in(nextest),
            Some(Counts {
                passed: 5,
                failed: 4,
                skipped: 3
            })
        );
        let one = "     Summary [   0.0s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(
            counts_in(one),
            Some(Counts {
                passed: 1,
                ..Counts::default()
            })
        );
        let libtest = "test result: FAILED. 7 passed; 1 failed; 2 ignored; 0 measured; 4 filtered out; finished in 0.1s";
        assert_eq!(
            counts_in(libtest),
            Some(Counts {
                passed: 7,
                failed: 1,
                skipped: 2
            })
        );
    }

    #[test]
    fn what_nextest_repeats_is_counted_once() {
        let output = "test result: FAILED. 0 passed; 1 failed; 0 ignored\n Summary [ 1s] 3 tests run: 2 passed, 1 failed, 0 skipped\n";
        let (nextest, libtest) = count_lines(output.as_bytes());
        assert_eq!((nextest.passed, nextest.failed), (2, 1));
        assert_eq!(libtest.failed, 1);
    }

    #[test]
    fn other_lines_are_no_counts() {
        for line in [
            "",
            "3 passed",
            "test result: ok",
            "Summary [",
            "a test that prints: 9 tests run: 9 passed",
        ] {
            assert_eq!(counts_in(line), None, "{line}");
        }
    }
}
