//! `cargo demo`: from a fresh clone to generated text.

use std::process::{ExitCode, Stdio};

use super::{
    system::{cargo, lantern, run, shown},
    wanted::{self, LAVAPIPE},
};

const PROMPT: &str = "What is a lantern, and what is it good for?";
const TOKENS: &str = "64";

/// What `lantern devices` ends with where there is no adapter.
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
    run(lantern().arg("fetch")).map_err(error)?;

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
    use super::*;

    #[test]
    fn what_the_caller_names_is_not_named_again() {
        assert_eq!(run_arguments(&[]), ["-p", PROMPT, "-n", TOKENS]);
        assert_eq!(run_arguments(&["-p", "Hi"]), ["-p", "Hi", "-n", TOKENS]);
        assert_eq!(run_arguments(&["-n8", "--file=a"]), ["-n8", "--file=a"]);
        assert_eq!(run_arguments(&["--precision", "exact"]).len(), 6);
    }
}
