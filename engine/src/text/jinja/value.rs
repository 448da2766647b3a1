//! Values of a template, as Python has them: what is equal, what is true, what may be a key.
//!
//! Lists and dictionaries never change (the sandbox that `transformers` uses forbids it), so they are shared. What does change
//! (namespaces, iterators, cyclers, loops) is kept by the renderer, and a value is its number there: no value can contain itself.

use std::{collections::HashMap, sync::Arc};

use super::failure::{Failure, Result, fail};

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing by that name; the text says so.
    Undefined(Arc<str>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<str>),
    /// Text that `safe` or `escape` gave. It prints; what else Python's Markup does is refused.
    Markup(Arc<str>),
    List(Arc<Items>),
    Tuple(Arc<Items>),
    /// A pair of `groupby`: a tuple whose items are also called `grouper` and `list`.
    Group(Arc<Items>),
    Dict(Arc<Dict>),
    Range(Range),
    View(View, Arc<Dict>),
    Function(Function),
    /// A method with the value that it is of.
    Method(Arc<(Value, &'static str)>),
    Iterator(usize),
    Namespace(usize),
    Cycler(usize),
    Joiner(usize),
    Loop(usize),
    Macro(usize),
}

/// Functions that a template can call by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Range,
    Dict,
    Namespace,
    Cycler,
    Joiner,
    Lipsum,
    RaiseException,
    StrftimeNow,
}

/// Part of a dictionary that a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Keys,
    Values,
    Items,
}

/// Integers from `start` on, up to `stop`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub start: i128,
    pub stop: i128,
    pub step: i128,
}

impl Range {
    pub fn len(&self) -> i128 {
        let span = if self.step > 0 {
            self.stop - self.start
        } else {
            self.start - self.stop
        };
        let step = self.step.abs();
        if span <= 0 {
            0
        } else {
            (span + step - 1) / step
        }
    }

    pub fn get(&self, index: i128) -> Value {
        Value::Int(self.start + index * self.step)
    }
}

/// Deeper values are refused: no template can make the stack overflow by building one.
const DEPTH_MAX: u16 = 160;

/// Keys of more parts are refused. (A tuple that is twice in a tuple that is twice in a tuple … is soon a million.)
const KEY_PARTS_MAX: usize = 1 << 12;

/// Items of a list or a tuple.
#[derive(Debug)]
pub(super) struct Items {
    pub items: Vec<Value>,
    depth: u16,
}

/// A dictionary in the order in which it was made.
#[derive(Debug, Default)]
pub(super) struct Dict {
    entries: Vec<(Value, Value)>,
    index: HashMap<Key, usize>,
    depth: u16,
}

/// A value as a key: `1`, `1.0` and `true` are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    None,
    Undefined,
    Number(i128),
    Fraction(u64),
    Text(Arc<str>),
    Tuple(Vec<Key>),
    Other(u8, usize),
}

impl Dict {
    pub fn entries(&self) -> &[(Value, Value)] {
        &self.entries
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.index.get(key).map(|&at| &self.entries[at].1)
    }

    pub fn text(&self, key: &str) -> Option<&Value> {
        self.get(&Key::Text(key.into()))
    }

    pub fn insert(&mut self, key: Value, value: Value) -> Result<()> {
        let hashed = Key::of(&key)?;
        self.depth = self.depth.max(one_more(&key)?).max(one_more(&value)?);
        if let Some(&at) = self.index.get(&hashed) {
            self.entries[at].1 = value;
        } else {
            self.index.insert(hashed, self.entries.len());
            self.entries.push((key, value));
        }
        Ok(())
    }
}

impl Key {
    /// # Errors
    /// A list or a dictionary is no key.
    pub fn of(value: &Value) -> Result<Key> {
        let mut left = KEY_PARTS_MAX;
        Key::part(value, &mut left)
    }

    fn part(value: &Value, left: &mut usize) -> Result<Key> {
        *left = match left.checked_sub(1) {
            Some(left) => left,
            None => return fail(format!("a key of more than {KEY_PARTS_MAX} parts")),
        };
        Ok(match value {
            Value::Undefined(_) => Key::Undefined,
            Value::None => Key::None,
            Value::Bool(value) => Key::Number((*value).into()),
            Value::Int(value) => Key::Number(*value),
            Value::Float(value) => match whole(*value) {
                Some(whole) => Key::Number(whole),
                None => Key::Fraction(value.to_bits()),
            },
            Value::Str(text) | Value::Markup(text) => Key::Text(text.clone()),
            Value::Tuple(tuple) | Value::Group(tuple) => {
                let parts = tuple.items.iter().map(|item| Key::part(item, left));
                Key::Tuple(parts.collect::<Result<_>>()?)
            }
            Value::Range(range) => Key::Tuple(vec![
                Key::Other(7, range.len() as usize),
                Key::Number(range.start),
                Key::Number(range.step),
            ]),
            Value::Iterator(id) => Key::Other(0, *id),
            Value::Namespace(id) => Key::Other(1, *id),
            Value::Cycler(id) => Key::Other(2, *id),
            Value::Joiner(id) => Key::Other(3, *id),
            Value::Loop(id) => Key::Other(4, *id),
            Value::Macro(id) => Key::Other(5, *id),
            Value::Function(function) => Key::Other(6, *function as usize),
            Value::List(_) | Value::Dict(_) | Value::View(..) | Value::Method(_) => {
                let message = format!("unhashable type: '{}'", value.type_name());
                return Err(Failure::new(message));
            }
        })
    }
}

