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

/// Kind of thing that this version does not run: see [`Error::Unsupported`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// Version or byte order of a file format.
    Version,
    /// Architecture of a model.
    Family,
    /// Stored type of a tensor.
    StoredType,
    /// Tensor that the model's family has no place for, or with values that are not run.
    Tensor,
    /// Size of a model: heads, experts, dimensions.
    Shape,
    /// Value of a key in a model's file or folder.
    Setting,
    /// Tokenizer, or a step of one.
    Tokenizer,
    /// Chat with a model that has no chat template.
    Template,
    /// LoRA adapter for something that takes none.
    Lora,
    /// Device that lacks a feature, or has a limit that is too low.
    Device,
    /// Call that a model cannot answer while its layers stream.
    Streaming,
    /// Session that cannot be saved.
    Session,
    /// Logits, or tokens, of a model that has none: an encoder.
    Logits,
    /// Cargo feature that this program was built without.
    Feature,
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
    /// The file is not what it says it is: cut, hostile or unknown.
    #[error("{}{message}", prefix(file.as_deref()))]
    BadFile {
        /// Path or address of the file, where the message does not name it itself.
        file: Option<String>,
        /// Text for people: the key, tensor or place in the file, and what is wrong there.
        message: String,
    },
    /// The input is sound, but asks for something this version does not run: a family, a stored type, a tokenizer.
    #[error("{}{message}", prefix(file.as_deref()))]
    Unsupported {
        /// Kind of thing that is not run.
        what: Unsupported,
        /// Path or address of the file that asks for it, where it is one that the message does not name itself.
        file: Option<String>,
        /// Text for people: its name, and what is run instead.
        message: String,
    },
    /// The model's logits are not finite: nothing can be sampled from them.
    #[error("{0}")]
    NotFinite(String),
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
    /// As many requests wait for a [`Service`](crate::Service) as may.
    #[error("{waiting} requests wait already; try again later")]
    Busy {
        /// Requests that wait.
        waiting: usize,
    },
    /// Sequences hold all blocks of the cache that they share.
    #[error(
        "the cache is full: {needed} more of its blocks are wanted, {idle} are free; end another sequence, or ask for a larger cache"
    )]
    CacheFull {
        /// Blocks that are wanted.
        needed: usize,
        /// Blocks that no sequence holds.
        idle: usize,
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
        /// Text of the error.
        message: String,
    },
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
}

/// Start of a message about `file`.
fn prefix(file: Option<&str>) -> String {
    file.map_or_else(String::new, |file| format!("{file}: "))
}

impl Error {
    /// Returns [`Error::BadFile`] for bytes whose file is not known yet.
    pub fn bad_file(message: impl Into<String>) -> Error {
        Error::BadFile {
            file: None,
            message: message.into(),
        }
    }

    /// Returns [`Error::Unsupported`] for what no file is known to ask for, or not yet.
    pub fn unsupported(what: Unsupported, message: impl Into<String>) -> Error {
        Error::Unsupported {
            what,
            file: None,
            message: message.into(),
        }
    }

    /// Names the file that a [`Error::BadFile`] or [`Error::Unsupported`] is about, where none is named yet.
    #[must_use]
    pub fn in_file(mut self, label: &str) -> Error {
        if let Error::BadFile { file, .. } | Error::Unsupported { file, .. } = &mut self {
            file.get_or_insert_with(|| label.to_owned());
        }
        self
    }

    /// A stable name for programs: `no-adapter`, `bad-file`, `does-not-fit`, …
    pub fn code(&self) -> &str {
        match self {
            Error::NoAdapter { .. } => "no-adapter",
            Error::BadFile { .. } => "bad-file",
            Error::Unsupported { .. } => "unsupported",
            Error::NotFinite(_) => "not-finite",
            Error::DoesNotFit { .. } => "does-not-fit",
            Error::ContextFull { .. } => "context-full",
            Error::Busy { .. } => "busy",
            Error::CacheFull { .. } => "cache-full",
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
