//! Windows, as far as it can be tried without it: `lantern.exe`, built here, under Wine in sid, on lavapipe by Vulkan.

use std::path::{Path, PathBuf};

use super::{
    super::{
        cross,
        steps::Outcome,
        system::{built, run_and_read},
        test_run::count_lines,
        wanted,
    },
    console::{CTRL_C, Console},
    sid::Sid,
};

const PACKAGES: [&str; 5] = [
    "mesa-vulkan-drivers",
    "libvulkan1",
    "wine",
    "wine64",
    "xvfb",
];

/// Runs a program in a Windows of its own, which ends with it: `sh -c WINDOWS sh PROGRAM [ARGUMENT …]`. Wine has Vulkan
/// on a screen only, and the screen must be there before it.
const WINDOWS: &str = r#"
Xvfb -displayfd 1 > /tmp/screen 2> /dev/null &
until [ -s /tmp/screen ]; do kill -0 $! || exit 1; sleep 0.1; done
export DISPLAY=":$(cat /tmp/screen)"
wineboot -i
"$@""#;

/// Settings of Wine: a folder that goes with the mounts; nothing said of what it lacks; no .NET, no HTML, and no
/// Direct3D 12, since Wine's own compiler of HLSL does not know what naga writes (`RWByteAddressBuffer.Load`).
const SETTINGS: [(&str, &str); 4] = [
    ("WINEPREFIX", "/tmp/wine"),
    ("WINEDEBUG", "-all"),
    ("WINEDLLOVERRIDES", "mscoree,mshtml,d3d12="),
    ("LANTERN_TUNING", "off"),
];

/// Runs programs of tests one after the other, whatever becomes of them: `sh -c EACH sh PROGRAM …`.
const EACH: &str = r#"for test; do wine "$test" --test-threads=2; done; true"#;

const PROMPT: &str = "The capital of France is";
/// Text of two alphabets.
const ALPHABETS: &str = "Größe 日本";

/// Tests of the command line, the console, and an answer.
pub fn windows() -> Outcome {
    let tested = || {
        let programs = build()?;
        let sid = Sid::with(&PACKAGES)?;
        let lantern = cross::WINDOWS.folder().join(cross::WINDOWS.name);
        let lantern = lantern.join("release/lantern.exe").display().to_string();
        let devices = wine(&sid, &[&lantern, "devices"])?;
        if !(devices.contains("llvmpipe") && devices.contains(", vulkan")) {
            return Err("lavapipe is not listed by Vulkan".to_owned());
        }
        answer(&sid, &lantern)?;
        console(&sid, &lantern)?;
        let passed = tests(&sid, &programs)?;
        let version = |package| sid.version(package).unwrap_or_default();
        let (wine, mesa) = (version("wine"), version(PACKAGES[0]));
        Ok(Outcome::Ran {
            on: format!("Wine {wine}, lavapipe of Mesa {mesa} by Vulkan"),
            did: format!(
                "command line: {passed} tests passed; the same tokens as on Linux; \
                 on a console: letters of several alphabets, Ctrl-C"
            ),
        })
    };
    tested().unwrap_or_else(Outcome::Failed)
}

/// Builds `lantern.exe` and its tests, after installing what that needs; the programs of the tests.
fn build() -> Result<Vec<PathBuf>, String> {
    wanted::install([&wanted::WINDOWS])?;
    let folder = cross::WINDOWS.folder();
    if !folder.is_dir() {
        let folder = folder.display();
        eprintln!(
            "will build lantern.exe and its tests in {folder} (minutes, and 2 GB, the first time)"
        );
    }
    let mut build = cross::WINDOWS.build("lantern")?;
    build.args(["--bins", "--tests"]);
    let artifacts = run_and_read(build.arg("--message-format=json-render-diagnostics"))?;
    let tests = artifacts.lines().filter_map(test_program).collect();
    Ok(tests)
}

