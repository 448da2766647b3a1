//! Numbers and texts as they are written in a template: Python's, escapes included.

use super::{
    failure::{Result, fail},
    lexer::Kind,
    print::escape,
};

/// The number that `text` begins with, and its bytes. After a dot (`x.0.1`) there are only integers.
pub(super) fn number(text: &str, after_dot: bool) -> Result<Option<(Kind, usize)>> {
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(u8::is_ascii_digit) {
        return Ok(None);
    }
    if !after_dot && let Some(end) = float_end(bytes) {
        let value = text[..end].replace('_', "").parse().unwrap_or(f64::NAN);
        return Ok(Some((Kind::Float(value), end)));
    }
    let (base, digits) = match bytes.get(1) {
        Some(b'b' | b'B') if bytes[0] == b'0' => (2, 2),
        Some(b'o' | b'O') if bytes[0] == b'0' => (8, 2),
        Some(b'x' | b'X') if bytes[0] == b'0' => (16, 2),
        _ => (10, 0),
    };
    let mut end = digits_end(bytes, digits, base, digits > 0);
    let (mut base, mut start) = (base, digits);
    if end == digits {
        (base, start) = (10, 0); // `0x` alone: zero, and a name
        end = 1;
    }
    if base == 10 && bytes[0] == b'0' {
        end = digits_end(bytes, 0, 1, false); // only zeros go on from a zero
    }
    let value = i128::from_str_radix(&text[start..end].replace('_', ""), base);
    match value {
        Ok(value) => Ok(Some((Kind::Int(value), end))),
        Err(_) => fail("a number of more than 38 digits"),
    }
}

/// End of the digits of a base that begin at `at`; single underscores may stand between them, or before the first.
fn digits_end(bytes: &[u8], mut at: usize, base: u32, underscore_first: bool) -> usize {
    let is_digit = |at: usize| {
        bytes
            .get(at)
            .is_some_and(|&byte| (byte as char).is_digit(base.max(2)) && (base > 1 || byte == b'0'))
    };
    let mut first = true;
    loop {
        if is_digit(at) {
            at += 1;
        } else if bytes.get(at) == Some(&b'_') && (!first || underscore_first) && is_digit(at + 1) {
            at += 2;
        } else {
            return at;
        }
        first = false;
    }
}

/// End of a number with a fraction or an exponent.
fn float_end(bytes: &[u8]) -> Option<usize> {
    let whole = digits_end(bytes, 0, 10, false);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits_end(bytes, end + 1, 10, false);
        if fraction > end + 1 {
            end = fraction;
        }
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let start = end + 1 + signed;
        let exponent = digits_end(bytes, start, 10, false);
        if exponent > start {
            end = exponent;
        }
    }
    (end > whole).then_some(end)
}

/// The text in quotes that `text` begins with, and the bytes that it takes.
pub(super) fn string(text: &str) -> Result<Option<(String, usize)>> {
    let Some(quote @ ('\'' | '"')) = text.chars().next() else {
        return Ok(None);
    };
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return Ok(Some((unescape(&text[1..at])?, at + 1))),
            _ => {}
        }
    }
    fail(format!("unexpected char {quote:?}"))
}

/// A text with its escapes done, as Python's codec `unicode-escape` does them. (Jinja2 gives that codec ASCII, with all other
/// characters escaped, so that a backslash before one of them escapes the escape.)
fn unescape(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        let Some(next) = chars.next() else {
            return fail("\\ at end of string");
        };
        match next {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(next),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            '0'..='7' => {
                let mut code = next.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = chars.clone().next().and_then(|char| char.to_digit(8)) else {
                        break;
                    };
                    code = code * 8 + digit;
                    chars.next();
                }
                out.push(character(code)?);
            }
            'x' => out.push(hexadecimal(&mut chars, 2)?),
            'u' => out.push(hexadecimal(&mut chars, 4)?),
            'U' => out.push(hexadecimal(&mut chars, 8)?),
            'N' => return fail("\\N{…} in a string: write the character itself"),
            _ if next.is_ascii() => out.extend(['\\', next]),
            _ => {
                out.push('\\');
                out.push_str(&escape(next)[1..]);
            }
        }
    }
    Ok(out)
}

fn hexadecimal(chars: &mut std::str::Chars<'_>, digits: usize) -> Result<char> {
    let mut code = 0;
    for _ in 0..digits {
        match chars.next().and_then(|char| char.to_digit(16)) {
            Some(digit) => code = code * 16 + digit,
            None => return fail("truncated escape in a string"),
        }
    }
    character(code)
}

fn character(code: u32) -> Result<char> {
    match char::from_u32(code) {
        Some(char) => Ok(char),
        None => fail(format!(
            "the escape of {code:#x} in a string is no character"
        )),
    }
}
