//! The text of a template as tokens, after Jinja2's lexer with `trim_blocks` and `lstrip_blocks`.

use std::sync::Arc;

use super::{
    failure::{Failure, Result, fail},
    literals,
};

/// A token and its line.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub line: u32,
    pub kind: Kind,
}

/// Kind of a token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Text(String),
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name(Arc<str>),
    Str(String),
    Int(i128),
    Float(f64),
    Operator(&'static str),
    End,
}

/// Operators, the longer ones first.
const OPERATORS: [&str; 25] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",",
];

/// White space as Python's `str.isspace` and `\s` have it.
pub(super) fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\x1c'..='\x1f').contains(&char)
}

/// The tokens of a template, [`Kind::End`] the last.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>> {
    let mut source = source.replace("\r\n", "\n").replace('\r', "\n");
    if source.ends_with('\n') {
        source.pop();
    }
    let mut lexer = Lexer {
        source: &source,
        at: 0,
        line: 1,
        line_starting: true,
        out: Vec::new(),
    };
    lexer.root().map_err(|failure| failure.at(lexer.line))?;
    lexer.push(Kind::End);
    Ok(lexer.out)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: u32,
    /// Whether the text read last ended a line.
    line_starting: bool,
    out: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn push(&mut self, kind: Kind) {
        self.out.push(Token {
            line: self.line,
            kind,
        });
    }

    fn advance(&mut self, bytes: usize) {
        let read = &self.rest()[..bytes];
        self.line += read.bytes().filter(|&byte| byte == b'\n').count() as u32;
        self.line_starting = read.ends_with('\n');
        self.at += bytes;
    }

    fn root(&mut self) -> Result<()> {
        loop {
            let rest = self.rest();
            let Some(tag) = next_tag(rest) else {
                if !rest.is_empty() {
                    self.push(Kind::Text(rest.to_owned()));
                    self.advance(rest.len());
                }
                return Ok(());
            };
            let sign = sign(&rest[tag + 2..]);
            let kind = rest.as_bytes()[tag + 1];
            self.text(&rest[..tag], sign, kind == b'{');
            if let Some(begin) = (kind == b'%').then(|| raw_begin(&rest[tag..])).flatten() {
                self.advance(tag + begin);
                self.raw()?;
                continue;
            }
            self.advance(tag + 2 + sign.map_or(0, |_| 1));
            match kind {
                b'#' => self.comment()?,
                b'{' => {
                    self.push(Kind::VariableBegin);
                    self.inside(false)?;
                }
                _ => {
                    self.push(Kind::BlockBegin);
                    self.inside(true)?;
                }
            }
        }
    }

    /// The text before a tag, less what its sign and `lstrip_blocks` take away.
    fn text(&mut self, text: &str, sign: Option<char>, variable: bool) {
        let start = text.rfind('\n').map_or(0, |at| at + 1);
        let kept = match sign {
            Some('-') => text.trim_end_matches(is_space),
            None if !variable
                && (start > 0 || self.line_starting)
                && text[start..].chars().all(is_space) =>
            {
                &text[..start]
            }
            _ => text,
        };
        if !kept.is_empty() {
            self.push(Kind::Text(kept.to_owned()));
        }
    }

    fn comment(&mut self) -> Result<()> {
        let rest = self.rest();
        let Some(end) = rest.find("#}") else {
            if rest.is_empty() {
                return Ok(()); // so Jinja2 has it
            }
            return fail("Missing end of comment tag");
        };
        let sign = rest[..end].chars().next_back();
        self.advance(end);
        let bytes = end_of_tag(self.rest(), sign, true);
        self.advance(bytes);
        Ok(())
    }

    fn raw(&mut self) -> Result<()> {
        let rest = self.rest();
        let ends = rest.match_indices("{%").find_map(|(at, _)| {
            let tag = &rest[at + 2..];
            let sign = sign(tag);
            let word = tag[sign.map_or(0, |_| 1)..].trim_start_matches(is_space);
            let after = word.strip_prefix("endraw")?.trim_start_matches(is_space);
            let (last, after) = match sign_of_end(after) {
                Some(sign) => (Some(sign), &after[1..]),
                None => (None, after),
            };
            after.starts_with("%}").then(|| {
                let end = rest.len() - after.len();
                (at, sign, end, end_of_tag(after, last, true))
            })
        });
        let Some((at, sign, end, more)) = ends else {
            if rest.is_empty() {
                return Ok(()); // so Jinja2 has it
            }
            return fail("Missing end of raw directive");
        };
        self.text(&rest[..at], sign, false);
        self.advance(end + more);
        Ok(())
    }

    /// The tokens of an expression or a statement, up to its end.
    fn inside(&mut self, block: bool) -> Result<()> {
        let (close, end) = if block {
            ("%}", Kind::BlockEnd)
        } else {
            ("}}", Kind::VariableEnd)
        };
        let mut open = Vec::new();
        loop {
            let rest = self.rest();
            let Some(first) = rest.chars().next() else {
                return Ok(()); // the parser misses the end
            };
            if open.is_empty() {
                let sign = sign_of_end(rest).filter(|&sign| block || sign == '-');
                let after = &rest[sign.map_or(0, |_| 1)..];
                if after.starts_with(close) {
                    self.push(end);
                    let bytes = end_of_tag(after, sign, block);
                    self.advance(bytes + sign.map_or(0, |_| 1));
                    return Ok(());
                }
            }
            if is_space(first) {
                self.advance(first.len_utf8());
                continue;
            }
            let after_dot = self.source[..self.at].ends_with('.');
            if let Some((kind, bytes)) = literals::number(rest, after_dot)? {
                self.push(kind);
                self.advance(bytes);
            } else if first == '_' || first.is_alphanumeric() {
                let bytes = rest
                    .find(|char: char| char != '_' && !char.is_alphanumeric())
                    .unwrap_or(rest.len());
                self.push(Kind::Name(rest[..bytes].into()));
                self.advance(bytes);
            } else if let Some((text, bytes)) = literals::string(rest)? {
                self.push(Kind::Str(text));
                self.advance(bytes);
            } else {
                self.operator(&mut open)?;
            }
        }
    }

    fn operator(&mut self, open: &mut Vec<&'static str>) -> Result<()> {
        let rest = self.rest();
        let Some(&operator) = OPERATORS.iter().find(|&&one| rest.starts_with(one)) else {
            let char = rest.chars().next().unwrap_or_default();
            return fail(format!("unexpected char {char:?}"));
        };
        match operator {
            "{" => open.push("}"),
            "(" => open.push(")"),
            "[" => open.push("]"),
            "}" | ")" | "]" if open.pop() != Some(operator) => {
                return fail(format!("unexpected '{operator}'"));
            }
            _ => {}
        }
        self.push(Kind::Operator(operator));
        self.advance(operator.len());
        Ok(())
    }
}

