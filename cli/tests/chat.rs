//! `lantern chat`, on a terminal and in a pipe, with the default model. Names begin with `gpu_`, so that two run at a time.

#[path = "../../tests/tests/support/default_model.rs"]
mod default_model;
mod support;

use std::{fs, path::Path, process::Command};

use default_model::default_model as model;
use support::{folder, on_quicker, run};

fn chat() -> Command {
    on_quicker(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

/// A chat whose lines come from a file with these bytes: exit code and stderr.
fn piped(name: &str, flags: &[&str], lines: &[u8]) -> Option<(i32, String)> {
    let model = model()?;
    let file = folder(name).join("lines");
    fs::write(&file, lines).unwrap();
    let mut command = chat();
    command.arg("chat").arg(model).args(["--greedy", "-n", "4"]);
    let stdin = fs::File::open(file).unwrap();
    let (code, _, stderr) = run(command.args(flags).stdin(stdin));
    Some((code, stderr))
}

#[cfg(target_os = "linux")]
mod terminal {
    use super::*;
    use crate::support::terminal::Terminal;

    fn start(dumb: bool) -> Option<Terminal> {
        let model = model()?;
        let history = folder("chat-terminal");
        let mut command = chat();
        command.env("HOME", &history).env("XDG_DATA_HOME", &history);
        command.env("XDG_STATE_HOME", &history);
        let arguments = format!("chat {} --greedy --ignore-end -n 12", model.display());
        Some(Terminal::start(&command, &arguments, dumb))
    }

    #[test]
    fn gpu_ctrl_c_loses_no_conversation_and_typing_no_text() {
        let Some(mut chat) = start(false) else { return };
        chat.until("/help lists the commands");
        chat.until("> ");
        chat.keys("half a line");
        chat.until("half a line");
        chat.keys("\u{3}");
        chat.until("> ");
        chat.keys("/system Be brief.\r");
        chat.until("the system message was set");
        chat.keys("/system\r");
        chat.until("system message: Be brief.");
        chat.keys("/system none\r");
        chat.until("the system message was removed");
        chat.keys("/system\r");
        chat.until("there is no system message");
        chat.until("> ");

        chat.keys("\u{3}");
        chat.until("Ctrl-C again, or Ctrl-D, to leave");
        chat.until("> ");
        chat.keys("Count to a hundred.\r");
        chat.until("Count to a hundred.\r\n");
        chat.keys("/ahead");
        let answer = chat.until("\r> ");
        assert!(!answer.contains("ahead"), "{answer}");
        chat.until("/ahead");
        chat.keys("\r");
        chat.until("there is no /ahead");
        chat.until("> ");
        chat.keys("\u{3}");
        chat.until("Ctrl-C again");
        chat.until("> ");
        chat.keys("\u{3}");
        assert_eq!(chat.code(), Some(0));
    }

    #[test]
    fn gpu_a_terminal_without_an_editor_says_it_too() {
        let Some(mut chat) = start(true) else { return };
        chat.until("\n> ");
        chat.keys("half\u{3}");
        chat.until("Ctrl-C again, or Ctrl-D, to leave");
        chat.keys("/system\n");
        chat.until("there is no system message");
        chat.until("> ");
        chat.keys("\u{3}");
        chat.until("Ctrl-C again");
        chat.keys("\u{3}");
        assert_eq!(chat.code(), Some(130));
    }
}

/// The oldest turns go where the context is full; a message that is too long by itself says what would hold it.
#[test]
fn gpu_a_full_context_is_no_dead_end() {
    let turn = "Name one thing that is very large, and tell me why it is.\n";
    let lines = format!("{}/save {{}}\n", turn.repeat(4));
    let saved = folder("chat-full-saved").join("saved.json");
    let lines = lines.replace("{}", saved.to_str().unwrap());
    let flags = ["--context", "96", "-s", "Be brief."];
    let Some((code, told)) = piped("chat-full", &flags, lines.as_bytes()) else {
        return;
    };
    assert_eq!(code, 0, "{told}");
    let (said, offer) = (
        "the model goes on without the oldest ",
        "; `lantern chat --context 128`",
    );
    assert!(told.contains(said) && told.contains(offer), "{told}");
    let kept = fs::read_to_string(saved).unwrap();
    assert_eq!(
        kept.matches("\"user\"").count(),
        4,
        "all of it is saved: {kept}"
    );

    let long = "word ".repeat(200);
    let (code, told) = piped("chat-long", &flags, long.as_bytes()).unwrap();
    assert_eq!(code, 1);
    assert!(
        told.contains("the context holds 96; `lantern chat --context 256`"),
        "{told}"
    );
}

/// Lines of a Windows editor, in UTF-8 or UTF-16 with a mark, are the lines that they look like.
#[test]
fn gpu_piped_lines_may_begin_with_a_mark() {
    let text = "\u{feff}/system Be brief.\r\n/system\r\n/nothing\r\n";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes) in [("chat-utf8", text.as_bytes()), ("chat-utf16", &utf16)] {
        let Some((code, told)) = piped(name, &[], bytes) else {
            return;
        };
        assert_eq!(code, 1, "{told}");
        assert!(told.contains("system message: Be brief.\n"), "{told}");
        assert!(told.contains("there is no /nothing;"), "{told}");
    }
}
