//! Tokens taken apart as they come: thoughts, the answer's text and calls of tools.

use super::{
    TextStream, Tokenizer, ToolCall, Tools,
    calls::Calls,
    reasoning::{Reasoning, Said, Thoughts},
};

/// Marks that an answer may have.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    /// Marks of thoughts.
    pub reasoning: Option<Reasoning>,
    /// Marks of calls.
    pub tools: Option<Tools>,
}

impl Marks {
    /// Whether a token is part of what is said: text, or a mark of thoughts or calls.
    pub fn says(&self, tokenizer: &Tokenizer, token: u32) -> bool {
        let mark = || {
            let text = tokenizer.text(token)?;
            let thoughts = self.reasoning.as_ref().is_some_and(|one| one.says(text));
            Some(thoughts || self.tools.as_ref().is_some_and(|tools| tools.says(text)))
        };
        !tokenizer.is_special(token) || mark().unwrap_or(false)
    }
}

/// Pieces of an answer that are certain.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// Text of the answer.
    pub text: String,
    /// Thoughts; they come before the text.
    pub reasoning: String,
    /// Pieces of calls; they come after the text. A name begins the next call.
    pub calls: Vec<CallPiece>,
}

/// Piece of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallPiece {
    /// The name of the next call.
    Name(String),
    /// More of the arguments of the last.
    Arguments(String),
}

impl Piece {
    /// Tells pieces without text, thoughts and calls.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.reasoning.is_empty() && self.calls.is_empty()
    }

    fn add(&mut self, said: Said) {
        match said {
            Said::Thinking(text) => self.reasoning += &text,
            Said::Answer(text) => self.text += &text,
            Said::Call(name) => self.calls.push(CallPiece::Name(name)),
            Said::Arguments(text) => self.calls.push(CallPiece::Arguments(text)),
        }
    }
}

/// Adds pieces of calls to those that came before.
pub(crate) fn add_calls(all: &mut Vec<ToolCall>, pieces: &[CallPiece]) {
    for piece in pieces {
        match (piece, all.last_mut()) {
            (CallPiece::Name(name), _) => all.push(ToolCall {
                name: name.clone(),
                arguments: String::new(),
            }),
            (CallPiece::Arguments(text), Some(last)) => last.arguments += text,
            (CallPiece::Arguments(_), None) => {}
        }
    }
}

/// Tokens taken apart.
pub(crate) struct Apart<'a> {
    tokenizer: &'a Tokenizer,
    stream: TextStream<'a>,
    marks: Marks,
    /// None where thoughts stay in the text.
    thoughts: Option<Thoughts>,
    calls: Option<Calls>,
}

impl<'a> Apart<'a> {
    /// Takes apart what `tokenizer`'s tokens say, up to one of `stop`. `thoughts_in_text`: they stay there, with their marks.
    pub fn new(
        tokenizer: &'a Tokenizer,
        marks: Marks,
        stop: Vec<String>,
        thoughts_in_text: bool,
    ) -> Apart<'a> {
        let harmony = marks.tools.as_ref().is_some_and(Tools::in_harmony);
        let apart = marks.reasoning.filter(|_| !thoughts_in_text || harmony);
        Apart {
            tokenizer,
            stream: TextStream::new(tokenizer, stop),
            thoughts: apart.map(|one| Thoughts::new(one).with_calls(harmony)),
            calls: marks.tools.as_ref().map(Calls::new),
            marks,
        }
    }

    /// Whether a stop string has appeared.
    pub fn stopped(&self) -> bool {
        self.stream.stopped()
    }

    /// The stop string that has appeared.
    pub fn stop(&self) -> Option<&str> {
        self.stream.stop()
    }

    /// Pieces that are certain with this token.
    pub fn push(&mut self, token: u32) -> Piece {
        let mut piece = Piece::default();
        if self.marks.says(self.tokenizer, token) {
            let text = self.stream.push(token);
            self.say(&text, false, &mut piece);
        }
        piece
    }

    /// Pieces that were held back.
    pub fn finish(&mut self) -> Piece {
        let mut piece = Piece::default();
        let text = self.stream.finish();
        self.say(&text, true, &mut piece);
        piece
    }

    fn say(&mut self, text: &str, last: bool, piece: &mut Piece) {
        let mut all = match &mut self.thoughts {
            Some(thoughts) => thoughts.push(text),
            None => vec![Said::Answer(text.to_owned())],
        };
        if let (Some(thoughts), true) = (&mut self.thoughts, last) {
            all.extend(thoughts.finish());
        }
        for said in all {
            match (said, &mut self.calls) {
                (Said::Answer(text), Some(calls)) => {
                    calls
                        .push(&text)
                        .into_iter()
                        .for_each(|said| piece.add(said));
                }
                (said, _) => piece.add(said),
            }
        }
        if let (Some(calls), true) = (&mut self.calls, last) {
            calls.finish().into_iter().for_each(|said| piece.add(said));
        }
    }
}
