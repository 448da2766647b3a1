//! A completion as its tokens come: text and thoughts apart, and what ends it.

use web_time::Instant;

use super::completion::{Completion, CompletionOptions, Prompt, Timings, Usage};
use crate::{
    FinishReason, Reasoning, TextStream, Tokenizer,
    text::{Thoughts, joined},
};

/// A completion that is not whole yet.
pub(super) struct Answer<'a> {
    pub completion: Completion,
    tokenizer: &'a Tokenizer,
    said: Said<'a>,
    ignore_end: bool,
    start: Instant,
    /// Times of the first token that was sampled and of the last.
    sampled: Option<(Instant, Instant)>,
}

/// Text and thoughts that are certain.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub text: String,
    pub reasoning: String,
}

impl Piece {
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.reasoning.is_empty()
    }
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
                tokens: prompt.sampled.to_vec(),
                finish_reason: FinishReason::Aborted,
                usage: Usage::default(),
                timings: Timings::default(),
            },
            tokenizer,
            said: Said::new(tokenizer, prompt.reasoning, options),
            ignore_end: options.ignore_end,
            start,
            sampled: None,
        };
        for &token in prompt.sampled {
            let (reasoning, text) = answer.said.push(token);
            answer.add(Piece { text, reasoning });
        }
        answer
    }

    /// Whether a stop string has appeared.
    pub fn stopped(&self) -> bool {
        self.said.stream.stopped()
    }

    /// Takes a token that was sampled: what is certain with it, and why it ends the completion, if it does.
    pub fn push(&mut self, token: u32) -> (Piece, Option<FinishReason>) {
        let now = Instant::now();
        let first = self.sampled.map_or(now, |(first, _)| first);
        self.sampled = Some((first, now));
        self.completion.tokens.push(token);
        self.completion.usage.sampled_tokens += 1;
        let end = self.tokenizer.is_end(token) && !self.ignore_end;
        let (reasoning, text) = if end {
            Default::default()
        } else {
            self.said.push(token)
        };
        let ended = (end || self.stopped()).then_some(FinishReason::Stop);
        (self.add(Piece { text, reasoning }), ended)
    }

    /// Ends the completion: what was held back until now.
    pub fn finish(&mut self, reason: FinishReason) -> Piece {
        self.completion.finish_reason = reason;
        if let Some((first, last)) = self.sampled {
            let timings = &mut self.completion.timings;
            timings.first_token = Some(first.duration_since(self.start));
            timings.decode = last.duration_since(first);
        }
        let (reasoning, text) = self.said.finish();
        self.add(Piece { text, reasoning })
    }

    fn add(&mut self, piece: Piece) -> Piece {
        self.completion.text += &piece.text;
        self.completion.reasoning += &piece.reasoning;
        piece
    }
}

/// Tokens as what a model says with them: thoughts and text.
struct Said<'a> {
    tokenizer: &'a Tokenizer,
    stream: TextStream<'a>,
    reasoning: Option<Reasoning>,
    /// None where thoughts stay in the text.
    thoughts: Option<Thoughts>,
}

impl<'a> Said<'a> {
    fn new(
        tokenizer: &'a Tokenizer,
        reasoning: Option<Reasoning>,
        options: &CompletionOptions,
    ) -> Said<'a> {
        let apart = reasoning.filter(|_| !options.thoughts_in_text);
        Said {
            tokenizer,
            stream: TextStream::new(tokenizer, options.stop.clone()),
            reasoning,
            thoughts: apart.map(Thoughts::new),
        }
    }

    /// Thoughts and text that are certain with this token.
    fn push(&mut self, token: u32) -> (String, String) {
        let mark = self.tokenizer.text(token).is_some_and(|text| {
            let reasoning = self.reasoning.as_ref();
            reasoning.is_some_and(|reasoning| reasoning.says(text))
        });
        if self.tokenizer.is_special(token) && !mark {
            return Default::default();
        }
        let text = self.stream.push(token);
        match &mut self.thoughts {
            Some(thoughts) => joined(thoughts.push(&text)),
            None => (String::new(), text),
        }
    }

    /// Thoughts and text that were held back.
    fn finish(&mut self) -> (String, String) {
        let text = self.stream.finish();
        match &mut self.thoughts {
            Some(thoughts) => joined([thoughts.push(&text), thoughts.finish()].concat()),
            None => (String::new(), text),
        }
    }
}
