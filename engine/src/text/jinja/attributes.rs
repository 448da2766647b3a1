//! Attributes, items and slices, in the order in which Jinja2's sandbox looks for them: `x.name` finds a method before an entry, `x['name']`
//! an entry before a method.

use std::sync::Arc;

use super::{
    failure::{Result, fail},
    renderer::Renderer,
    value::{Key, Range, Value},
};

const STR: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];
const LIST: &[&str] = &["copy", "count", "index"];
const DICT: &[&str] = &["copy", "fromkeys", "get", "items", "keys", "values"];
const TUPLE: &[&str] = &["count", "index"];
const INT: &[&str] = &["bit_count", "bit_length", "conjugate", "is_integer"];
const FLOAT: &[&str] = &["conjugate", "hex", "is_integer"];

/// Methods that change what they are of: the sandbox has them undefined.
const LIST_CHANGES: &[&str] = &[
    "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort",
];
const DICT_CHANGES: &[&str] = &["clear", "pop", "popitem", "setdefault", "update"];

/// Attributes that are there in Python and not here.
const NOT_HERE: &[&str] = &[
    "as_integer_ratio",
    "to_bytes",
    "from_bytes",
    "fromhex",
    "isdisjoint",
    "mapping",
    "send",
    "throw",
    "close",
];

impl Renderer<'_> {
    /// `value.name`.
    pub fn attribute(&mut self, value: &Value, name: &str) -> Result<Value> {
        if let Some(found) = self.own_attribute(value, name)? {
            return Ok(found);
        }
        match value {
            Value::Undefined(message) => fail(&**message),
            Value::Dict(dict) => Ok(dict
                .text(name)
                .cloned()
                .unwrap_or_else(|| missing(value, name))),
            _ => Ok(missing(value, name)),
        }
    }

    /// `value[index]`.
    pub fn item(&mut self, value: &Value, index: &Value) -> Result<Value> {
        if let Value::Undefined(message) = value {
            return fail(&**message);
        }
        if let Some(found) = self.entry(value, index)? {
            return Ok(found);
        }
        let Some(name) = index.as_str() else {
            let index = self.text(index)?;
            return Ok(missing(value, &index));
        };
        let own = self.own_attribute(value, name)?;
        Ok(own.unwrap_or_else(|| missing(value, name)))
    }

    fn entry(&mut self, value: &Value, index: &Value) -> Result<Option<Value>> {
        if let Value::Dict(dict) = value {
            return Ok(Key::of(index).ok().and_then(|key| dict.get(&key).cloned()));
        }
        let Some(index) = index.as_int() else {
            return Ok(None);
        };
        let at = |len: i128| {
            let at = if index < 0 { index + len } else { index };
            (0..len).contains(&at).then_some(at)
        };
        Ok(match value {
            Value::List(list) | Value::Tuple(list) | Value::Group(list) => {
                at(list.items.len() as i128).map(|at| list.items[at as usize].clone())
            }
            Value::Range(range) => at(range.len()).map(|at| range.get(at)),
            Value::Str(text) | Value::Markup(text) => {
                self.pay(text.len())?;
                let found = if index < 0 {
                    text.chars().rev().nth((-1 - index) as usize)
                } else {
                    text.chars().nth(index as usize)
                };
                found.map(|char| Value::str(char.encode_utf8(&mut [0; 4]) as &str))
            }
            _ => None,
        })
    }

    /// Attribute that the value's type has by that name. Undefined: the sandbox keeps it from templates.
    pub fn own_attribute(&mut self, value: &Value, name: &str) -> Result<Option<Value>> {
        let (methods, changes): (&[&'static str], &[&str]) = match value {
            Value::Str(_) | Value::Markup(_) => (STR, &[]),
            Value::List(_) => (LIST, LIST_CHANGES),
            Value::Dict(_) => (DICT, DICT_CHANGES),
            Value::Tuple(_) => (TUPLE, &[]),
            Value::Int(_) | Value::Bool(_) => return Ok(number(value, name, INT)),
            Value::Float(_) => return Ok(number(value, name, FLOAT)),
            Value::Group(pair) => match name {
                "grouper" => return Ok(Some(pair.items[0].clone())),
                "list" => return Ok(Some(pair.items[1].clone())),
                _ => (TUPLE, &[]),
            },
            Value::Range(range) => match name {
                "start" => return Ok(Some(Value::Int(range.start))),
                "stop" => return Ok(Some(Value::Int(range.stop))),
                "step" => return Ok(Some(Value::Int(range.step))),
                _ => (TUPLE, &[]),
            },
            Value::Namespace(id) => return Ok(self.namespaces[*id].text(name).cloned()),
            Value::Cycler(id) if name == "current" => {
                let cycler = &self.cyclers[*id];
                return Ok(Some(cycler.items[cycler.at].clone()));
            }
            Value::Cycler(_) => (&["next", "reset"], &[]),
            Value::Joiner(id) => match name {
                "sep" => return Ok(Some(self.joiners[*id].separator.clone())),
                "used" => return Ok(Some(Value::Bool(self.joiners[*id].used))),
                _ => return Ok(None),
            },
            Value::Loop(id) => return self.loop_attribute(*id, value, name),
            Value::Macro(id) => return self.macro_attribute(*id, name),
            Value::Function(super::value::Function::Dict) => (&["fromkeys"], &[]),
            _ => (&[], &[]),
        };
        if changes.contains(&name) {
            let kind = value.type_name();
            let message = format!("access to attribute '{name}' of '{kind}' object is unsafe.");
            return Ok(Some(Value::undefined(message)));
        }
        if NOT_HERE.contains(&name) && matches!(value, Value::View(..) | Value::Iterator(_)) {
            return fail(format!(
                "{}.{name} is not there in Lantern",
                value.type_name()
            ));
        }
        Ok(method(value, name, methods))
    }

    fn loop_attribute(&mut self, id: usize, value: &Value, name: &str) -> Result<Option<Value>> {
        let this = &self.loops[id];
        let (index, len) = (this.index, this.items.len());
        let count = |number: usize| Value::Int(number as i128);
        Ok(Some(match name {
            "index" => count(index + 1),
            "index0" => count(index),
            "revindex" => count(len - index),
            "revindex0" => count(len - index - 1),
            "first" => Value::Bool(index == 0),
            "last" => Value::Bool(index + 1 == len),
            "length" => count(len),
            "depth" => count(this.depth + 1),
            "depth0" => count(this.depth),
            "previtem" if index == 0 => Value::undefined("there is no previous item"),
            "previtem" => this.items[index - 1].clone(),
            "nextitem" => match this.items.get(index + 1) {
                Some(item) => item.clone(),
                None => Value::undefined("there is no next item"),
            },
            _ => return Ok(method(value, name, &["changed", "cycle"])),
        }))
    }

    fn macro_attribute(&mut self, id: usize, name: &str) -> Result<Option<Value>> {
        let definition = self.macros[id].definition;
        Ok(Some(match name {
            "name" => definition.name.clone().map_or(Value::None, Value::Str),
            "arguments" => Value::tuple(
                definition
                    .parameters
                    .iter()
                    .cloned()
                    .map(Value::Str)
                    .collect(),
            )?,
            "catch_kwargs" => Value::Bool(definition.takes_kwargs),
            "catch_varargs" => Value::Bool(definition.takes_varargs),
            "caller" => Value::Bool(definition.takes_caller),
            _ => return Ok(None),
        }))
    }

    /// `value[start:stop:step]`.
    pub fn slice(&mut self, value: &Value, bounds: [Option<i128>; 3]) -> Result<Value> {
        if let Value::Range(range) = value {
            let [start, stop, step] = slice_bounds(range.len(), bounds)?;
            return Ok(Value::Range(Range {
                start: range.start + start * range.step,
                stop: range.start + stop * range.step,
                step: range.step.saturating_mul(step),
            }));
        }
        let items = match value {
            Value::Undefined(message) => return fail(&**message),
            Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Group(_) => {
                self.iterate(value)?
            }
            Value::Dict(_) => return fail("unhashable type: 'slice'"),
            _ => {
                return fail(format!(
                    "'{}' object is not subscriptable",
                    value.type_name()
                ));
            }
        };
        let [mut at, stop, step] = slice_bounds(items.len() as i128, bounds)?;
        let mut picked = Vec::new();
        while if step > 0 { at < stop } else { at > stop } {
            picked.push(items[at as usize].clone());
            at = at.saturating_add(step);
        }
        match value {
            Value::Str(_) => {
                let text: String = picked.iter().filter_map(Value::as_str).collect();
                Ok(Value::str(text))
            }
            Value::List(_) => Value::list(picked),
            _ => Value::tuple(picked),
        }
    }
}

