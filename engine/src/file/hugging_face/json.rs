//! The small files of a folder, of bounded length, and questions to their JSON whose errors name file and key.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    super::{
        Source,
        safetensors::{self, Entry},
    },
    settings::KeyRole,
};
use crate::{Error, Result, Unsupported, file::short};

/// The longest file of settings that is read, bytes. The largest known, tokenizer_config.json of vocabularies with many
/// reserved tokens, has 1 MB.
const SETTINGS_BYTES_MAX: u64 = 8 << 20;

/// A folder that holds a model.
pub(super) struct Folder(pub PathBuf);

/// An object of JSON, and what to call it.
pub(super) struct Object {
    pub label: String,
    pub map: Map<String, Value>,
}

/// Settings of a model, as the small files of its folder have them.
pub(super) struct Settings {
    /// `config.json`
    pub config: Object,
    /// `tokenizer_config.json`; without keys where it is missing.
    pub tokenizer: Object,
    /// `special_tokens_map.json`
    pub special: Option<Object>,
    /// `generation_config.json`
    pub generation: Option<Object>,
}

impl Folder {
    /// Path of a file of the folder, for messages.
    pub fn label(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Its own name, which is that of the repository for what was downloaded.
    pub fn name(&self) -> String {
        let whole = std::path::absolute(&self.0).unwrap_or_else(|_| self.0.clone());
        let name = whole.file_name().map(|name| name.to_string_lossy());
        name.map_or_else(|| "model".to_owned(), Cow::into_owned)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.join(name).is_file()
    }

    fn source(&self, name: &str, only: bool) -> Result<Source> {
        if !only && !self.has(name) {
            return Err(Error::bad_file(format!(
                "{} is missing, and the index beside it names it; download all files of the model",
                self.label(name)
            )));
        }
        Source::open(&self.0.join(name))
    }

    /// A file with tensors, and what its header says of them. `only`: no index names it.
    pub fn tensors(&self, name: &str, only: bool) -> Result<(Source, Vec<Entry>)> {
        let source = self.source(name, only)?;
        let entries = safetensors::entries(source.all().unwrap_or_default(), source.len())
            .map_err(|error| error.in_file(source.label()))?;
        Ok((source, entries))
    }

    /// A file of at most `max` bytes, where it is there.
    pub fn bytes(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>> {
        if !self.has(name) {
            return Ok(None);
        }
        let path = self.label(name);
        let bytes = read(&self.0.join(name), max).map_err(|source| Error::Io {
            path: path.clone(),
            source,
        })?;
        bytes.map(Some).ok_or_else(|| {
            Error::bad_file(format!(
                "{path} has more than {} MiB, which no file of this kind has",
                max >> 20
            ))
        })
    }

    /// A file of the folder as text; none where it is missing.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        let bytes = self.bytes(name, SETTINGS_BYTES_MAX)?;
        let text = bytes.map(String::from_utf8).transpose();
        text.map_err(|_| Error::bad_file(format!("{} is not UTF-8", self.label(name))))
    }

    /// A file of the folder as JSON; none where it is missing.
    pub fn json<T: DeserializeOwned>(&self, name: &str, max: u64) -> Result<Option<T>> {
        let Some(bytes) = self.bytes(name, max)? else {
            return Ok(None);
        };
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes); // a UTF-8 mark, as editors put it
        serde_json::from_slice(&with_infinity(text))
            .map(Some)
            .map_err(|error| {
                Error::bad_file(format!("{error}; download it again")).in_file(&self.label(name))
            })
    }

    /// Settings: JSON whose outermost value is an object.
    pub fn object(&self, name: &str) -> Result<Option<Object>> {
        let map = self.json(name, SETTINGS_BYTES_MAX)?;
        let label = self.label(name);
        Ok(map.map(|map| Object { label, map }))
    }
}

