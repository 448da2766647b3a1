//! Filters that compare: sorting, grouping, the least and the most.

use std::{cmp::Ordering, collections::HashSet};

use super::attribute_of;
use crate::text::jinja::{
    arguments::{Args, flag, int},
    failure::{Result, fail},
    renderer::Renderer,
    value::{Key, Value},
};

/// Items in the order of their keys; those whose keys are equal stay as they were. Python's order, which fails where there is none.
pub(in crate::text::jinja) fn sorted<'a, T: Clone>(
    renderer: &mut Renderer<'a>,
    items: Vec<T>,
    reverse: bool,
    mut key: impl FnMut(&mut Renderer<'a>, &T) -> Result<Value>,
) -> Result<Vec<T>> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        keyed.push((key(renderer, &item)?, item));
    }
    let mut width = 1;
    while width < keyed.len() {
        let mut merged = Vec::with_capacity(keyed.len());
        for pair in keyed.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            merge(renderer, left, right, reverse, &mut merged)?;
        }
        keyed = merged;
        width *= 2;
    }
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

/// Two sorted runs as one; of equal items, the left one first.
fn merge<T: Clone>(
    renderer: &mut Renderer<'_>,
    left: &[(Value, T)],
    right: &[(Value, T)],
    reverse: bool,
    out: &mut Vec<(Value, T)>,
) -> Result<()> {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let less = if reverse {
            renderer.order(&a.0, &b.0, "<")?
        } else {
            renderer.order(&b.0, &a.0, "<")?
        };
        let next = if less == Some(Ordering::Less) {
            right.next()
        } else {
            left.next()
        };
        out.extend(next.cloned());
    }
    out.extend(left.cloned());
    out.extend(right.cloned());
    Ok(())
}

/// A key without its case.
fn folded(value: Value, case_sensitive: bool) -> Value {
    match &value {
        Value::Str(text) if !case_sensitive => Value::str(text.to_lowercase()),
        _ => value,
    }
}

/// Keys of several attributes, with commas between them.
fn keys_of(
    renderer: &mut Renderer<'_>,
    item: &Value,
    attribute: Option<&Value>,
    case_sensitive: bool,
) -> Result<Value> {
    let Some(names) = attribute.and_then(Value::as_str) else {
        return Ok(folded(
            attribute_of(renderer, item, attribute, None)?,
            case_sensitive,
        ));
    };
    let mut keys = Vec::new();
    for name in names.split(',') {
        let key = attribute_of(renderer, item, Some(&Value::str(name)), None)?;
        keys.push(folded(key, case_sensitive));
    }
    Value::list(keys)
}

/// `reverse` of Python's `sorted`, a number.
fn is_reversed(given: Option<&Value>) -> Result<bool> {
    Ok(given.map(int).transpose()?.unwrap_or(0) != 0)
}

pub(super) fn sort(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let names = ["reverse", "case_sensitive", "attribute"];
    let [reverse, case_sensitive, attribute] = args.bind("sort", names, 0)?;
    let case_sensitive = flag(case_sensitive.as_ref());
    let reverse = is_reversed(reverse.as_ref())?;
    let items = renderer.iterate(&value)?;
    let items = sorted(renderer, items, reverse, |renderer, item| {
        keys_of(renderer, item, attribute.as_ref(), case_sensitive)
    })?;
    Value::list(items)
}

pub(super) fn dictsort(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let names = ["case_sensitive", "by", "reverse"];
    let [case_sensitive, by, reverse] = args.bind("dictsort", names, 0)?;
    let by_value = match by.as_ref().map_or(Some("key"), Value::as_str) {
        Some("key") => false,
        Some("value") => true,
        _ => return fail("You can only sort by either \"key\" or \"value\""),
    };
    let Value::Dict(dict) = &value else {
        return fail(format!("dictsort of a {}", value.type_name()));
    };
    let entries = dict.entries().to_vec();
    let case_sensitive = flag(case_sensitive.as_ref());
    let reverse = is_reversed(reverse.as_ref())?;
    let entries = sorted(renderer, entries, reverse, |_, (key, value)| {
        let chosen = if by_value { value } else { key };
        Ok(folded(chosen.clone(), case_sensitive))
    })?;
    let pairs = entries
        .into_iter()
        .map(|(key, value)| Value::tuple(vec![key, value]));
    Value::list(pairs.collect::<Result<_>>()?)
}

pub(super) fn groupby(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let names = ["attribute", "default", "case_sensitive"];
    let [attribute, default, case_sensitive] = args.bind("groupby", names, 1)?;
    let default = default.filter(|default| !matches!(default, Value::None));
    let case_sensitive = flag(case_sensitive.as_ref());
    let (attribute, default) = (attribute.as_ref(), default.as_ref());
    let items = renderer.iterate(&value)?;
    let items = sorted(renderer, items, false, |renderer, item| {
        let key = attribute_of(renderer, item, attribute, default)?;
        Ok(folded(key, case_sensitive))
    })?;
    let mut groups: Vec<(Value, Value, Vec<Value>)> = Vec::new();
    for item in items {
        let key = attribute_of(renderer, &item, attribute, default)?;
        let compared = folded(key.clone(), case_sensitive);
        match groups.last_mut() {
            Some((_, last, group)) if renderer.equal(last, &compared)? => group.push(item),
            _ => groups.push((key, compared, vec![item])),
        }
    }
    let groups = groups
        .into_iter()
        .map(|(key, _, group)| Value::group(key, group));
    Value::list(groups.collect::<Result<_>>()?)
}

pub(super) fn unique(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    let [case_sensitive, attribute] = args.bind("unique", ["case_sensitive", "attribute"], 0)?;
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for item in renderer.iterate(&value)? {
        let key = attribute_of(renderer, &item, attribute.as_ref(), None)?;
        if seen.insert(Key::of(&folded(key, flag(case_sensitive.as_ref())))?) {
            kept.push(item);
        }
    }
    renderer.iterator(kept)
}

pub(super) fn min(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    extreme(renderer, &value, args, "min", Ordering::Less)
}

pub(super) fn max(renderer: &mut Renderer<'_>, value: Value, args: Args) -> Result<Value> {
    extreme(renderer, &value, args, "max", Ordering::Greater)
}

fn extreme(
    renderer: &mut Renderer<'_>,
    value: &Value,
    args: Args,
    name: &str,
    wanted: Ordering,
) -> Result<Value> {
    let [case_sensitive, attribute] = args.bind(name, ["case_sensitive", "attribute"], 0)?;
    let mut best: Option<(Value, Value)> = None;
    let symbol = if wanted == Ordering::Less { "<" } else { ">" };
    for item in renderer.iterate(value)? {
        let key = attribute_of(renderer, &item, attribute.as_ref(), None)?;
        let key = folded(key, flag(case_sensitive.as_ref()));
        let better = match &best {
            None => true,
            Some((best, _)) => renderer.order(&key, best, symbol)? == Some(wanted),
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(match best {
        Some((_, item)) => item,
        None => Value::undefined("No aggregated item, sequence was empty."),
    })
}
