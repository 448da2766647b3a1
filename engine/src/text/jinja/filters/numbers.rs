//! Filters of numbers.

use crate::text::jinja::{
    arguments::{Args, flag, int as int_of, int_or, truncated},
    failure::{Result, fail},
    renderer::Renderer,
    value::{Value, whole},
};

pub(super) fn abs(_: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("abs", 0)?;
    match (&value, value.as_int()) {
        (Value::Undefined(message), _) => fail(&**message),
        (Value::Float(float), _) => Ok(Value::Float(float.abs())),
        (_, Some(int)) => match int.checked_abs() {
            Some(int) => Ok(Value::Int(int)),
            None => fail("an integer of more than 38 digits"),
        },
        _ => fail(format!(
            "bad operand type for abs(): '{}'",
            value.type_name()
        )),
    }
}

/// A float of a text, as Python's `float` reads it.
fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim_matches(crate::text::jinja::lexer::is_space);
    let digits = without_underscores(text)?;
    let unsigned = digits.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let named = matches!(&*unsigned, "inf" | "infinity" | "nan");
    let is_number = unsigned.starts_with(|char: char| char.is_ascii_digit() || char == '.');
    (named || is_number).then(|| digits.parse().ok()).flatten()
}

/// The digits where underscores stand only between two of them.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let between = |at: usize| {
        at > 0
            && bytes[at - 1].is_ascii_alphanumeric()
            && bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric)
    };
    let fits = text.match_indices('_').all(|(at, _)| between(at));
    fits.then(|| text.replace('_', ""))
}

/// An integer of a text, as Python's `int` reads it.
fn parse_int(text: &str, base: u32) -> Option<i128> {
    let text = text.trim_matches(crate::text::jinja::lexer::is_space);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixes = [("0b", 2), ("0o", 8), ("0x", 16)];
    let prefix = prefixes
        .iter()
        .find(|(prefix, its)| lower.starts_with(prefix) && (base == *its || base == 0));
    let (digits, base) = match prefix {
        Some((_, its)) => (lower[2..].strip_prefix('_').unwrap_or(&lower[2..]), *its),
        None if base == 0 => {
            if lower.starts_with('0') && lower.bytes().any(|byte| !matches!(byte, b'0' | b'_')) {
                return None;
            }
            (&*lower, 10)
        }
        None => (&*lower, base),
    };
    let digits = without_underscores(digits)?;
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(&digits, base).ok()?;
    Some(if negative { -value } else { value })
}

pub(super) fn int(_: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [default, base] = args.bind("int", ["default", "base"], 0)?;
    let found = match &value {
        Value::Undefined(message) => return fail(&**message),
        Value::Str(text) | Value::Markup(text) => {
            let base = base.as_ref().map_or(Ok(10), int_of).ok();
            let base = base.and_then(|base| u32::try_from(base).ok());
            let base = base.filter(|base| matches!(base, 0 | 2..=36));
            match (
                base.and_then(|base| parse_int(text, base)),
                parse_float(text),
            ) {
                (None, Some(float)) => truncated(float)?,
                (whole, _) => whole,
            }
        }
        Value::Float(float) => truncated(*float)?,
        _ => value.as_int(),
    };
    Ok(found.map_or_else(|| default.unwrap_or(Value::Int(0)), Value::Int))
}

pub(super) fn float(_: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [default] = args.bind("float", ["default"], 0)?;
    let found = match &value {
        Value::Undefined(message) => return fail(&**message),
        Value::Str(text) | Value::Markup(text) => parse_float(text),
        _ => value.as_float(),
    };
    Ok(found.map_or_else(|| default.unwrap_or(Value::Float(0.0)), Value::Float))
}

pub(super) fn round(_: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [precision, method] = args.bind("round", ["precision", "method"], 0)?;
    let precision = precision.as_ref().map_or(Ok(0), int_of)?;
    let digits = precision.clamp(-400, 400) as i32; // no number has more
    let method = method.as_ref().map_or(Some("common"), Value::as_str);
    let Some(number) = value.as_float() else {
        return match &value {
            Value::Undefined(message) => fail(&**message),
            _ => fail(format!("round of a {}", value.type_name())),
        };
    };
    let power = 10f64.powi(digits);
    match (method, value.as_int()) {
        (Some("common"), Some(int)) => round_int(int, digits).map(Value::Int),
        (Some("common"), None) if !number.is_finite() => Ok(value),
        (Some("common"), None) => Ok(Value::Float(round_float(number, digits))),
        (Some("ceil"), _) => Ok(Value::Float((number * power).ceil() / power)),
        (Some("floor"), _) => Ok(Value::Float((number * power).floor() / power)),
        _ => fail("method must be common, ceil or floor"),
    }
}

/// An integer to a power of ten, halves to the even one.
fn round_int(int: i128, digits: i32) -> Result<i128> {
    let Some(unit) = 10i128.checked_pow(digits.min(0).unsigned_abs()) else {
        return Ok(0);
    };
    let (quotient, rest) = (int.div_euclid(unit), int.rem_euclid(unit));
    let up = rest > unit - rest || (rest == unit - rest && quotient % 2 != 0);
    match (quotient + i128::from(up)).checked_mul(unit) {
        Some(rounded) => Ok(rounded),
        None => fail("an integer of more than 38 digits"),
    }
}

/// A float to decimals, by its exact value; halves to the even one.
fn round_float(number: f64, digits: i32) -> f64 {
    let Ok(decimals) = usize::try_from(digits) else {
        let unit = 10f64.powi(-digits);
        return if unit.is_finite() {
            (number / unit).round_ties_even() * unit
        } else {
            0f64.copysign(number)
        };
    };
    if decimals > 340 {
        return number;
    }
    format!("{number:.decimals$}").parse().unwrap_or(number)
}

pub(super) fn filesizeformat(_: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [binary] = args.bind("filesizeformat", ["binary"], 0)?;
    let bytes = match &value {
        Value::Str(text) => parse_float(text),
        _ => value.as_float(),
    };
    let Some(bytes) = bytes else {
        return fail(format!("filesizeformat of a {}", value.type_name()));
    };
    let binary = flag(binary.as_ref());
    let base = if binary { 1024.0 } else { 1000.0 };
    if value.as_int() == Some(1) || whole(bytes) == Some(1) {
        return Ok(Value::str("1 Byte"));
    }
    if bytes < base {
        let bytes = truncated(bytes)?.unwrap_or(0);
        return Ok(Value::str(format!("{bytes} Bytes")));
    }
    let mut unit = base;
    let mut name = ' ';
    for prefix in ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'] {
        unit *= base;
        name = prefix;
        if bytes < unit {
            break;
        }
    }
    let suffix = match (binary, name) {
        (true, name) => format!("{}iB", name.to_ascii_uppercase()),
        (false, name) => format!("{name}B"),
    };
    let number = format!("{:.1}", base * bytes / unit).to_lowercase(); // NaN is nan
    Ok(Value::str(format!("{number} {suffix}")))
}

/// How many of something a filter makes; not more than there could be use for.
pub(super) fn count(value: Option<&Value>, default: i128) -> Result<usize> {
    let count = int_or(value, default)?;
    match usize::try_from(count) {
        Ok(count) if count <= 1 << 20 => Ok(count),
        _ => fail(format!("{count} of something in a template")),
    }
}
