//! The binary on a terminal of its own, by util-linux's `script`: what a person types, and what is on the screen.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// Longest wait for words that must come.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running program.
pub struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<String>,
    seen: String,
}

impl Terminal {
    /// Starts `lantern` with arguments that the shell needs not quote. `dumb`: without a line editor.
    pub fn start(command: &Command, arguments: &str, dumb: bool) -> Terminal {
        let binary = command.get_program().to_str().expect("a plain path");
        let mut script = Command::new("script");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script
            .env("TERM", if dumb { "dumb" } else { "xterm" })
            .args([
                "-qe",
                "-E",
                "always",
                "-c",
                &format!("{binary} {arguments}"),
            ])
            .arg(Path::new("/dev/null"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = script.spawn().expect("util-linux's script is installed");
        let keys = child.stdin.take().expect("a pipe");
        let mut out = child.stdout.take().expect("a pipe");
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut block) {
                let text = String::from_utf8_lossy(&block[..count]).into_owned();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        Terminal {
            child,
            keys,
            screen,
            seen: String::new(),
        }
    }

    /// Presses keys.
    pub fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it runs");
    }

    /// Waits until `words` are on the screen; returns what came up to their end, and forgets it.
    pub fn until(&mut self, words: &str) -> String {
        loop {
            let plain = without_escapes(&self.seen);
            if let Some(at) = plain.find(words) {
                let (before, rest) = plain.split_at(at + words.len());
                let (before, rest) = (before.to_owned(), rest.to_owned());
                self.seen = rest;
                return before;
            }
            let more = self.screen.recv_timeout(PATIENCE);
            self.seen += &more.unwrap_or_else(|_| panic!("no {words:?} in {plain:?}"));
        }
    }

    /// The exit code, once it has ended.
    pub fn code(mut self) -> Option<i32> {
        self.child.wait().expect("it was started").code()
    }
}

/// A screen's text without the terminal's commands (`ESC [ … letter`); one that is not whole yet stays.
fn without_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        out += &rest[..at];
        let command = &rest[at + 2..];
        let Some(end) = command.find(|c: char| c.is_ascii_alphabetic()) else {
            return out + &rest[at..];
        };
        rest = &command[end + 1..];
    }
    out + rest
}
