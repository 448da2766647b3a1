//! How a verb fails, and the exit code that says so. The words of an engine error are the engine's own.

use std::process::ExitCode;

use lantern_engine::Error;

use crate::notes;

/// Result of every verb.
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// Why a verb ended without its product.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The engine's error, as it is.
    #[error(transparent)]
    Engine(Error),
    /// Anything else that went wrong; says what to do next.
    #[error("{0}")]
    Message(String),
    /// The hub did not give what was asked for. Apart from `Message`, because another source can then be tried.
    #[error("{0}")]
    Hub(String),
    /// The arguments contradict each other in a way that the parser cannot see.
    #[error("{0}")]
    Usage(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Whoever read stdout has gone, which is their right.
    #[error("stdout was closed")]
    BrokenPipe,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Aborted => Failure::Interrupted,
            other => Failure::Engine(other),
        }
    }
}

impl Failure {
    /// A failed read or write, with the file and what the system says.
    pub fn io(path: impl AsRef<std::path::Path>, source: std::io::Error) -> Failure {
        let path = path.as_ref().display().to_string();
        Failure::Engine(Error::Io { path, source })
    }

    /// The code that the shell sees: 0 broken pipe, 1 error, 2 usage, 3 no adapter, 130 interrupted.
    pub fn code(&self) -> u8 {
        match self {
            Failure::BrokenPipe => 0,
            Failure::Usage(_) => 2,
            Failure::Engine(error) if error.code() == "no-adapter" => 3,
            Failure::Interrupted => 130,
            Failure::Engine(_) | Failure::Message(_) | Failure::Hub(_) => 1,
        }
    }

    /// Says on stderr what happened, where there is something to say.
    pub fn report(&self) -> ExitCode {
        match self {
            Failure::BrokenPipe => {}
            Failure::Interrupted => notes::note("interrupted"),
            Failure::Engine(error) if error.code() == "context-full" => {
                notes::error(&format!("{error} with --context"));
            }
            other => notes::error(&other.to_string()),
        }
        ExitCode::from(self.code())
    }
}
