//! Values as Python writes them: `str` for what is printed, `repr` within lists and dictionaries. Models see every space.

use std::{fmt::Write as _, sync::Arc};

use super::{
    failure::{Result, fail},
    renderer::Renderer,
    unicode,
    value::{Value, View},
};

impl Renderer<'_> {
    /// Python's `str`.
    pub fn text(&mut self, value: &Value) -> Result<Arc<str>> {
        match value {
            Value::Str(text) | Value::Markup(text) => Ok(text.clone()),
            Value::Undefined(_) => Ok("".into()),
            _ => Ok(self.repr(value)?.into()),
        }
    }

    /// Python's `repr`.
    pub fn repr(&mut self, value: &Value) -> Result<String> {
        let mut out = String::new();
        self.write_repr(value, &mut out)?;
        Ok(out)
    }

    fn write_repr(&mut self, value: &Value, out: &mut String) -> Result<()> {
        let before = out.len();
        self.deeper(|renderer| renderer.repr_of(value, out))?;
        if !matches!(value, Value::List(_) | Value::Tuple(_) | Value::Dict(_)) {
            self.pay(out.len() - before)?;
        }
        Ok(())
    }

    fn repr_of(&mut self, value: &Value, out: &mut String) -> Result<()> {
        match value {
            Value::Undefined(_) => out.push_str("Undefined"),
            Value::None => out.push_str("None"),
            Value::Bool(true) => out.push_str("True"),
            Value::Bool(false) => out.push_str("False"),
            Value::Int(value) => out.push_str(&value.to_string()),
            Value::Float(value) => out.push_str(&float(*value)),
            Value::Str(text) => quote(text, out),
            Value::Markup(text) => {
                out.push_str("Markup(");
                quote(text, out);
                out.push(')');
            }
            Value::List(list) => self.series(&list.items, "[", "]", out)?,
            Value::Tuple(tuple) | Value::Group(tuple) => {
                let close = if tuple.items.len() == 1 { ",)" } else { ")" };
                self.series(&tuple.items, "(", close, out)?;
            }
            Value::Dict(dict) => self.entries(dict.entries(), out)?,
            Value::Range(range) if range.step == 1 => {
                let _ = write!(out, "range({}, {})", range.start, range.stop);
            }
            Value::Range(range) => {
                let _ = write!(
                    out,
                    "range({}, {}, {})",
                    range.start, range.stop, range.step
                );
            }
            Value::View(view, _) => {
                let name = match view {
                    View::Keys => "dict_keys(",
                    View::Values => "dict_values(",
                    View::Items => "dict_items(",
                };
                let items = self.iterate(value)?;
                out.push_str(name);
                self.series(&items, "[", "])", out)?;
            }
            Value::Namespace(id) => {
                let entries = self.namespaces[*id].entries().to_vec();
                out.push_str("<Namespace ");
                self.entries(&entries, out)?;
                out.push('>');
            }
            Value::Loop(id) => {
                let this = &self.loops[*id];
                let _ = write!(out, "<LoopContext {}/{}>", this.index + 1, this.items.len());
            }
            Value::Macro(id) => macro_repr(self.macros[*id].definition.name.as_deref(), out),
            Value::Function(_)
            | Value::Method(_)
            | Value::Iterator(_)
            | Value::Cycler(_)
            | Value::Joiner(_) => {
                return fail(format!(
                    "a {} cannot be printed: Python writes its address in memory",
                    value.type_name()
                ));
            }
        }
        Ok(())
    }

    fn series(&mut self, items: &[Value], open: &str, close: &str, out: &mut String) -> Result<()> {
        out.push_str(open);
        for (i, item) in items.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { ", " });
            self.write_repr(item, out)?;
        }
        out.push_str(close);
        Ok(())
    }

    fn entries(&mut self, entries: &[(Value, Value)], out: &mut String) -> Result<()> {
        out.push('{');
        for (i, (key, value)) in entries.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { ", " });
            self.write_repr(key, out)?;
            out.push_str(": ");
            self.write_repr(value, out)?;
        }
        out.push('}');
        Ok(())
    }
}

fn macro_repr(name: Option<&str>, out: &mut String) {
    out.push_str("<Macro ");
    match name {
        Some(name) => quote(name, out),
        None => out.push_str("anonymous"),
    }
    out.push('>');
}

/// Python's `repr` of a number: the shortest digits that read back as it, an exponent from 1e16 up and below 1e-4.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
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

/// Python's `repr` of a text: in single quotes, unless it has some and no double ones.
pub(super) fn quote(text: &str, out: &mut String) {
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
            char if char == mark => out.extend(['\\', char]),
            char if unicode::is_printable(char) => out.push(char),
            char => out.push_str(&escape(char)),
        }
    }
    out.push(mark);
}

/// A character as an escape with its number.
pub(super) fn escape(char: char) -> String {
    let code = char as u32;
    if code <= 0xff {
        format!("\\x{code:02x}")
    } else if code <= 0xffff {
        format!("\\u{code:04x}")
    } else {
        format!("\\U{code:08x}")
    }
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
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float(value), text);
        }
    }
}
