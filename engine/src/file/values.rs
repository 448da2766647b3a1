//! One metadata value of a GGUF header, from its type number to a [`Value`]. The GGUF document
//! calls these `gguf_metadata_value_t`.
//!
//! A value that is well delimited but cannot be held (a text that is not UTF-8, an array of arrays,
//! a u64 beyond i64 in an array) does not spoil the file: it becomes [`Value::Unusable`], an error
//! only for who asks for it. What leaves the place of the next byte in doubt does.

use super::{metadata::Value, reader::Reader};
use crate::{Error, Result};

/// Values of all arrays together, at most. Vocabularies of 262 thousand tokens, with scores, types
/// and merges, have about 1.3 million. Bounds what a header may cost: 4 million short texts take
/// 120 MB and under a second.
pub(super) const ITEMS_MAX: u64 = 4 << 20;
/// Bytes of a value that cannot be held otherwise, at most, for it to be kept as it is.
const RAW_BYTES_MAX: usize = 1 << 20;
/// Arrays inside arrays inside …
const DEPTH_MAX: u32 = 8;

const U8: u32 = 0;
const I8: u32 = 1;
const U16: u32 = 2;
const I16: u32 = 3;
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;
const U64: u32 = 10;
const I64: u32 = 11;
const F64: u32 = 12;

/// Bytes of a value, by type number; of a text or an array, the least it takes.
const SIZES: [u64; 13] = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];

/// Reads the value of `key`: a type number, then what it asks for. `items` is what is left of
/// [`ITEMS_MAX`].
pub(super) fn read(reader: &mut Reader<'_>, key: &str, items: &mut u64) -> Result<Value> {
    let start = reader.clone();
    let mut value = typed(reader, key, items)?;
    if let Value::Unusable { raw, .. } = &mut value {
        let bytes = start.until(reader);
        if bytes.len() <= RAW_BYTES_MAX {
            *raw = bytes.to_vec();
        }
    }
    Ok(value)
}

fn typed(reader: &mut Reader<'_>, key: &str, items: &mut u64) -> Result<Value> {
    let kind = reader.u32(format_args!("the type of metadata {key}"))?;
    let what = format_args!("metadata {key}");
    Ok(match kind {
        U8 => Value::Unsigned(reader.u8(what)?.into()),
        I8 => Value::Signed(i8::from_le_bytes(reader.array(what)?).into()),
        U16 => Value::Unsigned(u16::from_le_bytes(reader.array(what)?).into()),
        I16 => Value::Signed(i16::from_le_bytes(reader.array(what)?).into()),
        U32 => Value::Unsigned(reader.u32(what)?.into()),
        I32 => Value::Signed(i32::from_le_bytes(reader.array(what)?).into()),
        F32 => Value::Float(f32::from_le_bytes(reader.array(what)?).into()),
        U64 => Value::Unsigned(reader.u64(what)?),
        I64 => Value::Signed(i64::from_le_bytes(reader.array(what)?)),
        F64 => Value::Float(f64::from_le_bytes(reader.array(what)?)),
        BOOL => Value::Bool(boolean(reader.u8(what)?, key)?),
        TEXT => text(reader.text(what)?).map_or_else(|| unusable("not UTF-8"), Value::Text),
        ARRAY => array(reader, key, items)?,
        other => return Err(unknown(other, key)),
    })
}

