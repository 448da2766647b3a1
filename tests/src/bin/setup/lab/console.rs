//! A program on a terminal of its own, by util-linux's `script` in sid: keys to press, and what is on the screen.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// Longest wait for words that must come.
const PATIENCE: Duration = Duration::from_mins(3);

/// The key Ctrl-C, as a terminal sends it.
pub const CTRL_C: &str = "\u{3}";

/// A running program.
pub struct Console {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<String>,
    /// Text of the screen that nobody waited for yet.
    seen: String,
}

impl Console {
    /// Starts a command that runs `script`.
    pub fn start(command: &mut Command) -> Result<Console, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("unshare: {e}"))?;
        let keys = child.stdin.take().ok_or("no keyboard")?;
        let mut out = child.stdout.take().ok_or("no screen")?;
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut block = [0; 4096];
            let mut bytes = Vec::new();
            while let Ok(count @ 1..) = out.read(&mut block) {
                bytes.extend(&block[..count]);
                if sender.send(whole_text(&mut bytes)).is_err() {
                    break;
                }
            }
        });
        Ok(Console {
            child,
            keys,
            screen,
            seen: String::new(),
        })
    }

    /// Presses keys.
    pub fn keys(&mut self, keys: &str) -> Result<(), String> {
        let pressed = self.keys.write_all(keys.as_bytes());
        pressed.map_err(|error| format!("pressing {keys:?}: {error}"))
    }

    /// Types a line, and presses Enter once it is on the screen.
    pub fn line(&mut self, text: &str) -> Result<(), String> {
        self.keys(text)?;
        self.until(text)?;
        self.keys("\r")
    }

    /// Waits until `words` are on the screen, and forgets what came up to their end.
    pub fn until(&mut self, words: &str) -> Result<(), String> {
        loop {
            let plain = without_escapes(&self.seen);
            if let Some(at) = plain.find(words) {
                plain[at + words.len()..].clone_into(&mut self.seen);
                return Ok(());
            }
            let more = self.screen.recv_timeout(PATIENCE);
            let more = more.map_err(|_| format!("no {words:?} on the console in {plain:?}"))?;
            eprint!("{more}");
            self.seen += &more;
        }
    }

    /// The exit code, once it has ended.
    pub fn code(mut self) -> Result<Option<i32>, String> {
        while let Ok(more) = self.screen.recv_timeout(PATIENCE) {
            eprint!("{more}");
        }
        let ended = self.child.try_wait().map_err(|error| error.to_string())?;
        let ended = ended.or_else(|| self.child.wait().ok());
        Ok(ended.and_then(|status| status.code()))
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill(); // one that has ended needs nothing
    }
}

/// Takes out the text up to the last whole character.
fn whole_text(bytes: &mut Vec<u8>) -> String {
    let is_cut = |error: std::str::Utf8Error| error.error_len().is_none();
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if is_cut(error) => error.valid_up_to(),
        _ => bytes.len(),
    };
    let rest = bytes.split_off(whole);
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = rest;
    text
}

/// A screen's text without the terminal's commands (`ESC [ … letter`), but that one step to the right is a space, which
/// Wine's console may skip. One that is not whole yet stays.
fn without_escapes(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.find(|c: char| c.is_ascii_alphabetic()) {
            Some(end) => {
                let (command, rest) = piece.split_at(end + 1);
                plain.extend([
                    if matches!(command, "C" | "1C") {
                        " "
                    } else {
                        ""
                    },
                    rest,
                ]);
            }
            None => plain.extend(["\u{1b}[", piece]),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_read_without_the_terminals_commands() {
        let screen = "\u{1b}[?25l>\u{1b}[1Ca\u{1b}[79Cb\u{1b}[2";
        assert_eq!(without_escapes(screen), "> ab\u{1b}[2");
    }

    #[test]
    fn a_character_that_is_cut_waits_for_its_rest() {
        let mut bytes = b"a\xc3".to_vec();
        assert_eq!(whole_text(&mut bytes), "a");
        bytes.push(0xa4);
        assert_eq!((whole_text(&mut bytes), bytes), ("ä".to_owned(), vec![]));
    }
}
