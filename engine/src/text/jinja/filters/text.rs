//! Filters of texts. What is no text is written as one first.

use super::sequences::len;
use crate::text::jinja::{
    arguments::{Args, flag, int, int_or, text as text_of},
    failure::{Result, fail},
    format as formats,
    lexer::is_space,
    renderer::Renderer,
    strings, unicode,
    value::Value,
};

/// Wider fields are refused.
const WIDTH_MAX: i128 = 1 << 20;

pub(super) fn upper(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("upper", 0)?;
    Ok(Value::str(renderer.text(&value)?.to_uppercase()))
}

pub(super) fn lower(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("lower", 0)?;
    Ok(Value::str(renderer.text(&value)?.to_lowercase()))
}

pub(super) fn capitalize(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("capitalize", 0)?;
    Ok(Value::str(strings::capitalize(&renderer.text(&value)?)))
}

/// Words begin in upper case, and go on in lower case.
pub(super) fn title(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("title", 0)?;
    let text = renderer.text(&value)?;
    let parts = |char: char| is_space(char) || "-({[<".contains(char);
    let mut out = String::new();
    let mut rest = &*text;
    while let Some(first) = rest.chars().next() {
        let end = if parts(first) {
            rest.find(|char| !parts(char))
        } else {
            rest.find(parts)
        };
        let (item, after) = rest.split_at(end.unwrap_or(rest.len()));
        let (first, others) = item.split_at(first.len_utf8());
        out.push_str(&first.to_uppercase());
        out.push_str(&others.to_lowercase());
        rest = after;
    }
    Ok(Value::str(out))
}

pub(super) fn string(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("string", 0)?;
    match value {
        Value::Markup(_) => Ok(value),
        _ => renderer.text(&value).map(Value::Str),
    }
}

pub(super) fn trim(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [chars] = args.bind("trim", ["chars"], 0)?;
    let text = renderer.text(&value)?;
    strings::strip(&text, "strip", chars.as_ref()).map(Value::str)
}

pub(super) fn center(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [width] = args.bind("center", ["width"], 0)?;
    let text = renderer.text(&value)?;
    let args = Args::of(vec![width.unwrap_or(Value::Int(80))]);
    strings::call(renderer, &text, "center", args)
}

pub(super) fn replace(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [old, new, count] = args.bind("replace", ["old", "new", "count"], 2)?;
    let text = renderer.text(&value)?;
    let old = renderer.text(&old.unwrap_or(Value::None))?;
    let new = renderer.text(&new.unwrap_or(Value::None))?;
    let count = int_or(count.as_ref(), -1)?;
    if i64::try_from(count).is_err() {
        return fail("Python int too large to convert to C ssize_t");
    }
    strings::replace(renderer, &text, [&old, &new], count)
}

/// `value|format(…)`: as `value % …`.
pub(super) fn format(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let text = renderer.text(&value)?;
    let source = match (args.positional.is_empty(), args.named.is_empty()) {
        (false, false) => {
            return fail("can't handle positional and keyword arguments at the same time");
        }
        (true, false) => Value::dict(
            args.named
                .into_iter()
                .map(|(name, value)| (Value::Str(name), value)),
        )?,
        _ => Value::tuple(args.positional)?,
    };
    formats::percent(renderer, &text, &source).map(Value::str)
}

pub(super) fn wordcount(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("wordcount", 0)?;
    let text = renderer.text(&value)?;
    let words = text.split(|char| !unicode::is_word(char));
    Ok(Value::Int(
        words.filter(|word| !word.is_empty()).count() as i128
    ))
}

pub(super) fn indent(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [width, first, blank] = args.bind("indent", ["width", "first", "blank"], 0)?;
    let Value::Str(text) = &value else {
        return fail(format!("indent of {} is not a text", value.type_name()));
    };
    let indention = match &width {
        Some(Value::Str(text)) => text.to_string(),
        width => {
            let width = width.as_ref().map_or(Ok(4), int)?;
            if width > WIDTH_MAX {
                return fail(format!("indent by more than {WIDTH_MAX} spaces"));
            }
            " ".repeat(width.max(0) as usize)
        }
    };
    let text = format!("{text}\n");
    let lines = strings::lines(&text, false);
    renderer.pay(
        text.len()
            .saturating_add(lines.len().saturating_mul(indention.len() + 1)),
    )?;
    let mut out = String::new();
    if flag(first.as_ref()) {
        out.push_str(&indention);
    }
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            out.push('\n');
            if flag(blank.as_ref()) || !line.is_empty() {
                out.push_str(&indention);
            }
        }
        out.push_str(line);
    }
    Ok(Value::str(out))
}

pub(super) fn truncate(_: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let names = ["length", "killwords", "end", "leeway"];
    let [length, killwords, end, leeway] = args.bind("truncate", names, 0)?;
    let length = length.as_ref().map_or(Ok(255), int)?;
    let end = end.as_ref().map_or_else(|| Ok("...".into()), text_of)?;
    let leeway = int_or(leeway.as_ref(), 5)?;
    let end_len = end.chars().count() as i128;
    if length < end_len {
        return fail(format!("expected length >= {end_len}, got {length}"));
    }
    if leeway < 0 {
        return fail(format!("expected leeway >= 0, got {leeway}"));
    }
    let Some(len) = len(&value) else {
        return fail(format!(
            "object of type '{}' has no len()",
            value.type_name()
        ));
    };
    if len <= length.saturating_add(leeway) {
        return Ok(value);
    }
    let text = text_of(&value)?;
    let mut kept: String = text.chars().take((length - end_len) as usize).collect();
    if !flag(killwords.as_ref())
        && let Some(space) = kept.rfind(' ')
    {
        kept.truncate(space);
    }
    Ok(Value::str(kept + &end))
}

/// Lines longer than this are laid out over several.
const PPRINT_WIDTH: usize = 80;

/// Python's `pformat` of what fits on a line: keys sorted.
pub(super) fn pprint(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("pprint", 0)?;
    let sorted = sort_keys(renderer, &value)?;
    let text = renderer.repr(&sorted)?;
    if text.chars().count() > PPRINT_WIDTH {
        return fail(
            "pprint of what does not fit on a line is not there in Lantern; use tojson(indent=1)",
        );
    }
    Ok(Value::str(text))
}

fn sort_keys(renderer: &mut Renderer<'_>, value: &Value) -> Result<Value> {
    renderer.deeper(|renderer| match value {
        Value::List(list) => {
            let items = list.items.iter().map(|item| sort_keys(renderer, item));
            Value::list(items.collect::<Result<_>>()?)
        }
        Value::Tuple(tuple) => {
            let items = tuple.items.iter().map(|item| sort_keys(renderer, item));
            Value::tuple(items.collect::<Result<_>>()?)
        }
        Value::Dict(dict) => {
            let entries = dict.entries().to_vec();
            let entries =
                super::order::sorted(renderer, entries, false, |_, (key, _)| Ok(key.clone()))?;
            let mut sorted = Vec::new();
            for (key, value) in entries {
                sorted.push((key, sort_keys(renderer, &value)?));
            }
            Value::dict(sorted)
        }
        _ => Ok(value.clone()),
    })
}
