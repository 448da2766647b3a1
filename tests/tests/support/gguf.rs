//! Writes small GGUF files, sound ones and every other kind: each count and length that the format
//! has can be made a lie. No reader, and no more of the format than tests need.
#![allow(
    dead_code,
    reason = "each test that includes this file uses its own part of it"
)]

/// Type numbers of metadata values.
pub const U8: u32 = 0;
pub const I16: u32 = 3;
pub const U32: u32 = 4;
pub const I32: u32 = 5;
pub const F32: u32 = 6;
pub const BOOL: u32 = 7;
pub const TEXT: u32 = 8;
pub const ARRAY: u32 = 9;
pub const U64: u32 = 10;
pub const I64: u32 = 11;
pub const F64: u32 = 12;

/// A GGUF file to be.
#[derive(Debug, Clone)]
pub struct Gguf {
    pub version: u32,
    /// Number of tensors that the header claims; None: the truth.
    pub tensors_claimed: Option<u64>,
    pub entries_claimed: Option<u64>,
    /// Key, and the value with its type number.
    pub metadata: Vec<(Vec<u8>, Vec<u8>)>,
    pub tensors: Vec<Tensor>,
    /// Alignment of the data, in bytes; the header does not say it by itself.
    pub alignment: usize,
    /// Bytes of data.
    pub data: usize,
}

/// A line of the directory.
#[derive(Debug, Clone)]
pub struct Tensor {
    pub name: Vec<u8>,
    pub dimensions_claimed: Option<u32>,
    pub shape: Vec<u64>,
    pub kind: u32,
    pub offset: u64,
}

impl Gguf {
    /// Two metadata entries and two tensors, all sound: `a` is F32 (8, 4) at 0, `b` is Q4_0 (64, 2)
    /// at 128.
    pub fn sound() -> Gguf {
        Gguf {
            version: 3,
            tensors_claimed: None,
            entries_claimed: None,
            metadata: vec![
                (b"general.architecture".to_vec(), text(b"llama")),
                (
                    b"llama.block_count".to_vec(),
                    value(U32, &2u32.to_le_bytes()),
                ),
            ],
            tensors: vec![tensor("a", &[8, 4], 0, 0), tensor("b", &[64, 2], 2, 128)],
            alignment: 32,
            data: 128 + 72,
        }
    }

    pub fn with(mut self, key: &str, value: Vec<u8>) -> Gguf {
        self.metadata.push((key.as_bytes().to_vec(), value));
        self
    }

    /// The header, without padding and data.
    pub fn header(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend(
            self.tensors_claimed
                .unwrap_or(self.tensors.len() as u64)
                .to_le_bytes(),
        );
        out.extend(
            self.entries_claimed
                .unwrap_or(self.metadata.len() as u64)
                .to_le_bytes(),
        );
        for (key, value) in &self.metadata {
            out.extend(counted(key));
            out.extend(value);
        }
        for tensor in &self.tensors {
            out.extend(counted(&tensor.name));
            let dimensions = tensor
                .dimensions_claimed
                .unwrap_or(tensor.shape.len() as u32);
            out.extend(dimensions.to_le_bytes());
            out.extend(tensor.shape.iter().flat_map(|size| size.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend(tensor.offset.to_le_bytes());
        }
        out
    }

    /// The whole file; its data is zeroes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.header();
        out.resize(out.len().next_multiple_of(self.alignment) + self.data, 0);
        out
    }
}

pub fn tensor(name: &str, shape: &[u64], kind: u32, offset: u64) -> Tensor {
    let (name, shape) = (name.as_bytes().to_vec(), shape.to_vec());
    Tensor {
        name,
        dimensions_claimed: None,
        shape,
        kind,
        offset,
    }
}

/// A metadata value: its type number and its bytes.
pub fn value(kind: u32, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), bytes].concat()
}

pub fn text(bytes: &[u8]) -> Vec<u8> {
    value(TEXT, &counted(bytes))
}

/// An array that claims `count` values of a type, and has the bytes that it has.
pub fn array(kind: u32, count: u64, bytes: &[u8]) -> Vec<u8> {
    value(ARRAY, &inner_array(kind, count, bytes))
}

/// An array as it lies inside another: without the type number of arrays.
pub fn inner_array(kind: u32, count: u64, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), &count.to_le_bytes()[..], bytes].concat()
}

/// Bytes behind their length.
pub fn counted(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes(), bytes].concat()
}
