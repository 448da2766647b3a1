//! Writes GGUF files, version 3 (ggml's `docs/gguf.md`).

use super::{
    gguf::TensorInfo,
    metadata::{Metadata, Value},
};
use crate::{Error, Result, Unsupported};

/// Tensors begin at multiples of this, GGUF's own where a file says nothing else.
pub(super) const ALIGNMENT: u64 = 32;

/// All that comes before the tensors' data, which follows in their order, each padded to [`ALIGNMENT`]; offsets in
/// `tensors` are not looked at.
///
/// # Errors
/// [`Error::Unsupported`] for metadata that could not be read, and so cannot be written.
pub(super) fn header(metadata: &Metadata, tensors: &[TensorInfo]) -> Result<Vec<u8>> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.0.len() as u64).to_le_bytes());
    for (key, value) in &metadata.0 {
        text(&mut out, key);
        self::value(&mut out, key, value)?;
    }
    let mut end = 0u64;
    for tensor in tensors {
        text(&mut out, &tensor.name);
        out.extend((tensor.shape.len() as u32).to_le_bytes());
        out.extend(tensor.shape.iter().flat_map(|size| size.to_le_bytes()));
        out.extend(tensor.kind.id().to_le_bytes());
        out.extend(end.to_le_bytes());
        end += tensor.bytes.next_multiple_of(ALIGNMENT);
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT as usize), 0);
    Ok(out)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Numbers in the types that files have them in as a rule: 32 bits, where those are enough.
fn value(out: &mut Vec<u8>, key: &str, value: &Value) -> Result<()> {
    let mut number = |kind: u32, bytes: &[u8]| {
        out.extend(kind.to_le_bytes());
        out.extend(bytes);
    };
    match value {
        Value::Unsigned(v) => match u32::try_from(*v) {
            Ok(v) => number(4, &v.to_le_bytes()),
            Err(_) => number(10, &v.to_le_bytes()),
        },
        Value::Signed(v) => match i32::try_from(*v) {
            Ok(v) => number(5, &v.to_le_bytes()),
            Err(_) => number(11, &v.to_le_bytes()),
        },
        Value::Float(v) => number(6, &(*v as f32).to_le_bytes()),
        Value::Bool(v) => number(7, &[u8::from(*v)]),
        Value::Text(v) => {
            number(8, &[]);
            text(out, v);
        }
        Value::Integers(all) => {
            let small: Option<Vec<i32>> = all.iter().map(|&v| i32::try_from(v).ok()).collect();
            number(9, &[]);
            match small {
                Some(small) => array(
                    out,
                    5,
                    small.len(),
                    small.iter().flat_map(|v| v.to_le_bytes()),
                ),
                None => array(out, 11, all.len(), all.iter().flat_map(|v| v.to_le_bytes())),
            }
        }
        Value::Floats(all) => {
            number(9, &[]);
            array(
                out,
                6,
                all.len(),
                all.iter().flat_map(|v| (*v as f32).to_le_bytes()),
            );
        }
        Value::Texts(all) => {
            number(9, &[]);
            array(out, 8, all.len(), std::iter::empty());
            for v in all {
                text(out, v);
            }
        }
        Value::Unusable { raw, .. } if !raw.is_empty() => out.extend(raw),
        Value::Unusable { what, .. } => {
            return Err(Error::unsupported(
                Unsupported::Setting,
                format!("metadata {key} cannot be written: {what}"),
            ));
        }
    }
    Ok(())
}

fn array(out: &mut Vec<u8>, kind: u32, count: usize, bytes: impl Iterator<Item = u8>) {
    out.extend(kind.to_le_bytes());
    out.extend((count as u64).to_le_bytes());
    out.extend(bytes);
}
