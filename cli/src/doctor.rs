//! `lantern doctor`: what of this machine keeps Lantern from running, or from running well, and what to do about each.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use indicatif::DecimalBytes;
use lantern_engine::{AdapterDescription, Gpu, GpuOptions};
use pollster::block_on;
use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    output, places, tuning,
};

/// `doctor`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// How it stands with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// Works, and could be better.
    Poor,
    /// Nothing works without it.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    state: State,
    what: String,
    found: String,
    /// Advice to the user, where something is wrong.
    fix: Option<String>,
}

/// Bytes of disk that a small model and what goes with it take.
const DISK_LEAST: u64 = 1 << 30;

/// Folders in which Vulkan's loader looks for drivers.
const DRIVERS: [&str; 3] = [
    "/usr/share/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
];

/// Makers of GPUs, as the PCI bus numbers them, and where their Vulkan drivers come from on Linux.
const MAKERS: [(&str, &str, &str); 3] = [
    (
        "0x10de",
        "NVIDIA",
        "install NVIDIA's driver (Debian: nvidia-driver)",
    ),
    (
        "0x1002",
        "AMD",
        "install Mesa's Vulkan drivers (Debian, Ubuntu, Fedora: mesa-vulkan-drivers)",
    ),
    (
        "0x8086",
        "Intel",
        "install Mesa's Vulkan drivers (Debian, Ubuntu, Fedora: mesa-vulkan-drivers)",
    ),
];

/// Browsers, by the names of their programs, and what they need for WebGPU.
const BROWSERS: [(&str, &str); 4] = [
    (
        "chromium",
        "on Linux WebGPU takes --enable-unsafe-webgpu --enable-features=Vulkan",
    ),
    (
        "google-chrome",
        "on Linux WebGPU takes --enable-unsafe-webgpu --enable-features=Vulkan",
    ),
    (
        "firefox",
        "WebGPU from version 141 on Windows, 145 on macOS; elsewhere dom.webgpu.enabled in about:config",
    ),
    (
        "microsoft-edge",
        "on Linux WebGPU takes --enable-unsafe-webgpu --enable-features=Vulkan",
    ),
];

/// Looks and prints; an error where something is bad.
pub fn run(args: &Args) -> Result {
    let adapters = block_on(Gpu::adapters());
    let mut findings = drivers();
    findings.extend(loader(!adapters.is_empty()));
    findings.extend(gpus(&adapters));
    for adapter in &adapters {
        findings.extend(of_adapter(adapter));
    }
    findings.extend([disk(), model()]);
    findings.extend(browsers());
    if args.json {
        output::json(&findings)?;
    } else {
        print(&findings)?;
    }
    let bad = findings.iter().filter(|f| f.state == State::Bad).count();
    match bad {
        0 => Ok(()),
        bad => Err(Failure::Message(format!(
            "{} from working; what to do is above",
            if bad == 1 {
                "one thing keeps Lantern".to_owned()
            } else {
                format!("{bad} things keep Lantern")
            }
        ))),
    }
}

fn print(findings: &[Finding]) -> Result {
    let mut rows = Vec::new();
    for finding in findings {
        let state = match finding.state {
            State::Good => "ok",
            State::Poor => "!",
            State::Bad => "BAD",
        };
        rows.push(vec![
            state.to_owned(),
            finding.what.clone(),
            finding.found.clone(),
        ]);
        let fix = finding.fix.iter();
        rows.extend(fix.map(|fix| vec![String::new(), String::new(), format!("→ {fix}")]));
    }
    output::table(&rows)
}

fn finding(state: State, what: &str, found: impl Into<String>, fix: &str) -> Finding {
    Finding {
        state,
        what: what.to_owned(),
        found: found.into(),
        fix: (!fix.is_empty()).then(|| fix.to_owned()),
    }
}

/// The files that name Vulkan drivers, on Linux.
fn drivers() -> Vec<Finding> {
    if !cfg!(target_os = "linux") {
        return vec![];
    }
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        let Ok(value) = env::var(variable) else {
            continue;
        };
        let missing: Vec<&str> = value
            .split(':')
            .filter(|path| !Path::new(path).exists())
            .collect();
        return vec![if missing.is_empty() {
            finding(
                State::Good,
                "drivers",
                format!("{variable} names them: {value}"),
                "",
            )
        } else {
            let found = format!("{variable} names what is not there: {}", missing.join(", "));
            let fix =
                format!("correct {variable}, or unset it: then all installed drivers are found");
            finding(State::Bad, "drivers", found, &fix)
        }];
    }
    let listed = DRIVERS
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten();
    let names: Vec<String> = listed
        .filter_map(|entry| {
            Some(
                entry
                    .ok()?
                    .path()
                    .file_stem()?
                    .to_string_lossy()
                    .into_owned(),
            )
        })
        .collect();
    vec![if names.is_empty() {
        let fix = "install a Vulkan driver: your GPU's, or a software one (Debian: apt-get install mesa-vulkan-drivers)";
        finding(State::Bad, "drivers", "no Vulkan driver is installed", fix)
    } else {
        finding(State::Good, "drivers", names.join(", "), "")
    }]
}

