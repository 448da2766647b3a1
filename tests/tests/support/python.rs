//! Python's packages that `cargo verify` installs, for scripts beside this file.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// The folder of an installed package. None, with a line that says so, where it is not installed; in CI that is a failure.
pub fn module(package: &str) -> Option<PathBuf> {
    let found = tools().join(package);
    if !found.is_dir() {
        let missing = format!(
            "the Python package {package} is not in target/tools; `cargo verify` installs it"
        );
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("left out: {missing}");
        return None;
    }
    Some(found)
}

/// A script, ready to run with `package`; none as [`module`] has it.
pub fn script(package: &str, name: &str) -> Option<Command> {
    module(package)?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", tools())
        .arg(here.join("tests/support").join(name));
    Some(command)
}

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/python")
}

/// Output of a script that is given `input` as JSON; it must end with 0.
pub fn answer(script: Command, input: &Value) -> String {
    let (output, sound) = said(script, input);
    assert!(sound);
    output
}

/// Output of a script that is given `input` as JSON, and whether it ended with 0.
pub fn said(mut script: Command, input: &Value) -> (String, bool) {
    let mut running = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = running.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (text, output.status.success())
}
