//! Generating: the GPU samples a token, makes it its own next input and moves on; the CPU only reads what was sampled.

use std::ops::ControlFlow;

use lantern_kernels::argmax::{NOT_FINITE, RING};
use serde::Serialize;
use web_time::Instant;

use super::{Session, prefill::not_finite, sampler::SamplerOptions};
use crate::{
    Result,
    graph::Purpose,
    plan::run::{CompiledPlan, Segment},
};

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinishReason {
    /// As many tokens as asked for were sampled.
    Length,
    /// The caller stopped it: an end token, a stop string.
    Stop,
    /// The context has no room for another token.
    ContextFull,
    /// The caller gave up on it; [`Session::generate`] itself calls that a stop.
    Aborted,
}

impl Session {
    /// Samples up to `count` tokens after the last one; `each(token)` sees every one as it comes, and breaking it stops
    /// after it. Each sampled token becomes part of the session. How many are sampled for one reading from the GPU is
    /// [`Session::set_tokens_per_readback`]'s; it changes nothing about which.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite) where there is nothing to sample.
    pub async fn generate(
        &mut self,
        count: usize,
        sampler: &SamplerOptions,
        each: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<FinishReason> {
        sampler.validate()?;
        if count == 0 {
            return Ok(FinishReason::Length);
        }
        if self.tokens.len() >= self.model.context {
            return Ok(FinishReason::ContextFull);
        }
        self.token_plans()?;
        self.compute_pending().await?;
        self.write_rows(self.cached - 1, 1).await?;
        let by_chance = !sampler.is_greedy();
        if by_chance {
            self.write_sampler(sampler, false)?;
        }
        let mut number = 0;
        while number < count {
            let room = (self.model.context - self.tokens.len()).min(count - number);
            let together = if self.model.layout.looks_up() {
                1 // rows of tables come between two
            } else {
                self.batching.batch(number)
            };
            let batch = together.min(room);
            let start = Instant::now();
            let sampled = self.step(by_chance, number, batch).await?;
            self.written = self.written.max(self.tokens.len() - 1 + batch);
            if number > 0 {
                self.batching.learn(batch, start.elapsed().as_secs_f64());
            }
            for token in sampled {
                if token == NOT_FINITE {
                    return Err(not_finite(self.tokens.len()));
                }
                self.cached = self.tokens.len();
                self.tokens.push(token);
                self.sampled.push(true);
                self.decoded.push(true);
                self.fresh = false;
                number += 1;
                // What the batch holds beyond is forgotten: the next pass writes over its cells, and recurrent states are
                // taken back to where the batch began.
                if each(token).is_break() {
                    return Ok(FinishReason::Stop);
                }
            }
            if self.tokens.len() == self.model.context && number < count {
                return Ok(FinishReason::ContextFull);
            }
        }
        Ok(FinishReason::Length)
    }

    /// Writes how tokens are sampled, and what was seen.
    pub(super) fn write_sampler(&self, sampler: &SamplerOptions, has_grammar: bool) -> Result<()> {
        let held = self.tokens.iter().copied();
        let held = held.zip(self.sampled.iter().copied());
        let (gpu, sampling) = (&self.model.gpu, &self.memory.sampling);
        sampling.write(gpu, 0, (sampler, has_grammar), held)
    }

    /// One pass, one submission and one read-back; the `batch` tokens that it sampled, after `number` before them.
    async fn step(&mut self, by_chance: bool, number: usize, batch: usize) -> Result<Vec<u32>> {
        let first = self.tokens.len() - 1; // the position of the last token
        let looks_up = self.model.layout.looks_up();
        if looks_up && number > 0 {
            self.decode_looked_up(number).await?;
        }
        let model = self.model.clone();
        let mut commands = model.gpu.commands();
        if batch > 1 {
            // The batch may be stopped within.
            self.memory.states.keep(&mut commands, Purpose::Batch, None);
        }
        let tokens = self.token_plans()?;
        let sample: &CompiledPlan = if by_chance {
            &tokens.sample
        } else {
            &tokens.greedy
        };
        let mut pass = commands.pass();
        for position in first..first + batch {
            // The first is sampled from the logits that are there.
            let there = looks_up || number == 0 && position == first;
            if !there {
                self.decode_at(position).record(&mut pass, 1);
            }
            sample.record(&mut pass, 1);
        }
        drop(pass);
        let (ring, readback) = (&self.memory.sampling.sampled, &self.memory.readback);
        let start = (number % RING as usize) as u64 * 4;
        commands.copy((ring, start), (readback, 0), batch as u64 * 4);
        commands.submit();
        self.memory.states.set_seen(first + batch);
        self.model.gpu.map_words(&self.memory.readback, batch).await
    }

    /// Computes the last token where what it looks up comes from the file. `sampled`: tokens sampled since the prompt.
    pub(super) async fn decode_looked_up(&self, sampled: usize) -> Result<()> {
        let last = self.tokens.len() - 1;
        self.write_rows_after(last, 1, sampled).await?;
        let segments = [Segment::whole(self.decode_at(last), 1)];
        self.run(&segments, last, u64::MAX).await?;
        Ok(())
    }

    /// Samples after the last `rows` rows, for each of which so many tokens were `sampled`, and reads those tokens; none
    /// where the logits are not finite.
    pub(super) async fn sample(
        &self,
        plan: &CompiledPlan,
        rows: usize,
        sampled: usize,
    ) -> Result<Vec<Option<u32>>> {
        let gpu = &self.model.gpu;
        let mut commands = gpu.commands();
        let mut pass = commands.pass();
        plan.record(&mut pass, rows as u32);
        drop(pass);
        let (ring, readback) = (&self.memory.sampling.sampled, &self.memory.readback);
        let place = sampled % RING as usize;
        for row in 0..rows {
            let start = (row * RING as usize + place) as u64 * 4;
            commands.copy((ring, start), (readback, row as u64 * 4), 4);
        }
        commands.submit();
        let words = gpu.map_words(readback, rows).await?;
        let finite = |token| Some(token).filter(|&token| token != NOT_FINITE);
        Ok(words.into_iter().map(finite).collect())
    }
}