/// Start, stop and step of a slice of `len` items.
fn slice_bounds(len: i128, [start, stop, step]: [Option<i128>; 3]) -> Result<[i128; 3]> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return fail("slice step cannot be zero");
    }
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamp = |bound: i128| {
        let bound = if bound < 0 {
            bound.saturating_add(len)
        } else {
            bound
        };
        bound.clamp(low, high)
    };
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    Ok([start.map_or(first, clamp), stop.map_or(last, clamp), step])
}

fn method(value: &Value, name: &str, methods: &[&'static str]) -> Option<Value> {
    let found = methods.iter().find(|method| **method == name)?;
    Some(Value::Method(Arc::new((value.clone(), found))))
}

fn number(value: &Value, name: &str, methods: &[&'static str]) -> Option<Value> {
    let int = value.as_int();
    match (name, int) {
        ("real" | "numerator", Some(int)) => Some(Value::Int(int)),
        ("imag", Some(_)) => Some(Value::Int(0)),
        ("denominator", Some(_)) => Some(Value::Int(1)),
        ("real", None) => Some(value.clone()),
        ("imag", None) => Some(Value::Float(0.0)),
        _ => method(value, name, methods),
    }
}

/// Value that stands for an attribute that is not there.
fn missing(value: &Value, name: &str) -> Value {
    let kind = value.type_name();
    Value::undefined(format!("'{kind} object' has no attribute '{name}'"))
}
