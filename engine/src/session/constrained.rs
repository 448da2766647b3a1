//! Generating what a constraint allows: which tokens may follow depends on the one before, so each is read by itself. The GPU
//! computes a token's pass while the CPU finds out what may follow it.

use std::ops::ControlFlow;

use lantern_kernels::argmax::{NOT_FINITE, RING};

use super::{Session, decode::FinishReason, prefill::not_finite, sampler::SamplerOptions};
use crate::{
    Result,
    plan::run::Segment,
    text::{Constraint, Next},
};

impl Session {
    /// Generates as [`Session::generate`] does, but only tokens that `constraint` allows. Tokens that it forces are computed
    /// together. Where it allows no more, that is a [`FinishReason::Stop`].
    ///
    /// # Errors
    /// As [`Session::generate`], and the constraint's.
    pub async fn generate_constrained(
        &mut self,
        count: usize,
        sampler: &SamplerOptions,
        constraint: &mut dyn Constraint,
        each: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<FinishReason> {
        sampler.validate()?;
        if count == 0 {
            return Ok(FinishReason::Length);
        }
        self.token_plans()?;
        self.compute_pending().await?;
        self.write_rows(self.cached - 1, 1).await?;
        self.write_sampler(sampler, true)?;
        // Tokens that were sampled since the CPU wrote the rows; none: it is to write them before the next pass.
        let mut sampled = Some(0);
        let mut number = 0;
        while number < count {
            if self.tokens.len() >= self.model.context {
                return Ok(FinishReason::ContextFull);
            }
            sampled = Some(self.compute_last(sampled).await?);
            let tokens = match constraint.next()? {
                Next::End => return Ok(FinishReason::Stop),
                Next::Forced(tokens) => {
                    sampled = None;
                    tokens
                }
                allowed => {
                    self.write_allowed(&allowed);
                    let place = sampled.unwrap_or_default();
                    sampled = Some(place + 1);
                    vec![self.sample_one(place).await?]
                }
            };
            let room = (self.model.context - self.tokens.len()).min(count - number);
            let alone = tokens.len() == 1;
            for &token in tokens.iter().take(room) {
                constraint.accept(token)?;
                self.push_tokens(&[token], alone);
                self.mark_sampled(self.tokens.len() - 1);
                self.fresh = false;
                number += 1;
                if each(token).is_break() {
                    return Ok(FinishReason::Stop);
                }
            }
        }
        Ok(FinishReason::Length)
    }

    /// Computes what the states have not seen, so that the next token can be sampled. `sampled`: how many were since the CPU
    /// wrote the rows, of which the last is the row on the GPU; where there is none, the CPU writes it. Returns the number of
    /// tokens that the rows say were sampled.
    async fn compute_last(&mut self, sampled: Option<usize>) -> Result<usize> {
        let held = self.tokens.len();
        if self.cached == held {
            return Ok(sampled.unwrap_or_default());
        }
        let Some(sampled) = sampled else {
            self.compute_pending().await?;
            return Ok(0);
        };
        let first = held - 1;
        if self.model.layout.looks_up() {
            self.write_rows_after(first, 1, sampled).await?;
            let segments = [Segment::whole(self.decode_at(first), 1)];
            self.run(&segments, first, u64::MAX).await?;
        } else {
            let model = self.model.clone();
            let mut commands = model.gpu.commands();
            let mut pass = commands.pass();
            self.decode_at(first).record(&mut pass, 1);
            drop(pass);
            commands.submit();
        }
        self.memory.states.set_seen(held);
        (self.cached, self.fresh) = (held, true);
        self.written = self.written.max(held);
        Ok(sampled)
    }

    /// Writes which tokens may be sampled next.
    fn write_allowed(&self, allowed: &Next<'_>) {
        let (gpu, sampling) = (&self.model.gpu, &self.memory.sampling);
        match allowed {
            Next::Among(allowed) => sampling.write_allowed(gpu, 0, allowed),
            _ => sampling.allow_all(gpu, 0),
        }
    }

    /// Samples a token from the logits that are there, the one after `sampled` others.
    async fn sample_one(&mut self, sampled: usize) -> Result<u32> {
        let model = self.model.clone();
        let mut commands = model.gpu.commands();
        let mut pass = commands.pass();
        self.token_plans()?.sample.record(&mut pass, 1);
        drop(pass);
        let (ring, readback) = (&self.memory.sampling.sampled, &self.memory.readback);
        let start = (sampled % RING as usize) as u64 * 4;
        commands.copy((ring, start), (readback, 0), 4);
        commands.submit();
        let words = model.gpu.map_words(readback, 1).await?;
        match words[0] {
            NOT_FINITE => Err(not_finite(self.tokens.len())),
            token => Ok(token),
        }
    }
}
