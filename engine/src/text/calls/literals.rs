//! Calls with values as programs write them: Python's, and Gemma 4's, whose texts stand between marks.

use serde_json::{Map, Number, Value};

use super::ToolCall;

/// Deepest nesting of a value.
const DEPTH_MAX: usize = 64;

/// Gemma's mark before and after a text.
const QUOTE: &str = "<|\"|>";

/// Calls like `[f(a=1, b='x'), g()]`, with or without the brackets, with commas or lines between; none where these are none.
pub(super) fn python_calls(text: &str) -> Option<Vec<ToolCall>> {
    let mut reader = Reader(text.trim());
    let list = reader.takes("[");
    let mut all = Vec::new();
    while !reader.0.is_empty() && !reader.0.starts_with(']') {
        let name = reader.name()?;
        reader.needs("(")?;
        let mut arguments = Map::new();
        while !reader.takes(")") {
            let key = reader.name()?;
            reader.needs("=")?;
            arguments.insert(key, reader.value(0)?);
            if !reader.takes(",") && !reader.0.starts_with(')') {
                return None;
            }
        }
        all.push(call(name, arguments));
        let _ = reader.takes(","); // or a line's end
    }
    let closed = reader.takes("]") == list && reader.0.is_empty();
    (closed && !all.is_empty()).then_some(all)
}

/// A call like `call:f{a:1,b:<|"|>x<|"|>}`; none where it is none.
pub(super) fn gemma_call(text: &str) -> Option<ToolCall> {
    let mut reader = Reader(text.trim());
    reader.needs("call:")?;
    let name = reader.name()?;
    match reader.value(0)? {
        Value::Object(arguments) if reader.0.is_empty() => Some(call(name, arguments)),
        _ => None,
    }
}

fn call(name: String, arguments: Map<String, Value>) -> ToolCall {
    let arguments = Value::Object(arguments).to_string();
    ToolCall { name, arguments }
}

/// Text that is left to read.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    /// Takes this text, and white space behind it, where it stands next.
    fn takes(&mut self, text: &str) -> bool {
        let after = self.0.strip_prefix(text);
        if let Some(after) = after {
            self.0 = after.trim_start();
        }
        after.is_some()
    }

    fn needs(&mut self, text: &str) -> Option<()> {
        self.takes(text).then_some(())
    }

    /// A name: of a tool, of an argument, of a key without quotes.
    fn name(&mut self) -> Option<String> {
        let fits = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let end = self.0.find(|c| !fits(c)).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        let first = self.0.chars().next()?;
        match first {
            '\'' | '"' => self.quoted(first).map(Value::String),
            '<' => self.between_marks().map(Value::String),
            '[' | '(' => self.list(if first == '[' { "]" } else { ")" }, depth),
            '{' => self.object(depth),
            _ => self.word(),
        }
    }

    fn list(&mut self, close: &str, depth: usize) -> Option<Value> {
        self.0 = self.0[1..].trim_start();
        let mut all = Vec::new();
        while !self.takes(close) {
            all.push(self.value(depth + 1)?);
            if !self.takes(",") && !self.0.starts_with(close) {
                return None;
            }
        }
        Some(all.into())
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.needs("{")?;
        let mut all = Map::new();
        while !self.takes("}") {
            let key = match self.0.chars().next()? {
                quote @ ('\'' | '"') => self.quoted(quote)?,
                '<' => self.between_marks()?,
                _ => self.name()?,
            };
            self.needs(":")?;
            all.insert(key, self.value(depth + 1)?);
            if !self.takes(",") && !self.0.starts_with('}') {
                return None;
            }
        }
        Some(all.into())
    }

    fn between_marks(&mut self) -> Option<String> {
        let (text, rest) = self.0.strip_prefix(QUOTE)?.split_once(QUOTE)?;
        self.0 = rest.trim_start();
        Some(text.to_owned())
    }

    /// A number, or a name of Python's or of JSON's.
    fn word(&mut self) -> Option<Value> {
        let end = self.0.find([',', ')', ']', '}', ' ', '\n', '\r', '\t']);
        let (word, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        let value = match word {
            "True" | "true" => Value::Bool(true),
            "False" | "false" => Value::Bool(false),
            "None" | "null" => Value::Null,
            number => Value::Number(number.parse::<Number>().ok()?),
        };
        self.0 = rest.trim_start();
        Some(value)
    }

    /// A text between quotes, with the escapes that Python and JSON have both, `\x` and `\'`.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut units: Vec<u16> = Vec::new();
        let mut rest = self.0[1..].chars();
        loop {
            let next = rest.next()?;
            let escape = if next == '\\' { rest.next()? } else { ' ' };
            if escape == 'u' {
                let digits: String = rest.by_ref().take(4).collect();
                units.push(u16::from_str_radix(&digits, 16).ok()?);
                continue;
            }
            text += &String::from_utf16_lossy(&std::mem::take(&mut units));
            match (next, escape) {
                ('\\', 'n') => text.push('\n'),
                ('\\', 't') => text.push('\t'),
                ('\\', 'r') => text.push('\r'),
                ('\\', 'b') => text.push('\u{8}'),
                ('\\', 'f') => text.push('\u{c}'),
                ('\\', 'x') => {
                    let digits: String = rest.by_ref().take(2).collect();
                    text.push(char::from(u8::from_str_radix(&digits, 16).ok()?));
                }
                ('\\', '\n') => {}
                ('\\', '\'' | '"' | '\\' | '/') => text.push(escape),
                // Python leaves other escapes as they are.
                ('\\', other) => text.extend(['\\', other]),
                (end, _) if end == quote => break,
                (other, _) => text.push(other),
            }
        }
        self.0 = rest.as_str().trim_start();
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(calls: Option<Vec<ToolCall>>) -> Option<Vec<(String, String)>> {
        let pair = |call: ToolCall| (call.name, call.arguments);
        calls.map(|calls| calls.into_iter().map(pair).collect())
    }

    #[test]
    fn python_has_its_values() {
        let text = r#"[f(a=1, b='it\'s \u00e9\n', c=[True, None, {"k": -2.5}]), g.h()]"#;
        let wanted = [
            ("f", r#"{"a":1,"b":"it's é\n","c":[true,null,{"k":-2.5}]}"#),
            ("g.h", "{}"),
        ];
        let wanted = wanted.map(|(name, arguments)| (name.to_owned(), arguments.to_owned()));
        assert_eq!(said(python_calls(text)), Some(wanted.to_vec()));
        let lines = said(python_calls("f(a=1)\ng()")).unwrap();
        assert_eq!(lines.len(), 2);
        for wrong in [
            "[f(a=1)",
            "f(1)",
            "f(a=1))",
            "[f(a=)]",
            "",
            "hm",
            "f(a=1 b=2)",
        ] {
            assert_eq!(said(python_calls(wrong)), None, "{wrong}");
        }
        let deep = format!("f(a={}1)", "[".repeat(100_000));
        assert_eq!(said(python_calls(&deep)), None);
    }

    #[test]
    fn gemma_has_its_marks() {
        let text = r#"call:f{a:<|"|>x, "y"}<|"|>,b:{c:[1,true]}}"#;
        let call = gemma_call(text).unwrap();
        assert_eq!(call.arguments, r#"{"a":"x, \"y\"}","b":{"c":[1,true]}}"#);
        assert_eq!(gemma_call("call:f{a:1"), None);
    }
}
