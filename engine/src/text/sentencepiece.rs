//! SentencePiece's byte-pair merging as files with `tokenizer.ggml.model = llama` want it: no list of merges, but a score per token.
//!
//! The pair of neighbours whose token has the best score is joined first, of equals the leftmost; what is no
//! token in the end is written as bytes. The `tokenizers` crate joins by a list instead, in which no two merges can be equal, and leaves
//! out joins of characters that are no tokens by themselves, so this is written here.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, HashMap},
};

use super::vocabulary::{Vocabulary, role, same_length};
use crate::{Error, Result, file::Metadata};

/// Stands for the space in these vocabularies.
pub(super) const SPACE: &str = "▁";

/// No symbol: before the first, after the last.
const NONE: usize = usize::MAX;

/// Tokens with their scores.
#[derive(Debug)]
pub(super) struct SentencePiece {
    ids: HashMap<Box<str>, u32>,
    /// By id; the pair whose token has the best is joined first. Never NaN.
    scores: Vec<f32>,
    /// Bytes of the longest token: longer joins need not be looked up.
    longest: usize,
    /// The token to write for each byte that is in no other.
    bytes: Vec<Option<u32>>,
    /// A space is put before every text, after special tokens too.
    prefix: bool,
}

/// A stretch of the text that is one token so far. Joined into its left neighbour its length is 0.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    start: usize,
    len: usize,
    previous: usize,
    next: usize,
}

/// Two neighbours that could be joined.
#[derive(Debug, Clone, Copy)]
struct Join {
    score: f32,
    left: usize,
    right: usize,
    /// Length of both together when this was noted; another length now, and one of them has been joined since.
    len: usize,
}

impl SentencePiece {
    /// An error where there are no scores, and where they are too few or not numbers.
    pub fn new(vocabulary: &Vocabulary, metadata: &Metadata) -> Result<SentencePiece> {
        let texts = &vocabulary.texts;
        let ids: HashMap<Box<str>, u32> = (0..)
            .zip(texts)
            .map(|(id, text)| (text.as_str().into(), id))
            .collect();
        let unknown = role(metadata, "tokenizer.ggml.unknown_token_id", texts.len())?.or(Some(0));
        let byte = |byte: u8| ids.get(byte_name(byte).as_str()).copied().or(unknown);
        Ok(SentencePiece {
            bytes: (0..=255).map(byte).collect(),
            scores: scores(metadata, texts.len())?,
            ids,
            longest: texts.iter().map(String::len).max().unwrap_or(0),
            prefix: metadata
                .bool("tokenizer.ggml.add_space_prefix")?
                .unwrap_or(true),
        })
    }

    /// Appends the tokens of `text`. `starts`: nothing but special tokens came before it.
    pub fn encode(&self, text: &str, starts: bool, tokens: &mut Vec<u32>) {
        let mut escaped = String::with_capacity(text.len() + text.len() / 2);
        if starts && self.prefix {
            escaped.push_str(SPACE);
        }
        for (i, part) in text.split(' ').enumerate() {
            escaped.push_str(if i == 0 { "" } else { SPACE });
            escaped.push_str(part);
        }
        for symbol in self.join(&escaped) {
            let text = &escaped[symbol.start..symbol.start + symbol.len];
            match self.ids.get(text) {
                Some(&id) => tokens.push(id),
                None => tokens.extend(text.bytes().filter_map(|byte| self.bytes[byte as usize])),
            }
        }
    }

    /// The symbols that are left when nothing more can be joined. O(n log n) in the text's length.
    fn join(&self, text: &str) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .enumerate()
            .map(|(index, (start, char))| Symbol {
                start,
                len: char.len_utf8(),
                previous: index.wrapping_sub(1), // of the first: NONE
                next: index + 1,
            })
            .collect();
        if let Some(last) = symbols.last_mut() {
            last.next = NONE;
        }
        let mut joins: BinaryHeap<Join> = (1..symbols.len())
            .filter_map(|right| self.candidate(text, &symbols, right - 1, right))
            .collect();
        while let Some(join) = joins.pop() {
            let (left, right) = (symbols[join.left], symbols[join.right]);
            if left.len == 0 || right.len == 0 || left.len + right.len != join.len {
                continue;
            }
            symbols[join.left].len = join.len;
            symbols[join.left].next = right.next;
            symbols[join.right].len = 0;
            if right.next != NONE {
                symbols[right.next].previous = join.left;
            }
            joins.extend(self.candidate(text, &symbols, left.previous, join.left));
            joins.extend(self.candidate(text, &symbols, join.left, right.next));
        }
        symbols.retain(|symbol| symbol.len > 0);
        symbols
    }

    /// The join of two neighbours, if together they are a token.
    fn candidate(&self, text: &str, symbols: &[Symbol], left: usize, right: usize) -> Option<Join> {
        if left == NONE || right == NONE {
            return None;
        }
        let start = symbols[left].start;
        let len = symbols[left].len + symbols[right].len;
        if len > self.longest {
            return None;
        }
        let joined = *self.ids.get(&text[start..start + len])?;
        Some(Join {
            score: self.scores[joined as usize],
            left,
            right,
            len,
        })
    }
}

