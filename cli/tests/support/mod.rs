//! Helpers that the command-line tests share: running the binary in a bare environment, and a hub on this machine.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

pub mod hub;
pub mod server;
#[cfg(target_os = "linux")]
pub mod terminal;

/// The binary, with nothing of the user's settings, and no network but this machine's.
pub fn lantern(cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lantern"));
    for name in [
        "HF_TOKEN",
        "HF_ENDPOINT",
        "LANTERN_ADAPTER",
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
        "no_proxy",
        "NO_PROXY",
    ] {
        command.env_remove(name);
    }
    command
        .env("LANTERN_CACHE", cache)
        .env("LANTERN_TUNING", "off") // it would be done anew for each test
        .env("HF_ENDPOINT", "http://127.0.0.1:1")
        .stdin(Stdio::null());
    command
}

/// The binary as [`lantern`] has it, on llvmpipe, the quicker of the software adapters, where that is there.
pub fn on_quicker(cache: &Path) -> Command {
    static THERE: OnceLock<bool> = OnceLock::new();
    let there = || run(lantern(cache).arg("devices")).1.contains("llvmpipe");
    let mut command = lantern(cache);
    if *THERE.get_or_init(there) {
        command.env("LANTERN_ADAPTER", "llvmpipe");
    }
    command
}

/// Runs it to its end: exit code, stdout, stderr.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// An empty folder of this test's own.
pub fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}"));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("the build folder can be written");
    path
}
