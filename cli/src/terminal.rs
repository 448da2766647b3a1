//! The terminal while an answer is printed: what is typed meanwhile is kept for the next line, and not shown in the answer.

#[cfg(unix)]
pub use unix::{Held, hold_typing, restore};

#[cfg(unix)]
mod unix {
    use std::{
        io,
        sync::{Mutex, PoisonError},
    };

    use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

    /// How the terminal was before; none while it is so.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    /// Brings the terminal back when it goes.
    #[must_use]
    pub struct Held;

    impl Drop for Held {
        fn drop(&mut self) {
            restore();
        }
    }

    /// Has the terminal keep what is typed without showing it, also over a Ctrl-C. None where it does so already, or cannot.
    pub fn hold_typing() -> Option<Held> {
        let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        if before.is_some() {
            return None;
        }
        let now = tcgetattr(io::stdin()).ok()?;
        let mut held = now.clone();
        held.local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ECHONL);
        held.local_flags.insert(LocalFlags::NOFLSH);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &held).ok()?;
        *before = Some(now);
        Some(Held)
    }

    /// Makes the terminal what it was.
    pub fn restore() {
        let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = before.take() {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &before); // one that went away needs nothing
        }
    }
}

/// Does nothing: Windows shows what is typed only once it is read.
#[cfg(not(unix))]
pub fn hold_typing() -> Option<Held> {
    None
}

/// Never made.
#[cfg(not(unix))]
pub enum Held {}

/// Does nothing, as nothing was changed.
#[cfg(not(unix))]
pub fn restore() {}
