//! Jinja as `transformers` sets Jinja2 up: an immutable sandbox with `trim_blocks` and `lstrip_blocks`, loop controls, the tag
//! `generation`, its own `tojson`, `raise_exception` and `strftime_now`.
//!
//! Why this is written here, and no crate is taken. Models see every character of a prompt, and templates are written against Python: a
//! tuple prints in round brackets, `x.items` is a method even where `x` has a key of that name, `1 < 2 < 3` is a chain, `'a' < 1` is an
//! error, `-1|abs` is 1, what a filter maps can be gone through once. In minijinja's values and grammar these are decided otherwise, and
//! deep within: its filters, methods and escapes could be put right from outside, but its tuples are lists, its attributes are entries,
//! its comparisons order all values and chain none, and its `~` and `join` write in its own way; each would be a prompt that is silently
//! another one. Rewriting templates before minijinja sees them would have taken a parser of Jinja anyway. It also compares and drops nested
//! values without counting their depth, where here all that a template can build is bounded. The differential test against Jinja2 is what
//! keeps this right.

mod arguments;
mod ast;
mod attributes;
mod calls;
mod evaluate;
mod expressions;
mod failure;
mod filters;
mod format;
mod json;
mod lexer;
mod literals;
mod operators;
mod predicates;
mod print;
mod renderer;
mod scopes;
mod statements;
mod str_format;
mod strings;
mod suffixes;
mod unicode;
mod value;

pub(super) use failure::Failure;
use value::{Dict, Value};

/// A template that was read.
#[derive(Debug)]
pub(super) struct Template {
    body: ast::Body,
}

impl Template {
    /// Reads a template.
    pub fn new(source: &str) -> Result<Template, Failure> {
        let body = statements::parse(source)?;
        Ok(Template { body })
    }

    /// Renders it with these variables; `clock` is what `strftime_now` asks.
    pub fn render(
        &self,
        variables: &serde_json::Map<String, serde_json::Value>,
        clock: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<String, Failure> {
        let mut context = Dict::default();
        for (name, value) in variables {
            context.insert(Value::str(name.as_str()), Value::from_json(value)?)?;
        }
        renderer::render(&self.body, &context, clock)
    }
}
