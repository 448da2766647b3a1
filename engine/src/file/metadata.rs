//! The key-value part of a model file's header, and typed ways to ask it.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// One value of a GGUF header. Arrays of numbers and strings are kept flat.
#[derive(Debug, Clone, PartialEq)]
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
    /// An array of strings. A token that is not UTF-8 is an error of the file.
    Texts(Vec<String>),
}

/// Metadata by key, as the file names them (`llama.context_length`).
#[derive(Debug, Clone, Default)]
pub struct Metadata(pub BTreeMap<String, Value>);

impl Metadata {
    /// The value under `key`, if there is one.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// An integer that fits u32; an error names the key if it is there but something else.
    pub fn u32(&self, key: &str) -> Result<Option<u32>> {
        let number = match self.get(key) {
            None => return Ok(None),
            Some(Value::Unsigned(v)) => u32::try_from(*v).ok(),
            Some(Value::Signed(v)) => u32::try_from(*v).ok(),
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| Error::BadFile(format!("metadata {key} is no 32-bit count")))
    }

    /// A finite number.
    pub fn f32(&self, key: &str) -> Result<Option<f32>> {
        let number = match self.get(key) {
            None => return Ok(None),
            Some(Value::Float(v)) => *v as f32,
            Some(Value::Unsigned(v)) => *v as f32,
            Some(Value::Signed(v)) => *v as f32,
            Some(_) => f32::NAN,
        };
        if number.is_finite() {
            Ok(Some(number))
        } else {
            Err(Error::BadFile(format!("metadata {key} is no finite number")))
        }
    }

    /// A boolean.
    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(v)) => Ok(Some(*v)),
            Some(_) => Err(Error::BadFile(format!("metadata {key} is no boolean"))),
        }
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(v)) => Ok(Some(v)),
            Some(_) => Err(Error::BadFile(format!("metadata {key} is no text"))),
        }
    }

    /// An array of texts.
    pub fn texts(&self, key: &str) -> Result<Option<&[String]>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Texts(v)) => Ok(Some(v)),
            Some(_) => Err(Error::BadFile(format!("metadata {key} is no array of texts"))),
        }
    }

    /// An array of integers.
    pub fn integers(&self, key: &str) -> Result<Option<&[i64]>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Integers(v)) => Ok(Some(v)),
            Some(_) => Err(Error::BadFile(format!("metadata {key} is no array of integers"))),
        }
    }

    /// An array of floats.
    pub fn floats(&self, key: &str) -> Result<Option<&[f64]>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Floats(v)) => Ok(Some(v)),
            Some(_) => Err(Error::BadFile(format!("metadata {key} is no array of floats"))),
        }
    }
}
