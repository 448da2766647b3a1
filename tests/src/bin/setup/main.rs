//! The set-up behind `cargo demo` and `cargo verify`: installs what is missing, says so before, and runs the rest.
//! It has no dependencies, so that it builds in seconds, and speaks on stderr only: stdout is for the model's text.

mod cross;
mod demo;
mod drivers;
mod fuzz;
mod lab;
mod steps;
mod system;
mod test_run;
mod tools;
mod verify;
mod wanted;
mod web;

use std::process::ExitCode;

const USAGE: &str = "\
cargo demo [ARGS OF `lantern run`]   fetch the default model, and a software GPU driver if there is no GPU; generate text
cargo web [--port N]                 build the chat page and serve it on this machine
cargo verify [STEP …]                install what the tests need (cargo-nextest too, as a wheel) and run every test, or only the steps named
cargo verify --list                  the steps
cargo verify --lab [STEP …]          run on newer drivers and other implementations, in a folder with Debian sid; as root
cargo fuzz-inputs [READER …] [--seconds N]   try inputs by chance on what reads files, a minute on each reader";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.split_first() {
        Some((&"demo", rest)) => demo::demo(rest),
        Some((&"verify", ["--lab", rest @ ..])) => lab::lab(rest),
        Some((&"verify", rest)) => verify::verify(rest),
        Some((&"web", rest)) => web::web(rest),
        Some((&"fuzz", rest)) => fuzz::fuzz(rest),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
