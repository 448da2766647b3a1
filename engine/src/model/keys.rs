//! Numbers of a model under the keys of its family, as converters write them: a 0 where a key is optional says that there is
//! none, and an array with the same value for each layer is that value.

use std::{cell::RefCell, collections::BTreeSet};

use crate::{
    Error, ModelFile, Result, Unsupported,
    file::{Metadata, Value},
};

/// Larger numbers than any model has; products of two stay far from overflow.
pub(super) const LARGEST: u32 = 1 << 24;

/// Metadata under the prefix of the model's architecture, which remembers what it was asked for.
pub(super) struct Keys<'f> {
    pub file: &'f ModelFile,
    pub prefix: &'f str,
    asked: RefCell<BTreeSet<String>>,
}

impl<'f> Keys<'f> {
    pub fn new(file: &'f ModelFile, prefix: &'f str) -> Keys<'f> {
        let asked = RefCell::default();
        Keys {
            file,
            prefix,
            asked,
        }
    }

    /// The whole key, for messages and for questions of other kinds.
    pub fn key(&self, name: &str) -> String {
        let key = format!("{}.{name}", self.prefix);
        self.asked.borrow_mut().insert(key.clone());
        key
    }

    /// All keys that were asked for.
    pub fn asked(self) -> BTreeSet<String> {
        self.asked.into_inner()
    }

    pub fn metadata(&self) -> &Metadata {
        self.file.metadata()
    }

    /// A whole number above 0; none where it is missing or 0.
    pub fn optional(&self, name: &str) -> Result<Option<u32>> {
        let key = self.key(name);
        let value = match self.metadata().get(&key) {
            Some(Value::Integers(layers)) => {
                Some(u32::try_from(same(&key, layers)?).map_err(|_| {
                    Error::bad_file(format!(
                        "metadata {key} holds a number that is not possible"
                    ))
                })?)
            }
            _ => self.metadata().u32(&key)?,
        };
        match value {
            Some(v) if v > LARGEST => Err(Error::bad_file(format!("metadata {key} is {v}"))),
            other => Ok(other.filter(|&v| v > 0)),
        }
    }

    /// A number above 0; none where it is missing or 0.
    pub fn factor(&self, name: &str) -> Result<Option<f32>> {
        let key = self.key(name);
        let value = match self.metadata().get(&key) {
            Some(Value::Floats(layers)) => Some(same(&key, layers)? as f32),
            _ => self.metadata().f32(&key)?,
        };
        match value {
            Some(v) if !(v.is_finite() && v >= 0.0) => {
                Err(Error::bad_file(format!("metadata {key} is {v}")))
            }
            other => Ok(other.filter(|&v| v > 0.0)),
        }
    }

    /// A whole number for each layer, of one for all or one for each; none where the key is missing.
    pub fn per_layer(&self, name: &str, layers: u32) -> Result<Option<Vec<u32>>> {
        let key = self.key(name);
        let Some(Value::Integers(each)) = self.metadata().get(&key) else {
            let one = self.optional(name)?;
            return Ok(one.map(|one| vec![one; layers as usize]));
        };
        let number = |&v: &i64| u32::try_from(v).ok().filter(|&v| v <= LARGEST);
        let all: Option<Vec<u32>> = each.iter().take(layers as usize).map(number).collect();
        let all = all.filter(|all| all.len() == layers as usize);
        let wrong = || {
            Error::bad_file(format!(
                "metadata {key} has no possible number for each of {layers} layers"
            ))
        };
        Ok(Some(all.ok_or_else(wrong)?))
    }

    /// Whether a key is there.
    pub fn has(&self, name: &str) -> bool {
        self.metadata().get(&self.key(name)).is_some()
    }

    /// A truth value, where it is there.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        let key = self.key(name);
        match self.metadata().get(&key) {
            None => Ok(None),
            Some(Value::Bool(v)) => Ok(Some(*v)),
            Some(other) => Err(Error::bad_file(format!(
                "metadata {key} is {other}, neither true nor false"
            ))),
        }
    }

    /// A flag for each layer under a whole key, where it is there.
    pub fn flags(&self, key: &str, layers: u32) -> Result<Option<Vec<bool>>> {
        let Some(flags) = self.metadata().flags(key)? else {
            return Ok(None);
        };
        if flags.len() < layers as usize {
            return Err(Error::bad_file(format!(
                "metadata {key} has {} values for {layers} layers",
                flags.len()
            )));
        }
        Ok(Some(flags[..layers as usize].to_vec()))
    }

    /// A whole number above 0.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is missing or 0.
    pub fn required(&self, name: &str) -> Result<u32> {
        self.optional(name)?.ok_or_else(|| {
            let key = self.key(name);
            let missing = self.metadata().get(&key).is_none();
            let problem = if missing { "missing" } else { "0" };
            Error::bad_file(format!("metadata {key} is {problem}"))
        })
    }
}

/// The one value of an array with a value for each layer.
fn same<T: Copy + PartialEq + Default>(key: &str, layers: &[T]) -> Result<T> {
    let first = layers.first().copied().unwrap_or_default();
    if layers.iter().any(|&value| value != first) {
        let only = "is run here only where all layers are alike";
        return Err(Error::unsupported(
            Unsupported::Setting,
            format!("metadata {key} differs between layers, and {only}"),
        ));
    }
    Ok(first)
}
