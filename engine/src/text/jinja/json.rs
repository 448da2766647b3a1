//! The filter `tojson` as `transformers` has it: Python's `json.dumps`, to the byte.

use std::fmt::Write as _;

use super::{
    arguments::{Args, flag},
    failure::{Result, fail},
    filters::order,
    print,
    renderer::Renderer,
    value::Value,
};

/// More spaces a level would only be a way to ask for memory.
const INDENT_MAX: i128 = 1024;

/// How JSON is laid out.
struct Style {
    ascii: bool,
    /// Text that a level is indented by; None: all on one line.
    indent: Option<String>,
    /// Between items, and between a key and its value.
    separators: [String; 2],
    sorts: bool,
}

/// `value|tojson(ensure_ascii, indent, separators, sort_keys)`.
pub(super) fn dumps(renderer: &mut Renderer<'_>, value: &Value, args: Args) -> Result<Value> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let [ascii, indent, separators, sorts] = args.bind("tojson", names, 0)?;
    let indent = match &indent {
        None | Some(Value::None) => None,
        Some(Value::Str(text)) => Some(text.to_string()),
        Some(indent) => match indent.as_int() {
            Some(spaces) if spaces > INDENT_MAX => {
                return fail(format!("tojson indents by up to {INDENT_MAX} spaces"));
            }
            Some(spaces) => Some(" ".repeat(spaces.max(0) as usize)),
            None => return fail("tojson: indent is a number of spaces, or a text"),
        },
    };
    let separators = match separators {
        None | Some(Value::None) if indent.is_some() => [",".to_owned(), ": ".to_owned()],
        None | Some(Value::None) => [", ".to_owned(), ": ".to_owned()],
        Some(pair) => match &renderer.iterate(&pair)?[..] {
            [Value::Str(item), Value::Str(key)] => [item.to_string(), key.to_string()],
            _ => return fail("tojson: separators are two texts"),
        },
    };
    let style = Style {
        ascii: flag(ascii.as_ref()),
        indent,
        separators,
        sorts: flag(sorts.as_ref()),
    };
    let mut out = String::new();
    style.value(renderer, value, 0, &mut out)?;
    Ok(Value::str(out))
}

impl Style {
    fn value(
        &self,
        renderer: &mut Renderer<'_>,
        value: &Value,
        level: usize,
        out: &mut String,
    ) -> Result<()> {
        renderer.deeper(|renderer| match value {
            Value::None => write(renderer, out, "null"),
            Value::Bool(true) => write(renderer, out, "true"),
            Value::Bool(false) => write(renderer, out, "false"),
            Value::Int(number) => write(renderer, out, &number.to_string()),
            Value::Float(number) => write(renderer, out, &float(*number)),
            Value::Str(text) | Value::Markup(text) => {
                renderer.pay(text.len())?;
                self.string(text, out);
                Ok(())
            }
            Value::List(list) | Value::Tuple(list) | Value::Group(list) => {
                let items: Vec<_> = list.items.iter().map(|item| (None, item)).collect();
                self.series(renderer, ['[', ']'], &items, level, out)
            }
            Value::Dict(dict) => {
                let mut entries = dict.entries().to_vec();
                if self.sorts {
                    entries =
                        order::sorted(renderer, entries, false, |_, (key, _)| Ok(key.clone()))?;
                }
                let items: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| (Some(key), value))
                    .collect();
                self.series(renderer, ['{', '}'], &items, level, out)
            }
            Value::Undefined(_) => fail("tojson of an undefined value"),
            _ => fail(format!(
                "Object of type {} is not JSON serializable",
                value.type_name()
            )),
        })
    }

    /// Items of a list, or of a dictionary with their keys.
    fn series(
        &self,
        renderer: &mut Renderer<'_>,
        [open, close]: [char; 2],
        items: &[(Option<&Value>, &Value)],
        level: usize,
        out: &mut String,
    ) -> Result<()> {
        out.push(open);
        for (i, (key, value)) in items.iter().enumerate() {
            if i > 0 {
                write(renderer, out, &self.separators[0])?;
            }
            self.line(renderer, level + 1, out)?;
            if let Some(key) = key {
                self.key(renderer, key, out)?;
                write(renderer, out, &self.separators[1])?;
            }
            self.value(renderer, value, level + 1, out)?;
        }
        if !items.is_empty() {
            self.line(renderer, level, out)?;
        }
        out.push(close);
        Ok(())
    }

    fn line(&self, renderer: &mut Renderer<'_>, level: usize, out: &mut String) -> Result<()> {
        let Some(indent) = &self.indent else {
            return Ok(());
        };
        renderer.pay(indent.len() * level + 1)?;
        out.push('\n');
        out.push_str(&indent.repeat(level));
        Ok(())
    }

    fn key(&self, renderer: &mut Renderer<'_>, key: &Value, out: &mut String) -> Result<()> {
        let text = match key {
            Value::Str(text) | Value::Markup(text) => text.to_string(),
            Value::None => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => float(*number),
            _ => {
                let kind = key.type_name();
                let message = format!("keys must be str, int, float, bool or None, not {kind}");
                return fail(message);
            }
        };
        renderer.pay(text.len())?;
        self.string(&text, out);
        Ok(())
    }

    fn string(&self, text: &str, out: &mut String) {
        out.push('"');
        for char in text.chars() {
            match char {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\x08' => out.push_str("\\b"),
                '\x0c' => out.push_str("\\f"),
                char if char < ' ' || (self.ascii && !(' '..='~').contains(&char)) => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}"); // writing to a String cannot fail
                    }
                }
                char => out.push(char),
            }
        }
        out.push('"');
    }
}

fn write(renderer: &mut Renderer<'_>, out: &mut String, text: &str) -> Result<()> {
    renderer.pay(text.len())?;
    out.push_str(text);
    Ok(())
}

/// A number; those that are none have names which JSON does not know, and Python writes.
fn float(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => print::float(value),
    }
}
