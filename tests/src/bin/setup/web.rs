//! The browser's half: the package (wasm, its JavaScript, TypeScript compiled), the page beside it, and the tests of both.
//! `cargo web` builds all of it and serves the page.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use super::{
    cross::WASM,
    drivers,
    system::{cargo, in_ci, lantern, output, program, root, run, shown, succeeds},
    wanted,
};

/// The program that writes the JavaScript beside the wasm; the same version as the crate `wasm-bindgen`.
const BINDGEN: &str = "0.2.130";
/// Folders with npm packages of their own.
const NPM: [&str; 2] = ["wasm", "tests/browser"];

/// `cargo web`: builds the page and serves it, with the default model where that is on this machine.
pub fn web(arguments: &[&str]) -> ExitCode {
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("cargo web: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &[&str]) -> Result<(), String> {
    wanted::install(&wanted::FOR_WEB)?;
    npm()?;
    build()?;
    let page = page();
    let mut command = program("node");
    command.arg("wasm/serve.mjs").arg(&page).args(arguments);
    if let Some(model) = local_model() {
        let name = model
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let sum = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
        let models = format!(
            r#"{{ "default": {{ "name": "SmolLM2-135M-Instruct", "url": "models/{name}", "sha256": "{sum}" }}, "more": [] }}"#
        );
        fs::write(page.join("models.json"), models).map_err(|error| error.to_string())?;
        let mount = format!("/models/{name}={}", model.display());
        command.args(["--mount", &mount]);
        eprintln!("the default model comes from {}", model.display());
    } else {
        eprintln!("the default model comes from the hub; `cargo demo` brings it to this machine");
    }
    eprintln!("$ {}", shown(&command));
    let status = command.stdin(Stdio::null()).status();
    let status = status.map_err(|error| format!("node: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the server ended with {status}"))
    }
}

/// The default model, where `lantern` is built and has it, or can fetch it.
fn local_model() -> Option<PathBuf> {
    let path = output(lantern().args(["fetch", "--quiet"]))?;
    Some(PathBuf::from(path.lines().last()?)).filter(|path| path.is_file())
}

/// Builds the package and the page.
pub fn build() -> Result<(), String> {
    run(&mut WASM.build("lantern-wasm")?)?;
    let file = WASM
        .folder()
        .join(WASM.name)
        .join("release/lantern_wasm.wasm");
    let bindgen = bindgen()?;
    let package = package();
    let mut command = program(&bindgen);
    command.args(["--target", "web", "--out-dir"]);
    run(command.arg(package.join("engine")).arg(file))?;
    run(program("node").args(["wasm/node_modules/typescript/bin/tsc", "-p", "wasm"]))?;
    run(program("node").args(["wasm/assemble.mjs", "--package"]))?;
    run(program("node").arg("wasm/assemble.mjs"))
}

/// Installs the npm packages that are missing, saying so before.
pub fn npm() -> Result<(), String> {
    for folder in NPM {
        let folder = root().join(folder);
        if installed(&folder) {
            continue;
        }
        eprintln!(
            "will install the npm packages that {}/package.json names",
            folder.display()
        );
        let mut command = program("npm");
        command.args(["ci", "--no-fund", "--no-audit", "--prefix"]);
        run(command.arg(&folder))?;
    }
    Ok(())
}

/// Whether npm has installed what the lock file names now.
fn installed(folder: &Path) -> bool {
    let modified = |path: &str| {
        let about = folder.join(path).metadata();
        about.and_then(|about| about.modified()).ok()
    };
    let done = modified("node_modules/.package-lock.json");
    done.is_some() && done >= modified("package-lock.json")
}

/// The tests of the package and of the page: in Node, and in a real browser.
pub fn test() -> Result<(), String> {
    let folder = root().join("tests").join("browser");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    files.sort();
    let mut command = program("node");
    // One file at a time: each has the machine, and the software GPU, to itself.
    command.args(["--test", "--test-concurrency=1", "--test-reporter=spec"]);
    command.args(files).envs(drivers::environment());
    run(&mut command)
}

/// The program wasm-bindgen, from the cache outside the checkout; built where it is missing.
fn bindgen() -> Result<PathBuf, String> {
    let is_right = |program: &mut Command| {
        output(program.arg("--version")).is_some_and(|text| text.ends_with(BINDGEN))
    };
    if is_right(&mut program("wasm-bindgen")) {
        return Ok(PathBuf::from("wasm-bindgen"));
    }
    let tools = tools()?;
    let path = tools
        .join("bin")
        .join(format!("wasm-bindgen{}", env::consts::EXE_SUFFIX));
    if !is_right(&mut program(&path)) {
        eprintln!(
            "will build wasm-bindgen {BINDGEN} with cargo install into {} (minutes, once)",
            tools.display()
        );
        let mut command = cargo();
        command.args([
            "install",
            "wasm-bindgen-cli",
            "--version",
            BINDGEN,
            "--root",
        ]);
        run(command.arg(&tools))?;
    }
    Ok(path)
}

/// Where programs are kept that several checkouts can share.
fn tools() -> Result<PathBuf, String> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || {
        let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE"));
        home.map(|home| PathBuf::from(home).join(".cache"))
    };
    let cache = cache.or_else(home);
    let cache = cache.ok_or("neither HOME nor XDG_CACHE_HOME is set: where to keep programs?")?;
    Ok(cache.join("lantern").join("tools"))
}

/// Whether Node is there, and not too old.
pub fn has_node() -> bool {
    let version = output(program("node").arg("--version")).unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next();
    let major = major.and_then(|major| major.parse().ok());
    major.is_some_and(|major: u32| major >= 20) && succeeds(program("npm").arg("--version"))
}

/// Whether there is a browser to test in.
pub fn has_chromium() -> bool {
    let places = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
    env::var_os("LANTERN_CHROMIUM").is_some()
        || places.iter().any(|place| Path::new(place).exists())
}

fn package() -> PathBuf {
    root().join("target").join("web").join("package")
}

fn page() -> PathBuf {
    root().join("target").join("web").join("page")
}

/// A reason not to test in a browser, where there is one.
pub fn missing() -> Option<String> {
    let what = if !has_node() {
        "Node 20 with npm"
    } else if !has_chromium() {
        "Chromium"
    } else if !NPM.iter().all(|folder| installed(&root().join(folder))) {
        "npm packages"
    } else {
        return None;
    };
    let advice = if in_ci() {
        ""
    } else {
        ": see the step `install`"
    };
    Some(format!("missing: {what}{advice}"))
}
