//! `cargo verify`: the steps that hold every change.

use std::{fs, path::Path, process::ExitCode};

use super::{
    cross,
    steps::{Outcome, Step, run_steps},
    system::{cargo, lantern, output, program, root, run},
    test_run::run_all,
    tools, wanted, web,
};

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
    run_steps("cargo verify", &STEPS, names, |_, _| {})
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
        "tests/lab",
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
    if cross::WASM.is_possible() {
        web::build().into()
    } else {
        Outcome::Missing("no toolchain for wasm32: see the step `install`".to_owned())
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
    fn doc_tests_are_found_by_their_fence() {
        assert!(opens_doctest("    /// ```"));
        assert!(opens_doctest("//! ```no_run"));
        assert!(!opens_doctest("/// ```text"));
        assert!(!opens_doctest("let fence = \"```\";"));
    }
}
