//! A completion as its tokens come: text and thoughts apart, and what ends it.

use std::ops::ControlFlow;

use web_time::Instant;

use super::completion::{Completion, CompletionEvent, CompletionOptions, Prompt, Timings, Usage};
use crate::{
    Constraint, FinishReason, Result, Tokenizer,
    text::{Apart, CallPiece, Marks, Piece, Wanted, add_calls, guide},
};

/// Finds out which tokens may follow in the answer to a prompt; none where all may.
///
/// # Errors
/// [`Error::BadInput`](crate::Error::BadInput) where a grammar or a tool's schema cannot be expressed.
pub(super) fn constraint(
    tokenizer: &Tokenizer,
    prompt: Prompt<'_>,
    options: &CompletionOptions,
) -> Result<Option<Box<dyn Constraint>>> {
    let wanted = Wanted {
        reasoning: prompt.reasoning,
        tools: prompt.tools,
        grammar: options.grammar.as_ref(),
        budget: options.reasoning_budget,
    };
    guide(tokenizer, &wanted)
}

/// A completion that is not whole yet.
pub(super) struct Answer<'a> {
    pub completion: Completion,
    tokenizer: &'a Tokenizer,
    said: Apart<'a>,
    ignore_end: bool,
    start: Instant,
    /// Times of the first token that was sampled and of the last.
    sampled: Option<(Instant, Instant)>,
}

impl<'a> Answer<'a> {
    /// A completion of a prompt, with the tokens of it that were sampled before. `start`: the time at which it was asked for.
    pub fn new(
        tokenizer: &'a Tokenizer,
        prompt: Prompt<'_>,
        options: &CompletionOptions,
        start: Instant,
    ) -> Answer<'a> {
        let mut answer = Answer {
            completion: Completion {
                text: String::new(),
                reasoning: String::new(),
                tool_calls: Vec::new(),
                tokens: prompt.sampled.to_vec(),
                finish_reason: FinishReason::Aborted,
                stop: None,
                usage: Usage::default(),
                timings: Timings::default(),
            },
            tokenizer,
            said: Apart::new(
                tokenizer,
                Marks {
                    reasoning: prompt.reasoning,
                    tools: prompt.tools.cloned(),
                },
                options.stop.clone(),
                options.thoughts_in_text,
            ),
            ignore_end: options.ignore_end,
            start,
            sampled: None,
        };
        for &token in prompt.sampled {
            let piece = answer.said.push(token);
            answer.add(piece);
        }
        answer
    }

    /// Whether a stop string has appeared.
    pub fn stopped(&self) -> bool {
        self.said.stopped()
    }

    /// Takes a token that was sampled: what is certain with it, and why it ends the completion, if it does.
    pub fn push(&mut self, token: u32) -> (Piece, Option<FinishReason>) {
        let now = Instant::now();
        let first = self.sampled.map_or(now, |(first, _)| first);
        self.sampled = Some((first, now));
        self.completion.tokens.push(token);
        self.completion.usage.sampled_tokens += 1;
        let end = self.tokenizer.is_end(token) && !self.ignore_end;
        let piece = if end {
            Piece::default()
        } else {
            self.said.push(token)
        };
        let ended = (end || self.stopped()).then_some(FinishReason::Stop);
        (self.add(piece), ended)
    }

    /// Ends the completion: what was held back until now.
    pub fn finish(&mut self, reason: FinishReason) -> Piece {
        self.completion.finish_reason = reason;
        self.completion.stop = self.said.stop().map(str::to_owned);
        if let Some((first, last)) = self.sampled {
            let timings = &mut self.completion.timings;
            timings.first_token = Some(first.duration_since(self.start));
            timings.decode = last.duration_since(first);
        }
        let piece = self.said.finish();
        self.add(piece)
    }

    /// Tells of the piece that was added last, until `each` breaks: of the token that it came with, or else of what was held
    /// back until the end, and then of its calls.
    pub fn tell(
        &self,
        piece: &Piece,
        token: Option<u32>,
        each: &mut dyn FnMut(CompletionEvent<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let (text, reasoning) = (piece.text.as_str(), piece.reasoning.as_str());
        match token {
            Some(token) => each(CompletionEvent::Token {
                token,
                text,
                reasoning,
            })?,
            None if piece.is_empty() => return ControlFlow::Continue(()),
            None => each(CompletionEvent::Rest { text, reasoning })?,
        }
        let names = |one: &&CallPiece| matches!(one, CallPiece::Name(_));
        let mut count = self.completion.tool_calls.len() - piece.calls.iter().filter(names).count();
        for call in &piece.calls {
            let (name, arguments) = match call {
                CallPiece::Name(name) => (name.as_str(), ""),
                CallPiece::Arguments(text) => ("", text.as_str()),
            };
            count += usize::from(!name.is_empty());
            each(CompletionEvent::ToolCall {
                index: count - 1,
                name,
                arguments,
            })?;
        }
        ControlFlow::Continue(())
    }

    fn add(&mut self, piece: Piece) -> Piece {
        self.completion.text += &piece.text;
        self.completion.reasoning += &piece.reasoning;
        add_calls(&mut self.completion.tool_calls, &piece.calls);
        piece
    }
}
