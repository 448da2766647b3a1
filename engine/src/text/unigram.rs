//! Unigram, `tokenizer.ggml.model = t5`: of all ways to cut a text into tokens, the one whose scores have the greatest sum (Kudo 2018).
//!
//! As SentencePiece does it, and llama.cpp after it. The `tokenizers` crate takes the shortest start of a letter that its table of
//! letters knows in place of the longest, and counts the scores of special tokens in what an unknown letter costs.

use std::collections::HashMap;

use super::{
    charsmap::Charsmap,
    prefixes::Prefixes,
    sentencepiece::{SPACE, byte_name, scores},
    vocabulary::{Kind, Vocabulary, unknown},
};
use crate::{Error, Result, file::Metadata};

/// Cost of a letter that is in no token, beyond the worst score of all.
const UNKNOWN_PENALTY: f32 = 10.0;

/// Tokens with their scores.
#[derive(Debug)]
pub(super) struct Unigram {
    tokens: Prefixes,
    /// By id.
    scores: Vec<f32>,
    unknown_score: f64,
    /// The token of letters that are in no other.
    unknown: Option<u32>,
    /// The tokens of all bytes, which such letters are written with where there are any.
    bytes: Option<Vec<u32>>,
    charsmap: Option<Charsmap>,
    /// A space is put before every text, after special tokens too.
    prefix: bool,
    /// One is left of several spaces, and none at the ends.
    single_spaces: bool,
}

/// The best way to cut a text up to some place.
#[derive(Debug, Clone, Copy)]
struct Best {
    score: f64,
    /// Where its last token begins.
    start: usize,
    /// Its last token; none for a letter that is in no token.
    token: Option<u32>,
}

impl Unigram {
    /// An error where scores are missing or not finite, or the table of letters is not sound.
    pub fn new(vocabulary: &Vocabulary, metadata: &Metadata) -> Result<Unigram> {
        let texts = &vocabulary.texts;
        let scores = scores(metadata, texts.len())?;
        if let Some(id) = scores.iter().position(|score| score.is_infinite()) {
            return Err(Error::bad_file(format!(
                "tokenizer.ggml.scores[{id}] is not a finite number"
            )));
        }
        let of = |wanted: Kind| {
            let all = (0..).zip(texts.iter().zip(&vocabulary.kinds));
            all.filter(move |(_, (_, kind))| **kind == wanted)
                .map(|(id, (text, _))| (text.as_str(), id))
        };
        let worst = of(Kind::Normal).map(|(_, id)| scores[id as usize]);
        let worst = worst.reduce(f32::min).unwrap_or(0.0);
        let bytes: HashMap<&str, u32> = of(Kind::Byte).collect();
        let byte = |byte| bytes.get(byte_name(byte).as_str()).copied();
        let flag = |name: &str| metadata.bool(&format!("tokenizer.ggml.{name}"));
        Ok(Unigram {
            tokens: Prefixes::new(of(Kind::Normal)),
            unknown_score: f64::from(worst - UNKNOWN_PENALTY),
            unknown: unknown(metadata, vocabulary, 2)?,
            bytes: (0..=255).map(byte).collect(),
            charsmap: Charsmap::from_metadata(metadata)?,
            prefix: flag("add_space_prefix")?.unwrap_or(false),
            single_spaces: flag("remove_extra_whitespaces")?.unwrap_or(false),
            scores,
        })
    }

    /// Appends the tokens of `text`.
    pub fn encode(&self, text: &str, tokens: &mut Vec<u32>) {
        let plain = self.plain(text);
        let first = tokens.len();
        let mut is_unknown = false; // of the token behind
        for (part, token) in self.cut(&plain) {
            let was_unknown = std::mem::replace(&mut is_unknown, token.is_none());
            match (token, &self.bytes) {
                (Some(token), _) => tokens.push(token),
                (None, Some(bytes)) => {
                    tokens.extend(part.bytes().rev().map(|byte| bytes[byte as usize]));
                }
                (None, None) if was_unknown => {}
                (None, None) => tokens.extend(self.unknown),
            }
        }
        tokens[first..].reverse();
    }

    /// `text` with letters as the table has them, and U+2581 for spaces.
    fn plain(&self, text: &str) -> String {
        let mut plain = String::with_capacity(text.len() + text.len() / 2);
        let mut space_due = self.prefix;
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let same = (letter.len_utf8(), &rest[..letter.len_utf8()]);
            let mapped = self.charsmap.as_ref().and_then(|map| map.longest(rest));
            let (length, letters) = mapped.unwrap_or(same);
            rest = &rest[length..];
            for letter in letters.chars() {
                if letter == ' ' && self.single_spaces {
                    space_due |= !plain.is_empty();
                    continue;
                }
                if std::mem::take(&mut space_due) {
                    plain.push_str(SPACE);
                }
                match letter {
                    ' ' => plain.push_str(SPACE),
                    letter => plain.push(letter),
                }
            }
        }
        plain
    }

    /// The best parts of `text` with their tokens, the last first. O(n) in the text's length.
    fn cut<'t>(&self, text: &'t str) -> impl Iterator<Item = (&'t str, Option<u32>)> {
        let none = Best {
            score: f64::NEG_INFINITY,
            start: 0,
            token: None,
        };
        let mut best = vec![none; text.len() + 1];
        best[0].score = 0.0;
        let mut try_last = |start: usize, end: usize, score: f64, token: Option<u32>| {
            let score = best[start].score + score;
            if score > best[end].score {
                let last = Best {
                    score,
                    start,
                    token,
                };
                best[end] = last;
            }
        };
        for (start, letter) in text.char_indices() {
            let mut is_token = false;
            for (length, token) in self.tokens.of(&text.as_bytes()[start..]) {
                is_token |= length == letter.len_utf8();
                let score = f64::from(self.scores[token as usize]);
                try_last(start, start + length, score, Some(token));
            }
            if !is_token {
                try_last(start, start + letter.len_utf8(), self.unknown_score, None);
            }
        }
        let mut end = text.len();
        std::iter::from_fn(move || {
            let Best { start, token, .. } = best[end];
            let part = (end > 0).then(|| (&text[start..end], token));
            end = start;
            part
        })
    }
}
