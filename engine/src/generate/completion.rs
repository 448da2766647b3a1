//! Completions: what is asked for, how it goes on, and what it is in the end.

use std::time::Duration;

use crate::{FinishReason, Grammar, Reasoning, SamplerOptions, ToolCall, Tools};

/// Options of a completion: how tokens are sampled, and what ends it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct CompletionOptions {
    /// The sampler.
    pub sampler: SamplerOptions,
    /// Tokens at most; none: until the text ends or the context is full.
    pub max_tokens: Option<usize>,
    /// Texts that end the completion, and are no part of it.
    pub stop: Vec<String>,
    /// End tokens are tokens like any other, and end nothing.
    pub ignore_end: bool,
    /// Texts of control tokens (`<|im_end|>`) in prompts and messages are those tokens; else they are text.
    pub special: bool,
    /// Form that the completion must have.
    pub grammar: Option<Grammar>,
    /// Thoughts stay in the text, with their marks, and are not split off.
    pub thoughts_in_text: bool,
    /// Tokens that thoughts may have, after which they are closed; none: as many as they like.
    pub reasoning_budget: Option<usize>,
}

impl CompletionOptions {
    /// Samples in this way.
    #[must_use]
    pub fn sampler(mut self, sampler: SamplerOptions) -> Self {
        self.sampler = sampler;
        self
    }

    /// Ends after so many tokens at most.
    #[must_use]
    pub fn max_tokens(mut self, tokens: impl Into<Option<usize>>) -> Self {
        self.max_tokens = tokens.into();
        self
    }

    /// Ends before this text, too; it is never returned, nor any part of it.
    #[must_use]
    pub fn stop(mut self, text: impl Into<String>) -> Self {
        self.stop.push(text.into());
        self
    }

    /// Goes on after end tokens.
    #[must_use]
    pub fn ignore_end(mut self, ignore: bool) -> Self {
        self.ignore_end = ignore;
        self
    }

    /// Lets the completion be only what the grammar says; none: anything.
    #[must_use]
    pub fn grammar(mut self, grammar: impl Into<Option<Grammar>>) -> Self {
        self.grammar = grammar.into();
        self
    }

    /// Takes texts of control tokens in prompts and messages for those tokens.
    #[must_use]
    pub fn special(mut self, special: bool) -> Self {
        self.special = special;
        self
    }

    /// Closes thoughts after so many tokens.
    #[must_use]
    pub fn reasoning_budget(mut self, tokens: impl Into<Option<usize>>) -> Self {
        self.reasoning_budget = tokens.into();
        self
    }

    /// Leaves thoughts in the text, as the model says them.
    #[must_use]
    pub fn thoughts_in_text(mut self, stay: bool) -> Self {
        self.thoughts_in_text = stay;
        self
    }
}

/// Tokens to complete.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// The prompt.
    pub tokens: &'a [u32],
    /// Tokens of the same completion that were sampled before, in a session that is lost; usually none.
    pub sampled: &'a [u32],
    /// How thoughts are marked, which are then split off ([`ChatTemplate::reasoning`](crate::ChatTemplate::reasoning)); none
    /// where no chat template made the prompt.
    pub reasoning: Option<Reasoning>,
    /// Tools that the answer may call, or has to ([`ChatTemplate::tools`](crate::ChatTemplate::tools)).
    pub tools: Option<&'a Tools>,
}

impl<'a> From<&'a [u32]> for Prompt<'a> {
    fn from(tokens: &'a [u32]) -> Self {
        Prompt {
            tokens,
            sampled: &[],
            reasoning: None,
            tools: None,
        }
    }
}

/// Progress of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletionEvent<'a> {
    /// So many of the prompt's tokens that the session did not hold are computed.
    Prefill {
        /// Tokens that are done.
        done: usize,
        /// Tokens to do.
        total: usize,
    },
    /// A token was sampled.
    Token {
        /// Its id.
        token: u32,
        /// Text that is certain since the last token; empty for end tokens, and while a character or what may be the
        /// start of a stop string or of a mark is not whole.
        text: &'a str,
        /// Thoughts that are certain since the last token; they come before `text`.
        reasoning: &'a str,
    },
    /// A piece of a call of a tool. Calls come after the text, one after the other.
    ToolCall {
        /// The number of the call in the answer.
        index: usize,
        /// The name of the tool, with the first piece of its call; else empty.
        name: &'a str,
        /// Arguments that are certain since the last piece: with those before them a JSON object, in the end.
        arguments: &'a str,
    },
    /// Text and thoughts that were held back until the end. Nothing is left to stop.
    Rest {
        /// Text.
        text: &'a str,
        /// Thoughts.
        reasoning: &'a str,
    },
}

/// Tokens of a completion, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens that the session held already, of the prompt and of what was sampled before.
    pub cached_tokens: usize,
    /// Tokens that were prefilled.
    pub prefilled_tokens: usize,
    /// Tokens that were sampled now.
    pub sampled_tokens: usize,
}

/// Times of a completion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Time of prefill.
    pub prefill: Duration,
    /// From the start of prefill to the first token sampled.
    pub first_token: Option<Duration>,
    /// From the first token sampled to the last; the first costs no pass of its own.
    pub decode: Duration,
}

/// Result of a completion.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Completion {
    /// Its text, without end tokens and stop strings: the answer, where thoughts are split off.
    pub text: String,
    /// Thoughts on the way to it, without their marks.
    pub reasoning: String,
    /// Calls of tools, where the prompt had some.
    pub tool_calls: Vec<ToolCall>,
    /// All of its tokens, the one that ended it included.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The stop string that ended it.
    pub stop: Option<String>,
    /// Tokens, counted.
    pub usage: Usage,
    /// How long it took.
    pub timings: Timings,
}

impl Completion {
    /// Tokens a second after the first one sampled; 0 where there is no second.
    pub fn decode_rate(&self) -> f64 {
        per_second(
            self.usage.sampled_tokens.saturating_sub(1),
            self.timings.decode,
        )
    }

    /// Tokens prefilled a second; 0 where there were none.
    pub fn prefill_rate(&self) -> f64 {
        per_second(self.usage.prefilled_tokens, self.timings.prefill)
    }
}

fn per_second(count: usize, duration: Duration) -> f64 {
    if count == 0 {
        0.0
    } else {
        count as f64 / duration.as_secs_f64().max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_without_work_are_zero() {
        assert!(per_second(0, Duration::ZERO).abs() < f64::EPSILON);
        assert!((per_second(3, Duration::from_secs(2)) - 1.5).abs() < 1e-12);
    }
}
