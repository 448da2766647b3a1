//! Filters that are for pages and not for prompts. What `escape` and `safe` give can be printed, and little else.

use std::fmt::Write as _;

use crate::text::jinja::{
    arguments::Args,
    failure::{Result, fail},
    lexer::is_space,
    renderer::Renderer,
    value::Value,
};

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(char),
        }
    }
    out
}

pub(super) fn escape(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    match value {
        Value::Markup(_) => Ok(value),
        _ => force_escape(renderer, value, args),
    }
}

pub(super) fn force_escape(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("escape", 0)?;
    let text = renderer.text(&value)?;
    renderer.pay(text.len() * 5)?;
    Ok(Value::Markup(escaped(&text).into()))
}

pub(super) fn safe(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("safe", 0)?;
    renderer.text(&value).map(Value::Markup)
}

/// The text without tags and comments, all white space as single spaces.
pub(super) fn striptags(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("striptags", 0)?;
    let mut text = renderer.text(&value)?.to_string();
    for (open, close) in [("<!--", "-->"), ("<", ">")] {
        while let Some(start) = text.find(open) {
            let Some(end) = text[start..].find(close) else {
                break;
            };
            renderer.pay(text.len())?;
            text.replace_range(start..start + end + close.len(), "");
        }
    }
    let entity = |char: char| char == '#' || char.is_ascii_alphabetic();
    if text
        .match_indices('&')
        .any(|(at, _)| text[at + 1..].starts_with(entity))
    {
        return fail("striptags of a text with HTML's entities is not there in Lantern");
    }
    let words: Vec<&str> = text
        .split(is_space)
        .filter(|word| !word.is_empty())
        .collect();
    Ok(Value::str(words.join(" ")))
}

pub(super) fn urlencode(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("urlencode", 0)?;
    let pairs = match &value {
        Value::Dict(dict) => dict.entries().to_vec(),
        Value::List(_)
        | Value::Tuple(_)
        | Value::Group(_)
        | Value::Range(_)
        | Value::View(..)
        | Value::Iterator(_)
        | Value::Undefined(_) => {
            let mut pairs = Vec::new();
            for pair in renderer.iterate(&value)? {
                match &renderer.iterate(&pair)?[..] {
                    [key, value] => pairs.push((key.clone(), value.clone())),
                    _ => return fail("urlencode takes a text, a dictionary or pairs"),
                }
            }
            pairs
        }
        _ => {
            let text = renderer.text(&value)?;
            renderer.pay(text.len() * 3)?;
            return Ok(Value::str(quoted(&text, false)));
        }
    };
    let mut out = String::new();
    for (key, value) in pairs {
        let (key, value) = (renderer.text(&key)?, renderer.text(&value)?);
        renderer.pay((key.len() + value.len()) * 3)?;
        out.push_str(if out.is_empty() { "" } else { "&" });
        out.extend([&*quoted(&key, true), "=", &quoted(&value, true)]);
    }
    Ok(Value::str(out))
}

fn quoted(text: &str, query: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                out.push(byte.into());
            }
            b'/' if !query => out.push('/'),
            b' ' if query => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}"); // writing to a String cannot fail
            }
        }
    }
    out
}

pub(super) fn xmlattr(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [autospace] = args.bind("xmlattr", ["autospace"], 0)?;
    let Value::Dict(dict) = &value else {
        return fail(format!("xmlattr of a {}", value.type_name()));
    };
    let mut out = String::new();
    for (key, value) in dict.entries() {
        if matches!(value, Value::None | Value::Undefined(_)) {
            continue;
        }
        let (key, value) = (
            crate::text::jinja::arguments::text(key)?,
            renderer.text(value)?,
        );
        if key.contains(|char: char| char.is_ascii_whitespace() || "\x0b/>=".contains(char)) {
            return fail(format!("Invalid character in attribute name: '{key}'"));
        }
        renderer.pay((key.len() + value.len()) * 5)?;
        out.push_str(if out.is_empty() { "" } else { " " });
        let _ = write!(out, "{}=\"{}\"", escaped(&key), escaped(&value)); // writing to a String cannot fail
    }
    let spaced = autospace.is_none_or(|autospace| autospace.truth());
    Ok(Value::str(if spaced && !out.is_empty() {
        format!(" {out}")
    } else {
        out
    }))
}
