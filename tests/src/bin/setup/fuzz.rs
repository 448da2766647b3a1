//! `cargo fuzz-inputs`: builds the readers of what comes from outside so that they tell which code an input reaches, and tries
//! inputs on each for a minute.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    system::{cargo, output, program, root, run},
    wanted,
};

/// Folder with a folder of inputs for each reader to begin with.
const CORPUS: &str = "tests/fuzz/corpus";

/// Counters at every branch, and the values that are compared there: what libFuzzer follows.
const COUNTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Tries inputs on the readers named, or on all.
pub fn fuzz(arguments: &[&str]) -> ExitCode {
    let readers = readers();
    let (mut seconds, mut names) = (60, Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let known = readers.iter().any(|name| name == argument);
        match (*argument, known) {
            (_, true) => names.push(*argument),
            ("--seconds", _) => match rest.next().and_then(|text| text.parse().ok()) {
                Some(number) => seconds = number,
                None => return usage("--seconds needs a number"),
            },
            (other, _) => {
                let known = readers.join(", ");
                return usage(&format!("no reader is called {other:?}; there are {known}"));
            }
        }
    }
    if names.is_empty() {
        names.extend(readers.iter().map(String::as_str));
    }
    match all(&names, seconds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("cargo fuzz-inputs: {message}");
            ExitCode::FAILURE
        }
    }
}

/// All readers, by their names.
fn readers() -> Vec<String> {
    let folders = fs::read_dir(root().join(CORPUS))
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<String> = folders
        .map(|folder| folder.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("cargo fuzz-inputs: {problem}");
    ExitCode::from(2)
}

fn all(names: &[&str], seconds: u32) -> Result<(), String> {
    wanted::install([&wanted::GXX])?;
    let folder = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let folder: PathBuf = folder.join("fuzz");
    let program = build(&folder)?;
    let mut failed = Vec::new();
    for name in names {
        if let Err(message) = try_inputs(name, seconds, &folder, &program) {
            eprintln!("{message}");
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}: the inputs that did it are in {}; mend what they show, and keep them in tests/fuzz/corpus",
        failed.join(", "),
        folder.join("finds").display()
    ))
}

/// The program, built into `folder`.
fn build(folder: &Path) -> Result<PathBuf, String> {
    // Scripts of builds are not to be counted: with a target that is named, the flags are the target's alone.
    let about = output(cargo().args(["-vV"])).unwrap_or_default();
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("cargo does not say what it builds for")?;
    let mut build = cargo();
    build
        .env("RUSTFLAGS", COUNTED)
        .env("CARGO_TARGET_DIR", folder);
    build.args(["build", "--release", "--locked", "--target", host]);
    run(build.args(["--manifest-path", "tests/fuzz/Cargo.toml"]))?;
    Ok(folder.join(host).join("release/lantern-fuzz"))
}

fn try_inputs(name: &str, seconds: u32, folder: &Path, fuzzer: &Path) -> Result<(), String> {
    let (found, finds) = (folder.join("corpus").join(name), folder.join("finds"));
    // Each input is written to a file: where there is memory for files, no disk is worn by that.
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() { memory } else { folder };
    let scratch = scratch.join(format!("lantern-fuzz-{name}"));
    for folder in [&found, &finds, &scratch] {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    let mut command = program(fuzzer);
    command.env("LANTERN_FUZZ", name).env("TMPDIR", &scratch);
    command.args([&found, &root().join(CORPUS).join(name)]);
    command.arg(format!("-artifact_prefix={}/{name}-", finds.display()));
    command.arg(format!("-max_total_time={seconds}"));
    command.args(["-timeout=10", "-rss_limit_mb=2048", "-max_len=65536"]);
    let result = run(command.args(["-print_final_stats=1", "-verbosity=0"]));
    let _ = fs::remove_dir_all(&scratch);
    result
}
