//! One completion: what of the prompt is new is prefilled, then tokens are sampled until something ends it.

use std::ops::ControlFlow;

use web_time::Instant;

use super::{
    answer::{self, Answer},
    completion::{Completion, CompletionEvent, CompletionOptions, Prompt, Usage},
};
use crate::{Constraint, Error, FinishReason, Result, Session, Tokenizer};

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
        let mut constraint = answer::constraint(tokenizer, prompt, options)?;
        for &token in prompt.sampled {
            constraint
                .as_mut()
                .map_or(Ok(()), |one| one.accept(token))?;
        }
        let start = Instant::now();
        let mut answer = Answer::new(tokenizer, prompt, options, start);
        let usage = &mut answer.completion.usage;
        match self.prefill_new(prompt, usage, each).await {
            Err(Error::Aborted) => return Ok(answer.completion),
            prefilled => prefilled?,
        }
        answer.completion.timings.prefill = start.elapsed();
        let already = prompt.sampled.len();
        let left = options.max_tokens.map(|max| max.saturating_sub(already));
        let sampling = Sampling {
            options,
            // Without a limit the context's end is the limit: asking for as many tokens as it holds always reaches it.
            count: left.unwrap_or(usize::MAX).min(self.context()),
        };
        sampling.run(self, constraint, &mut answer, each).await?;
        Ok(answer.completion)
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
    options: &'a CompletionOptions,
    /// Tokens at most.
    count: usize,
}

impl Sampling<'_> {
    async fn run(
        &self,
        session: &mut Session,
        constraint: Option<Box<dyn Constraint>>,
        answer: &mut Answer<'_>,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let stopped = answer.stopped(); // by what was sampled before
        let mut reason = stopped.then_some(FinishReason::Stop);
        let mut sampled = |token: u32| {
            let (piece, ended) = answer.push(token);
            let told = answer.tell(&piece, Some(token), each);
            reason = ended.or(told.is_break().then_some(FinishReason::Aborted));
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
        let rest = answer.finish(reason.unwrap_or(generated));
        let _ = answer.tell(&rest, None, each); // nothing is left to stop
        Ok(())
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
}
