//! Arguments, exit codes, and who may write where: all that needs neither a model nor a GPU.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use support::{folder, lantern, run};

#[test]
fn usage_errors_exit_with_2_and_leave_stdout_alone() {
    let wrong: &[&[&str]] = &[
        &[],
        &["sing"],
        &["run", "--no-such-flag"],
        &["run", "-n", "many", "-p", "x"],
        &["run", "-p", "x", "--stop", ""],
        &["run", "-p", "x", "--raw", "-s", "y"],
        &["run", "-p", "x", "--precision", "vague"],
        &["compress", "-"],
        &["run", "-p", "x", "--context", "0"],
        &["run", "-p", "x", "--temperature", "-1"],
        &["run", "-p", "x", "--context", "4294967296"],
        &["-q", "-v", "devices"],
        &["tokenize"],
        &["template", "--input", "x.json"],
        &[
            "template",
            "m.gguf",
            "--template",
            "t.jinja",
            "--input",
            "x.json",
        ],
        &["logits", "m.gguf", "-o", "x"],
        &["logits", "m.gguf", "--tokens", "1,x", "-o", "x"],
        &["logits", "m.gguf", "--tokens", "[1, 2", "-o", "x"],
        &["logits", "m.gguf", "--tokens", "[1, 2]", "-o", "-"],
        &["perplexity", "m.gguf"],
        &["plan", "--width", "0"],
        &["bench", "-r", "0"],
        &["bench", "-p", "0", "-n", "0"],
    ];
    let cache = folder("usage");
    for arguments in wrong {
        let (code, stdout, stderr) = run(lantern(&cache).args(*arguments));
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(!stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn numbers_out_of_range_are_told_the_range() {
    let cache = folder("numbers");
    for (arguments, range) in [
        (["run", "--temperature", "-1"], "between 0 and 100"),
        (["run", "--seed", "-1"], "from 0 to 18446744073709551615"),
        (["run", "-n", "-3"], "from 0 to 4294967295"),
        (["run", "--top-k", "-1"], "0..=4294967295"),
        (["chat", "--context", "-1"], "from 1 to 4294967295"),
        (["plan", "--width", "4294967297"], "from 1 to 4294967295"),
        (["bench", "-p", "-1"], "from 0 to 4294967295"),
    ] {
        let (code, stdout, stderr) = run(lantern(&cache).args(arguments));
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(range), "{arguments:?}: {stderr}");
    }
}

/// A stdin that is open and silent is waited for, and that is said. `wait` closes it.
#[test]
fn a_silent_stdin_is_noted() {
    let mut command = lantern(&folder("silent"));
    command.args(["run", "nowhere.gguf", "-p", "hi"]);
    let child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut said).unwrap();
    assert!(said.contains("reading the prompt from stdin"), "{said}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// With -f, stdin is not read; one that is a pipe is not lost in silence.
#[cfg(unix)]
#[test]
fn a_stdin_beside_a_file_is_noted() {
    let cache = folder("beside");
    let prompt = cache.join("prompt");
    fs::write(&prompt, "hi").unwrap();
    let mut command = lantern(&cache);
    command.args(["run", "nowhere.gguf", "-f"]).arg(&prompt);
    let (_, _, silent) = run(&mut command);
    assert!(!silent.contains("stdin"), "{silent}");
    let (_, _, said) = run(command.stdin(Stdio::piped()));
    assert!(said.contains("-f - reads it"), "{said}");
}

#[test]
fn help_and_version_are_asked_for_and_go_to_stdout() {
    let cache = folder("help");
    let (code, stdout, stderr) = run(lantern(&cache).arg("--version"));
    assert_eq!(
        (code, stdout.trim(), stderr.as_str()),
        (0, concat!("lantern ", env!("CARGO_PKG_VERSION")), "")
    );
    let (_, help, _) = run(lantern(&cache).arg("--help"));
    for verb in
        "run chat tokenize template logits perplexity info devices plan bench report compare tune fetch".split(' ')
    {
        assert!(
            help.contains(&format!("\n  {verb} ")),
            "{verb} is missing in:\n{help}"
        );
        let (code, stdout, stderr) = run(lantern(&cache).args([verb, "--help"]));
        assert_eq!((code, stderr.as_str()), (0, ""), "{verb}");
        assert!(stdout.contains("Usage:"), "{verb}");
    }
}

#[test]
fn a_model_that_is_nowhere_is_an_error_that_says_what_a_model_is() {
    let cache = folder("nowhere");
    for model in [
        "nowhere.gguf",
        "dir/nowhere.gguf",
        "/nowhere/x",
        "a/b/c",
        "a/b:../c",
        r"C:\nowhere\x.gguf",
        "C:/nowhere.gguf",
        "C:nowhere",
    ] {
        let (code, stdout, stderr) = run(lantern(&cache).args(["info", model]));
        assert_eq!((code, stdout.as_str()), (1, ""), "{model}");
        assert!(stderr.contains("user/repo[:file]"), "{model}: {stderr}");
    }
}

#[test]
fn bad_input_files_are_errors_that_name_them() {
    let folder = folder("input");
    let path = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let (array, broken, latin) = (
        path("array", b"[]"),
        path("broken", b"{"),
        path("latin", b"\xe9"),
    );
    let template = path("t.jinja", b"x");
    for input in [array, broken, latin, "missing".to_owned()] {
        let (code, stdout, stderr) =
            run(lantern(&folder).args(["template", "--template", &template, "--input", &input]));
        assert_eq!((code, stdout.as_str()), (1, ""), "{input}");
        assert!(stderr.contains(&input), "{input}: {stderr}");
    }
}

/// A program that renders a template, of this name, and waits for its input.
fn rendering(folder: &Path, name: &str, template: &str) -> Child {
    let path = folder.join(name);
    fs::write(&path, template).unwrap();
    let mut command = lantern(folder);
    command.args(["template", "--input", "-", "--template"]);
    command.arg(path).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The reader is gone before the program writes: it reads the text to write first, and gets it last.
#[test]
fn a_closed_stdout_is_no_error() {
    let folder = folder("pipe");
    let mut child = rendering(&folder, "t.jinja", "x");
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"{}").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
}

/// Letters beyond ASCII come through arguments, names of files, stdin and stdout as they are.
#[test]
fn text_of_all_alphabets_comes_through() {
    let text = "Größe 日本 🙂 \u{301}";
    let folder = folder("alphabets");
    let name = format!("{text}.jinja");
    let mut child = rendering(&folder, &name, "{{ messages[0].content }}");
    let input = format!(r#"{{"messages": [{{"role": "user", "content": "{text}"}}]}}"#);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim_end(),
        text,
        "{said}"
    );
    let (code, _, said) = run(lantern(&folder).args(["info", text]));
    assert!(code == 1 && said.contains(text), "{said}");
}

#[test]
fn stdin_that_is_no_text_is_an_error() {
    let cache = folder("stdin");
    let mut child = lantern(&cache);
    child
        .args(["tokenize", "x.gguf"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a\xff").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stdin is not valid UTF-8"));
}

/// stdout belongs to `output.rs`; stderr to `notes.rs`, `progress.rs`, and pip, which `default_model.rs` starts.
#[test]
fn only_the_output_module_writes_stdout() {
    let owners: &[(&str, &[&str])] = &[
        ("io::stdout(", &["output.rs"]),
        (
            "io::stderr(",
            &["notes.rs", "progress.rs", "default_model.rs"],
        ),
        ("print!(", &[]), // and eprint!
        ("println!(", &[]),
        ("dbg!(", &[]),
    ];
    let sources = sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    assert!(sources.len() > 20, "{} files are not all", sources.len());
    for path in sources {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        for (word, owners) in owners {
            assert!(
                owners.contains(&name.as_str()) || !text.contains(word),
                "{name} has {word}"
            );
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
