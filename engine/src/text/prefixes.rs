//! Tokens by their bytes: all that a text begins with, or the longest of them. For tokenizers that join nothing, but look tokens up.

use std::ops::Range;

/// Tokens in the order of their bytes.
#[derive(Debug)]
pub(super) struct Prefixes {
    /// Bytes of all tokens, one after the other.
    bytes: Vec<u8>,
    /// Where each one's are, and its id.
    tokens: Vec<(Range<usize>, u32)>,
    /// For each byte, the first token that does not begin with a lower one; behind them, the number of tokens.
    firsts: Vec<usize>,
}

impl Prefixes {
    /// Sorts tokens. The last counts of several with the same bytes; those without any are left out.
    pub fn new<B: AsRef<[u8]>>(tokens: impl IntoIterator<Item = (B, u32)>) -> Prefixes {
        let mut sorted: Vec<(B, u32)> = tokens.into_iter().collect();
        sorted.retain(|(bytes, _)| !bytes.as_ref().is_empty());
        sorted.reverse();
        sorted.sort_by(|(left, _), (right, _)| left.as_ref().cmp(right.as_ref()));
        sorted.dedup_by(|(earlier, _), (kept, _)| earlier.as_ref() == kept.as_ref());
        let mut bytes = Vec::new();
        let mut tokens = Vec::with_capacity(sorted.len());
        for (token, id) in &sorted {
            let start = bytes.len();
            bytes.extend_from_slice(token.as_ref());
            tokens.push((start..bytes.len(), *id));
        }
        let below =
            |byte| sorted.partition_point(|(token, _)| usize::from(token.as_ref()[0]) < byte);
        Prefixes {
            bytes,
            tokens,
            firsts: (0..=256).map(below).collect(),
        }
    }

    /// Lengths and ids of all tokens that `text` begins with, the shortest first.
    pub fn of(&self, text: &[u8]) -> impl Iterator<Item = (usize, u32)> {
        let places = text.first().map_or(0..0, |&byte| {
            self.firsts[usize::from(byte)]..self.firsts[usize::from(byte) + 1]
        });
        let mut rest = &self.tokens[places]; // those that begin with text[..depth]
        let mut depth = 1;
        std::iter::from_fn(move || {
            while let Some((place, id)) = rest.first().filter(|_| depth <= text.len()) {
                let found = (place.len() == depth).then_some((depth, *id));
                let next = text.get(depth);
                let byte = |place: &Range<usize>| self.bytes[place.clone()].get(depth);
                rest = &rest[rest.partition_point(|(place, _)| byte(place) < next)..];
                rest = &rest[..rest.partition_point(|(place, _)| byte(place) <= next)];
                depth += 1;
                if found.is_some() {
                    return found;
                }
            }
            None
        })
    }

    /// Length and id of the longest token that `text` begins with.
    pub fn longest(&self, text: &[u8]) -> Option<(usize, u32)> {
        self.of(text).last()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_tokens_that_a_text_begins_with_are_found(
            tokens in prop::collection::vec("[abé]{0,4}", 0..20),
            text in "[abé]{0,6}",
        ) {
            let prefixes = Prefixes::new(tokens.iter().zip(0..));
            let mut expected: Vec<(usize, u32)> = Vec::new();
            for length in 1..=text.len() {
                let last = tokens.iter().rposition(|token| token.as_bytes() == &text.as_bytes()[..length]);
                expected.extend(last.map(|id| (length, id as u32)));
            }
            let found: Vec<_> = prefixes.of(text.as_bytes()).collect();
            prop_assert_eq!(prefixes.longest(text.as_bytes()), expected.last().copied());
            prop_assert_eq!(found, expected);
        }
    }
}
