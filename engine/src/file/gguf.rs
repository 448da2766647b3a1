//! The header of a GGUF file, versions 2 and 3: metadata and the directory of tensors, checked as
//! far as it can be without knowing the model. It reads no weights, and knows no family. Source:
//! `docs/gguf.md` of ggml, "the document" below.
//!
//! Nothing in a header is believed before it is checked: every count is held against the bytes that
//! are left before room is made for it, and every tensor lies inside the file, on the alignment, on
//! blocks of its type, and on bytes of its own.

use std::{
    collections::{HashMap, btree_map::Entry},
    fmt,
};

use serde::Serialize;

use super::{
    foreign,
    metadata::{Metadata, Value},
    reader::Reader,
    types::TensorType,
    values,
};
use crate::{Error, Result, Unsupported};

/// The first four bytes, in either byte order of the rest.
const MARK: &[u8] = b"GGUF";
/// Keys and tensors at most. Real files have hundreds, those with an expert a tensor some ten
/// thousands.
const ENTRIES_MAX: u64 = 1 << 16;
/// The document's bound on a key.
const KEY_BYTES_MAX: usize = 65535;
/// The document's bound on a tensor's name.
const NAME_BYTES_MAX: usize = 64;
/// The document's bound on dimensions.
const DIMENSIONS_MAX: u32 = 4;
/// Where `general.alignment` is missing.
const ALIGNMENT_DEFAULT: u64 = 32;
/// A huge page; more is a mistake.
const ALIGNMENT_MAX: u64 = 2 << 20;

/// Header of a GGUF file: all that it says before its weights.
#[derive(Debug, Clone)]
pub struct Header {
    /// 2 or 3; they differ only in that 3 may be big-endian, which is refused. 0: it is no GGUF file.
    pub version: u32,
    /// Hyperparameters, vocabulary, chat template.
    pub metadata: Metadata,
    /// The directory, in the file's order.
    pub tensors: Vec<TensorInfo>,
    /// Every tensor's offset is a multiple of this many bytes.
    pub alignment: u64,
    /// Where the tensors' data starts, in bytes from the file's start.
    pub data_offset: u64,
    by_name: HashMap<String, usize>,
}

/// Where a tensor lies, and how it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorInfo {
    /// Name in the file: `blk.0.attn_q.weight`.
    pub name: String,
    /// In weights, innermost first as GGUF has it: a matrix is (cols, rows).
    pub shape: Vec<u64>,
    /// How weights are stored.
    #[serde(rename = "type")]
    pub kind: TensorType,
    /// Bytes from its file's start.
    pub offset: u64,
    /// Bytes of data.
    pub bytes: u64,
    /// Which file of a split model it is in, from 0.
    #[serde(skip_serializing_if = "is_first")]
    pub part: usize,
}

impl TensorInfo {
    /// `count` rows of a matrix from row `first` on.
    pub(crate) fn rows(&self, first: u32, count: u32) -> TensorInfo {
        let row = self.bytes / self.shape[1].max(1);
        TensorInfo {
            shape: vec![self.shape[0], u64::from(count)],
            offset: self.offset + u64::from(first) * row,
            bytes: u64::from(count) * row,
            ..self.clone()
        }
    }

    /// `count` rows of zeros beside those of this matrix, which are in no file.
    pub(crate) fn zeros(&self, count: u32) -> TensorInfo {
        TensorInfo {
            name: String::new(),
            shape: vec![self.shape[0], u64::from(count)],
            bytes: 0,
            ..self.clone()
        }
    }

    /// Tells tensors of zeros, which no file has, from those that a file has.
    pub(crate) fn is_zeros(&self) -> bool {
        self.bytes == 0
    }

