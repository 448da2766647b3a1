//! Byte-level byte-pair encoding, `tokenizer.ggml.model = gpt2`: words are cut out, their bytes written as letters, the letters joined by
//! the file's list of merges. The joining is the `tokenizers` crate's; here a file is checked before the crate sees it.

use std::collections::HashSet;

use tokenizers::{
    Model,
    models::bpe::{BPE, Merges, Vocab},
};

use super::{pretokenizers::Cutter, vocabulary::Vocabulary};
use crate::{
    Error, Result,
    file::{Metadata, short},
};

/// A vocabulary with its merges.
#[derive(Debug)]
pub(super) struct BytePairs {
    cutter: Cutter,
    model: BPE,
    letters: [char; 256],
}

impl BytePairs {
    /// An error where the file has no merges, or one of them is of or to something that is no token.
    /// `whole_words`: a word that is a token stays whole, whatever the merges say.
    pub fn new(
        vocabulary: &Vocabulary,
        metadata: &Metadata,
        cutter: Cutter,
        whole_words: bool,
    ) -> Result<BytePairs> {
        let key = "tokenizer.ggml.merges";
        let lines = metadata
            .texts(key)?
            .ok_or_else(|| Error::bad_file(format!("the tokenizer needs {key}")))?;
        let ids: Vocab = vocabulary.texts.iter().cloned().zip(0..).collect();
        let merges = merges(lines, &ids)
            .map_err(|(line, what)| Error::bad_file(format!("{key}[{line}] {what}")))?;
        let model = BPE::builder()
            .vocab_and_merges(ids, merges)
            .ignore_merges(whole_words)
            .cache_capacity(0) // the crate's cache is per thread and outlives the tokenizer
            .build()
            .map_err(|error| Error::bad_file(format!("{key}: {error}")))?;
        Ok(BytePairs {
            cutter,
            model,
            letters: letters(),
        })
    }

    /// Appends the tokens of `text`. Bytes that the vocabulary has no token for are left out.
    pub fn encode(&self, text: &str, tokens: &mut Vec<u32>) -> Result<()> {
        let mut word = String::new();
        for range in self.cutter.cut(text) {
            word.clear();
            word.extend(text[range].bytes().map(|byte| self.letters[byte as usize]));
            let joined = self
                .model
                .tokenize(&word)
                .map_err(|error| Error::BadInput(format!("tokenizer: {error}")))?;
            tokens.extend(joined.iter().map(|token| token.id));
        }
        Ok(())
    }
}

/// The merges as pairs, those that repeat an earlier one left out: the first counts. Where one makes no sense: which, and why.
fn merges(lines: &[String], ids: &Vocab) -> std::result::Result<Merges, (usize, String)> {
    let mut seen = HashSet::with_capacity(lines.len());
    let mut merges = Merges::with_capacity(lines.len());
    let mut joined = String::new();
    for (number, line) in lines.iter().enumerate() {
        let (left, right) =
            halves(line).ok_or_else(|| (number, format!("is {}, not two tokens", short(line))))?;
        joined.clear();
        joined.extend([left, right]);
        let id = |text: &str| {
            let unknown = || (number, format!("needs {}, which is no token", short(text)));
            ids.get(text).copied().ok_or_else(unknown)
        };
        let pair = (id(left)?, id(right)?);
        id(&joined)?;
        if seen.insert(pair) {
            merges.push((left.to_owned(), right.to_owned()));
        }
    }
    Ok(merges)
}

/// Splits a line at its first space that is not the first byte.
pub(super) fn halves(line: &str) -> Option<(&str, &str)> {
    let after = line.char_indices().nth(1)?.0;
    let space = after + line[after..].find(' ')?;
    Some((&line[..space], &line[space + 1..]))
}

/// The letter that stands for each byte (Radford et al. 2019): itself where it can be seen, else the next unused from U+0100.
fn letters() -> [char; 256] {
    let mut unused = 0x100..;
    std::array::from_fn(|byte| {
        let seen = matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
        let code = if seen {
            Some(byte as u32)
        } else {
            unused.next()
        };
        code.and_then(char::from_u32)
            .unwrap_or(char::REPLACEMENT_CHARACTER)
    })
}

/// The byte that a letter stands for.
pub(super) fn byte_value(letter: char) -> Option<u8> {
    // The unseen bytes in their order: U+0100 is 0x00, U+0120 is the 33rd, 0x20 (space), U+0143 the last, 0xAD.
    match letter as u32 {
        code @ (0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF) => Some(code as u8),
        code @ 0x100..=0x120 => Some((code - 0x100) as u8),
        code @ 0x121..=0x142 => Some((code - 0x121 + 0x7F) as u8),
        0x143 => Some(0xAD),
        _ => None,
    }
}

/// The bytes that a token stands for; its own where it is not written in letters.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let bytes: Option<Vec<u8>> = text.chars().map(byte_value).collect();
    bytes.unwrap_or_else(|| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_bytes_are_each_others_inverse() {
        for (byte, letter) in (0..=255).zip(letters()) {
            assert_eq!(byte_value(letter), Some(byte), "{byte:#04x} {letter}");
        }
        assert_eq!(letters()[usize::from(b' ')], 'Ġ');
        assert_eq!(byte_value('我'), None);
    }

    #[test]
    fn a_merge_is_cut_at_the_first_space_after_its_first_letter() {
        assert_eq!(halves("Ġ t"), Some(("Ġ", "t")));
        assert_eq!(halves("  a"), Some((" ", "a")));
        assert_eq!(halves("ab"), None);
        assert_eq!(halves(" "), None);
        assert_eq!(halves(""), None);
    }
}
