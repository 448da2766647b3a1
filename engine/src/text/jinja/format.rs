//! Python's two ways to format: `'%s' % value`, and the numbers that both ways write.

use std::sync::Arc;

use super::{
    arguments::truncated,
    failure::{Result, fail},
    print,
    renderer::Renderer,
    value::{Key, Value},
};

/// Wider fields are refused.
const WIDTH_MAX: usize = 100_000;

/// One `%…` of a format.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the format"
)]
#[derive(Default)]
struct Directive {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// Values that a format is filled with.
struct Source<'a> {
    values: &'a [Value],
    next: usize,
    /// A dictionary, whose keys a format can name.
    dict: Option<&'a Value>,
    named: bool,
}

impl Source<'_> {
    fn next(&mut self) -> Result<Value> {
        match self.values.get(self.next) {
            Some(value) => {
                self.next += 1;
                Ok(value.clone())
            }
            None => fail("not enough arguments for format string"),
        }
    }
}

/// `format % value`.
pub(super) fn percent(renderer: &mut Renderer<'_>, format: &str, value: &Value) -> Result<String> {
    let one = [value.clone()];
    let mut source = Source {
        values: match value {
            Value::Tuple(tuple) | Value::Group(tuple) => &tuple.items,
            _ => &one,
        },
        next: 0,
        dict: matches!(value, Value::Dict(_)).then_some(value),
        named: false,
    };
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(char) = chars.next() {
        if char != '%' {
            out.push(char);
            continue;
        }
        let mut given = None;
        if chars.next_if_eq(&'(').is_some() {
            given = Some(named(&mut source, &mut chars)?);
        }
        let directive = directive(&mut source, &mut chars)?;
        let Some(kind) = chars.next() else {
            return fail("incomplete format");
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match given {
            Some(value) => value,
            None => source.next()?,
        };
        renderer.pay(directive.width + directive.precision.unwrap_or(0))?;
        let text = directive.write(renderer, kind, &value)?;
        renderer.pay(text.len())?;
        out.push_str(&text);
    }
    let takes_any = source.named
        || source.dict.is_some()
        || matches!(
            value,
            Value::List(_) | Value::Range(_) | Value::Undefined(_)
        );
    if source.next < source.values.len() && !takes_any {
        return fail("not all arguments converted during string formatting");
    }
    Ok(out)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// The value of `(key)`.
fn named(source: &mut Source<'_>, chars: &mut Chars<'_>) -> Result<Value> {
    let Some(Value::Dict(dict)) = source.dict else {
        return fail("format requires a mapping");
    };
    let (mut key, mut open) = (String::new(), 1);
    for char in chars.by_ref() {
        open += match char {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if open == 0 {
            source.named = true;
            let found = dict.get(&Key::Text(key.as_str().into()));
            return found
                .cloned()
                .map_or_else(|| fail(format!("no key '{key}' for the format")), Ok);
        }
        key.push(char);
    }
    fail("incomplete format key")
}

fn directive(source: &mut Source<'_>, chars: &mut Chars<'_>) -> Result<Directive> {
    let mut all = Directive::default();
    while let Some(flag) = chars.next_if(|char| "-+ 0#".contains(*char)) {
        match flag {
            '-' => all.left = true,
            '+' => all.plus = true,
            ' ' => all.space = true,
            '0' => all.zero = true,
            _ => all.alternate = true,
        }
    }
    if let Some(width) = number(source, chars)? {
        all.left |= width < 0;
        all.width = width.unsigned_abs();
    }
    if chars.next_if_eq(&'.').is_some() {
        let precision = number(source, chars)?.unwrap_or(0);
        all.precision = Some(usize::try_from(precision).unwrap_or(0));
    }
    while chars.next_if(|char| "hlL".contains(*char)).is_some() {}
    if all.width > WIDTH_MAX || all.precision.is_some_and(|precision| precision > WIDTH_MAX) {
        return fail("a field that is too wide");
    }
    Ok(all)
}

fn number(source: &mut Source<'_>, chars: &mut Chars<'_>) -> Result<Option<isize>> {
    if chars.next_if_eq(&'*').is_some() {
        return match source
            .next()?
            .as_int()
            .and_then(|width| isize::try_from(width).ok())
        {
            Some(width) => Ok(Some(width)),
            None => fail("* wants int"),
        };
    }
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if digits.is_empty() {
        return Ok(None);
    }
    digits
        .parse()
        .map_or_else(|_| fail("width too big"), |width| Ok(Some(width)))
}

impl Directive {
    fn write(&self, renderer: &mut Renderer<'_>, kind: char, value: &Value) -> Result<String> {
        let text: Arc<str> = match kind {
            's' => renderer.text(value)?,
            'r' => renderer.repr(value)?.into(),
            'a' => ascii(&renderer.repr(value)?).into(),
            'c' => match value {
                Value::Str(text) if text.chars().count() == 1 => text.clone(),
                _ => match value
                    .as_int()
                    .and_then(|code| char::from_u32(u32::try_from(code).ok()?))
                {
                    Some(char) => char.to_string().into(),
                    None => return fail("%c requires int or char"),
                },
            },
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                return self.number(kind, value);
            }
            _ => return fail(format!("unsupported format character '{kind}'")),
        };
        let text = match (self.precision, kind) {
            (Some(precision), 's' | 'r' | 'a') => text.chars().take(precision).collect(),
            _ => text.to_string(),
        };
        Ok(self.pad("", &text, false))
    }

    fn number(&self, kind: char, value: &Value) -> Result<String> {
        let int = match (kind, value) {
            ('d' | 'i' | 'u', Value::Float(float)) => truncated(*float)?,
            _ => value.as_int(),
        };
        let wanted = |what: &str| {
            fail(format!(
                "%{kind} format: {what} is required, not {}",
                value.type_name()
            ))
        };
        let (negative, digits, prefix) = match (kind, int, value.as_float()) {
            ('d' | 'i' | 'u' | 'x' | 'X' | 'o', Some(int), _) => {
                let (digits, prefix) = in_base(int.unsigned_abs(), kind);
                let least = self.precision.unwrap_or(0);
                (int < 0, format!("{digits:0>least$}"), prefix)
            }
            ('d' | 'i' | 'u', ..) => return wanted("a real number"),
            ('x' | 'X' | 'o', ..) => return wanted("an integer"),
            (.., Some(float)) => {
                let digits = real(
                    float.abs(),
                    kind,
                    self.precision.unwrap_or(6),
                    self.alternate,
                );
                (float.is_sign_negative() && !float.is_nan(), digits, "")
            }
            _ => return wanted("a real number"),
        };
        let sign = match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let prefix = if self.alternate { prefix } else { "" };
        Ok(self.pad(&format!("{sign}{prefix}"), &digits, true))
    }

    fn pad(&self, sign: &str, text: &str, numeric: bool) -> String {
        let len = sign.chars().count() + text.chars().count();
        let fill = self.width.saturating_sub(len);
        if self.left {
            format!("{sign}{text}{}", " ".repeat(fill))
        } else if self.zero && numeric {
            format!("{sign}{}{text}", "0".repeat(fill))
        } else {
            format!("{}{sign}{text}", " ".repeat(fill))
        }
    }
}

/// An integer's digits, and the prefix of their base.
pub(super) fn in_base(value: u128, kind: char) -> (String, &'static str) {
    match kind {
        'x' => (format!("{value:x}"), "0x"),
        'X' => (format!("{value:X}"), "0X"),
        'o' => (format!("{value:o}"), "0o"),
        'b' => (format!("{value:b}"), "0b"),
        _ => (value.to_string(), ""),
    }
}

/// A number that is not negative, in one of C's formats.
pub(super) fn real(value: f64, kind: char, precision: usize, alternate: bool) -> String {
    let upper = kind.is_ascii_uppercase();
    let text = if value.is_finite() {
        match kind.to_ascii_lowercase() {
            'f' => {
                let point = if alternate && precision == 0 { "." } else { "" };
                format!("{value:.precision$}{point}")
            }
            'e' => exponent(&format!("{value:.precision$e}")),
            _ => general(value, precision.max(1), alternate),
        }
    } else if value.is_nan() {
        "nan".to_owned()
    } else {
        "inf".to_owned()
    };
    if upper { text.to_uppercase() } else { text }
}

/// A float with so many digits that count, as `format(value, '.3')` writes it: with a fraction, or else with an exponent.
pub(super) fn rounded(value: f64, precision: usize, alternate: bool) -> String {
    if !value.is_finite() {
        return plain(value);
    }
    let text = digits_that_count(value, precision, precision as i64 - 1, alternate);
    let whole = text.bytes().all(|byte| byte.is_ascii_digit());
    if whole { text + ".0" } else { text }
}

/// `%g`: the digits that count, with an exponent where that is far from 0.
fn general(value: f64, precision: usize, alternate: bool) -> String {
    digits_that_count(value, precision, precision as i64, alternate)
}

/// So many digits, with an exponent from 10 to the power of `large` on.
fn digits_that_count(value: f64, precision: usize, large: i64, alternate: bool) -> String {
    let scientific = format!("{value:.*e}", precision - 1);
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i64 = power.parse().unwrap_or(0);
    let trim = |text: &str| {
        if alternate || !text.contains('.') {
            return text.to_owned();
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if power < -4 || power >= large {
        return exponent(&format!("{}e{power}", trim(digits)));
    }
    let decimals = (precision as i64 - 1 - power).max(0) as usize;
    trim(&format!("{value:.decimals$}"))
}

/// Rust's exponent as C's, with a sign and two digits.
fn exponent(text: &str) -> String {
    let (digits, power) = text.split_once('e').unwrap_or((text, "0"));
    match power.strip_prefix('-') {
        Some(power) => format!("{digits}e-{power:0>2}"),
        None => format!("{digits}e+{power:0>2}"),
    }
}

/// A `repr` with escapes for all but ASCII.
pub(super) fn ascii(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        if char.is_ascii() {
            out.push(char);
        } else {
            out.push_str(&print::escape(char));
        }
    }
    out
}

/// A float as `format(value, '')` and `str` write it.
pub(super) fn plain(value: f64) -> String {
    print::float(value)
}