fn array(reader: &mut Reader<'_>, key: &str, items: &mut u64) -> Result<Value> {
    let (kind, count) = array_head(reader, key, items)?;
    let what = format_args!("metadata {key}");
    match kind {
        TEXT => return texts(reader, key, count),
        ARRAY => {
            for _ in 0..count {
                skip_array(reader, key, items, 1)?;
            }
            return Ok(unusable("an array of arrays"));
        }
        _ => {}
    }
    // In bounds: array_head has seen that many bytes.
    let raw = reader.bytes(count as u64 * SIZES[kind as usize], what)?;
    Ok(match kind {
        U8 => Value::Integers(raw.iter().map(|&v| v.into()).collect()),
        I8 => integers(raw, i8::from_le_bytes),
        U16 => integers(raw, u16::from_le_bytes),
        I16 => integers(raw, i16::from_le_bytes),
        U32 => integers(raw, u32::from_le_bytes),
        I32 => integers(raw, i32::from_le_bytes),
        I64 => integers(raw, i64::from_le_bytes),
        F32 => Value::Floats(chunks(raw).map(|v| f32::from_le_bytes(v).into()).collect()),
        F64 => Value::Floats(chunks(raw).map(f64::from_le_bytes).collect()),
        BOOL => Value::Integers(
            raw.iter()
                .map(|&v| boolean(v, key).map(i64::from))
                .collect::<Result<_>>()?,
        ),
        _ => {
            let signed: Option<Vec<i64>> = chunks(raw)
                .map(|v| i64::try_from(u64::from_le_bytes(v)).ok())
                .collect();
            signed.map_or_else(
                || unusable(format!("an array with numbers above {}", i64::MAX)),
                Value::Integers,
            )
        }
    })
}

/// Type and number of an array's values; there are bytes enough for the number.
fn array_head(reader: &mut Reader<'_>, key: &str, items: &mut u64) -> Result<(u32, usize)> {
    let kind = reader.u32(format_args!("the type of the values of metadata {key}"))?;
    let Some(&size) = SIZES.get(kind as usize) else {
        return Err(unknown(kind, key));
    };
    let count = reader.count(size, *items, format_args!("values of metadata {key}"))?;
    *items -= count as u64;
    Ok((kind, count))
}

fn texts(reader: &mut Reader<'_>, key: &str, count: usize) -> Result<Value> {
    let mut all = Vec::with_capacity(count);
    let mut bad = None;
    for index in 0..count {
        match text(reader.text(format_args!("text {index} of metadata {key}"))?) {
            Some(text) => all.push(text),
            None => bad = bad.or(Some(index)),
        }
    }
    Ok(bad.map_or(Value::Texts(all), |index| {
        unusable(format!("an array whose text {index} is not UTF-8"))
    }))
}

/// Walks over an array inside an array: nothing that we read has one, but the document allows them.
fn skip_array(reader: &mut Reader<'_>, key: &str, items: &mut u64, depth: u32) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(Error::bad_file(format!(
            "metadata {key} nests arrays more than {DEPTH_MAX} deep; the file is damaged"
        )));
    }
    let (kind, count) = array_head(reader, key, items)?;
    match kind {
        TEXT => (0..count).try_for_each(|i| {
            reader
                .text(format_args!("text {i} in metadata {key}"))
                .map(drop)
        }),
        ARRAY => (0..count).try_for_each(|_| skip_array(reader, key, items, depth + 1)),
        _ => reader
            .bytes(
                count as u64 * SIZES[kind as usize],
                format_args!("metadata {key}"),
            )
            .map(drop),
    }
}

fn unusable(what: impl Into<String>) -> Value {
    Value::Unusable {
        what: what.into(),
        raw: vec![],
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(String::from)
}

/// The document wants a boolean of neither 0 nor 1 treated as a broken file, and so do we: it means
/// that the place is wrong.
fn boolean(byte: u8, key: &str) -> Result<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::bad_file(format!(
            "metadata {key} is a boolean of {byte}, not 0 or 1; the file is damaged"
        ))),
    }
}

fn integers<const N: usize, T: Into<i64>>(raw: &[u8], number: fn([u8; N]) -> T) -> Value {
    Value::Integers(chunks(raw).map(|v| number(v).into()).collect())
}

fn chunks<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> {
    raw.as_chunks().0.iter().copied()
}

fn unknown(kind: u32, key: &str) -> Error {
    Error::bad_file(format!(
        "metadata {key} has values of type {kind}, which GGUF does not know; the file is damaged"
    ))
}
