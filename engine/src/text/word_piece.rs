//! WordPiece, `tokenizer.ggml.model = bert`: each word is its longest token, then the longest that goes on, or as a whole unknown.
//! GGUF writes U+2581 before tokens that begin a word, and nothing before the others.
//!
//! Text is made plain by the `tokenizers` crate, as BERT does it. llama.cpp differs where a letter is made of several: it keeps the
//! first of Hangul's, and takes vowel signs of Indian scripts for accents. The crate's own WordPiece is quadratic in a word's length,
//! and calls words of over 100 characters unknown, which llama.cpp does not.

use tokenizers::{NormalizedString, Normalizer, normalizers::BertNormalizer};

use super::{
    prefixes::Prefixes,
    pretokenizers::{BERT, Cutter},
    sentencepiece::SPACE,
    vocabulary::{Vocabulary, unknown},
};
use crate::{Error, Result, file::Metadata};

/// Tokens, and how text is made plain before they are looked up.
#[derive(Debug)]
pub(super) struct WordPiece {
    tokens: Prefixes,
    /// The token of words that cannot be said. llama.cpp takes 100 for granted, as in BERT's own vocabularies.
    unknown: Option<u32>,
    plain: BertNormalizer,
    words: Cutter,
}

impl WordPiece {
    /// An error where a key is of another type, or names no token.
    pub fn new(vocabulary: &Vocabulary, metadata: &Metadata) -> Result<WordPiece> {
        let option = |name: &str| metadata.bool(&format!("tokenizer.ggml.normalizer.{name}"));
        let lower_case = option("lowercase")?.unwrap_or(true);
        Ok(WordPiece {
            tokens: Prefixes::new(vocabulary.texts.iter().zip(0..)),
            unknown: unknown(metadata, vocabulary, 100)?,
            plain: BertNormalizer::new(true, true, option("strip_accents")?, lower_case),
            words: Cutter::new(&BERT)?,
        })
    }

    /// Appends the tokens of `text`.
    pub fn encode(&self, text: &str, tokens: &mut Vec<u32>) -> Result<()> {
        let mut plain = NormalizedString::from(text);
        self.plain
            .normalize(&mut plain)
            .map_err(|error| Error::BadInput(format!("tokenizer: {error}")))?;
        let mut word = String::new();
        for range in self.words.cut(plain.get()) {
            let text = &plain.get()[range];
            if text.starts_with(char::is_whitespace) {
                continue;
            }
            word.clear();
            word.extend([SPACE, text]);
            let known = tokens.len();
            let mut rest = word.as_bytes();
            while let Some((length, token)) = self.tokens.longest(rest) {
                tokens.push(token);
                rest = &rest[length..];
            }
            if !rest.is_empty() {
                tokens.truncate(known);
                tokens.extend(self.unknown);
            }
        }
        Ok(())
    }
}
