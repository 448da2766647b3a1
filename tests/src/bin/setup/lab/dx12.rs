//! Windows, as far as it can be tried without it: every shader's HLSL, compiled by Microsoft's DXC.

use std::{fs, path::PathBuf, process::Stdio};

use super::super::{
    steps::Outcome,
    system::{cargo, program, root, run, shown},
};

/// The source package that brings DXC as a library, and where the library lies in it.
const PACKAGE: &str = "compushady==0.17.5";
const LIBRARY: &str = "compushady-0.17.5/compushady/backends/libdxcompiler_x86_64.so.3.7";

/// Every shader's HLSL, by the test of the kernels that asks DXC.
pub fn dxc() -> Outcome {
    let tested = || {
        let library = library()?;
        let mut test = cargo();
        test.args(["test", "--release", "--workspace", "--test", "link"]);
        test.args(["--", "--nocapture", "dxc_takes_every_shader"]);
        test.env("LANTERN_DXC", &library);
        eprintln!("$ {}", shown(&test));
        let ran = test.stderr(Stdio::piped()).output();
        let ran = ran.map_err(|error| format!("cargo: {error}"))?;
        let report = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
        eprint!("{report}");
        if let Some(wrong) = report.lines().find(|line| line.contains("do not compile")) {
            return Err(wrong.to_owned());
        }
        let compiled = |line: &str| line.split_once("DXC: ").map(|(_, said)| said.to_owned());
        let shaders = report.lines().find_map(compiled);
        let shaders = shaders.filter(|_| ran.status.success());
        let shaders = shaders.ok_or("DXC was not asked")?;
        Ok(Outcome::Ran {
            on: "DXC 3.7, shader models 6.2 and 6.7".to_owned(),
            did: format!("{shaders} compiled"),
        })
    };
    tested().unwrap_or_else(Outcome::Failed)
}

/// DXC's library, which is brought where it is missing, saying so before.
fn library() -> Result<PathBuf, String> {
    let folder = root().join("target/lab/dxc");
    let library = folder.join(LIBRARY);
    if library.is_file() {
        return Ok(library);
    }
    eprintln!(
        "will bring {PACKAGE} (60 MB), which has DXC in it, with pip into {}",
        folder.display()
    );
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut pip = program("python3");
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        ":all:",
    ]);
    run(pip.arg(PACKAGE).arg("--dest").arg(&folder))?;
    let archive = folder.join(PACKAGE.replace("==", "-") + ".tar.gz");
    let mut tar = program("tar");
    run(tar
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(&folder)
        .arg(LIBRARY))?;
    Ok(library)
}
