//! `'{}'.format(…)`: Python's format strings and their little language of widths and types.

use super::{
    arguments::Args,
    failure::{Result, fail},
    format,
    renderer::Renderer,
    value::Value,
};

/// Wider fields are refused.
const WIDTH_MAX: usize = 100_000;

/// Arguments, and which comes next where fields have no numbers.
struct Fields<'a> {
    args: &'a Args,
    next: usize,
    numbered: bool,
}

/// `text.format(…)`.
pub(super) fn format(renderer: &mut Renderer<'_>, text: &str, args: &Args) -> Result<Value> {
    let mut fields = Fields {
        args,
        next: 0,
        numbered: false,
    };
    fields.fill(renderer, text, 3).map(Value::str)
}

impl Fields<'_> {
    /// A text with its fields filled in; fields in fields go two levels deep.
    fn fill(&mut self, renderer: &mut Renderer<'_>, text: &str, levels: u8) -> Result<String> {
        if levels == 0 {
            return fail("Max string recursion exceeded");
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                out.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return fail("Single '}' encountered in format string");
            }
            let end = end_of_field(rest)?;
            let field = self.field(renderer, &rest[..end], levels)?;
            renderer.pay(field.len() + out.len() / 8)?;
            out.push_str(&field);
            rest = &rest[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn field(&mut self, renderer: &mut Renderer<'_>, field: &str, levels: u8) -> Result<String> {
        let name_end = field.find(['!', ':']).unwrap_or(field.len());
        let (name, rest) = field.split_at(name_end);
        let (conversion, spec) = match rest.strip_prefix('!') {
            Some(rest) => {
                let (conversion, spec) = rest.split_once(':').unwrap_or((rest, ""));
                (Some(conversion), spec)
            }
            None => (None, rest.strip_prefix(':').unwrap_or("")),
        };
        let value = self.value(renderer, name)?;
        let value = match conversion {
            None => value,
            Some("s") => Value::Str(renderer.text(&value)?),
            Some("r") => Value::str(renderer.repr(&value)?),
            Some("a") => Value::str(format::ascii(&renderer.repr(&value)?)),
            Some(other) => return fail(format!("Unknown conversion specifier {other}")),
        };
        let spec = self.fill(renderer, spec, levels - 1)?;
        write(renderer, &value, &spec)
    }

    fn value(&mut self, renderer: &mut Renderer<'_>, name: &str) -> Result<Value> {
        let first_end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut rest) = name.split_at(first_end);
        let mut value = if first.is_empty() {
            if self.numbered {
                return fail(
                    "cannot switch from manual field specification to automatic field numbering",
                );
            }
            self.next += 1;
            self.positional(self.next - 1)?
        } else if let Ok(index) = first.parse() {
            if self.next > 0 {
                return fail(
                    "cannot switch from automatic field numbering to manual field specification",
                );
            }
            self.numbered = true;
            self.positional(index)?
        } else {
            let found = self.args.named.iter().find(|(name, _)| **name == *first);
            match found {
                Some((_, value)) => value.clone(),
                None => return fail(format!("format: no argument '{first}'")),
            }
        };
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                value = renderer.attribute(&value, &after[..end])?;
                rest = &after[end..];
            } else {
                let Some((index, after)) = rest[1..].split_once(']') else {
                    return fail("Missing ']' in format string");
                };
                let index = index.parse().map_or_else(|_| Value::str(index), Value::Int);
                value = renderer.item(&value, &index)?;
                if value.is_undefined() {
                    return fail("format: there is no such item");
                }
                rest = after;
            }
        }
        Ok(value)
    }

    fn positional(&self, index: usize) -> Result<Value> {
        match self.args.positional.get(index) {
            Some(value) => Ok(value.clone()),
            None => fail(format!(
                "Replacement index {index} out of range for positional args tuple"
            )),
        }
    }
}

/// Place of the brace that ends a field.
fn end_of_field(text: &str) -> Result<usize> {
    let mut open = 1;
    for (at, char) in text.char_indices() {
        open += match char {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if open == 0 {
            return Ok(at);
        }
    }
    fail("expected '}' before end of string")
}

/// `[[fill]align][sign][#][0][width][grouping][.precision][type]`.
#[derive(Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Spec {
    fn parse(text: &str) -> Result<Spec> {
        let mut spec = Spec::default();
        let is_align = |char: &char| "<>=^".contains(*char);
        let mut chars = text.chars().peekable();
        let second = text.chars().nth(1);
        if second.as_ref().is_some_and(is_align) {
            spec.fill = chars.next();
        }
        spec.align = chars.next_if(is_align);
        spec.sign = chars.next_if(|char| "+- ".contains(*char));
        spec.alternate = chars.next_if_eq(&'#').is_some();
        spec.zero = chars.next_if_eq(&'0').is_some();
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        spec.width = digits.parse().unwrap_or(0);
        spec.grouping = chars.next_if(|char| ",_".contains(*char));
        if chars.next_if_eq(&'.').is_some() {
            let mut digits = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            match digits.parse() {
                Ok(precision) => spec.precision = Some(precision),
                Err(_) => return fail("Format specifier missing precision"),
            }
        }
        spec.kind = chars.next();
        if chars.next().is_some() {
            return fail(format!("Invalid format specifier '{text}'"));
        }
        if spec.width > WIDTH_MAX
            || spec
                .precision
                .is_some_and(|precision| precision > WIDTH_MAX)
        {
            return fail("a field that is too wide");
        }
        Ok(spec)
    }
}