/// Numbers that Python writes and JSON does not have, as transformers writes them since 5.
fn with_infinity(text: &[u8]) -> Cow<'_, [u8]> {
    const NAMES: [&str; 2] = ["Infinity", "NaN"];
    let is_there = |name: &str| text.windows(name.len()).any(|some| some == name.as_bytes());
    if !NAMES.iter().any(|name| is_there(name)) {
        return Cow::Borrowed(text);
    }
    let mut all = Vec::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    while let Some((&byte, after)) = rest.split_first() {
        let unquoted = NAMES.iter().filter(|_| !quoted);
        let sign = usize::from(byte == b'-');
        let name = unquoted
            .copied()
            .find(|name| rest[sign..].starts_with(name.as_bytes()));
        if let Some(name) = name {
            let end = sign + name.len();
            all.extend(b"{\"__float__\":\"");
            all.extend(&rest[..end]);
            all.extend(b"\"}");
            rest = &rest[end..];
            continue;
        }
        quoted ^= byte == b'"';
        all.push(byte);
        rest = after;
        if let (true, b'\\', Some((&escaped, after))) = (quoted, byte, rest.split_first()) {
            all.push(escaped);
            rest = after;
        }
    }
    Cow::Owned(all)
}

/// None where there are more than `max` bytes.
fn read(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > max {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

impl Object {
    /// Value under `key`; none where it is missing or JSON's null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key is there and JSON's null: switched off, where a missing one has its usual value.
    pub fn is_null(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_null)
    }

    pub fn whole(&self, key: &str) -> Result<Option<u64>> {
        self.typed(key, "a whole number", Value::as_u64)
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        let finite = |value: &Value| value.as_f64().filter(|v| (*v as f32).is_finite());
        self.typed(key, "a number", finite)
    }

    pub fn boolean(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "a text", Value::as_str)
    }

    pub fn list(&self, key: &str) -> Result<Option<&[Value]>> {
        self.typed(key, "a list", |value| value.as_array().map(Vec::as_slice))
    }

    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        self.typed(key, "a list of numbers", |value| {
            value.as_array()?.iter().map(Value::as_f64).collect()
        })
    }

    /// The object under `key`, which goes by the file's name and its key.
    pub fn object(&self, key: &str) -> Result<Option<Object>> {
        let map = self.typed(key, "an object", Value::as_object)?;
        let label = format!("{}: {key}", self.label);
        Ok(map.cloned().map(|map| Object { label, map }))
    }

    /// A token's id, or several.
    pub fn ids(&self, key: &str) -> Result<Vec<u64>> {
        let ids = self.typed(key, "an id or a list of ids", |value| match value {
            Value::Array(all) => all.iter().map(Value::as_u64).collect(),
            one => one.as_u64().map(|id| vec![id]),
        });
        Ok(ids?.unwrap_or_default())
    }

    fn typed<'v, T>(
        &'v self,
        key: &str,
        wanted: &str,
        pick: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        pick(value).map(Some).ok_or_else(|| self.wrong(key, wanted))
    }

    /// The error for a value that is not what is needed.
    pub fn wrong(&self, key: &str, wanted: &str) -> Error {
        let value = self.get(key).map_or_else(|| "missing".to_owned(), shown);
        Error::bad_file(format!("{key} is {value}, where {wanted} is needed")).in_file(&self.label)
    }

    /// An error for a key that is set, and refused in a table of what becomes of keys.
    pub fn refuse(&self, keys: &[(&str, KeyRole)]) -> Result<()> {
        for (key, how) in keys {
            let set = self.get(key).is_some_and(|value| *value != false);
            if let (KeyRole::Refused(why), true) = (how, set) {
                return Err(self.unsupported(key, why));
            }
        }
        Ok(())
    }

    /// The error for a value that is not run here.
    pub fn unsupported(&self, key: &str, why: &str) -> Error {
        let value = self.get(key).map_or_else(|| "missing".to_owned(), shown);
        Error::unsupported(Unsupported::Setting, format!("{key} is {value}; {why}"))
            .in_file(&self.label)
    }
}

/// Short enough for a line.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => short(text),
        Value::Array(all) => format!("a list of {}", all.len()),
        Value::Object(map) => format!("an object of {}", map.len()),
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinity_is_a_number_only_outside_of_texts() {
        let text = br#"{"a Infinity \\\" NaN": [0.0, Infinity, -Infinity], "b": NaN}"#;
        let value: Value = serde_json::from_slice(&with_infinity(text)).unwrap();
        let float = |text: &str| serde_json::json!({ "__float__": text });
        let list = serde_json::json!([0.0, float("Infinity"), float("-Infinity")]);
        assert_eq!(value["a Infinity \\\" NaN"], list);
        assert_eq!(value["b"], float("NaN"));
        assert_eq!(*with_infinity(b"[1, 2]"), *b"[1, 2]");
    }
}
