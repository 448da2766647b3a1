//! The header of a safetensors file: its length in 8 bytes, then JSON that says of each tensor how it is stored, its shape
//! and where its bytes are. Source: the format's section in the README of the safetensors repository. Reads no data, and
//! knows what no name means.
//!
//! Not by the crate of that name: it wants the tensors without gaps and of the types it knows, and its errors say neither
//! which tensor is wrong nor how. Tests write with it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};

use super::{TensorInfo, foreign, types::TensorType};
use crate::{Error, Result, Unsupported, file::short};

/// The length of the header, before it.
const LENGTH_BYTES: u64 = 8;
/// The longest header that is read, bytes. Ten thousand tensors take about one MiB.
const HEADER_BYTES_MAX: u64 = 32 << 20;
/// Tensors at most, as in GGUF.
const ENTRIES_MAX: usize = 1 << 16;
/// The longest name of a tensor, bytes. Real ones have under 100.
const NAME_BYTES_MAX: usize = 256;
const DIMENSIONS_MAX: usize = 4;

/// Key of the one entry of the header that describes no tensor.
const METADATA: &str = "__metadata__";

/// The types that models are run from.
const TYPES: &[(&str, TensorType)] = &[
    ("F32", TensorType::F32),
    ("F16", TensorType::F16),
    ("BF16", TensorType::BF16),
];

/// A tensor as the header has it: its place is sound, its type and shape are not looked at yet.
#[derive(Debug)]
pub(super) struct Entry {
    /// As in the file: `model.layers.0.self_attn.q_proj.weight`. Printable.
    pub name: String,
    stored: String,
    /// Outermost first.
    shape: Vec<u64>,
    /// Bytes from the file's start.
    start: u64,
    end: u64,
}

/// The tensors of a file that starts with `head`, which is all of the header at least, and is `file_len` bytes long.
///
/// # Errors
/// [`Error::BadFile`] names the tensor and the numbers.
pub(super) fn entries(head: &[u8], file_len: u64) -> Result<Vec<Entry>> {
    let end = header_end(head, file_len)?;
    let json = head
        .get(LENGTH_BYTES as usize..end as usize)
        .ok_or_else(|| Error::BadInput("a part of a header".into()))?;
    let Entries(mut entries) = serde_json::from_slice(json).map_err(|error| {
        bad(format_args!(
            "its header is not that of a safetensors file: {error}; download it again"
        ))
    })?;
    for entry in &mut entries {
        place(entry, end, file_len)?;
    }
    check_overlaps(&entries)?;
    Ok(entries)
}

/// Where the header ends and data begins. `head`: at least the first 9 bytes, where there are as many.
pub(super) fn header_end(head: &[u8], file_len: u64) -> Result<u64> {
    let Some(&length) = head.first_chunk() else {
        return Err(bad(format_args!(
            "it has {} bytes, and safetensors begins with 8 for the header's length; download it again",
            head.len()
        )));
    };
    let length = u64::from_le_bytes(length);
    // An object, as the format wants it; other kinds of file are told by their start.
    if head
        .get(LENGTH_BYTES as usize)
        .is_some_and(|&byte| byte != b'{')
    {
        return Err(foreign::error(head, "safetensors"));
    }
    if length > HEADER_BYTES_MAX {
        return Err(bad(format_args!(
            "it claims a header of {length} bytes, and at most {HEADER_BYTES_MAX} are read; the file is damaged"
        )));
    }
    let end = LENGTH_BYTES + length;
    if end > file_len {
        return Err(bad(format_args!(
            "its header ends at byte {end}, but the file has {file_len}; it is cut short: download it again"
        )));
    }
    Ok(end)
}

impl Entry {
    /// First byte in the file, and shape, of a tensor of bytes.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it has others, or shape and bytes disagree.
    pub fn bytes(&self) -> Result<(u64, Vec<u64>)> {
        let (name, shape) = (&self.name, &self.shape);
        let wanted = shape
            .iter()
            .try_fold(1u64, |all, &size| all.checked_mul(size));
        if self.stored != "U8" || wanted != Some(self.end - self.start) {
            let stored = short(&self.stored);
            return Err(bad(format_args!(
                "tensor {name} has the type {stored} and the shape {shape:?}, where bytes are needed"
            )));
        }
        Ok((self.start, shape.clone()))
    }

