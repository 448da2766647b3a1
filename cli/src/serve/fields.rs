//! Fields of a request: each is used, known to be harmless, or refused by its name.

use axum::body::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::ApiError;

/// The fields of a request that were not taken yet.
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads the body of a request.
    pub fn read(body: &Bytes) -> Result<Fields, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Fields(fields)),
            Ok(_) => Err(ApiError::bad("the body is not a JSON object", None)),
            Err(error) => Err(ApiError::bad(
                format!("the body is not JSON: {error}"),
                None,
            )),
        }
    }

    /// Takes a field; null is as good as none.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|error| ApiError::bad(format!("{name}: {error}"), Some(name))),
        }
    }

    /// A field as it is, which is not taken.
    pub fn peek(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Takes a field that must be there.
    pub fn need<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ApiError> {
        let missing = || ApiError::bad(format!("{name} is missing"), Some(name));
        self.take(name)?.ok_or_else(missing)
    }

    /// Refuses the fields that were not taken, unless they change nothing here.
    pub fn finish(self, harmless: &[&str]) -> Result<(), ApiError> {
        let empty = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(all) => all.is_empty(),
            Value::Object(all) => all.is_empty(),
            _ => false,
        };
        let mut all = self.0.into_iter();
        match all.find(|(name, value)| !harmless.contains(&name.as_str()) && !empty(value)) {
            Some((name, _)) => Err(ApiError::bad(
                format!("{name} is not known here, or not done"),
                Some(&name),
            )),
            None => Ok(()),
        }
    }
}
