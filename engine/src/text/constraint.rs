//! Constraints of a text, token by token: grammars, and whatever else decides which tokens may follow.

use serde_json::Value;

use crate::Result;

/// Form that a text must have.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Grammar {
    /// JSON that is valid by this schema.
    JsonSchema(Value),
    /// Text that matches this regular expression as a whole, in the form of Rust's `regex`.
    Regex(String),
    /// Text of this grammar in Lark's form, as the crate llguidance has it.
    Lark(String),
}

/// Tokens that may follow a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<'a> {
    /// Any token.
    Any,
    /// One of these: bit `i % 32` of word `i / 32` is set for token `i`.
    Among(&'a [u32]),
    /// These tokens, and no others.
    Forced(Vec<u32>),
    /// Nothing.
    End,
}

/// Decides which tokens may follow, as a text is sampled.
pub trait Constraint: Send {
    /// Finds the tokens that may follow those that were accepted.
    ///
    /// # Errors
    /// [`Error::BadInput`](crate::Error::BadInput) where that takes too much work to find.
    fn next(&mut self) -> Result<Next<'_>>;

    /// Takes a token, one of those that may follow.
    ///
    /// # Errors
    /// [`Error::BadInput`](crate::Error::BadInput) where it is none of those.
    fn accept(&mut self, token: u32) -> Result<()>;
}
