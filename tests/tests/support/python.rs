//! Python's packages that `cargo verify` installs, for scripts beside this file.

use std::{path::Path, process::Command};

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