    /// The rows of several matrices as those of one.
    pub(crate) fn flat(&self) -> Result<TensorInfo> {
        let rows: u64 = self.shape[1..].iter().product();
        if u32::try_from(rows).is_err() {
            return Err(Error::unsupported(
                Unsupported::Shape,
                format!("{} has {rows} rows", self.name),
            ));
        }
        Ok(TensorInfo {
            shape: vec![self.shape[0], rows],
            ..self.clone()
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_first(part: &usize) -> bool {
    *part == 0
}

impl Header {
    /// Reads a header from the file's first bytes, `head`, which are all of the header at least.
    /// `file_len` is the whole file's length in bytes; that every tensor lies inside is checked
    /// against it.
    ///
    /// [`Error::BadFile`] names the place and the numbers; [`Error::Unsupported`] is for versions,
    /// byte orders and tensor types of others.
    pub fn parse(head: &[u8], file_len: u64) -> Result<Header> {
        Header::read(&mut Reader::new(head, head.len() as u64), head, file_len)
    }

    /// Parses the header at the start of a file, of which `head` may end before the header does: then there is none yet.
    pub(super) fn parse_start(head: &[u8], file_len: u64) -> Result<Option<Header>> {
        let mut reader = Reader::new(head, file_len);
        match Header::read(&mut reader, head, file_len) {
            Err(_) if reader.is_short() => Ok(None),
            result => result.map(Some),
        }
    }

    fn read(reader: &mut Reader<'_>, head: &[u8], file_len: u64) -> Result<Header> {
        let version = version(reader, head)?;
        let tensor_count = reader.u64(format_args!("the number of tensors"))?;
        let metadata = metadata(reader)?;
        let alignment = alignment(&metadata)?;
        let mut tensors = directory(reader, tensor_count)?;
        // In range: a position is under 2^27, an alignment at most 2^21.
        let data_offset = reader.at().next_multiple_of(alignment);
        for tensor in &mut tensors {
            place(tensor, alignment, data_offset, file_len)?;
        }
        check_overlaps(&tensors)?;
        let by_name = names(&tensors)?;
        Ok(Header {
            version,
            metadata,
            tensors,
            alignment,
            data_offset,
            by_name,
        })
    }

    /// Makes a header of metadata and tensors that were not read from GGUF.
    pub(super) fn of(metadata: Metadata, tensors: Vec<TensorInfo>) -> Result<Header> {
        let by_name = names(&tensors)?;
        Ok(Header {
            version: 0,
            metadata,
            tensors,
            alignment: ALIGNMENT_DEFAULT,
            data_offset: 0,
            by_name,
        })
    }

    /// Adds the tensors of the next file of a split model.
    pub(super) fn join(&mut self, next: Header, part: usize) -> Result<()> {
        self.tensors.extend(
            next.tensors
                .into_iter()
                .map(|tensor| TensorInfo { part, ..tensor }),
        );
        self.by_name = names(&self.tensors)?;
        Ok(())
    }

    /// The tensor called `name`, if there is one.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).map(|&index| &self.tensors[index])
    }
}

impl TensorInfo {
    /// Weights in all.
    pub fn weights(&self) -> u64 {
        self.shape.iter().product()
    }
}

fn version(reader: &mut Reader<'_>, head: &[u8]) -> Result<u32> {
    if head.is_empty() {
        return Err(Error::bad_file("the file is empty; download it again"));
    }
    // A start that is cut inside the mark is the reader's to report.
    if !head.starts_with(MARK) && !MARK.starts_with(head) {
        return Err(foreign::error(head, "GGUF"));
    }
    reader.u32(format_args!("the mark"))?;
    let version = reader.u32(format_args!("the version"))?;
    match version {
        2 | 3 => Ok(version),
        0 => Err(Error::bad_file(
            "GGUF version 0 does not exist; the file is damaged",
        )),
        1 => Err(Error::unsupported(
            Unsupported::Version,
            "GGUF version 1 is not read, only 2 and 3; convert the model again",
        )),
        _ if version.swap_bytes() < 1 << 16 => Err(Error::unsupported(
            Unsupported::Version,
            format!(
                "big-endian GGUF (version {}) is not read; get the model's little-endian file, or convert it",
                version.swap_bytes()
            ),
        )),
        _ => Err(Error::unsupported(
            Unsupported::Version,
            format!("GGUF version {version} is not read, only 2 and 3; a newer Lantern may"),
        )),
    }
}

fn metadata(reader: &mut Reader<'_>) -> Result<Metadata> {
    // The least entry: a length, a key of one byte, a type, a value of one byte.
    let count = reader.count(8 + 1 + 4 + 1, ENTRIES_MAX, format_args!("metadata entries"))?;
    let mut metadata = Metadata::default();
    let mut items = values::ITEMS_MAX;
    for index in 0..count {
        let key = name(
            reader,
            KEY_BYTES_MAX,
            format_args!("the key of metadata entry {index}"),
        )?;
        let value = values::read(reader, &key, &mut items)?;
        match metadata.0.entry(key) {
            Entry::Vacant(entry) => _ = entry.insert(value),
            Entry::Occupied(entry) => {
                return Err(Error::bad_file(format!(
                    "metadata {} is there twice",
                    entry.key()
                )));
            }
        }
    }
    Ok(metadata)
}

fn alignment(metadata: &Metadata) -> Result<u64> {
    let alignment = match metadata.get("general.alignment") {
        None => ALIGNMENT_DEFAULT,
        Some(Value::Unsigned(alignment)) => *alignment,
        Some(_) => metadata
            .u32("general.alignment")?
            .unwrap_or_default()
            .into(),
    };
    if !alignment.is_power_of_two() || !(8..=ALIGNMENT_MAX).contains(&alignment) {
        let message = format!(
            "metadata general.alignment is {alignment}, not a power of two from 8 to {ALIGNMENT_MAX}"
        );
        return Err(Error::bad_file(message));
    }
    Ok(alignment)
}

fn directory(reader: &mut Reader<'_>, count: u64) -> Result<Vec<TensorInfo>> {
    // The least entry: a length, a name of one byte, a count of dimensions, one of them, a type, an
    // offset.
    let count = reader.fits(
        count,
        8 + 1 + 4 + 8 + 4 + 8,
        ENTRIES_MAX,
        format_args!("tensors"),
    )?;
    (0..count).map(|index| tensor(reader, index)).collect()
}

/// One entry of the directory. Its offset counts from where the data starts, until [`place`].
fn tensor(reader: &mut Reader<'_>, index: usize) -> Result<TensorInfo> {
    let name = name(
        reader,
        NAME_BYTES_MAX,
        format_args!("the name of tensor {index}"),
    )?;
    let bad =
        |problem: fmt::Arguments<'_>| Err(Error::bad_file(format!("tensor {name} {problem}")));

    let dimensions = reader.u32(format_args!("the number of dimensions of tensor {name}"))?;
    if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
        return bad(format_args!(
            "has {dimensions} dimensions, not 1 to {DIMENSIONS_MAX}"
        ));
    }
    let shape: Result<Vec<u64>> = (0..dimensions)
        .map(|_| reader.u64(format_args!("the shape of tensor {name}")))
        .collect();
    let shape = shape?;
    let id = reader.u32(format_args!("the type of tensor {name}"))?;
    let Some(kind) = TensorType::from_id(id) else {
        return Err(unknown_type(&name, id));
    };
    let offset = reader.u64(format_args!("the offset of tensor {name}"))?;

    if shape.contains(&0) {
        return bad(format_args!("has the shape {shape:?}: no weights at all"));
    }
    let block = kind.block_weights();
    if !shape[0].is_multiple_of(block) {
        return bad(format_args!(
            "has rows of {} weights, not a multiple of the {block} that a block of {kind} holds",
            shape[0]
        ));
    }
    let weights = shape
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(size));
    let Some(bytes) = weights.and_then(|weights| (weights / block).checked_mul(kind.block_bytes()))
    else {
        return bad(format_args!(
            "has the shape {shape:?}: more bytes than 64 bits can count"
        ));
    };
    Ok(TensorInfo {
        name,
        shape,
        kind,
        offset,
        bytes,
        part: 0,
    })
}

fn unknown_type(name: &str, id: u32) -> Error {
    Error::unsupported(
        Unsupported::StoredType,
        match TensorType::removed(id) {
            Some(old) => format!(
                "tensor {name} is stored as {old} (type {id}), which GGUF has given up; convert the model again"
            ),
            None => format!(
                "tensor {name} is stored as type {id}, which is not known here; a newer Lantern may, or the file is damaged"
            ),
        },
    )
}

/// Makes the offset count from the file's start, where it is sound.
fn place(tensor: &mut TensorInfo, alignment: u64, data_offset: u64, file_len: u64) -> Result<()> {
    let TensorInfo {
        name,
        offset,
        bytes,
        ..
    } = tensor;
    if !offset.is_multiple_of(alignment) {
        return Err(Error::bad_file(format!(
            "tensor {name} is at offset {offset}, not a multiple of the alignment {alignment}"
        )));
    }
    let start = data_offset.checked_add(*offset);
    match start.and_then(|start| start.checked_add(*bytes)) {
        Some(end) if end <= file_len => *offset += data_offset,
        Some(end) => {
            let message = format!("tensor {name} ends at byte {end}, but the file has {file_len}");
            return Err(Error::bad_file(format!(
                "{message}; it is cut short: download it again"
            )));
        }
        None => {
            return Err(Error::bad_file(format!(
                "tensor {name} has {bytes} bytes at offset {offset}: past what 64 bits can count"
            )));
        }
    }
    Ok(())
}

fn check_overlaps(tensors: &[TensorInfo]) -> Result<()> {
    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_unstable_by_key(|tensor| tensor.offset);
    for pair in order.windows(2) {
        let end = pair[0].offset + pair[0].bytes;
        if pair[1].offset < end {
            let (first, second, start) = (&pair[0].name, &pair[1].name, pair[1].offset);
            return Err(Error::bad_file(format!(
                "tensors {first} and {second} overlap: one ends at byte {end}, the other starts at {start}"
            )));
        }
    }
    Ok(())
}

fn names(tensors: &[TensorInfo]) -> Result<HashMap<String, usize>> {
    let mut by_name = HashMap::with_capacity(tensors.len());
    for (index, tensor) in tensors.iter().enumerate() {
        if by_name.insert(tensor.name.clone(), index).is_some() {
            return Err(Error::bad_file(format!(
                "tensor {} is there twice",
                tensor.name
            )));
        }
    }
    Ok(by_name)
}

/// A key or a tensor's name. The document wants ASCII; printable, so that it may stand in a message
/// or a table as it is.
fn name(reader: &mut Reader<'_>, max: usize, what: fmt::Arguments<'_>) -> Result<String> {
    let bytes = reader.text(what)?;
    if bytes.is_empty() || bytes.len() > max {
        return Err(Error::bad_file(format!(
            "{what} has {} bytes, not 1 to {max}",
            bytes.len()
        )));
    }
    match std::str::from_utf8(bytes) {
        Ok(name) if bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) => Ok(name.to_owned()),
        _ => {
            let start = bytes[..bytes.len().min(48)].escape_ascii();
            Err(Error::bad_file(format!(
                "{what}, \"{start}\", has bytes that are not printable ASCII"
            )))
        }
    }
}