/// Findings in the lines that Vulkan's loader prints while this program looks for adapters: whether it is there, and which
/// drivers it cannot load.
fn loader(any: bool) -> Vec<Finding> {
    if !cfg!(target_os = "linux") {
        return vec![];
    }
    let me = env::current_exe().map(|path| {
        let mut child = Command::new(path);
        child.args(["devices", "--json"]);
        child.env("VK_LOADER_DEBUG", "all").output()
    });
    match me {
        Ok(Ok(output)) => of_loader(&String::from_utf8_lossy(&output.stderr), any),
        Ok(Err(error)) | Err(error) => {
            let found = format!("what it says cannot be heard: {error}");
            vec![finding(State::Poor, "loader", found, "")]
        }
    }
}

/// Finds in the loader's own words what they mean for a user. `any`: there is an adapter nevertheless.
fn of_loader(said: &str, any: bool) -> Vec<Finding> {
    const SAYS_VERSION: &str = "Vulkan Loader Version ";
    /// Prefix of each line of newer loaders (1.4.309 has it).
    const LOADER_NAME: &str = "[Vulkan Loader] ";
    let version = said
        .lines()
        .find_map(|line| Some(line.split_once(SAYS_VERSION)?.1));
    let bad = if any { State::Poor } else { State::Bad };
    let mut findings = match version {
        Some(version) => vec![finding(State::Good, "loader", version.trim(), "")],
        // Older ones do not say their version.
        None if said.contains("LAYER:") || said.contains("DRIVER:") => vec![],
        None => {
            let fix = "install Vulkan's loader, libvulkan.so.1 (Debian, Ubuntu: libvulkan1; Fedora: vulkan-loader; Arch: vulkan-icd-loader)";
            vec![finding(bad, "loader", "no Vulkan loader is found", fix)]
        }
    };
    let mut missing: Vec<&str> = said
        .lines()
        .map(|line| line.strip_prefix(LOADER_NAME).unwrap_or(line))
        .filter(|line| line.starts_with("ERROR") && line.contains("cannot open shared object"))
        .filter_map(|line| line.split_once(':').map(|(_, why)| why.trim()))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    let fix = "the driver needs this library: install the package that has it, or the driver anew";
    let broken = |why: &&str| finding(bad, "driver", format!("does not load: {why}"), fix);
    findings.extend(missing.iter().map(broken));
    findings
}

/// GPUs on the bus against adapters that drivers offer.
fn gpus(adapters: &[AdapterDescription]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let hardware = adapters.iter().any(|adapter| adapter.kind != "software");
    for (id, name, fix) in MAKERS {
        let there = cards().any(|vendor| vendor.trim() == id);
        if there && !hardware {
            let found = format!("an {name} GPU is there, and no driver offers it");
            findings.push(finding(State::Poor, "gpu", found, fix));
        }
    }
    if adapters.is_empty() {
        let why = block_on(Gpu::new(&GpuOptions::default())).err();
        let why = why.map_or_else(String::new, |error| error.to_string());
        findings.push(finding(State::Bad, "adapters", "none", &why));
    } else if !hardware {
        let found = "only software ones: they compute on the CPU";
        let fix = "for speed, a GPU with its own driver; `lantern devices` lists what there is";
        findings.push(finding(State::Poor, "adapters", found, fix));
    } else {
        findings.push(finding(
            State::Good,
            "adapters",
            adapters.len().to_string(),
            "",
        ));
    }
    findings
}

/// Makers of the graphics cards that Linux sees.
fn cards() -> impl Iterator<Item = String> {
    let folder = fs::read_dir("/sys/class/drm").into_iter().flatten();
    folder.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("device/vendor")).ok())
}

