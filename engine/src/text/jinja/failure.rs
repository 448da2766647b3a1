//! Failures in a template, and the line where.

/// An error with the line of the template, once that is known.
#[derive(Debug, Clone)]
pub(in crate::text) struct Failure {
    pub message: String,
    pub line: Option<u32>,
}

pub(super) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(message: impl Into<String>) -> Failure {
        Failure {
            message: message.into(),
            line: None,
        }
    }

    pub fn at(mut self, line: u32) -> Failure {
        self.line.get_or_insert(line);
        self
    }
}

/// A failure as a result.
pub(super) fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(Failure::new(message))
}
