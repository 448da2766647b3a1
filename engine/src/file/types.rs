//! How GGUF stores weights: every tensor type's number, name and block size. Not how a block is
//! decoded; that is `lantern-kernels`' formats.
//!
//! Numbers and sizes are those of the GGUF document (`ggml_type`) and of `GGML_QUANT_SIZES` in
//! PyPI's `gguf` 0.19.

use std::fmt;

use serde::{Serialize, Serializer};

/// The stored type of a tensor: what the file may say, run by this version or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(non_camel_case_types, missing_docs, reason = "the names that GGUF gives its types; the table below says what they are")]
#[rustfmt::skip]
pub enum TensorType {
    F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K,
    IQ2_XXS, IQ2_XS, IQ3_XXS, IQ1_S, IQ4_NL, IQ3_S, IQ2_S, IQ4_XS, I8, I16, I32, I64, F64,
    IQ1_M, BF16, TQ1_0, TQ2_0, MXFP4, NVFP4, Q1_0,
}

struct Row {
    kind: TensorType,
    id: u32,
    name: &'static str,
    /// Weights in a block; a row of a tensor is whole blocks.
    block_weights: u64,
    block_bytes: u64,
}

/// In the order of [`TensorType`], which is that of the numbers.
#[rustfmt::skip]
const TABLE: [Row; 34] = [
    row(TensorType::F32,      0, "F32",       1,   4),
    row(TensorType::F16,      1, "F16",       1,   2),
    row(TensorType::Q4_0,     2, "Q4_0",     32,  18),
    row(TensorType::Q4_1,     3, "Q4_1",     32,  20),
    row(TensorType::Q5_0,     6, "Q5_0",     32,  22),
    row(TensorType::Q5_1,     7, "Q5_1",     32,  24),
    row(TensorType::Q8_0,     8, "Q8_0",     32,  34),
    row(TensorType::Q8_1,     9, "Q8_1",     32,  40),
    row(TensorType::Q2_K,    10, "Q2_K",    256,  84),
    row(TensorType::Q3_K,    11, "Q3_K",    256, 110),
    row(TensorType::Q4_K,    12, "Q4_K",    256, 144),
    row(TensorType::Q5_K,    13, "Q5_K",    256, 176),
    row(TensorType::Q6_K,    14, "Q6_K",    256, 210),
    row(TensorType::Q8_K,    15, "Q8_K",    256, 292),
    row(TensorType::IQ2_XXS, 16, "IQ2_XXS", 256,  66),
    row(TensorType::IQ2_XS,  17, "IQ2_XS",  256,  74),
    row(TensorType::IQ3_XXS, 18, "IQ3_XXS", 256,  98),
    row(TensorType::IQ1_S,   19, "IQ1_S",   256,  50),
    row(TensorType::IQ4_NL,  20, "IQ4_NL",   32,  18),
    row(TensorType::IQ3_S,   21, "IQ3_S",   256, 110),
    row(TensorType::IQ2_S,   22, "IQ2_S",   256,  82),
    row(TensorType::IQ4_XS,  23, "IQ4_XS",  256, 136),
    row(TensorType::I8,      24, "I8",        1,   1),
    row(TensorType::I16,     25, "I16",       1,   2),
    row(TensorType::I32,     26, "I32",       1,   4),
    row(TensorType::I64,     27, "I64",       1,   8),
    row(TensorType::F64,     28, "F64",       1,   8),
    row(TensorType::IQ1_M,   29, "IQ1_M",   256,  56),
    row(TensorType::BF16,    30, "BF16",      1,   2),
    row(TensorType::TQ1_0,   34, "TQ1_0",   256,  54),
    row(TensorType::TQ2_0,   35, "TQ2_0",   256,  66),
    row(TensorType::MXFP4,   39, "MXFP4",    32,  17),
    row(TensorType::NVFP4,   40, "NVFP4",    64,  36),
    row(TensorType::Q1_0,    41, "Q1_0",    128,  18),
];

/// Types that GGUF has given up: old files may still say them.
const REMOVED: &[(u32, &str)] = &[
    (4, "Q4_2"),
    (5, "Q4_3"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (36, "IQ4_NL_4_4"),
    (37, "IQ4_NL_4_8"),
    (38, "IQ4_NL_8_8"),
];

const fn row(
    kind: TensorType,
    id: u32,
    name: &'static str,
    block_weights: u64,
    block_bytes: u64,
) -> Row {
    Row {
        kind,
        id,
        name,
        block_weights,
        block_bytes,
    }
}

impl TensorType {
    /// The type with the number that files use; None for a number that this version does not know.
    pub fn from_id(id: u32) -> Option<TensorType> {
        TABLE.iter().find(|row| row.id == id).map(|row| row.kind)
    }

    /// Every type, by number.
    pub fn all() -> impl Iterator<Item = TensorType> {
        TABLE.iter().map(|row| row.kind)
    }

    /// Name of a type that is no longer one of GGUF, by its number.
    pub(super) fn removed(id: u32) -> Option<&'static str> {
        REMOVED
            .iter()
            .find(|(removed, _)| *removed == id)
            .map(|(_, name)| *name)
    }

    /// The number in files.
    pub fn id(self) -> u32 {
        self.row().id
    }

    /// The name as GGUF writes it: `Q4_0`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Weights in a block. A row of a tensor is a whole number of blocks.
    pub fn block_weights(self) -> u64 {
        self.row().block_weights
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> u64 {
        self.row().block_bytes
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for TensorType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_of_the_numbers() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.kind as usize, index, "{}", row.name);
            assert_eq!(format!("{:?}", row.kind), row.name);
            assert_eq!(TensorType::from_id(row.id), Some(row.kind));
            assert!(
                TensorType::removed(row.id).is_none(),
                "{} is both there and removed",
                row.name
            );
        }
        assert!(TABLE.is_sorted_by_key(|row| row.id));
    }
}
