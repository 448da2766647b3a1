//! What Windows makes of Lantern, as far as that can be said without it: every shader's HLSL, compiled by Microsoft's DXC.

use std::{fs, path::PathBuf};

use super::super::{
    steps::Outcome,
    system::{cargo, program, root, run, run_and_read},
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
        let report = run_and_read(test.env("LANTERN_DXC", &library))?;
        let shaders = report
            .lines()
            .find_map(|line| line.trim().strip_prefix("DXC: "));
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
