//! Python's packages that `cargo verify` installs, for scripts beside this file.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// A script, ready to run with `package`. None, with a line that says so, where the package is not installed; in CI that is a
/// failure.
pub fn script(package: &str, name: &str) -> Option<Command> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = here.join("../target/tools/python");
    if !tools.join(package).is_dir() {
        let missing = format!(
            "the Python package {package} is not in target/tools; `cargo verify` installs it"
        );
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("left out: {missing}");
        return None;
    }
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", tools)
        .arg(here.join("tests/support").join(name));
    Some(command)
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