/// `tokenizer.ggml.scores`, one for each token.
pub(super) fn scores(metadata: &Metadata, tokens: usize) -> Result<Vec<f32>> {
    let key = "tokenizer.ggml.scores";
    let scores = metadata
        .floats(key)?
        .ok_or_else(|| Error::bad_file(format!("the tokenizer needs {key}")))?;
    same_length(key, scores.len(), tokens)?;
    if let Some(id) = scores.iter().position(|score| score.is_nan()) {
        return Err(Error::bad_file(format!("{key}[{id}] is not a number")));
    }
    // + 0.0: no -0.0, which would sort below 0.0
    Ok(scores.iter().map(|&score| score as f32 + 0.0).collect())
}

/// How a vocabulary writes the token of a byte.
pub(super) fn byte_name(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

/// The byte that a byte token's text stands for.
pub(super) fn byte_value(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16)
        .ok()
        .filter(|_| digits.len() == 2)
}

/// The text that a token stands for.
pub(super) fn unescape(text: &str) -> String {
    text.replace(SPACE, " ")
}

impl Ord for Join {
    fn cmp(&self, other: &Join) -> Ordering {
        let score = self.score.total_cmp(&other.score);
        score.then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Join {
    fn partial_cmp(&self, other: &Join) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Join {
    fn eq(&self, other: &Join) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Join {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXTS: [&str; 9] = ["a", "b", "▁", "ab", "ba", "▁a", "aba", "▁ab", "cc"];

    /// TEXTS with these scores; "c" is a token only in twos.
    fn pieces(scores: &[f32]) -> SentencePiece {
        SentencePiece {
            ids: (0..)
                .zip(TEXTS)
                .map(|(id, text)| (text.into(), id))
                .collect(),
            scores: scores.to_vec(),
            longest: 5,
            bytes: (100..356).map(Some).collect(),
            prefix: true,
        }
    }

    /// The rule by the letter: look at all neighbours, join the best, look again.
    fn slowly(pieces: &SentencePiece, scores: &[f32], text: &str) -> Vec<u32> {
        let mut symbols: Vec<String> = text.chars().map(String::from).collect();
        let score = |text: &str| pieces.ids.get(text).map(|&id| scores[id as usize]);
        loop {
            let joined = symbols.windows(2).enumerate();
            let mut best: Option<(usize, f32)> = None;
            for (at, score) in joined.filter_map(|(at, pair)| Some((at, score(&pair.concat())?))) {
                if best.is_none_or(|(_, other)| score > other) {
                    best = Some((at, score));
                }
            }
            let Some((at, _)) = best else { break };
            let right = symbols.remove(at + 1);
            symbols[at].push_str(&right);
        }
        let ids = |text: &String| match pieces.ids.get(text.as_str()) {
            Some(&id) => vec![id],
            None => text.bytes().map(|byte| 100 + u32::from(byte)).collect(),
        };
        symbols.iter().flat_map(ids).collect()
    }

    proptest! {
        #[test]
        fn joining_is_the_rule_by_the_letter(text in "[abc ]{0,30}", scores in prop::collection::vec(-3i8..1, 9)) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let pieces = pieces(&scores);
            let mut tokens = Vec::new();
            pieces.encode(&text, true, &mut tokens);
            prop_assert_eq!(tokens, slowly(&pieces, &scores, &format!("▁{}", text.replace(' ', "▁"))));
        }
    }

    #[test]
    fn the_space_before_a_text_is_only_before_it() {
        let pieces = pieces(&[0.0; 9]);
        let mut tokens = Vec::new();
        pieces.encode("a", true, &mut tokens);
        pieces.encode("a", false, &mut tokens);
        pieces.encode("é", false, &mut tokens);
        assert_eq!(tokens, [5, 0, 100 + 0xC3, 100 + 0xA9]);
    }

    #[test]
    fn byte_tokens_stand_for_their_byte() {
        assert_eq!(byte_value("<0x0A>"), Some(10));
        for text in [
            "<0x0A", "0x0A>", "<0xA>", "<0x00A>", "<0xGG>", "<0xé>", "", "\n",
        ] {
            assert_eq!(byte_value(text), None, "{text}");
        }
    }
}
