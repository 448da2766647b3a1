//! `cargo verify --lab`: Lantern on newer drivers and other implementations of WebGPU than this machine has, which a folder
//! with Debian sid brings: `target/lab/sid`. Programs are built outside and run inside. Needs root and the network, and is
//! no part of `cargo verify`.

mod console;
mod dx12;
mod record;
mod sid;
mod vulkan;
mod web;
mod windows;

use std::process::ExitCode;

use super::steps::{Step, run_steps};

const COMMAND: &str = "cargo verify --lab";

const STEPS: [Step; 7] = [
    Step {
        name: "mesa",
        what: "the newest Mesa's Vulkan on the CPU: self-test, references",
        run: vulkan::mesa,
    },
    Step {
        name: "validation",
        what: "Vulkan's validation layer has nothing to say of self-test and answer",
        run: vulkan::validation,
    },
    Step {
        name: "dawn",
        what: "the package under Node with npm's Dawn, on that driver",
        run: web::dawn,
    },
    Step {
        name: "deno",
        what: "the package under npm's Deno, on that driver",
        run: web::deno,
    },
    Step {
        name: "firefox",
        what: "the package and the pages in Debian's Firefox, on that driver",
        run: web::firefox,
    },
    Step {
        name: "dxc",
        what: "every shader's HLSL compiles with DXC, the compiler of Direct3D 12",
        run: dx12::dxc,
    },
    Step {
        name: "windows",
        what: "lantern.exe under Wine, on that driver: command line, console, an answer",
        run: windows::windows,
    },
];

/// Runs the steps named, or all, and keeps their results in `tests/results/lab.json`.
pub fn lab(names: &[&str]) -> ExitCode {
    if names != ["--list"]
        && let Err(reason) = sid::possible()
    {
        eprintln!("{COMMAND}: {reason}");
        return ExitCode::FAILURE;
    }
    let mut results = Vec::new();
    let code = run_steps(COMMAND, &STEPS, names, |step, outcome| {
        results.extend(record::Row::new(step.name, outcome));
    });
    match record::keep(results) {
        Ok(()) => code,
        Err(reason) => {
            eprintln!("{COMMAND}: {reason}");
            ExitCode::FAILURE
        }
    }
}
