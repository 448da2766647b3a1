//! Everything that can go wrong, with what to do about it. Programs match on [`Error`] or [`Error::code`], people read the
//! message.

/// A limit that something goes beyond: see [`Error::DoesNotFit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Memory of the GPU, or what the caller allows of it, bytes.
    Memory,
    /// Size of one buffer, bytes.
    Buffer,
    /// Size of the part of a buffer that a shader sees at once, bytes.
    Binding,
    /// Length of a context, tokens.
    Context,
}

/// An error of the engine. The message says what happened and, where there is something to do, what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter at all, or none with the asked name.
    #[error("{message}")]
    NoAdapter {
        /// Names of the adapters that there are, in their order; none where there is no adapter at all.
        known: Vec<String>,
        /// Text for people: the adapter that is missing, and a way to get one.
        message: String,
    },
    /// The file is not what it says it is: cut, hostile or unknown. Names the file and the place in it.
    #[error("{0}")]
    BadFile(String),
    /// The file is sound, but holds something this version does not run: a family, a stored type, a tokenizer.
    #[error("{0}")]
    Unsupported(String),
    /// Model, cache or workspace do not fit the adapter's limits or memory.
    #[error("{message}")]
    DoesNotFit {
        /// The limit that is gone beyond.
        limit: Limit,
        /// Amount that it takes, in the limit's unit; where memory runs out, that of the allocation that failed.
        needed: u64,
        /// Amount that there is, in the limit's unit; none where the adapter does not say.
        available: Option<u64>,
        /// Text for people: the thing that does not fit, and a way out.
        message: String,
    },
    /// More tokens than the session's context has room for.
    #[error(
        "the prompt has {tokens} tokens, but the context holds {context}; shorten it or ask for a larger context"
    )]
    ContextFull {
        /// Tokens that were asked for, those already in the session included.
        tokens: usize,
        /// Tokens that the session can hold.
        context: usize,
    },
    /// A bad argument from the caller: an option out of range, a token id outside the vocabulary.
    #[error("{0}")]
    BadInput(String),
    /// The chat template refuses the messages or cannot be rendered.
    #[error("chat template: {0}")]
    Template(String),
    /// The device reported an error while working, or a shader does not compile.
    #[error("{0}")]
    Device(String),
    /// The device was lost: unplugged, its driver restarted, taken away by the browser. A new [`crate::Gpu`] may do.
    #[error("{0}")]
    DeviceLost(String),
    /// The caller asked to stop.
    #[error("interrupted")]
    Aborted,
    /// Bytes that had to be waited for did not come; the code is that of whoever was to bring them.
    #[error("{message}")]
    Remote {
        /// `network`, `aborted`, …
        code: String,
        /// What happened.
        message: String,
    },
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Error {
    /// A stable name for programs: `no-adapter`, `bad-file`, `does-not-fit`, …
    pub fn code(&self) -> &str {
        match self {
            Error::NoAdapter { .. } => "no-adapter",
            Error::BadFile(_) => "bad-file",
            Error::Unsupported(_) => "unsupported",
            Error::DoesNotFit { .. } => "does-not-fit",
            Error::ContextFull { .. } => "context-full",
            Error::BadInput(_) => "bad-input",
            Error::Template(_) => "template",
            Error::Device(_) => "device",
            Error::DeviceLost(_) => "device-lost",
            Error::Aborted => "aborted",
            Error::Remote { code, .. } => code,
            Error::Io { .. } => "io",
        }
    }
}

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;
