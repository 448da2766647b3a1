//! Finds tokens that are written out in a text (`<|im_end|>`) and cuts the text around them. The longest wins where several begin.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, Match, MatchKind};

use crate::{Error, Result};

/// All special texts together, in bytes. The largest vocabularies we know of (65,536 tokens for sound) have under one MiB; the automaton
/// takes some 20 times as much.
const TEXTS_BYTES_MAX: usize = 4 << 20;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// Yet to be cut into tokens; never empty.
    Text(&'t str),
    /// A token that was written out.
    Token(u32),
}

/// A token to look for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Special<'t> {
    pub id: u32,
    /// Never empty.
    pub text: &'t str,
    pub swallows: Swallows,
}

/// White space that belongs to a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Swallows {
    Nothing,
    Before,
    After,
}

/// Special tokens to look for. Built once; looking is linear in the text.
#[derive(Debug)]
pub(super) struct Specials {
    automaton: Option<AhoCorasick>,
    /// Token and the space that it swallows, in the automaton's order.
    tokens: Vec<(u32, Swallows)>,
}

impl Specials {
    /// An error where there are absurdly many.
    pub fn new(specials: &[Special<'_>]) -> Result<Specials> {
        let tokens = specials.iter().map(|s| (s.id, s.swallows)).collect();
        let bytes: usize = specials.iter().map(|s| s.text.len()).sum();
        if bytes > TEXTS_BYTES_MAX {
            return Err(Error::bad_file(format!(
                "the vocabulary's special tokens are {bytes} bytes long together; at most {TEXTS_BYTES_MAX} make sense"
            )));
        }
        let build = || {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(specials.iter().map(|s| s.text))
        };
        let automaton = match specials {
            [] => None,
            _ => {
                Some(build().map_err(|error| Error::bad_file(format!("special tokens: {error}")))?)
            }
        };
        Ok(Specials { automaton, tokens })
    }

    /// The parts of `text`, in order. A token that reaches over one of the places `literal` is text.
    pub fn cut<'t>(&self, text: &'t str, literal: &[Range<usize>]) -> Vec<Part<'t>> {
        let mut parts = Vec::new();
        let mut rest = 0;
        for found in self.found(text, literal) {
            let (id, swallows) = self.tokens[found.pattern().as_usize()];
            let space = |letter: char| letter.is_ascii_whitespace() || letter == '\u{B}';
            let end = match swallows {
                Swallows::Before => text[..found.start()].trim_end_matches(space).len(),
                _ => found.start(),
            };
            push_text(&mut parts, text, rest, end);
            parts.push(Part::Token(id));
            rest = found.end();
            if swallows == Swallows::After {
                rest = text.len() - text[rest..].trim_start_matches(space).len();
            }
        }
        push_text(&mut parts, text, rest, text.len());
        parts
    }

    /// Tokens written out in `text`, and where.
    pub fn places(&self, text: &str) -> Vec<(u32, Range<usize>)> {
        let place = |found: Match| (self.tokens[found.pattern().as_usize()].0, found.range());
        self.found(text, &[]).map(place).collect()
    }

    /// Matches in `text`, but for those that reach over a place of `literal`, which is in order.
    fn found(&self, text: &str, literal: &[Range<usize>]) -> impl Iterator<Item = Match> {
        let mut from = 0;
        let mut literal = literal.iter().peekable();
        std::iter::from_fn(move || {
            loop {
                let input = Input::new(text).range(from..);
                let found = self.automaton.as_ref()?.find(input)?;
                while literal
                    .next_if(|place| place.end <= found.start())
                    .is_some()
                {}
                let text = literal
                    .peek()
                    .is_some_and(|place| found.start() < place.end && place.start < found.end());
                if !text {
                    from = found.end();
                    return Some(found);
                }
                from = found.start() + 1; // a shorter one may begin inside
            }
        })
    }
}

/// `text[from..to]`, unless there is none: swallowed space may reach past the start of the next token, which is space itself then.
fn push_text<'t>(parts: &mut Vec<Part<'t>>, text: &'t str, from: usize, to: usize) {
    if from < to {
        parts.push(Part::Text(&text[from..to]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn special(id: u32, text: &str) -> Special<'_> {
        Special {
            id,
            text,
            swallows: Swallows::Nothing,
        }
    }

    #[test]
    fn the_longest_special_token_wins() {
        let specials = Specials::new(&[special(1, "\n"), special(2, "\n\n"), special(3, "<a>")]);
        let parts = specials.unwrap().cut("x\n\n\n<a> <a", &[]);
        let expected = [
            Part::Text("x"),
            Part::Token(2),
            Part::Token(1),
            Part::Token(3),
            Part::Text(" <a"),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn space_after_a_token_is_swallowed_where_the_model_wants_it() {
        let end = Special {
            swallows: Swallows::After,
            ..special(7, "<|end|>")
        };
        let specials = Specials::new(&[end, special(8, "\n\n")]).unwrap();
        assert_eq!(
            specials.cut("<|end|> \t\nä<|end|>\n", &[]),
            [Part::Token(7), Part::Text("ä"), Part::Token(7)]
        );
    }

    #[test]
    fn without_special_tokens_a_text_is_one_part() {
        let specials = Specials::new(&[]).unwrap();
        assert_eq!(specials.cut("x", &[]), [Part::Text("x")]);
        assert_eq!(specials.cut("", &[]), []);
    }

    #[test]
    fn tokens_over_a_literal_place_are_text() {
        let specials = Specials::new(&[special(1, "<a>"), special(2, "a")]).unwrap();
        let text = "<a><a>é<a>";
        let cut = |place: Range<usize>| specials.cut(text, &[place]);
        assert_eq!(specials.places(text)[1], (1, 3..6));
        let parts = [
            Part::Token(1),
            Part::Text("<"),
            Part::Token(2),
            Part::Text(">é"),
            Part::Token(1),
        ];
        assert_eq!(cut(4..4), parts);
        let whole = [Part::Token(1), Part::Text("<a>é"), Part::Token(1)];
        assert_eq!(cut(3..6), whole);
        assert_eq!(
            specials.cut(text, &[]).len(),
            4,
            "beside it nothing changes"
        );
        assert_eq!(cut(3..3).len(), 4, "it reaches over no match");
    }

    #[test]
    fn absurdly_many_special_tokens_are_an_error() {
        let text = "x".repeat(TEXTS_BYTES_MAX + 1);
        assert!(matches!(
            Specials::new(&[special(0, &text)]),
            Err(Error::BadFile { .. })
        ));
    }
}