/// Findings on an adapter: its name, what it lacks, and which kernels it was found to compute wrong.
fn of_adapter(adapter: &AdapterDescription) -> Vec<Finding> {
    let (limits, features) = (&adapter.limits, &adapter.features);
    let what = format!("adapter {}", adapter.index);
    let mut lacks = Vec::new();
    lacks.extend((!features.shader_f16).then_some("16-bit arithmetic"));
    lacks.extend((!features.subgroups).then_some("subgroups"));
    lacks.extend((!features.timestamps).then_some("timestamps (for bench --profile)"));
    let name = format!(
        "{} ({}, {} {})",
        adapter.name, adapter.backend, adapter.driver, adapter.driver_info
    );
    let mut findings = vec![finding(State::Good, &what, name, "")];
    if !lacks.is_empty() {
        let fix = "other kernels are used; a newer driver may have them";
        findings.push(finding(
            State::Poor,
            &what,
            format!("lacks {}", lacks.join(", ")),
            fix,
        ));
    }
    let small = limits.max_storage_buffer_binding_size < 128 << 20
        || limits.max_compute_invocations_per_workgroup < 256
        || limits.max_storage_buffers_per_shader_stage < 8;
    if small {
        let found = "limits below those that WebGPU promises";
        findings.push(finding(State::Bad, &what, found, "update the driver"));
    }
    for (kernel, wrong) in tuning::kept_failures(adapter) {
        let fix = "another variant is used; update the driver, then run `lantern selftest`";
        findings.push(finding(
            State::Poor,
            &what,
            format!("computes {kernel} wrong: {wrong}"),
            fix,
        ));
    }
    findings
}

fn disk() -> Finding {
    let folder = match places::models() {
        Ok(folder) => folder,
        Err(error) => return finding(State::Bad, "disk", error.to_string(), "set LANTERN_CACHE"),
    };
    let shown = folder.display();
    let probe = folder.join(".probe");
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&probe, b""));
    if let Err(error) = written {
        let fix = "set LANTERN_CACHE to a folder that can be written";
        return finding(
            State::Bad,
            "disk",
            format!("{shown} cannot be written: {error}"),
            fix,
        );
    }
    let _ = fs::remove_file(probe);
    match fs4::available_space(&folder) {
        Ok(free) if free < DISK_LEAST => {
            let found = format!("{} left in {shown}", DecimalBytes(free));
            finding(
                State::Poor,
                "disk",
                found,
                "remove models there, or set LANTERN_CACHE to another disk",
            )
        }
        Ok(free) => finding(
            State::Good,
            "disk",
            format!("{} left in {shown}", DecimalBytes(free)),
            "",
        ),
        Err(error) => finding(State::Poor, "disk", format!("{shown}: {error}"), ""),
    }
}

fn model() -> Finding {
    let there = crate::download::default_model::kept();
    match there {
        Some(path) => finding(State::Good, "model", path.display().to_string(), ""),
        None => finding(
            State::Poor,
            "model",
            "the default model is not here yet",
            "lantern fetch",
        ),
    }
}

/// Browsers of this machine, and how they get at the GPU.
fn browsers() -> Vec<Finding> {
    let paths = env::var_os("PATH").unwrap_or_default();
    let there = |name: &str| -> Option<PathBuf> {
        env::split_paths(&paths)
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
    };
    let found = BROWSERS
        .iter()
        .filter_map(|(name, needs)| Some((there(name)?, needs)));
    found
        .map(|(path, needs)| {
            finding(
                State::Good,
                "browser",
                format!("{}: {needs}", path.display()),
                "",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As loader 1.3.239 (Debian 12) and 1.4.309 (Debian 13) say it.
    #[test]
    fn what_the_loader_says_is_heard() {
        let found = |said: &str, any| -> Vec<(State, String)> {
            let findings = of_loader(said, any).into_iter();
            findings.map(|f| (f.state, f.found)).collect()
        };
        for (name, version) in [("", "1.3.239"), ("[Vulkan Loader] ", "1.4.309")] {
            let sound = format!(
                "{name}INFO:             Vulkan Loader Version {version}\n{name}LAYER:            Searching\n"
            );
            let good = (State::Good, version.to_owned());
            assert_eq!(found(&sound, true), std::slice::from_ref(&good));
            let why = "libGL.so.1: cannot open shared object file: No such file or directory";
            let error = format!("{name}ERROR:            {why}\n");
            let broken = format!("{sound}{error}{error}");
            let does_not = format!("does not load: {why}");
            assert_eq!(
                found(&broken, true),
                [good.clone(), (State::Poor, does_not.clone())]
            );
            assert_eq!(found(&broken, false), [good, (State::Bad, does_not)]);
        }
        let none = found("error: no GPU with a Vulkan driver found\n", false);
        assert_eq!(none, [(State::Bad, "no Vulkan loader is found".to_owned())]);
    }
}
