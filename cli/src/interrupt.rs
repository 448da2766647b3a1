//! Ctrl-C: the first asks long work to stop where it is, the second ends the program at once.
//! The first one ends it at once, too, where nothing looks at the flag (waiting for stdin, a download); at a prompt without
//! a line editor it says so first.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicU8, Ordering},
};

use crate::{notes, terminal};

/// The exit code of an interrupted program: 128 and the number of SIGINT.
pub const EXIT_CODE: i32 = 130;

const AT_ONCE: u8 = 0;
const LISTENING: u8 = 1;
const ASKED: u8 = 2;
const PROMPTED: u8 = 3;
/// Said at a prompt where Ctrl-C does nothing yet.
pub const AGAIN: &str = "Ctrl-C again, or Ctrl-D, to leave";
static STATE: AtomicU8 = AtomicU8::new(AT_ONCE);

/// Takes Ctrl-C over from the system. Without a handler (none can be set twice) the system's own way stays.
pub fn install() {
    let _ = ctrlc::set_handler(|| {
        let change = |from, to| {
            STATE
                .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        };
        if change(PROMPTED, AT_ONCE) {
            notes::reply(&format!("\n{AGAIN}"));
        } else if !change(LISTENING, ASKED) {
            terminal::restore();
            notes::note("interrupted");
            std::process::exit(EXIT_CODE);
        }
    });
}

/// From here on the caller looks at [`asked`] often.
pub fn listen() {
    let _ = STATE.compare_exchange(AT_ONCE, LISTENING, Ordering::SeqCst, Ordering::SeqCst);
}

/// The work is over, Ctrl-C ends the program again.
pub fn rest() {
    STATE.store(AT_ONCE, Ordering::SeqCst);
}

/// A person is asked for a line: the first Ctrl-C only says that a second one ends the program.
pub fn prompted() {
    STATE.store(PROMPTED, Ordering::SeqCst);
}

/// Ctrl-C was pressed since [`listen`].
pub fn asked() -> bool {
    STATE.load(Ordering::SeqCst) == ASKED
}

/// [`asked`] as the engine's callbacks want it.
pub fn control() -> ControlFlow<()> {
    if asked() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}
