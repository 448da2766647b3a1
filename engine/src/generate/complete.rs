//! One completion: what of the prompt is new is prefilled, then tokens are sampled until something ends it.

use std::{ops::ControlFlow, time::Duration};

use web_time::Instant;

use crate::{
    Constraint, Error, FinishReason, Grammar, Reasoning, Result, SamplerOptions, Session,
    TextStream, Tokenizer,
    text::{Thoughts, joined},
};

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
}

impl<'a> From<&'a [u32]> for Prompt<'a> {
    fn from(tokens: &'a [u32]) -> Self {
        Prompt {
            tokens,
            sampled: &[],
            reasoning: None,
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
    /// All of its tokens, the one that ended it included.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
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

/// Hears of a completion as it goes on; breaking ends it.
type Each<'a> = dyn FnMut(CompletionEvent<'_>) -> ControlFlow<()> + 'a;

impl Session {
    /// Completes a prompt. What the session holds of it is kept: it goes back to where the two differ and prefills the
    /// rest. `each` hears of the progress; breaking it ends the completion as [`FinishReason::Aborted`].
    ///
    /// # Errors
    /// [`Error::ContextFull`] and [`Error::BadInput`] before any work, for a grammar that is none above all, and whatever the
    /// device reports.
    pub async fn complete(
        &mut self,
        tokenizer: &Tokenizer,
        prompt: Prompt<'_>,
        options: &CompletionOptions,
        each: &mut Each<'_>,
    ) -> Result<Completion> {
        options.sampler.validate()?;
        let grammar = options.grammar.as_ref();
        let constraint = grammar.map(|grammar| tokenizer.constraint(grammar));
        let mut constraint = constraint.transpose()?;
        for &token in prompt.sampled {
            constraint
                .as_mut()
                .map_or(Ok(()), |one| one.accept(token))?;
        }
        let start = Instant::now();
        let mut completion = Completion {
            text: String::new(),
            reasoning: String::new(),
            tokens: prompt.sampled.to_vec(),
            finish_reason: FinishReason::Aborted,
            usage: Usage::default(),
            timings: Timings::default(),
        };
        match self.prefill_new(prompt, &mut completion.usage, each).await {
            Err(Error::Aborted) => return Ok(completion),
            prefilled => prefilled?,
        }
        completion.timings.prefill = start.elapsed();
        let already = prompt.sampled.len();
        let left = options.max_tokens.map(|max| max.saturating_sub(already));
        let sampling = Sampling {
            tokenizer,
            reasoning: prompt.reasoning,
            options,
            start,
            // Without a limit the context's end is the limit: asking for as many tokens as it holds always reaches it.
            count: left.unwrap_or(usize::MAX).min(self.context()),
        };
        sampling
            .run(self, constraint, &mut completion, each)
            .await?;
        Ok(completion)
    }

    /// Prefills what the session does not hold; at least the last token, whose logits the next is sampled from.
    async fn prefill_new(
        &mut self,
        prompt: Prompt<'_>,
        usage: &mut Usage,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let all = [prompt.tokens, prompt.sampled].concat();
        let context = self.context();
        if all.len() > context {
            let tokens = all.len();
            return Err(Error::ContextFull { tokens, context });
        }
        usage.prompt_tokens = prompt.tokens.len();
        usage.cached_tokens = common_prefix(&all, self.tokens());
        usage.prefilled_tokens = all.len() - usage.cached_tokens;
        self.rewind(usage.cached_tokens)?;
        let mut progress = |done, total| each(CompletionEvent::Prefill { done, total });
        let new = &all[usage.cached_tokens..];
        self.prefill(new, &mut progress).await?;
        self.mark_sampled(prompt.tokens.len());
        Ok(())
    }
}

/// Tokens that a session can keep. At least one is left to prefill: the logits come from the last one.
fn common_prefix(tokens: &[u32], held: &[u32]) -> usize {
    let pairs = tokens.iter().zip(held);
    let same = pairs.take_while(|(new, old)| new == old).count();
    same.min(tokens.len().saturating_sub(1))
}

/// How the tokens of one completion are sampled.
struct Sampling<'a> {
    tokenizer: &'a Tokenizer,
    reasoning: Option<Reasoning>,
    options: &'a CompletionOptions,
    start: Instant,
    /// Tokens at most.
    count: usize,
}

impl Sampling<'_> {
    async fn run(
        &self,
        session: &mut Session,
        constraint: Option<Box<dyn Constraint>>,
        completion: &mut Completion,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let tokenizer = self.tokenizer;
        let mut said = Said::new(tokenizer, self.reasoning, self.options);
        for &token in &completion.tokens {
            let (reasoning, text) = said.push(token);
            completion.reasoning += &reasoning;
            completion.text += &text;
        }
        let (mut first, mut last) = (None, None);
        let stopped = said.stream.stopped(); // by what was sampled before
        let mut reason = stopped.then_some(FinishReason::Stop);
        let mut sampled = |token: u32| {
            last = Some(Instant::now());
            first = first.or(last);
            completion.tokens.push(token);
            completion.usage.sampled_tokens += 1;
            let end = tokenizer.is_end(token) && !self.options.ignore_end;
            let (reasoning, text) = if end {
                Default::default()
            } else {
                said.push(token)
            };
            completion.reasoning += &reasoning;
            completion.text += &text;
            let (text, reasoning) = (text.as_str(), reasoning.as_str());
            let told = each(CompletionEvent::Token {
                token,
                text,
                reasoning,
            });
            reason = if end || said.stream.stopped() {
                Some(FinishReason::Stop)
            } else {
                told.is_break().then_some(FinishReason::Aborted)
            };
            match reason {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        };
        let count = if stopped { 0 } else { self.count };
        let sampler = &self.options.sampler;
        let generated = match constraint {
            None => session.generate(count, sampler, &mut sampled).await?,
            Some(mut constraint) => {
                let constraint = &mut *constraint;
                session
                    .generate_constrained(count, sampler, constraint, &mut sampled)
                    .await?
            }
        };
        completion.finish_reason = reason.unwrap_or(generated);
        if let (Some(first), Some(last)) = (first, last) {
            completion.timings.first_token = Some(first.duration_since(self.start));
            completion.timings.decode = last.duration_since(first);
        }
        let (reasoning, text) = said.finish();
        completion.reasoning += &reasoning;
        completion.text += &text;
        if !(reasoning.is_empty() && text.is_empty()) {
            let (text, reasoning) = (text.as_str(), reasoning.as_str());
            let _ = each(CompletionEvent::Rest { text, reasoning }); // nothing is left to stop
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_is_always_left_to_prefill() {
        assert_eq!(common_prefix(&[1, 2, 3], &[1, 2, 4, 5]), 2);
        assert_eq!(common_prefix(&[1, 2, 3], &[1, 2, 3, 4]), 2);
        assert_eq!(common_prefix(&[1, 2, 3], &[]), 0);
        assert_eq!(common_prefix(&[], &[1]), 0);
    }

    #[test]
    fn rates_without_work_are_zero() {
        assert!(per_second(0, Duration::ZERO).abs() < f64::EPSILON);
        assert!((per_second(3, Duration::from_secs(2)) - 1.5).abs() < 1e-12);
    }
}
