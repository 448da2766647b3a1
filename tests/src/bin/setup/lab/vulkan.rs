//! Mesa's lavapipe as it is today: what the programs compute there, and what Vulkan's validation layer says of how.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::{
    super::{
        steps::Outcome,
        system::{built, cargo, root, run_and_read},
        test_run::count_lines,
    },
    sid::Sid,
};

const MESA: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];
const LAYER: &str = "vulkan-validationlayers";

/// Messages of the validation layer that are not of Lantern, each with its reason.
const KNOWN: [(&str, &str); 4] = [
    ("CURRENT-VALIDATION-ENABLED", "says that it is there"),
    ("WARNING-cache-file-error", "is about a file of the layer's"),
    (
        "WARNING-Setting-Limit-Adjusted",
        "is about the layer's own shaders",
    ),
    (
        "VUID-StandaloneSpirv-None-10684",
        "naga gives arrays of workgroup and private memory a stride (gfx-rs/wgpu#7696)",
    ),
];

/// The self-test and the tests that compare with references.
pub fn mesa() -> Outcome {
    let tested = || {
        let tests = tests_program()?;
        let sid = Sid::with(&MESA)?;
        let report = sid.read(&[], &[built("lantern").as_os_str(), "selftest".as_ref()])?;
        let selftest = report.lines().last().unwrap_or_default();
        let (adapter, variants) = selftest
            .split_once("): ")
            .filter(|_| selftest.starts_with("llvmpipe"))
            .ok_or_else(|| format!("the self-test ran elsewhere: {selftest:?}"))?;
        let filter = ["references::", "--test-threads=2"];
        let words = [&[tests.as_os_str()], &filter.map(AsRef::as_ref)[..]].concat();
        let counts = count_lines(sid.read(&[], &words)?.as_bytes()).1;
        if counts.passed == 0 {
            return Err("no test of the references was run".to_owned());
        }
        let version = sid.version(MESA[0]).unwrap_or_default();
        Ok(Outcome::Ran {
            on: format!("Mesa {version}, {adapter})"),
            did: format!(
                "self-test: {variants}; references: {} tests passed",
                counts.passed
            ),
        })
    };
    tested().unwrap_or_else(Outcome::Failed)
}

/// The program with the tests that cross crates; it, and all others, are built where they are older than the sources.
fn tests_program() -> Result<PathBuf, String> {
    let mut build = cargo();
    build.args(["build", "--release", "--workspace", "--bins", "--tests"]);
    let artifacts = run_and_read(build.arg("--message-format=json-render-diagnostics"))?;
    let of_tests =
        |line: &&str| line.contains(r#""kind":["test"]"#) && line.contains(r#""name":"all""#);
    let line = artifacts.lines().find(of_tests);
    let path = line.and_then(|line| line.split(r#""executable":""#).nth(1)?.split('"').next());
    path.map(PathBuf::from)
        .ok_or_else(|| "cargo does not say where it put the tests".to_owned())
}

/// Self-test and answers with the layer between program and driver.
pub fn validation() -> Outcome {
    let validated = || {
        let [driver, loader] = MESA;
        let sid = Sid::with(&[driver, loader, LAYER])?;
        let answer = ["run", "--greedy", "-n8", "-p", "Why is the sky blue?"];
        let core = ("Core Checks", "validate_core", &["selftest"][..]);
        let order = ("Synchronization", "validate_sync", &answer[..]);
        let bounds = ("GPU-AV", "gpuav_enable", &answer[..]);
        for (name, setting, arguments) in [core, order, bounds] {
            let log = with_layer(&sid, setting, arguments)?;
            check(&log, name)?;
        }
        let version = |package| sid.version(package).unwrap_or_default();
        Ok(Outcome::Ran {
            on: format!("Vulkan's validation layer {} on Mesa {}", version(LAYER), version(driver)),
            did: "self-test by its core checks, answers by those of synchronisation and of bounds: no message but naga's of strides".to_owned(),
        })
    };
    validated().unwrap_or_else(Outcome::Failed)
}

/// Runs `lantern` with the layer, which checks one thing only: together they take hours. Its messages.
fn with_layer(sid: &Sid, setting: &str, arguments: &[&str]) -> Result<String, String> {
    let folder = root().join("target/lab");
    let (settings, log) = (
        folder.join("vk_layer_settings.txt"),
        folder.join("validation.txt"),
    );
    let checks = ["validate_core", "validate_sync", "gpuav_enable"];
    let checks = checks.map(|one| format!("khronos_validation.{one} = {}\n", one == setting));
    let text = format!(
        "khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG\n\
         khronos_validation.log_filename = {}\n\
         khronos_validation.report_flags = error,warn,perf,info\n{}",
        log.display(),
        checks.concat()
    );
    let _ = fs::remove_file(&log); // of the run before
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error| format!("{path}: {error}")
    };
    fs::write(&settings, text).map_err(failed(&settings))?;
    let lantern = built("lantern");
    let words = arguments.iter().map(AsRef::as_ref);
    let words: Vec<&OsStr> = [lantern.as_os_str()].into_iter().chain(words).collect();
    let settings = settings.to_string_lossy();
    let environment = [
        ("VK_INSTANCE_LAYERS", "VK_LAYER_KHRONOS_validation"),
        ("VK_LAYER_SETTINGS_PATH", &*settings),
    ];
    sid.run(&environment, &words)?;
    fs::read_to_string(&log).map_err(failed(&log))
}

/// An error where the layer did not check what it was asked to, or has something to say.
fn check(log: &str, name: &str) -> Result<(), String> {
    if !log
        .lines()
        .any(|line| line.trim().strip_prefix("- ") == Some(name))
    {
        return Err(format!(
            "the validation layer was not there, or without {name}"
        ));
    }
    let is_known = |message: &&str| {
        KNOWN
            .iter()
            .any(|(id, _)| message.contains(&format!("[ {id} ]")))
    };
    let messages = log.split("\nValidation ").skip(1);
    match messages.into_iter().find(|message| !is_known(message)) {
        None => Ok(()),
        Some(message) => Err(format!("by {name}: {message}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENABLED: &str = "Validation Information: [ CURRENT-VALIDATION-ENABLED ] | MessageID = 0xfd\n\
        vkCreateInstance(): Current Validation Enabled:\n  - Core Checks\n  - GPU-AV\n\n";

    #[test]
    fn a_layer_that_is_not_there_finds_nothing_and_fails() {
        assert!(check("", "Core Checks").is_err());
        assert!(check(ENABLED, "Synchronization").is_err());
        assert_eq!(check(ENABLED, "GPU-AV"), Ok(()));
    }

    #[test]
    fn messages_fail_unless_their_reason_is_known() {
        let with =
            |id: &str| format!("{ENABLED}\nValidation Error: [ {id} ] | MessageID = 0x1\nwhy\n");
        assert_eq!(
            check(&with("VUID-StandaloneSpirv-None-10684"), "GPU-AV"),
            Ok(())
        );
        let found = check(&with("VUID-vkCmdDispatch-None-1"), "GPU-AV").unwrap_err();
        assert!(
            found.contains("VUID-vkCmdDispatch-None-1") && found.contains("why"),
            "{found}"
        );
    }
}