/// A float that is an integer.
pub(super) fn whole(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() < 1e38).then_some(value as i128)
}

fn one_more(value: &Value) -> Result<u16> {
    let depth = value.depth() + 1;
    if depth > DEPTH_MAX {
        return Err(Failure::new(format!(
            "values are nested more than {DEPTH_MAX} levels deep"
        )));
    }
    Ok(depth)
}

fn items(items: Vec<Value>) -> Result<Arc<Items>> {
    let mut depth = 1;
    for item in &items {
        depth = depth.max(one_more(item)?);
    }
    Ok(Arc::new(Items { items, depth }))
}

impl Value {
    pub fn str(text: impl Into<Arc<str>>) -> Value {
        Value::Str(text.into())
    }

    pub fn undefined(message: impl Into<Arc<str>>) -> Value {
        Value::Undefined(message.into())
    }

    pub fn list(values: Vec<Value>) -> Result<Value> {
        items(values).map(Value::List)
    }

    pub fn tuple(values: Vec<Value>) -> Result<Value> {
        items(values).map(Value::Tuple)
    }

    pub fn group(key: Value, values: Vec<Value>) -> Result<Value> {
        items(vec![key, Value::list(values)?]).map(Value::Group)
    }

    pub fn dict(entries: impl IntoIterator<Item = (Value, Value)>) -> Result<Value> {
        let mut dict = Dict::default();
        for (key, value) in entries {
            dict.insert(key, value)?;
        }
        Ok(Value::Dict(Arc::new(dict)))
    }

    /// A value of JSON.
    pub fn from_json(json: &serde_json::Value) -> Result<Value> {
        use serde_json::Value as Json;
        Ok(match json {
            Json::Null => Value::None,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Value::Int(value.into()),
                (_, Some(value)) => Value::Int(value.into()),
                _ => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::str(text.as_str()),
            Json::Array(array) => {
                Value::list(array.iter().map(Value::from_json).collect::<Result<_>>()?)?
            }
            Json::Object(object) => {
                let mut dict = Dict::default();
                for (key, value) in object {
                    dict.insert(Value::str(key.as_str()), Value::from_json(value)?)?;
                }
                Value::Dict(Arc::new(dict))
            }
        })
    }

    fn depth(&self) -> u16 {
        match self {
            Value::List(list) | Value::Tuple(list) | Value::Group(list) => list.depth,
            Value::Dict(dict) | Value::View(_, dict) => dict.depth + 1,
            Value::Method(method) => method.0.depth() + 1,
            _ => 0,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// An integer, `true` and `false` among them.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Value::Bool(value) => Some((*value).into()),
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(*value),
            _ => self.as_int().map(|value| value as f64),
        }
    }

    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined(_))
    }

    /// The name of the value's type in Python.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Undefined(_) => "Undefined",
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) => "str",
            Value::Markup(_) => "Markup",
            Value::List(_) => "list",
            Value::Tuple(_) | Value::Group(_) => "tuple",
            Value::Dict(_) => "dict",
            Value::Range(_) => "range",
            Value::View(View::Keys, _) => "dict_keys",
            Value::View(View::Values, _) => "dict_values",
            Value::View(View::Items, _) => "dict_items",
            Value::Function(_) => "function",
            Value::Method(_) => "builtin_function_or_method",
            Value::Iterator(_) => "generator",
            Value::Namespace(_) => "Namespace",
            Value::Cycler(_) => "Cycler",
            Value::Joiner(_) => "Joiner",
            Value::Loop(_) => "LoopContext",
            Value::Macro(_) => "Macro",
        }
    }

    pub fn truth(&self) -> bool {
        match self {
            Value::Undefined(_) | Value::None => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Str(text) | Value::Markup(text) => !text.is_empty(),
            Value::List(list) | Value::Tuple(list) | Value::Group(list) => !list.items.is_empty(),
            Value::Dict(dict) | Value::View(_, dict) => dict.len() > 0,
            Value::Range(range) => range.len() > 0,
            _ => true,
        }
    }

    /// Whether values are the same object, as far as a template can know: for what Python has only one of, and for what is shared.
    pub fn is_same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::None, Value::None) => true,
            (Value::Undefined(a), Value::Undefined(b)) => Arc::ptr_eq(a, b),
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
                Arc::ptr_eq(a, b)
                    || (matches!(self, Value::Tuple(_)) && a.items.is_empty() && b.items.is_empty())
            }
            (Value::Dict(a), Value::Dict(b)) => Arc::ptr_eq(a, b),
            (Value::Float(_) | Value::List(_) | Value::Dict(_), _) => false,
            _ => match (Key::of(self), Key::of(other)) {
                (Ok(a @ Key::Other(..)), Ok(b)) => a == b,
                _ => false,
            },
        }
    }
}