/// The program in a line by cargo that says where it put a test.
fn test_program(line: &str) -> Option<PathBuf> {
    let is_test = line.contains(r#""test":true},"#) && !line.contains(r#""executable":null"#);
    let path = line.split(r#""executable":""#).nth(1)?.split('"').next()?;
    is_test.then(|| PathBuf::from(path))
}

/// Runs a program of Windows; its stdout.
fn wine(sid: &Sid, words: &[&str]) -> Result<String, String> {
    sid.read(
        &SETTINGS,
        &[&["sh", "-c", WINDOWS, "sh", "wine"], words].concat(),
    )
}

/// Greedy tokens are those of the program for Linux on the same driver.
fn answer(sid: &Sid, lantern: &str) -> Result<(), String> {
    let question = ["run", "--raw", "--greedy", "--json", "-n16", "-p", PROMPT];
    let natively = built("lantern").display().to_string();
    let here = sid.read(&SETTINGS, &[&[&*natively], &question[..]].concat())?;
    let there = wine(sid, &[&[lantern], &question[..]].concat())?;
    match (tokens(&here), tokens(&there)) {
        (Some(here), Some(there)) if here == there => Ok(()),
        (here, there) => Err(format!("tokens: natively {here:?}, under Wine {there:?}")),
    }
}

/// The tokens in a report by `lantern run --json`.
fn tokens(report: &str) -> Option<&str> {
    let line = report.lines().find(|line| line.starts_with('{'))?;
    line.split(r#""tokens":["#).nth(1)?.split(']').next()
}

/// A conversation and an answer on the console that Wine draws on a terminal. Left out: Ctrl-C at the prompt, which
/// Wine keeps from the line editor, and characters beyond the first 65,536, which its console does not have.
fn console(sid: &Sid, lantern: &str) -> Result<(), String> {
    let start = |arguments: &str| {
        let line = format!("wine {lantern} {arguments} --greedy --ignore-end");
        let script = ["script", "-qe", "-E", "never", "-c", &line, "/dev/null"];
        let settings = [&SETTINGS[..], &[("TERM", "xterm")]].concat();
        eprintln!("sid$ {line}");
        Console::start(&mut sid.command(
            &settings,
            &[&["sh", "-c", WINDOWS, "sh"], &script[..]].concat(),
        ))
    };
    let mut chat = start("chat -n 200")?;
    chat.until("/help lists the commands")?;
    chat.until("> ")?;
    chat.line(&format!("/system {ALPHABETS}"))?;
    chat.until("the system message was set")?;
    chat.line("/system")?;
    chat.until(&format!("system message: {ALPHABETS}"))?;
    chat.line("What is the capital of France?")?;
    chat.until("Paris")?;
    chat.keys(CTRL_C)?;
    chat.until("> ")?;
    chat.line("/exit")?;
    ended(chat, "/exit", 0)?;
    let mut answer = start(&format!("run --raw -p '{PROMPT}'"))?;
    answer.until("Paris")?;
    answer.keys(CTRL_C)?;
    ended(answer, "Ctrl-C", 130)
}

fn ended(console: Console, what: &str, wanted: i32) -> Result<(), String> {
    match console.code()? {
        Some(code) if code == wanted => Ok(()),
        code => Err(format!("{what} ends with {code:?}, and not {wanted}")),
    }
}

/// Runs the tests; how many passed.
fn tests(sid: &Sid, programs: &[PathBuf]) -> Result<usize, String> {
    let words = ["sh", "-c", WINDOWS, "sh", "sh", "-c", EACH, "sh"];
    let words = words.iter().map(Path::new);
    let words: Vec<&Path> = words.chain(programs.iter().map(PathBuf::as_path)).collect();
    let report = sid.read(&SETTINGS, &words)?;
    let ends = report
        .lines()
        .filter(|line| line.starts_with("test result: "))
        .count();
    if ends != programs.len() || ends == 0 {
        return Err(format!(
            "{ends} of {} programs of tests came to their end",
            programs.len()
        ));
    }
    let counts = count_lines(report.as_bytes()).1;
    match counts.failed {
        0 => Ok(counts.passed),
        failed => Err(format!("{failed} of the tests failed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_in_a_report() {
        let report = "loading …\n{\"prompt_tokens\":[5],\"tokens\":[7,8],\"text\":\"[1]\"}\n";
        assert_eq!(tokens(report), Some("7,8"));
        assert_eq!(tokens("error: none\n"), None);
    }

    #[test]
    fn only_programs_of_tests_are_run() {
        let line = |test, executable| {
            format!(
                r#"{{"profile":{{"debuginfo":0,"test":{test}}},"features":[],"executable":{executable},"fresh":true}}"#
            )
        };
        let path = test_program(&line(true, r#""/t/chat.exe""#));
        assert_eq!(path, Some(PathBuf::from("/t/chat.exe")));
        assert_eq!(test_program(&line(false, r#""/t/lantern.exe""#)), None);
        assert_eq!(test_program(&line(false, "null")), None);
    }
}
