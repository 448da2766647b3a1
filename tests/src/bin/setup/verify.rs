//! `cargo verify`: a table of steps, each run whatever became of the others, and a table of results at the end.

use std::{
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use super::{
    system::{cargo, in_ci, lantern, output, program, root, run},
    test_run::{Counts, run_all},
    tools, wanted, wasm, web,
};

enum Outcome {
    Passed,
    Tested(Counts, Result<(), String>),
    Failed(String),
    /// Something it needs is missing. In CI that is a failure.
    Missing(String),
    /// There is nothing for it to do, or it is one that may be left out anywhere.
    Nothing(String),
}

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Outcome,
}

/// In an order that finds cheap mistakes first. The tests build once; every later step uses what they built.
const STEPS: [Step; 11] = [
    Step {
        name: "install",
        what: "install what is missing",
        run: install,
    },
    Step {
        name: "format",
        what: "sources are as rustfmt and prettier write them",
        run: format,
    },
    Step {
        name: "spelling",
        what: "no misspelt words",
        run: spelling,
    },
    Step {
        name: "build",
        what: "programs and tests, optimised",
        run: build,
    },
    Step {
        name: "model",
        what: "the default model is here",
        run: model,
    },
    Step {
        name: "test",
        what: "every test, on every software adapter",
        run: test,
    },
    Step {
        name: "doctest",
        what: "the examples in the documentation",
        run: doctest,
    },
    Step {
        name: "lint",
        what: "clippy and rustdoc have nothing to say, nor of an engine without its features",
        run: lint,
    },
    Step {
        name: "web",
        what: "the browser's half: wasm, the package, the page",
        run: web,
    },
    Step {
        name: "browser",
        what: "the package and the page, in Node and in a real browser",
        run: browser,
    },
    Step {
        name: "licences",
        what: "dependencies are ones we may ship",
        run: licences,
    },
];

/// Runs the steps named, or all.
pub fn verify(names: &[&str]) -> ExitCode {
    if names == ["--list"] {
        for step in &STEPS {
            eprintln!("{:<10} {}", step.name, step.what);
        }
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| !STEPS.iter().any(|step| step.name == **name))
    {
        eprintln!("cargo verify: no step is called {unknown:?}; `cargo verify --list` shows them");
        return ExitCode::from(2);
    }
    let mut table = format!("\n{:<10} {:<9} {:>7}\n", "step", "result", "seconds");
    let mut all_well = true;
    let mut tests = None;
    for step in STEPS
        .iter()
        .filter(|step| names.is_empty() || names.contains(&step.name))
    {
        eprintln!("\n== {}: {}", step.name, step.what);
        let start = Instant::now();
        let outcome = (step.run)();
        if let Outcome::Tested(counts, _) = &outcome {
            tests = Some(*counts);
        }
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

fn install() -> Outcome {
    // Both are tried: what the one cannot install, the other may not need.
    let (system, npm) = (wanted::install(&wanted::FOR_TESTS), web::npm());
    system
        .and(npm)
        .and_then(|()| tools::python())
        .map_or_else(Outcome::Missing, |()| Outcome::Passed)
}

fn format() -> Outcome {
    if let Err(reason) = run(cargo().args(["fmt", "--all", "--check"])) {
        return Outcome::Failed(reason);
    }
    let prettier = "wasm/node_modules/prettier/bin/prettier.cjs";
    if !root().join(prettier).is_file() {
        return Outcome::Missing("prettier is not installed: see the step `install`".to_owned());
    }
    let mut command = program("node");
    run(command.args([
        prettier,
        "--check",
        "--log-level=warn",
        "wasm",
        "tests/browser",
    ]))
    .into()
}

fn spelling() -> Outcome {
    tools::typos().map_or_else(Outcome::Missing, |mut typos| run(&mut typos).into())
}

fn build() -> Outcome {
    // All of the workspace at once, as the tests are: cargo then picks the same features for every crate, and builds none twice.
    run(cargo().args(["build", "--release", "--workspace", "--bins", "--tests"])).into()
}

fn model() -> Outcome {
    run(lantern().arg("fetch")).into()
}

fn test() -> Outcome {
    let (counts, result) = run_all();
    Outcome::Tested(counts, result)
}

fn doctest() -> Outcome {
    let crates = ["kernels/src", "engine/src", "wasm/src"];
    if !crates
        .iter()
        .any(|folder| has_doctests(&root().join(folder)))
    {
        return Outcome::Nothing("there are none".to_owned());
    }
    run(cargo().args(["test", "--release", "--workspace", "--doc"])).into()
}

/// Whether a documentation comment in the folder opens a block of code that is Rust, and is not said to be ignored.
fn has_doctests(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .any(|path| {
            if path.is_dir() {
                return has_doctests(&path);
            }
            path.extension().is_some_and(|extension| extension == "rs")
                && fs::read_to_string(&path).is_ok_and(|text| text.lines().any(opens_doctest))
        })
}

/// A bare fence may also be the end of a block in another language; a run of the doc tests for nothing does no harm.
fn opens_doctest(line: &str) -> bool {
    let line = line.trim_start();
    let comment = line
        .strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"));
    let fence = comment.and_then(|text| text.trim_start().strip_prefix("```"));
    fence.is_some_and(|language| matches!(language, "" | "rust" | "no_run" | "should_panic"))
}

fn lint() -> Outcome {
    let clippy = [
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    // Without -p the rest of the workspace would ask for the features.
    let bare = [
        "clippy",
        "--release",
        "-p",
        "lantern-engine",
        "--no-default-features",
        "--",
        "-D",
        "warnings",
    ];
    let doc = [
        "doc",
        "--release",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ];
    run(cargo().args(clippy))
        .and_then(|()| run(cargo().args(bare)))
        .and_then(|()| run(cargo().args(doc).env("RUSTDOCFLAGS", "-D warnings")))
        .into()
}

fn web() -> Outcome {
    match wasm::route() {
        Some(_) => web::build().into(),
        None => Outcome::Missing("no toolchain for wasm32: see the step `install`".to_owned()),
    }
}

fn browser() -> Outcome {
    web::missing().map_or_else(|| web::test().into(), Outcome::Missing)
}

/// Known holes need the network, and are looked for by the hosted workflow.
fn licences() -> Outcome {
    if output(cargo().args(["deny", "--version"])).is_none() {
        return Outcome::Nothing(
            "cargo-deny is not installed (`cargo install cargo-deny --locked`)".to_owned(),
        );
    }
    run(cargo().args(["deny", "check", "bans", "licenses", "sources"])).into()
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

    #[test]
    fn doc_tests_are_found_by_their_fence() {
        assert!(opens_doctest("    /// ```"));
        assert!(opens_doctest("//! ```no_run"));
        assert!(!opens_doctest("/// ```text"));
        assert!(!opens_doctest("let fence = \"```\";"));
    }
}
