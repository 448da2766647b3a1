//! The package for the web on WebGPU that is not Chromium's: Dawn under Node, Deno's wgpu, Firefox; all on lavapipe as it is
//! today. The tests are those of `tests/browser`.

use std::fs;

use super::{
    super::{
        cross,
        steps::Outcome,
        system::{output, program, root, run},
        web,
    },
    sid::Sid,
};

/// Packages that every step here needs in the folder.
const PACKAGES: [&str; 3] = ["mesa-vulkan-drivers", "libvulkan1", "nodejs"];
const LAVAPIPE: &str = "/usr/share/vulkan/icd.d/lvp_icd.json";

/// Tests of the package in Firefox, and of the pages.
const IN_FIREFOX: [&str; 6] = [
    "engine", "failures", "families", "adapters", "offline", "bench",
];

/// npm's `webgpu` for Node: f16 and subgroups.
pub fn dawn() -> Outcome {
    let tested = || {
        let sid = with_package(&[])?;
        let settings = [("LANTERN_DAWN_DRIVER", LAVAPIPE)];
        let filter = "--test-name-pattern=the engine under Node";
        let passed = node_test(&sid, &settings, &[filter], &["node"])?;
        let dawn = version_of("tests/browser", "webgpu")?;
        Ok(Outcome::Ran {
            on: format!("Dawn (npm's webgpu {dawn}) under Node, {}", driver(&sid)),
            did: format!("package: {passed} tests passed"),
        })
    };
    tested().unwrap_or_else(Outcome::Failed)
}

/// npm's `deno`.
pub fn deno() -> Outcome {
    let tested = || {
        let sid = with_package(&[])?;
        let deno = install_deno()?;
        // It looks for npm's packages from where it is started.
        let inside = ["env", "--chdir=tests/browser", &deno, "test"];
        let flags = ["-A", "--no-check", "--no-lock", "--unstable-webgpu"];
        let tests = ["--filter=the engine under Deno", "node.test.mjs"];
        let words = [&inside[..], &flags, &tests].concat();
        let report = sid.read(&[("NO_COLOR", "1")], &words)?;
        let steps = report.lines().find_map(|line| {
            let counts = line.trim().strip_prefix("ok | 1 passed (")?;
            counts
                .split_once(" step")
                .map(|(number, _)| number.to_owned())
        });
        let steps = steps.ok_or("Deno ran no test")?;
        Ok(Outcome::Ran {
            on: format!(
                "Deno {}, {}",
                version_of("target/lab/npm", "deno")?,
                driver(&sid)
            ),
            did: format!("package: {steps} tests passed"),
        })
    };
    tested().unwrap_or_else(Outcome::Failed)
}

/// Debian's Firefox.
pub fn firefox() -> Outcome {
    let tested = || {
        let sid = with_package(&["firefox"])?;
        let passed = node_test(&sid, &[("LANTERN_BROWSER", "firefox")], &[], &IN_FIREFOX)?;
        let version = sid.version("firefox").unwrap_or_default();
        Ok(Outcome::Ran {
            on: format!("Firefox {version}, {}", driver(&sid)),
            did: format!(
                "package, families, poor GPUs, chat page and page that measures: {passed} tests passed"
            ),
        })
    };
    tested().unwrap_or_else(Outcome::Failed)
}

/// The folder with Node and more packages, and the package for the web, built as it is now.
fn with_package(more: &[&str]) -> Result<Sid, String> {
    if !cross::WASM.is_possible() || !web::has_node() {
        return Err("the package cannot be built here: see `cargo verify install`".to_owned());
    }
    web::npm()?;
    web::build()?;
    Sid::with(&[&PACKAGES[..], more].concat())
}

/// Runs files of `tests/browser`, one after the other; how many tests passed.
fn node_test(
    sid: &Sid,
    settings: &[(&str, &str)],
    flags: &[&str],
    files: &[&str],
) -> Result<usize, String> {
    let files: Vec<String> = files
        .iter()
        .map(|name| format!("tests/browser/{name}.test.mjs"))
        .collect();
    let runner = [
        "node",
        "--test",
        "--test-concurrency=1",
        "--test-reporter=spec",
    ];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let report = sid.read(settings, &[&runner[..], flags, &files].concat())?;
    match passed(&report) {
        Some(0) | None => Err("Node ran no test".to_owned()),
        Some(number) => Ok(number),
    }
}

/// The count of a report by Node's test runner.
fn passed(report: &str) -> Option<usize> {
    let count = |line: &str| line.trim().strip_prefix("ℹ pass ")?.parse().ok();
    report.lines().find_map(count)
}

/// Installs Deno for the lab alone, saying so before; its program.
fn install_deno() -> Result<String, String> {
    let folder = root().join("target/lab/npm");
    let deno = folder.join("node_modules/@deno/linux-x64-glibc/deno");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut is_new = !deno.is_file();
    for name in ["package.json", "package-lock.json"] {
        let text = fs::read(root().join("tests/lab").join(name)).map_err(|e| e.to_string())?;
        let copy = folder.join(name);
        is_new |= fs::read(&copy).is_ok_and(|old| old != text);
        fs::write(copy, text).map_err(|error| error.to_string())?;
    }
    if is_new {
        eprintln!("will install npm's deno (40 MB) in {}", folder.display());
        let mut npm = program("npm");
        npm.args(["ci", "--no-fund", "--no-audit", "--prefix"]);
        run(npm.arg(&folder))?;
    }
    Ok(deno.to_string_lossy().into_owned())
}

/// The version of an npm package that is installed in a folder of the checkout.
fn version_of(folder: &str, package: &str) -> Result<String, String> {
    let path = root().join(format!("{folder}/node_modules/{package}/package.json"));
    output(
        program("node")
            .args(["-p", "require(process.argv[1]).version"])
            .arg(path),
    )
    .ok_or_else(|| format!("npm's {package} is not installed"))
}

/// The driver that all this runs on.
fn driver(sid: &Sid) -> String {
    let version = sid.version(PACKAGES[0]).unwrap_or_default();
    format!("lavapipe of Mesa {version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_report_says_how_many_tests_passed() {
        assert_eq!(
            passed("✔ a (1ms)\nℹ tests 3\nℹ pass 2\nℹ fail 1\n"),
            Some(2)
        );
        assert_eq!(passed("✔ a (1ms)\n"), None);
    }
}