    /// The tensor under the name that GGUF gives it, in file `part` of the model.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for types that are not run, [`Error::BadFile`] where shape and bytes disagree.
    pub fn tensor(&self, name: String, part: usize) -> Result<TensorInfo> {
        let known = TYPES.iter().find(|(stored, _)| *stored == self.stored);
        let Some(&(_, kind)) = known else {
            let (name, stored) = (&self.name, short(&self.stored));
            return Err(Error::unsupported(
                Unsupported::StoredType,
                format!(
                    "tensor {name} is stored as {stored}; of safetensors, F32, F16 and BF16 are run here: take the model's original, or a GGUF file of it"
                ),
            ));
        };
        let problem =
            |what: fmt::Arguments<'_>| Err(bad(format_args!("tensor {} {what}", self.name)));
        let dimensions = self.shape.len();
        if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
            return problem(format_args!(
                "has {dimensions} dimensions, not 1 to {DIMENSIONS_MAX}"
            ));
        }
        let (bytes, shape) = (self.end - self.start, &self.shape);
        if shape.contains(&0) {
            return problem(format_args!("has the shape {shape:?}: no weights at all"));
        }
        let wanted = shape.iter().try_fold(kind.block_bytes(), |product, &size| {
            product.checked_mul(size)
        });
        match wanted {
            Some(wanted) if wanted == bytes => {}
            Some(wanted) => {
                return problem(format_args!(
                    "has the shape {shape:?} of {kind}, which takes {wanted} bytes, and a place of {bytes}"
                ));
            }
            None => {
                return problem(format_args!(
                    "has the shape {shape:?}: more bytes than 64 bits can count"
                ));
            }
        }
        Ok(TensorInfo {
            name,
            shape: shape.iter().rev().copied().collect(),
            kind,
            offset: self.start,
            bytes,
            part,
        })
    }
}

/// Makes a place count from the file's start, where it is sound.
fn place(entry: &mut Entry, data_start: u64, file_len: u64) -> Result<()> {
    let Entry {
        name, start, end, ..
    } = entry;
    if start > end {
        return Err(bad(format_args!(
            "tensor {name} ends at {end} of the data, before its start at {start}"
        )));
    }
    match data_start.checked_add(*end) {
        Some(last) if last <= file_len => {
            *start += data_start;
            *end = last;
            Ok(())
        }
        _ => Err(bad(format_args!(
            "tensor {name} ends at byte {end} of the data, which begins at byte {data_start}, but the file has {file_len}; it is cut short: download it again"
        ))),
    }
}

fn check_overlaps(entries: &[Entry]) -> Result<()> {
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_unstable_by_key(|entry| (entry.start, entry.end));
    for pair in order.windows(2) {
        if pair[1].start < pair[0].end {
            let (first, second) = (&pair[0].name, &pair[1].name);
            return Err(bad(format_args!(
                "tensors {first} and {second} overlap: one ends at byte {}, the other starts at {}",
                pair[0].end, pair[1].start
            )));
        }
    }
    Ok(())
}

fn bad(what: fmt::Arguments<'_>) -> Error {
    Error::bad_file(what.to_string())
}

/// The header's object, in its order.
struct Entries(Vec<Entry>);

/// A tensor's entry in the header.
#[derive(Deserialize)]
struct Description {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by their names")
    }

    fn visit_map<A: MapAccess<'de>>(
        mut self,
        mut map: A,
    ) -> std::result::Result<Entries, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            if name.is_empty() || name.len() > NAME_BYTES_MAX || !printable {
                let name = short(&name);
                return Err(A::Error::custom(format!(
                    "the name {name} is not 1 to {NAME_BYTES_MAX} printable characters of ASCII"
                )));
            }
            if self.0.len() == ENTRIES_MAX {
                return Err(A::Error::custom(format!("more than {ENTRIES_MAX} tensors")));
            }
            let about: Description = map
                .next_value()
                .map_err(|error| A::Error::custom(format!("tensor {name}: {error}")))?;
            let (start, end) = about.data_offsets;
            self.0.push(Entry {
                name,
                stored: about.dtype,
                shape: about.shape,
                start,
                end,
            });
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(header: &[u8]) -> Vec<u8> {
        let length = (header.len() as u64).to_le_bytes();
        [&length, header, &[0; 64]].concat()
    }

    /// Whatever is said, what is believed lies inside.
    fn read(bytes: &[u8]) {
        let length = bytes.len() as u64;
        for entry in entries(bytes, length).unwrap_or_default() {
            if let Ok(tensor) = entry.tensor(entry.name.clone(), 0) {
                assert!(tensor.offset + tensor.bytes <= length);
                assert_eq!(tensor.weights() * tensor.kind.block_bytes(), tensor.bytes);
            }
        }
    }

    const SOUND: &str = r#"{"a":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]},"b":{"dtype":"BF16","shape":[16],"data_offsets":[32,64]}}"#;

    proptest! {
        #[test]
        fn junk_is_never_believed(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
            read(&file(&bytes));
        }

        #[test]
        fn spoilt_headers_are_never_believed(at in 0..SOUND.len(), with in "[0-9a-zA-Z\\[\\]{},:\"-]{0,3}", cut in 0usize..4) {
            let end = (at + cut).min(SOUND.len());
            let header = [&SOUND.as_bytes()[..at], with.as_bytes(), &SOUND.as_bytes()[end..]].concat();
            read(&file(&header));
        }
    }

    #[test]
    fn a_sound_header_is_read() {
        let bytes = file(SOUND.as_bytes());
        let entries = entries(&bytes, bytes.len() as u64).unwrap();
        let tensor = entries[0].tensor("x".into(), 3).unwrap();
        assert_eq!((tensor.shape, tensor.part), (vec![4, 2], 3));
        assert_eq!(tensor.offset, 8 + SOUND.len() as u64);
    }
}
