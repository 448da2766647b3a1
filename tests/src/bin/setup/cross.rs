//! Building for what this machine is not, without rustup: with the toolchain in use if it has the target, else with
//! Debian's, which brings the source of the standard library and is put first in the PATH for that one command only.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::system::{cargo, output, program, root};

const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src";

/// A system to build for.
pub struct Target {
    /// The compiler's name of it.
    pub name: &'static str,
    /// Crates of the standard library that are built with Debian's toolchain.
    library: &'static str,
    /// Linker for Debian's toolchain.
    linker: &'static str,
    /// Folder under `target`. One of its own: two toolchains would throw away each other's work.
    folder: &'static str,
}

/// The browser.
pub const WASM: Target = Target {
    name: "wasm32-unknown-unknown",
    library: "std,panic_abort",
    linker: "/usr/bin/wasm-ld-19",
    folder: "wasm",
};

/// Windows, by the compiler and the libraries of MinGW.
pub const WINDOWS: Target = Target {
    name: "x86_64-pc-windows-gnu",
    library: "std,panic_unwind",
    linker: "/usr/bin/x86_64-w64-mingw32-gcc",
    folder: "lab/windows",
};

/// A toolchain that builds for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// The one in use.
    InUse,
    /// Debian's, with the standard library built from source.
    Debian,
}

impl Target {
    /// Whether a toolchain here builds for it.
    pub fn is_possible(&self) -> bool {
        self.route().is_some()
    }

    /// Folder that [`Target::build`] puts its results in.
    pub fn folder(&self) -> PathBuf {
        root().join("target").join(self.folder)
    }

    /// A release build of one package, to which more can be added.
    pub fn build(&self, package: &str) -> Result<Command, String> {
        let route = self.route();
        let mut command = match route {
            Some(Route::InUse) => cargo(),
            Some(Route::Debian) => self.debian_cargo(),
            None => {
                let name = self.name;
                return Err(format!("no toolchain for {name}: see the step `install`"));
            }
        };
        command.args(["build", "--release", "-p", package, "--target", self.name]);
        command.arg("--target-dir").arg(self.folder());
        if route == Some(Route::Debian) {
            command.arg(format!("-Zbuild-std={}", self.library));
        }
        Ok(command)
    }

    /// The route that is open now.
    fn route(&self) -> Option<Route> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        if self.is_known_to(Path::new(&rustc)) {
            return Some(Route::InUse);
        }
        let parts = [DEBIAN_SOURCE, self.linker, "/usr/bin/cargo"];
        let version = output(program("/usr/bin/rustc").arg("--version"));
        let is_new_enough = version.is_some_and(|text| {
            minor(&text) >= minor(concat!("rustc ", env!("CARGO_PKG_RUST_VERSION")))
        });
        let complete = is_new_enough && parts.iter().all(|part| Path::new(part).exists());
        complete.then_some(Route::Debian)
    }

    fn debian_cargo(&self) -> Command {
        let mut path = OsString::from("/usr/bin:");
        path.push(env::var_os("PATH").unwrap_or_default());
        let linker = self.name.to_uppercase().replace('-', "_");
        let mut command = program("/usr/bin/cargo");
        command.env("RUSTC", "/usr/bin/rustc");
        command.env("RUSTC_BOOTSTRAP", "1"); // -Z on a stable compiler
        command.env(format!("CARGO_TARGET_{linker}_LINKER"), self.linker);
        command.env("PATH", path);
        command
    }

    fn is_known_to(&self, rustc: &Path) -> bool {
        let arguments = ["--print", "target-libdir", "--target", self.name];
        output(program(rustc).args(arguments)).is_some_and(|folder| Path::new(&folder).is_dir())
    }
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
        assert!(!WASM.is_known_to(Path::new("/no/such/rustc")));
    }
}
