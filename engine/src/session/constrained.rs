//! Generating what a constraint allows: which tokens may follow depends on the one before, so each is read by itself. The GPU
//! computes a token's pass while the CPU finds out what may follow it.

use std::ops::ControlFlow;

use super::{Session, decode::FinishReason, prefill::not_finite, sampler::SamplerOptions};
use crate::{
    Result,
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
                    let (gpu, sampling) = (&self.model.gpu, &self.memory.sampling);
                    sampling.allow(gpu, 0, &allowed);
                    let place = sampled.unwrap_or_default();
                    sampled = Some(place + 1);
                    let plan = &self.token_plans()?.sample;
                    let token = self.sample(plan, 1, place).await?[0];
                    vec![token.ok_or_else(|| not_finite(self.tokens.len()))?]
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
            self.decode_looked_up(sampled).await?;
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
}
