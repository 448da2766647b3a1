//! Building for wasm32 without rustup: with the toolchain in use if it has the target, else with Debian's, which brings
//! the source of the standard library. Debian's is put first in the PATH for that one command only.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::system::{cargo, output, program, root, run};

const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-19";

/// Which toolchain builds for wasm32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The one in use.
    InUse,
    /// Debian's, with the standard library built from source.
    Debian,
}

/// The route that is open now.
pub fn route() -> Option<Route> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    if has_target(Path::new(&rustc)) {
        return Some(Route::InUse);
    }
    let parts = [DEBIAN_SOURCE, DEBIAN_LINKER, "/usr/bin/cargo"];
    let is_new_enough = output(program("/usr/bin/rustc").arg("--version")).is_some_and(|text| {
        minor(&text) >= minor(concat!("rustc ", env!("CARGO_PKG_RUST_VERSION")))
    });
    let complete = is_new_enough && parts.iter().all(|part| Path::new(part).exists());
    complete.then_some(Route::Debian)
}

/// Builds the wasm crate: the file, before wasm-bindgen has seen it.
pub fn build() -> Result<PathBuf, String> {
    let mut command = match route() {
        Some(Route::InUse) => cargo(),
        Some(Route::Debian) => debian_cargo(),
        None => return Err(format!("no toolchain for {TARGET}: see the step `install`")),
    };
    // A folder of its own: the two toolchains would throw away each other's work.
    let folder = root().join("target").join("wasm");
    command.args([
        "build",
        "--release",
        "-p",
        "lantern-wasm",
        "--target",
        TARGET,
    ]);
    command.arg("--target-dir").arg(&folder);
    if route() == Some(Route::Debian) {
        command.arg("-Zbuild-std=std,panic_abort");
    }
    run(&mut command)?;
    Ok(folder
        .join(TARGET)
        .join("release")
        .join("lantern_wasm.wasm"))
}

fn debian_cargo() -> Command {
    let mut path = OsString::from("/usr/bin:");
    path.push(env::var_os("PATH").unwrap_or_default());
    let mut command = program("/usr/bin/cargo");
    command.envs([
        ("RUSTC", "/usr/bin/rustc"),
        ("RUSTC_BOOTSTRAP", "1"), // -Z on a stable compiler
        ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER),
    ]);
    command.env("PATH", path);
    command
}

fn has_target(rustc: &Path) -> bool {
    output(program(rustc).args(["--print", "target-libdir", "--target", TARGET]))
        .is_some_and(|folder| Path::new(&folder).is_dir())
}

/// 96 of `rustc 1.96.0 (…)`; 0 where there is no such number.
fn minor(version: &str) -> u32 {
    version
        .split(['.', ' '])
        .nth(2)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minor_version_is_read_from_what_rustc_prints() {
        assert_eq!(
            minor("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"),
            96
        );
        assert_eq!(minor("rustc 1.95"), 95);
        assert_eq!(minor("nothing of the kind"), 0);
    }

    #[test]
    fn a_compiler_that_is_not_there_has_no_target() {
        assert!(!has_target(Path::new("/no/such/rustc")));
    }
}
