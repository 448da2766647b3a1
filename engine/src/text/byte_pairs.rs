//! Byte-pair encoding, `tokenizer.ggml.model = gpt2`: words are cut out, their bytes written as letters, the letters joined by the file's
//! list of merges; or the words are joined as they are (`gemma4`). The joining is the `tokenizers` crate's, which wants a token for all that comes of it; llama.cpp does not, and
//! writes what is none a byte at a time. So the crate is told of more tokens than the file has.

use std::{borrow::Cow, collections::HashSet};

use tokenizers::{
    Model,
    models::bpe::{BPE, Merges, Vocab},
};

use super::{
    pretokenizers::{Cutter, Rule, Spelling, Whole},
    sentencepiece::{self, SPACE, byte_name},
    vocabulary::Vocabulary,
};
use crate::{Error, Result, file::Metadata};

/// A vocabulary with its merges.
#[derive(Debug)]
pub(super) struct BytePairs {
    cutter: Cutter,
    /// Joins to tokens, and to texts that are none, numbered from the tokens' count on.
    model: BPE,
    /// Count of the tokens.
    tokens: u32,
    spelling: Spelling,
    whole: Whole,
    /// Text is written in lower case first.
    lower_case: bool,
    letters: [char; 256],
}

impl BytePairs {
    /// An error where the file has no merges. One that says nothing, or joins to no token, is no error: it may never be used.
    pub fn new(vocabulary: &Vocabulary, metadata: &Metadata, rule: &Rule) -> Result<BytePairs> {
        let key = "tokenizer.ggml.merges";
        let lines = metadata
            .texts(key)?
            .ok_or_else(|| Error::bad_file(format!("the tokenizer needs {key}")))?;
        let letters = letters();
        let mut ids: Vocab = vocabulary.texts.iter().cloned().zip(0..).collect();
        let tokens = ids.len() as u32;
        if rule.spelling == Spelling::Bytes {
            for letter in letters {
                number(&mut ids, &letter.to_string());
            }
        }
        let merges = merges(lines, &mut ids);
        let model = BPE::builder()
            .vocab_and_merges(ids, merges)
            .cache_capacity(0) // the crate's cache is per thread and outlives the tokenizer
            .build()
            .map_err(|error| Error::bad_file(format!("{key}: {error}")))?;
        let lower_case = match rule.spelling {
            Spelling::Words => metadata.bool("tokenizer.ggml.normalizer.lowercase")?,
            Spelling::Bytes | Spelling::Text => None,
        };
        Ok(BytePairs {
            cutter: Cutter::new(rule)?,
            model,
            tokens,
            spelling: rule.spelling,
            whole: rule.whole,
            lower_case: lower_case.unwrap_or(false),
            letters,
        })
    }

    /// Appends the tokens of `text`. Bytes that the vocabulary has no token for are left out.
    pub fn encode(&self, text: &str, tokens: &mut Vec<u32>) -> Result<()> {
        let plain = match self.spelling {
            Spelling::Text => Cow::Owned(text.replace(' ', SPACE)),
            Spelling::Words if self.lower_case => {
                Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
            }
            Spelling::Bytes | Spelling::Words => Cow::Borrowed(text),
        };
        let mut letters = String::new();
        for range in self.cutter.cut(&plain) {
            let word = &plain[range];
            letters.clear();
            let word = match self.spelling {
                Spelling::Bytes => {
                    letters.extend(word.bytes().map(|byte| self.letters[byte as usize]));
                    &letters
                }
                Spelling::Words if word.starts_with(char::is_whitespace) => continue,
                Spelling::Text | Spelling::Words => word,
            };
            let stays = match self.whole {
                Whole::None => false,
                Whole::LineEnds => word.starts_with('\n'),
                Whole::All => true,
            };
            match self.known(word).filter(|_| stays) {
                Some(whole) => tokens.push(whole),
                None => self.join_known(word, tokens)?,
            }
        }
        Ok(())
    }

    /// The token with this text.
    fn known(&self, text: &str) -> Option<u32> {
        let id = self.model.token_to_id(text);
        id.filter(|&id| id < self.tokens)
    }

    /// Appends the tokens of a word. Nothing joins across a letter that is in no merge and no token; the crate drops such letters.
    fn join_known(&self, word: &str, tokens: &mut Vec<u32>) -> Result<()> {
        let mut joined = 0;
        for (at, letter) in word.char_indices() {
            let end = at + letter.len_utf8();
            if self.model.token_to_id(&word[at..end]).is_none() {
                self.join(&word[joined..at], tokens)?;
                self.push_bytes(&word[at..end], tokens);
                joined = end;
            }
        }
        self.join(&word[joined..], tokens)
    }

    /// Appends the tokens of letters that are all known.
    fn join(&self, word: &str, tokens: &mut Vec<u32>) -> Result<()> {
        let joined = self
            .model
            .tokenize(word)
            .map_err(|error| Error::BadInput(format!("tokenizer: {error}")))?;
        for token in joined {
            if token.id < self.tokens {
                tokens.push(token.id);
            } else {
                self.push_bytes(&token.value, tokens);
            }
        }
        Ok(())
    }

    /// Appends the tokens of the bytes of a text that is no token.
    fn push_bytes(&self, text: &str, tokens: &mut Vec<u32>) {
        if self.spelling == Spelling::Bytes {
            // Of letters of two bytes llama.cpp looks up each half, and finds none.
            let letters = text.chars().filter(char::is_ascii);
            tokens.extend(letters.filter_map(|letter| self.known(letter.encode_utf8(&mut [0; 4]))));
        } else {
            tokens.extend(text.bytes().filter_map(|byte| self.known(&byte_name(byte))));
        }
    }

    /// The bytes that a token stands for.
    pub fn unescape(&self, text: &str) -> Vec<u8> {
        match self.spelling {
            Spelling::Bytes => unescape(text),
            Spelling::Text | Spelling::Words => sentencepiece::unescape(text).into_bytes(),
        }
    }
}

/// Number of a text: a token's, or the next.
fn number(ids: &mut Vocab, text: &str) -> u32 {
    let next = ids.len() as u32;
    *ids.entry(text.to_owned()).or_insert(next)
}

/// The merges as pairs, those that repeat an earlier one left out: the first counts.
fn merges(lines: &[String], ids: &mut Vocab) -> Merges {
    let mut seen = HashSet::with_capacity(lines.len());
    let mut merges = Merges::with_capacity(lines.len());
    for (left, right) in lines.iter().filter_map(|line| halves(line)) {
        let pair = (number(ids, left), number(ids, right));
        number(ids, &format!("{left}{right}"));
        if seen.insert(pair) {
            merges.push((left.to_owned(), right.to_owned()));
        }
    }
    merges
}

/// Splits a line at its first space that is not the first byte.
fn halves(line: &str) -> Option<(&str, &str)> {
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
