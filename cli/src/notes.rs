//! Everything said on stderr, in four loudnesses. Not progress bars (`progress.rs`), and never model text (`output.rs`).

use std::{
    io::Write,
    sync::atomic::{AtomicU8, Ordering},
};

const QUIET: u8 = 0;
const NORMAL: u8 = 1;
const VERBOSE: u8 = 2;
static LOUDNESS: AtomicU8 = AtomicU8::new(NORMAL);

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
        write(&format!("{text}\n"));
    }
}

/// `-v`: everything.
pub fn verbose() -> bool {
    LOUDNESS.load(Ordering::Relaxed) == VERBOSE
}

/// One line that only `-v` shows.
pub fn detail(text: &str) {
    if verbose() {
        write(&format!("{text}\n"));
    }
}

/// Something that works, but not as one may expect.
pub fn warning(text: &str) {
    note(&format!("warning: {text}"));
}

/// Why the program ends; the only thing that `-q` lets through.
pub fn error(text: &str) {
    const LENGTH_MAX: usize = 4000; // texts from files can be long
    let shown = text.chars().take(LENGTH_MAX);
    let shown: String = shown
        .map(|c| if c == '\n' { c } else { visible(c) })
        .collect();
    write(&format!("error: {shown}\n"));
}

/// The character, or a mark where a terminal would take it for a command.
pub fn visible(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

/// A prompt without a line end, for terminals that have no line editing.
pub fn prompt(text: &str) {
    write(text);
}

// `eprint!` panics when stderr is closed, and a program must not end because nobody reads its notes.
fn write(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