/// Python's `format(value, spec)`.
fn write(renderer: &mut Renderer<'_>, value: &Value, text: &str) -> Result<String> {
    if text.is_empty() {
        return renderer.text(value).map(|text| text.to_string());
    }
    let spec = Spec::parse(text)?;
    renderer.pay(spec.width + spec.precision.unwrap_or(0))?;
    match value {
        Value::Str(text) => string(&spec, text),
        Value::Int(_) | Value::Bool(_) | Value::Float(_) => number(&spec, value),
        _ => fail(format!(
            "unsupported format string passed to {}.__format__",
            value.type_name()
        )),
    }
}

fn string(spec: &Spec, text: &str) -> Result<String> {
    if !matches!(spec.kind, None | Some('s')) {
        return fail("Unknown format code for object of type 'str'");
    }
    if spec.sign.is_some() || spec.alternate || spec.grouping.is_some() || spec.align == Some('=') {
        return fail("not allowed in string format specifier");
    }
    let text: String = match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    let fill = spec.fill.unwrap_or(if spec.zero { '0' } else { ' ' });
    Ok(pad("", &text, spec, fill, spec.align.unwrap_or('<')))
}

fn number(spec: &Spec, value: &Value) -> Result<String> {
    let unknown = |kind: char| {
        let name = value.type_name();
        fail(format!(
            "Unknown format code '{kind}' for object of type '{name}'"
        ))
    };
    let (negative, digits, prefix) = match (value.as_int(), spec.kind) {
        (Some(int), None | Some('d' | 'b' | 'o' | 'x' | 'X' | 'n')) => {
            if spec.precision.is_some() {
                return fail("Precision not allowed in integer format specifier");
            }
            let (digits, prefix) = format::in_base(int.unsigned_abs(), spec.kind.unwrap_or('d'));
            (int < 0, digits, if spec.alternate { prefix } else { "" })
        }
        (Some(int), Some('c')) => match u32::try_from(int).ok().and_then(char::from_u32) {
            Some(char) => (false, char.to_string(), ""),
            None => return fail("%c arg not in range(0x110000)"),
        },
        _ => {
            let float = value.as_float().unwrap_or(f64::NAN);
            let negative = float.is_sign_negative() && !float.is_nan();
            let magnitude = float.abs();
            let precision = spec.precision.unwrap_or(6);
            let digits = match spec.kind {
                None => match spec.precision {
                    None => format::plain(magnitude),
                    Some(precision) => format::rounded(magnitude, precision.max(1), spec.alternate),
                },
                Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G')) => {
                    format::real(magnitude, kind, precision, spec.alternate)
                }
                Some('n') => format::real(magnitude, 'g', precision, spec.alternate),
                Some('%') => format::real(magnitude * 100.0, 'f', precision, spec.alternate) + "%",
                Some(kind) => return unknown(kind),
            };
            (negative, digits, "")
        }
    };
    let digits = match spec.grouping {
        Some(_) if spec.zero => return fail("zeros and separators in one field"),
        Some(separator) => grouped(&digits, separator, spec.kind),
        None => digits,
    };
    let sign = match (negative, spec.sign) {
        (true, _) => "-",
        (_, Some('+')) => "+",
        (_, Some(' ')) => " ",
        _ => "",
    };
    let align = spec.align.unwrap_or(if spec.zero { '=' } else { '>' });
    let fill = spec.fill.unwrap_or(if spec.zero { '0' } else { ' ' });
    Ok(pad(&format!("{sign}{prefix}"), &digits, spec, fill, align))
}

/// Digits with separators, in threes (in fours where the base is a power of two).
fn grouped(digits: &str, separator: char, kind: Option<char>) -> String {
    let size = if matches!(kind, Some('b' | 'o' | 'x' | 'X')) {
        4
    } else {
        3
    };
    let is_digit = |char: char| char.is_ascii_hexdigit() && (size == 4 || char.is_ascii_digit());
    let whole = digits.find(|char| !is_digit(char)).unwrap_or(digits.len());
    let mut out = String::new();
    for (i, digit) in digits[..whole].chars().enumerate() {
        if i > 0 && (whole - i).is_multiple_of(size) {
            out.push(separator);
        }
        out.push(digit);
    }
    out + &digits[whole..]
}

fn pad(sign: &str, text: &str, spec: &Spec, fill: char, align: char) -> String {
    let len = sign.chars().count() + text.chars().count();
    let missing = spec.width.saturating_sub(len);
    let filled = |count: usize| fill.to_string().repeat(count);
    match align {
        '<' => format!("{sign}{text}{}", filled(missing)),
        '=' => format!("{sign}{}{text}", filled(missing)),
        '^' => {
            let left = missing / 2;
            format!("{}{sign}{text}{}", filled(left), filled(missing - left))
        }
        _ => format!("{}{sign}{text}", filled(missing)),
    }
}
