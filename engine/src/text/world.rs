//! RWKV's tokenizer, `tokenizer.ggml.model = rwkv`: the longest token that the text begins with, then the longest of what is left.
//! Tokens are bytes, written as Python writes them: `\xe4\xbd`, `\n`, `\'`.

use super::{
    prefixes::Prefixes,
    vocabulary::{Kind, Vocabulary, role},
};
use crate::{
    Error, Result,
    file::{Metadata, short},
};

/// Tokens by their bytes.
#[derive(Debug)]
pub(super) struct World {
    tokens: Prefixes,
    /// The token of a byte that no token begins with.
    unknown: Option<u32>,
}

impl World {
    /// An error where a token is no sound text of Python's.
    pub fn new(vocabulary: &Vocabulary, metadata: &Metadata) -> Result<World> {
        let bytes = |((text, kind), id): ((&String, &Kind), u32)| {
            // llama.cpp takes `<s>` and what fills the vocabulary up for text.
            let bytes = matches!(kind, Kind::Control | Kind::Unused).then(Vec::new);
            let bytes = bytes.or_else(|| unescape(text)).ok_or_else(|| {
                Error::bad_file(format!(
                    "token {id} of the vocabulary is {}, which does not say its bytes",
                    short(text)
                ))
            })?;
            Ok((bytes, id))
        };
        let tokens: Vec<(Vec<u8>, u32)> = vocabulary
            .texts
            .iter()
            .zip(&vocabulary.kinds)
            .zip(0..)
            .map(bytes)
            .collect::<Result<_>>()?;
        let key = "tokenizer.ggml.unknown_token_id";
        Ok(World {
            tokens: Prefixes::new(tokens),
            unknown: role(metadata, key, vocabulary.texts.len())?,
        })
    }

    /// Appends the tokens of `text`.
    pub fn encode(&self, text: &str, tokens: &mut Vec<u32>) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let found = self.tokens.longest(rest);
            tokens.extend(found.map(|(_, token)| token).or(self.unknown));
            rest = &rest[found.map_or(1, |(length, _)| length)..];
        }
    }
}

/// The bytes that a token stands for; none where a backslash is followed by nothing that Python would write.
pub(super) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let escaped = after.chars().next()?;
        let (byte, length) = match escaped {
            't' => (b'\t', 1),
            'n' => (b'\n', 1),
            'r' => (b'\r', 1),
            '\\' | '\'' | '"' => (escaped as u8, 1),
            'x' => {
                let digits = after.get(1..3)?;
                let sound = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                (u8::from_str_radix(digits, 16).ok().filter(|_| sound)?, 3)
            }
            _ => return None,
        };
        bytes.push(byte);
        rest = &after[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_bytes_as_python_writes_them() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("a b", b"a b"),
            (r"\t\n\r\\\'", b"\t\n\r\\'"),
            (r"\xe4\xbdx\x00", b"\xe4\xbdx\x00"),
            ("\u{e9}", "\u{e9}".as_bytes()),
        ] {
            assert_eq!(unescape(text).as_deref(), Some(bytes), "{text}");
        }
        for text in ["\\", r"a\", r"\q", r"\x", r"\x1", r"\xg0", r"\x+1", r"\x0é"] {
            assert_eq!(unescape(text), None, "{text}");
        }
    }
}
