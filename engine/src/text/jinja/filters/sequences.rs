//! Filters of lists, dictionaries and all else that can be gone through.

use super::{apply, attribute_of, numbers, passes};
use crate::text::jinja::{
    arguments::Args,
    ast::Operator,
    failure::{Result, fail},
    renderer::Renderer,
    value::Value,
};

pub(super) fn length(_: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("length", 0)?;
    match len(&value) {
        Some(len) => Ok(Value::Int(len)),
        None => fail(format!(
            "object of type '{}' has no len()",
            value.type_name()
        )),
    }
}

/// Python's `len`, but of a loop.
pub(in crate::text::jinja) fn len(value: &Value) -> Option<i128> {
    let len = match value {
        Value::Undefined(_) => 0,
        Value::Str(text) | Value::Markup(text) => text.chars().count(),
        Value::List(list) | Value::Tuple(list) | Value::Group(list) => list.items.len(),
        Value::Dict(dict) | Value::View(_, dict) => dict.len(),
        Value::Range(range) => return Some(range.len()),
        _ => return None,
    };
    Some(len as i128)
}

pub(super) fn list(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("list", 0)?;
    Value::list(renderer.iterate(&value)?)
}

pub(super) fn items(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("items", 0)?;
    let entries = match &value {
        Value::Undefined(_) => Vec::new(),
        Value::Dict(dict) => dict.entries().to_vec(),
        _ => return fail("Can only get item pairs from a mapping."),
    };
    let pairs = entries
        .into_iter()
        .map(|(key, value)| Value::tuple(vec![key, value]));
    let pairs = pairs.collect::<Result<_>>()?;
    renderer.iterator(pairs)
}

pub(super) fn first(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("first", 0)?;
    let item = match &value {
        Value::Iterator(id) => renderer.iterators[*id].next(),
        _ => renderer.iterate(&value)?.into_iter().next(),
    };
    Ok(item.unwrap_or_else(|| Value::undefined("No first item, sequence was empty.")))
}

pub(super) fn last(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("last", 0)?;
    if matches!(value, Value::Iterator(_)) {
        return fail("'generator' object is not reversible");
    }
    let item = renderer.iterate(&value)?.pop();
    Ok(item.unwrap_or_else(|| Value::undefined("No last item, sequence was empty.")))
}

pub(super) fn reverse(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    args.only::<0>("reverse", 0)?;
    if let Value::Str(text) = &value {
        return Ok(Value::str(text.chars().rev().collect::<String>()));
    }
    let mut items = renderer.iterate(&value)?;
    items.reverse();
    match value {
        Value::Iterator(_) => Value::list(items),
        _ => renderer.iterator(items),
    }
}

pub(super) fn join(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [separator, attribute] = args.bind("join", ["d", "attribute"], 0)?;
    let separator = renderer.text(&separator.unwrap_or_else(|| Value::str("")))?;
    let mut out = String::new();
    for (i, item) in renderer.iterate(&value)?.iter().enumerate() {
        let item = attribute_of(renderer, item, attribute.as_ref(), None)?;
        let text = renderer.text(&item)?;
        renderer.pay(separator.len() + text.len())?;
        out.push_str(if i == 0 { "" } else { &separator });
        out.push_str(&text);
    }
    Ok(Value::str(out))
}

pub(super) fn sum(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [attribute, start] = args.bind("sum", ["attribute", "start"], 0)?;
    let mut sum = start.unwrap_or(Value::Int(0));
    if matches!(sum, Value::Str(_)) {
        return fail("sum() can't sum strings [use ''.join(seq) instead]");
    }
    for item in renderer.iterate(&value)? {
        let item = attribute_of(renderer, &item, attribute.as_ref(), None)?;
        sum = renderer.binary(Operator::Add, &sum, &item)?;
    }
    Ok(sum)
}

pub(super) fn map(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let Args {
        mut positional,
        mut named,
    } = args;
    let mut made = Vec::new();
    if !value.truth() {
        return renderer.iterator(made);
    }
    if positional.is_empty() {
        let mut take = |name: &str| {
            let at = named.iter().position(|(one, _)| &**one == name)?;
            Some(named.remove(at).1)
        };
        let Some(attribute) = take("attribute") else {
            return fail("map requires a filter argument");
        };
        let default = take("default").filter(|default| !matches!(default, Value::None));
        if let Some((name, _)) = named.first() {
            return fail(format!("Unexpected keyword argument '{name}'"));
        }
        for item in renderer.iterate(&value)? {
            made.push(attribute_of(
                renderer,
                &item,
                Some(&attribute),
                default.as_ref(),
            )?);
        }
        return renderer.iterator(made);
    }
    let name = renderer.text(&positional.remove(0))?;
    for item in renderer.iterate(&value)? {
        let args = Args {
            positional: positional.clone(),
            named: named.clone(),
        };
        made.push(renderer.deeper(|renderer| apply(renderer, &name, item, args))?);
    }
    renderer.iterator(made)
}

/// `select`, `reject`, and both by an attribute.
pub(super) fn select(
    renderer: &mut Renderer<'_>,
    value: Value,
    mut args: Args,
    wanted: bool,
    by_attribute: bool,
) -> Result<Value> {
    let mut kept = Vec::new();
    if !value.truth() {
        return renderer.iterator(kept);
    }
    let attribute = match by_attribute {
        true if args.positional.is_empty() => {
            return fail("Missing parameter for attribute name");
        }
        true => Some(args.positional.remove(0)),
        false => None,
    };
    let test = (!args.positional.is_empty()).then(|| args.positional.remove(0));
    for item in renderer.iterate(&value)? {
        let tested = attribute_of(renderer, &item, attribute.as_ref(), None)?;
        let holds = match &test {
            Some(test) => passes(renderer, test, &tested, &args)?,
            None => tested.truth(),
        };
        if holds == wanted {
            kept.push(item);
        }
    }
    renderer.iterator(kept)
}

pub(super) fn batch(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [size, fill] = args.bind("batch", ["linecount", "fill_with"], 1)?;
    let size = numbers::count(size.as_ref(), 1)?;
    let fill = fill.filter(|fill| !matches!(fill, Value::None));
    let items = renderer.iterate(&value)?;
    let mut batches = Vec::new();
    if size == 0 && !items.is_empty() {
        let all = vec![Value::list(Vec::new())?, Value::list(items)?]; // so Jinja2 has it
        return renderer.iterator(all);
    }
    for batch in items.chunks(size.max(1)) {
        let mut batch = batch.to_vec();
        if let Some(fill) = &fill {
            renderer.steps(size)?;
            batch.resize(size.max(batch.len()), fill.clone());
        }
        batches.push(Value::list(batch)?);
    }
    renderer.iterator(batches)
}

pub(super) fn slice(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [slices, fill] = args.bind("slice", ["slices", "fill_with"], 1)?;
    let slices = numbers::count(slices.as_ref(), 1)?;
    let fill = fill.filter(|fill| !matches!(fill, Value::None));
    let items = renderer.iterate(&value)?;
    if slices == 0 {
        return fail("integer division or modulo by zero");
    }
    renderer.steps(slices)?;
    let (each, more) = (items.len() / slices, items.len() % slices);
    let mut made = Vec::new();
    let mut rest = &items[..];
    for number in 0..slices {
        let (part, after) = rest.split_at(each + usize::from(number < more));
        rest = after;
        let mut part = part.to_vec();
        if let (Some(fill), true) = (&fill, number >= more) {
            part.push(fill.clone());
        }
        made.push(Value::list(part)?);
    }
    renderer.iterator(made)
}
