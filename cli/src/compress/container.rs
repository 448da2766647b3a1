//! The file: eight bytes that name it, the length of a header, the header as JSON, and the code.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    failure::{Failure, Result},
    numbers,
};

const MAGIC: &[u8; 8] = b"LANTERN1";
/// A header is shorter.
const HEADER_MAX: usize = 1 << 16;

/// Kind of the code after the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The bytes themselves.
    Stored,
    /// Tokens in the order of the text, range coded by what the model expects.
    Model,
}

/// A compressed file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Container {
    pub mode: Mode,
    /// Length of the file that it was.
    pub bytes: u64,
    /// SHA-256 of that, in hexadecimal.
    pub checksum: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Fingerprint of the model's weights.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub adapter: String,
    /// Whatever else changes what the model computes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub way: String,
    #[serde(skip)]
    pub payload: Vec<u8>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(v: &u64) -> bool {
    *v == 0
}

/// SHA-256 in hexadecimal.
pub fn checksum(bytes: &[u8]) -> String {
    numbers::hex(&Sha256::digest(bytes))
}

impl Container {
    /// The bytes as they are.
    pub fn stored(bytes: &[u8]) -> Container {
        Container {
            mode: Mode::Stored,
            bytes: bytes.len() as u64,
            checksum: checksum(bytes),
            tokens: 0,
            model: String::new(),
            name: String::new(),
            adapter: String::new(),
            way: String::new(),
            payload: bytes.to_vec(),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let header = serde_json::to_vec(self).expect("text and numbers");
        let mut out = MAGIC.to_vec();
        out.extend((header.len() as u32).to_le_bytes());
        out.extend(header);
        out.extend(&self.payload);
        out
    }

    /// Reads `name`.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Container> {
        let wrong = |why: &str| Failure::Message(format!("{name} {why}"));
        let rest = bytes.strip_prefix(MAGIC);
        let rest = rest.ok_or_else(|| wrong("is no file that `lantern compress` wrote"))?;
        let cut = || wrong("is cut off, or damaged");
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > HEADER_MAX || length > rest.len() {
            return Err(cut());
        }
        let (header, payload) = rest.split_at(length);
        let mut container: Container = serde_json::from_slice(header).map_err(|_| cut())?;
        if container.mode == Mode::Stored && payload.len() as u64 != container.bytes
            || payload.len() % 4 != 0 && container.mode == Mode::Model
        {
            return Err(cut());
        }
        container.payload = payload.to_vec();
        Ok(container)
    }
}

#[cfg(test)]
mod tests {
    use super::Container;

    #[test]
    fn damaged_files_are_errors() {
        let whole = Container::stored(b"some bytes").to_bytes();
        assert_eq!(
            Container::from_bytes(&whole, "x").unwrap().payload,
            b"some bytes"
        );
        for length in 0..whole.len() {
            assert!(
                Container::from_bytes(&whole[..length], "x").is_err(),
                "{length} bytes"
            );
        }
        let mut long = whole;
        long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(
            Container::from_bytes(&long, "x")
                .unwrap_err()
                .to_string()
                .contains("damaged")
        );
    }
}
