//! Names of beginnings: a hash of tokens and of all before them.

use sha2::{Digest, Sha256};

/// SHA-256 of the tokens of a block and of the key before it; of other tokens, or of another model's, there is no other with
/// the same, whatever somebody tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key before the first token, of everything else that cells depend on.
    pub fn root(of: &str) -> Key {
        Key(Sha256::digest(of).into())
    }

    /// The key of something about what this is the key of.
    #[must_use]
    pub fn of(&self, what: &str) -> Key {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(what);
        Key(hash.finalize().into())
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its bytes as hexadecimal digits.
    pub fn hex(&self) -> String {
        let halves = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digit = |half: u8| char::from_digit(u32::from(half), 16);
        halves.filter_map(digit).collect()
    }

    /// The key that these digits are of.
    pub fn from_hex(digits: &str) -> Option<Key> {
        let lower = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if digits.len() != 64 || !digits.bytes().all(lower) {
            return None;
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Key(key))
    }

    /// The key after these tokens.
    #[must_use]
    pub fn then(&self, tokens: &[u32]) -> Key {
        let mut hash = Sha256::new();
        hash.update(self.0);
        for token in tokens {
            hash.update(token.to_le_bytes());
        }
        Key(hash.finalize().into())
    }
}
