//! Vulkan drivers as files. A loader reads manifests (`*_icd.json`); naming lavapipe's and SwiftShader's in one list
//! lets one process see both, so that one run of the tests covers both.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// Where loaders look on Linux, in their order.
const FOLDERS: [&str; 3] = [
    "/etc/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
    "/usr/share/vulkan/icd.d",
];

/// Manifest of SwiftShader that Debian's chromium ships; no package puts it where loaders look.
const SWIFTSHADER: &str = "/usr/lib/chromium/vk_swiftshader_icd.json";

/// Whether Mesa's driver for the CPU is there. Only Linux has it, and needs it.
pub fn has_lavapipe() -> bool {
    !cfg!(target_os = "linux")
        || manifests()
            .iter()
            .any(|file| file_name(file).starts_with("lvp_"))
}

/// Whether SwiftShader, the other driver for the CPU, is there.
pub fn has_swiftshader() -> bool {
    !cfg!(target_os = "linux") || Path::new(SWIFTSHADER).is_file()
}

/// Environment of the tests' processes. It names drivers in `VK_DRIVER_FILES`, and in `VK_ICD_FILENAMES` for loaders before
/// 1.3.207.
/// The tests run on every adapter they find, and under CI insist on the two that run on the CPU.
pub fn environment() -> Vec<(&'static str, OsString)> {
    let mut settings = Vec::new();
    if cfg!(target_os = "linux") && has_swiftshader() {
        let files = driver_list(env::var_os("VK_DRIVER_FILES"), &manifests());
        settings.push(("VK_DRIVER_FILES", files.clone()));
        settings.push(("VK_ICD_FILENAMES", files));
    }
    if let Some(dir) = runtime_dir() {
        settings.push(("XDG_RUNTIME_DIR", dir.into()));
    }
    settings
}

/// Mesa warns on every start without this directory.
fn runtime_dir() -> Option<PathBuf> {
    if !cfg!(target_os = "linux") || env::var_os("XDG_RUNTIME_DIR").is_some() {
        return None;
    }
    let dir = env::current_exe().ok()?.with_file_name("runtime");
    fs::create_dir_all(&dir).ok()?;
    Some(dir)
}

/// The caller's own list if there is one, else every driver installed; and SwiftShader after them.
fn driver_list(asked: Option<OsString>, installed: &[PathBuf]) -> OsString {
    let mut files: Vec<PathBuf> = match asked {
        Some(asked) => env::split_paths(&asked).collect(),
        None => installed.to_vec(),
    };
    if !files.iter().any(|file| file == Path::new(SWIFTSHADER)) {
        files.push(SWIFTSHADER.into());
    }
    env::join_paths(files).expect("paths that came from a list fit into one")
}

fn manifests() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = FOLDERS
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    files
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swiftshader_comes_after_the_installed_drivers_once() {
        let list = driver_list(None, &["/a.json".into(), "/b.json".into()]);
        let expected = env::join_paths(["/a.json", "/b.json", SWIFTSHADER]).unwrap();
        assert_eq!(list, expected);
        assert_eq!(driver_list(Some(list), &[]), expected);
    }
}
