//! GGUF files made of models: the same weights under other metadata.
#![allow(
    dead_code,
    reason = "each test that includes this file uses its own part of it"
)]

use lantern_engine::{ModelFile, file::Value};
use pollster::block_on;

use super::gguf::{self, Gguf};

/// Keys and values as a file to be has them.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// A model's metadata, but for its tokenizer.
pub fn metadata_of(file: &ModelFile) -> Entries {
    let of_model = |(key, _): &(&String, &Value)| !key.starts_with("tokenizer.");
    let all = file.metadata().0.iter().filter(of_model);
    all.map(|(key, value)| entry(key, value)).collect()
}

/// A key with its value.
pub fn entry(key: &str, value: &Value) -> (Vec<u8>, Vec<u8>) {
    let array =
        |kind, values: Vec<Vec<u8>>| gguf::array(kind, values.len() as u64, &values.concat());
    let bytes = match value {
        Value::Unsigned(v) => gguf::value(gguf::U64, &v.to_le_bytes()),
        Value::Signed(v) => gguf::value(gguf::I64, &v.to_le_bytes()),
        Value::Float(v) => gguf::value(gguf::F64, &v.to_le_bytes()),
        Value::Bool(v) => gguf::value(gguf::BOOL, &[u8::from(*v)]),
        Value::Text(v) => gguf::text(v.as_bytes()),
        Value::Integers(all) => array(
            gguf::I64,
            all.iter().map(|v| v.to_le_bytes().to_vec()).collect(),
        ),
        Value::Floats(all) => array(
            gguf::F64,
            all.iter().map(|v| v.to_le_bytes().to_vec()).collect(),
        ),
        Value::Texts(all) => array(
            gguf::TEXT,
            all.iter().map(|v| gguf::counted(v.as_bytes())).collect(),
        ),
        Value::Unusable { .. } => panic!("{key} is {value}"),
    };
    (key.as_bytes().to_vec(), bytes)
}

/// A file with a model's weights as they are stored, and other metadata.
pub fn with_metadata(file: &ModelFile, metadata: Entries) -> Vec<u8> {
    let (mut tensors, mut data) = (Vec::new(), Vec::new());
    for t in file.tensors() {
        let at = data.len() as u64;
        tensors.push(gguf::tensor(&t.name, &t.shape, t.kind.id(), at));
        data.extend_from_slice(&block_on(file.data(t, 0..t.bytes)).unwrap());
        data.resize(data.len().next_multiple_of(32), 0);
    }
    let header = Gguf {
        metadata,
        tensors,
        data: 0,
        ..Gguf::sound()
    };
    [header.bytes(), data].concat()
}
