//! Fields of requests, in tables: each is used, known to be harmless, or refused by its name. The tables make what others
//! read of an endpoint, too.

use axum::body::Bytes;
use lantern_engine::SamplerOptions;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::error::ApiError;

/// A field that a request may have.
pub struct Field {
    name: &'static str,
    /// Its JSON Schema types, with `|` between; or `any`, `messages`, `texts`.
    types: &'static str,
    needed: bool,
    /// The field is taken, and changes nothing.
    harmless: bool,
}

/// A field that must be there.
pub const fn needed(name: &'static str, types: &'static str) -> Field {
    Field {
        name,
        types,
        needed: true,
        harmless: false,
    }
}

/// A field that may be there.
pub const fn taken(name: &'static str, types: &'static str) -> Field {
    Field {
        name,
        types,
        needed: false,
        harmless: false,
    }
}

/// A field that changes nothing here: it is for an account that there is not, or for the client itself.
pub const fn harmless(name: &'static str) -> Field {
    Field {
        name,
        types: "any",
        needed: false,
        harmless: true,
    }
}

/// Fields of an endpoint.
pub struct Table {
    pub lists: &'static [&'static [Field]],
    /// Fields of samplers are among them, by the engine's names.
    pub samples: bool,
}

impl Table {
    /// A table without fields.
    pub const EMPTY: Table = Table {
        lists: &[],
        samples: false,
    };

    fn all(&self) -> impl Iterator<Item = &'static Field> {
        self.lists.iter().copied().flatten()
    }

    fn has(&self, name: &str) -> bool {
        let sampler = self.samples && SamplerOptions::names().any(|known| known == name);
        sampler || self.all().any(|field| field.name == name)
    }

    fn is_harmless(&self, name: &str) -> bool {
        self.all().any(|field| field.name == name && field.harmless)
    }

    /// JSON Schema of a request.
    pub fn schema(&self) -> Value {
        let mut properties = Map::new();
        for field in self.all() {
            properties.insert(field.name.into(), field.schema());
        }
        for name in SamplerOptions::names().filter(|_| self.samples) {
            properties.insert(name.into(), json!({"type": ["number", "null"]}));
        }
        let needed: Vec<&str> = self
            .all()
            .filter(|field| field.needed)
            .map(|field| field.name)
            .collect();
        json!({
            "type": "object", "properties": properties, "required": needed, "additionalProperties": false,
        })
    }
}

impl Field {
    fn schema(&self) -> Value {
        match self.types {
            "any" => return json!({}),
            "messages" => return messages(),
            "texts" => return json!({"type": "array", "minItems": 1, "items": {"type": "string"}}),
            _ => {}
        }
        let mut types: Vec<&str> = self.types.split('|').collect();
        if !self.needed {
            types.push("null");
        }
        let mut schema = json!({"type": types});
        if types.contains(&"array") {
            schema["items"] = json!({});
        }
        schema
    }
}

/// JSON Schema of messages, as most are.
fn messages() -> Value {
    let content = json!({"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {
        "type": "object", "required": ["type", "text"],
        "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
    }}]});
    json!({"type": "array", "minItems": 1, "items": {
        "type": "object", "required": ["role", "content"],
        "properties": {"role": {"enum": ["user", "assistant", "system"]}, "content": content},
    }})
}

/// The fields of a request that were not taken yet.
pub struct Fields {
    left: Map<String, Value>,
    table: &'static Table,
}

impl Fields {
    /// Reads the body of a request that has the fields of a table.
    pub fn read(body: &Bytes, table: &'static Table) -> Result<Fields, ApiError> {
        let left = match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err(ApiError::bad("the body is not a JSON object", None)),
            Err(error) => {
                let message = format!("the body is not JSON: {error}");
                return Err(ApiError::bad(message, None));
            }
        };
        let mut names = left.iter();
        match names.find(|(name, value)| !table.has(name) && !is_empty(value)) {
            Some((name, _)) => Err(refused(name)),
            None => Ok(Fields { left, table }),
        }
    }

    /// Takes a field; null is as good as none.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        assert!(
            self.table.has(name),
            "{name} is not in the endpoint's table"
        );
        match self.left.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|error| ApiError::bad(format!("{name}: {error}"), Some(name))),
        }
    }

    /// A field as it is, which is not taken.
    pub fn peek(&self, name: &str) -> Option<&Value> {
        self.left.get(name)
    }

    /// Takes a field that must be there.
    pub fn need<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ApiError> {
        let missing = || ApiError::bad(format!("{name} is missing"), Some(name));
        self.take(name)?.ok_or_else(missing)
    }

    /// Refuses the fields that were not taken, unless they change nothing here.
    pub fn finish(self) -> Result<(), ApiError> {
        let mut left = self.left.iter();
        match left.find(|(name, value)| !self.table.is_harmless(name) && !is_empty(value)) {
            Some((name, _)) => Err(refused(name)),
            None => Ok(()),
        }
    }
}

/// Whether a field is as good as none.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    }
}

fn refused(name: &str) -> ApiError {
    ApiError::bad(format!("{name} is not known here, or not done"), Some(name))
}