/// Place at which the next tag begins.
fn next_tag(text: &str) -> Option<usize> {
    text.match_indices('{')
        .map(|(at, _)| at)
        .find(|at| matches!(text.as_bytes().get(at + 1), Some(b'%' | b'{' | b'#')))
}

/// The sign after a tag's beginning.
fn sign(text: &str) -> Option<char> {
    text.chars().next().filter(|char| matches!(char, '-' | '+'))
}

/// The sign before a tag's end.
fn sign_of_end(text: &str) -> Option<char> {
    sign(text)
}

/// Bytes of `{% raw %}`, if that is what `text` begins with.
fn raw_begin(text: &str) -> Option<usize> {
    let tag = &text[2..];
    let word = tag[sign(tag).map_or(0, |_| 1)..].trim_start_matches(is_space);
    let after = word.strip_prefix("raw")?.trim_start_matches(is_space);
    let after = match after.strip_prefix("-%}") {
        Some(after) => after.trim_start_matches(is_space),
        None => after.strip_prefix("%}")?,
    };
    Some(text.len() - after.len())
}

/// Bytes of a tag's end (two characters) with the white space that goes with it.
fn end_of_tag(text: &str, sign: Option<char>, trims: bool) -> usize {
    let after = &text[2..];
    2 + match sign {
        Some('-') => after.len() - after.trim_start_matches(is_space).len(),
        Some('+') => 0,
        _ => usize::from(trims && after.starts_with('\n')),
    }
}

/// A failure where the template ends too early.
pub(super) fn early_end() -> Failure {
    Failure::new("unexpected end of template")
}
