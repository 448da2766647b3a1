//! The key-value part of a model file's header, and typed ways to ask it.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{Error, Result};

/// One value of a GGUF header. Arrays of numbers and strings are kept flat.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Any unsigned integer type.
    Unsigned(u64),
    /// Any signed integer type.
    Signed(i64),
    /// f32 or f64.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// UTF-8 text.
    Text(String),
    /// An array of unsigned, signed or boolean values.
    Integers(Vec<i64>),
    /// An array of f32 or f64.
    Floats(Vec<f64>),
    /// An array of strings.
    Texts(Vec<String>),
    /// Value that the file holds and no other variant can: a text that is not UTF-8 (in an array, one is enough), an array
    /// of arrays, an array with integers beyond i64. Every typed question for it is an error. So a damaged token spoils
    /// the vocabulary, not a silently different text, and a foreign author's name spoils nothing.
    Unusable {
        /// Phrase for people, `not UTF-8`.
        what: String,
        /// Value as the file has it, its type number first, for whoever writes the file again; empty for one of more
        /// than a mebibyte.
        #[serde(skip)]
        raw: Vec<u8>,
    },
}

/// Metadata by key, as the file names them (`llama.context_length`).
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Metadata(pub BTreeMap<String, Value>);

impl Metadata {
    /// The value under `key`, if there is one.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// An integer that fits u32; an error names the key if it is there but something else.
    pub fn u32(&self, key: &str) -> Result<Option<u32>> {
        self.typed(key, "a whole number below 2^32", |value| match value {
            Value::Unsigned(v) => u32::try_from(*v).ok(),
            Value::Signed(v) => u32::try_from(*v).ok(),
            _ => None,
        })
    }

    /// A finite number.
    pub fn f32(&self, key: &str) -> Result<Option<f32>> {
        self.typed(key, "a finite number", |value| {
            let number = match value {
                Value::Float(v) => *v as f32,
                Value::Unsigned(v) => *v as f32,
                Value::Signed(v) => *v as f32,
                _ => return None,
            };
            number.is_finite().then_some(number)
        })
    }

    /// A boolean.
    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "a boolean", |value| match value {
            Value::Bool(v) => Some(*v),
            _ => None,
        })
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "a text", |value| match value {
            Value::Text(v) => Some(v.as_str()),
            _ => None,
        })
    }

    /// An array of texts.
    pub fn texts(&self, key: &str) -> Result<Option<&[String]>> {
        self.typed(key, "an array of texts", |value| match value {
            Value::Texts(v) => Some(v.as_slice()),
            _ => None,
        })
    }

    /// An array of integers.
    pub fn integers(&self, key: &str) -> Result<Option<&[i64]>> {
        self.typed(key, "an array of integers", |value| match value {
            Value::Integers(v) => Some(v.as_slice()),
            _ => None,
        })
    }

    /// An array of yes and no, as booleans or as integers of which 0 is no.
    pub fn flags(&self, key: &str) -> Result<Option<Vec<bool>>> {
        let integers = self.integers(key)?;
        Ok(integers.map(|all| all.iter().map(|&flag| flag != 0).collect()))
    }

    /// An array of floats. Not necessarily finite ones.
    pub fn floats(&self, key: &str) -> Result<Option<&[f64]>> {
        self.typed(key, "an array of floats", |value| match value {
            Value::Floats(v) => Some(v.as_slice()),
            _ => None,
        })
    }

    /// None where the key is missing, an error where `pick` does not find what is wanted.
    fn typed<'v, T>(
        &'v self,
        key: &str,
        wanted: &str,
        pick: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match pick(value) {
            Some(picked) => Ok(Some(picked)),
            None => Err(Error::bad_file(format!(
                "metadata {key} is {value}, where {wanted} is needed"
            ))),
        }
    }
}

/// Short enough for a line: of a long text the start, of an array how much it holds.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unsigned(v) => write!(f, "{v}"),
            Value::Signed(v) => write!(f, "{v}"),
            Value::Float(v) => write!(f, "{v}"),
            Value::Bool(v) => write!(f, "{v}"),
            Value::Text(v) => match v.char_indices().nth(60) {
                Some((cut, _)) => write!(f, "{:?}…", &v[..cut]),
                None => write!(f, "{v:?}"),
            },
            Value::Integers(v) => write!(f, "an array of {} integers", v.len()),
            Value::Floats(v) => write!(f, "an array of {} floats", v.len()),
            Value::Texts(v) => write!(f, "an array of {} texts", v.len()),
            Value::Unusable { what, .. } => f.write_str(what),
        }
    }
}
