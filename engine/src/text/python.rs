//! Values as Python writes them: `json.dumps` for `tojson`, `repr` for lists and dictionaries that a template prints. Chat templates are
//! written against Python, and models see every space.

use std::{fmt::Write as _, io};

use minijinja::{
    Error, ErrorKind, Value,
    value::{Kwargs, ValueKind},
};
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter};

/// The filter `tojson` as `transformers` has it: `json.dumps(value, ensure_ascii=False)`, keys in their order, with an optional indent.
#[expect(
    clippy::needless_pass_by_value,
    reason = "minijinja hands arguments over by value"
)]
pub(super) fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::new(
            ErrorKind::UndefinedError,
            "tojson of an undefined value",
        ));
    }
    let indent = match options.get::<Option<Value>>("indent")? {
        None => None,
        Some(indent) if indent.is_none() => None,
        Some(indent) => Some(usize::try_from(indent)?.min(INDENT_MAX)),
    };
    let ascii = options
        .get::<Option<bool>>("ensure_ascii")?
        .unwrap_or(false);
    options.assert_all_used()?;
    check_size(value)?;
    let mut out = Vec::new();
    let style = Dumps {
        indent,
        ascii,
        depth: 0,
        empty: true,
    };
    let failed = |error: String| Error::new(ErrorKind::BadSerialization, error);
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut out, style))
        .map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(out).map_err(|error| failed(error.to_string()))?;
    Ok(Value::from(text))
}

/// More would only be a way to ask for memory.
const INDENT_MAX: usize = 16;

/// The layout of Python's `json.dumps`.
struct Dumps {
    /// Spaces a level; None: all on one line.
    indent: Option<usize>,
    /// Writes all but ASCII as escapes.
    ascii: bool,
    depth: usize,
    /// Nothing is in the current list or dictionary yet.
    empty: bool,
}

impl Dumps {
    fn open(&mut self, out: &mut (impl io::Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.empty = true;
        out.write_all(bracket)
    }

    fn item(&mut self, out: &mut (impl io::Write + ?Sized), first: bool) -> io::Result<()> {
        self.empty = false;
        match (first, self.indent) {
            (true, None) => Ok(()),
            (true, Some(_)) => self.line(out),
            (false, None) => out.write_all(b", "),
            (false, Some(_)) => out.write_all(b",").and_then(|()| self.line(out)),
        }
    }

    fn close(&mut self, out: &mut (impl io::Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if !self.empty && self.indent.is_some() {
            self.line(out)?;
        }
        self.empty = false; // what this was in has it now
        out.write_all(bracket)
    }

    fn line(&self, out: &mut (impl io::Write + ?Sized)) -> io::Result<()> {
        let spaces = self.depth * self.indent.unwrap_or(0);
        write!(out, "\n{:spaces$}", "")
    }
}

impl Formatter for Dumps {
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(out, first)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(out, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        out.write_all(float(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        for char in text.chars() {
            if self.ascii && !char.is_ascii() {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            } else {
                write!(out, "{char}")?;
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::AsciiControl(byte) => write!(out, "\\u{byte:04x}"),
            other => serde_json::ser::CompactFormatter.write_char_escape(out, other),
        }
    }
}

/// A finite number as Python's `repr` has it: the shortest digits that read back as it, an exponent from 1e16 up and below 1e-4.
fn float(value: f64) -> String {
    if value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
        None => text,
    }
}

/// Prints `value` as `{{ value }}` does: text as it is, all else as Python's `str` has it.
pub(super) fn print(value: &Value) -> Result<String, Error> {
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
        return Ok(value.to_string());
    }
    check_size(value)?;
    let mut out = String::new();
    repr(value, &mut out);
    Ok(out)
}

/// Deeper values are refused: no template can make the stack overflow by building one.
const DEPTH_MAX: usize = 128;

/// Larger values are refused: bytes of text, and ITEM_SIZE for each item. (A list that is twice in a list that is twice in a list … is
/// soon a million items to write.)
const SIZE_MAX: usize = 16 << 20;

/// Bytes that an item counts for beside its text.
const ITEM_SIZE: usize = 16;

/// An error for a value that honest templates do not write. Goes by what would be written, not by what is stored.
fn check_size(value: &Value) -> Result<(), Error> {
    let refuse = |what: String| Error::new(ErrorKind::BadSerialization, what);
    let mut left = SIZE_MAX;
    match fits(value, DEPTH_MAX, &mut left) {
        true => Ok(()),
        false if left == 0 => Err(refuse(format!("a value of more than {SIZE_MAX} bytes"))),
        false => Err(refuse(format!("a value more than {DEPTH_MAX} levels deep"))),
    }
}

/// Takes what `value` would write from `left`, down to 0. False where it does not suffice, or values are nested beyond `levels`.
fn fits(value: &Value, levels: usize, left: &mut usize) -> bool {
    let text = value.as_str().map_or(0, str::len);
    *left = left.saturating_sub(ITEM_SIZE + text);
    let items = || value.try_iter().into_iter().flatten();
    *left > 0
        && match value.kind() {
            ValueKind::Seq | ValueKind::Map | ValueKind::Iterable if levels == 0 => false,
            ValueKind::Seq | ValueKind::Iterable => {
                items().all(|item| fits(&item, levels - 1, left))
            }
            ValueKind::Map => items().all(|key| {
                let item = value.get_item(&key).unwrap_or_default();
                fits(&key, levels - 1, left) && fits(&item, levels - 1, left)
            }),
            _ => true,
        }
}

/// Python's `repr`, of a value that `check_size` has let through.
fn repr(value: &Value, out: &mut String) {
    let items = || value.try_iter().into_iter().flatten();
    match value.kind() {
        ValueKind::String => quote(value.as_str().unwrap_or_default(), out),
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::Seq => {
            out.push('[');
            for (i, item) in items().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                repr(&item, out);
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in items().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                repr(&key, out);
                out.push_str(": ");
                repr(&value.get_item(&key).unwrap_or_default(), out);
            }
            out.push('}');
        }
        _ => out.push_str(&value.to_string()),
    }
}

/// Python's `repr` of a text: in single quotes, unless it has some and no double ones.
fn quote(text: &str, out: &mut String) {
    let mark = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(mark);
    for char in text.chars() {
        match char {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            char if char == mark => {
                out.push('\\');
                out.push(char);
            }
            char if char.is_ascii_control() || ('\u{80}'..='\u{A0}').contains(&char) => {
                let _ = write!(out, "\\x{:02x}", char as u32); // writing to a String cannot fail
            }
            char => out.push(char),
        }
    }
    out.push(mark);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_does() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5e-9, "-2.5e-09"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn values_are_printed_as_python_does() {
        let value = serde_json::json!({"a": [1, 2.0, null, true], "b'": "it's\n\"\u{7f}", "c": {}, "é": ["'"]});
        assert_eq!(
            print(&Value::from(minijinja::value::Serde(value))).unwrap(),
            r#"{'a': [1, 2.0, None, True], "b'": 'it\'s\n"\x7f', 'c': {}, 'é': ["'"]}"#
        );
    }
}
