//! Everything said on stderr, in four loudnesses. Not progress bars (`progress.rs`), and never model text (`output.rs`).

use std::{
    io::Write,
    sync::atomic::{AtomicU8, Ordering},
};

const QUIET: u8 = 0;
const NORMAL: u8 = 1;
const VERBOSE: u8 = 2;
static LOUDNESS: AtomicU8 = AtomicU8::new(NORMAL);

/// Note, said once, where a chat template refuses system messages.
pub const SYSTEM_MOVED: &str =
    "this model's chat template refuses a system message; its text is put before the first message";

/// Set once, from `-q` and `-v`.
pub fn set_loudness(quiet: bool, verbose: bool) {
    let loudness = match (quiet, verbose) {
        (true, _) => QUIET,
        (false, true) => VERBOSE,
        (false, false) => NORMAL,
    };
    LOUDNESS.store(loudness, Ordering::Relaxed);
}

/// `-q`: errors only.
pub fn quiet() -> bool {
    LOUDNESS.load(Ordering::Relaxed) == QUIET
}

/// One line that most people want to see.
pub fn note(text: &str) {
    if !quiet() {
        reply(text);
    }
}

/// `-v`: everything.
pub fn verbose() -> bool {
    LOUDNESS.load(Ordering::Relaxed) == VERBOSE
}

/// One line that only `-v` shows.
pub fn detail(text: &str) {
    if verbose() {
        reply(text);
    }
}

/// Something that works, but not as one may expect.
pub fn warning(text: &str) {
    note(&format!("warning: {text}"));
}

/// Why the program ends; the only thing that `-q` lets through.
pub fn error(text: &str) {
    const LENGTH_MAX: usize = 4000; // texts from files can be long
    write(&format!("error: {}\n", visible(text, LENGTH_MAX, "\n\t")));
}

/// Writes an answer that was asked for in a chat, which `-q` does not take away.
pub fn reply(text: &str) {
    write(&format!("{}\n", visible(text, usize::MAX, "\n\t")));
}

/// The text as a terminal may have it: what comes from a file can be long, and hold the terminal's own commands.
/// Control characters become their escapes, but for those in `kept`; what is longer than `max` characters is cut.
pub fn visible(text: &str, max: usize, kept: &str) -> String {
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == max {
            shown.push('…');
            break;
        }
        if c.is_control() && !kept.contains(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A prompt without a line end, for terminals that have no line editing.
pub fn prompt(text: &str) {
    write(text);
}

// `eprint!` panics when stderr is closed, and a program must not end because nobody reads its notes.
fn write(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn terminals_get_no_commands() {
        assert_eq!(visible("\u{1b}[31m\ta\nä", 99, "\n"), "\\u{1b}[31m\\ta\nä");
        assert_eq!(visible("\u{9b}x", 99, ""), "\\u{9b}x");
        assert_eq!(visible("abc", 3, ""), "abc");
        assert_eq!(visible("abcd", 3, ""), "abc…");
    }
}
