//! Generating: the GPU samples a token, makes it its own next input and moves on; the CPU only reads what was sampled.

use std::ops::ControlFlow;

use lantern_kernels::{bytes_of_params, sample::IN_PROMPT};
use serde::Serialize;
use web_time::Instant;

use super::{RING, Session, sampler::SamplerOptions};
use crate::{
    Result,
    plan::{dispatch::Slot, run::CompiledPlan},
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
}

impl Session {
    /// Samples up to `count` tokens after the last one; `each(token)` sees every one as it comes, and breaking it stops
    /// after it. Each sampled token becomes part of the session. How many are sampled for one reading from the GPU is
    /// [`Session::set_tokens_per_readback`]'s; it changes nothing about which.
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
        self.compute_pending().await?;
        let last = self.cached - 1;
        self.write_rows(self.tokens[last..].iter().copied(), last, 0);
        let by_chance = !sampler.is_greedy();
        if by_chance {
            let params = sampler.params(self.model.config.vocab_size);
            self.sample
                .set_params(&self.model.gpu, 0, &bytes_of_params(&params));
            self.mark_seen();
        }
        let sample = if by_chance {
            &self.sample
        } else {
            &self.greedy
        };
        let mut number = 0;
        while number < count {
            let room = (self.model.context - self.tokens.len()).min(count - number);
            let together = match self.model.stream {
                Some(_) => 1, // what streams comes between two
                None => self.batching.batch(number),
            };
            let batch = together.min(room);
            let start = Instant::now();
            let sampled = self.step(sample, number, batch).await?;
            self.written = self.written.max(self.tokens.len() - 1 + batch);
            if number > 0 {
                self.batching.learn(batch, start.elapsed().as_secs_f64());
            }
            for token in sampled {
                self.cached = self.tokens.len();
                self.tokens.push(token);
                self.sampled.push(true);
                self.fresh = false;
                number += 1;
                // What the batch holds beyond is forgotten: the next pass writes over its cells in the cache.
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

    /// One pass, one submission and one read-back; the `batch` tokens that it sampled, `number` were sampled before.
    async fn step(&self, sample: &CompiledPlan, number: usize, batch: usize) -> Result<Vec<u32>> {
        let gpu = &self.model.gpu;
        let first = self.tokens.len() - 1; // the position of the last token
        let streams = self.model.stream.is_some();
        if streams && number > 0 {
            self.upload_rows(&self.tokens[first..], first, number)
                .await?;
            let plans = [(self.decode_at(first), 1)];
            self.run(&plans, first, u64::MAX).await?;
        }
        let mut encoder = gpu.encoder();
        let mut plans = Vec::new();
        for position in first..first + batch {
            // The first is sampled from the logits that are there.
            let there = streams || number == 0 && position == first;
            plans.extend((!there).then(|| (self.decode_at(position), 1)));
            plans.push((sample, 1));
        }
        gpu.pass(&mut encoder, &plans);
        let (ring, readback) = (self.buffers.slot(Slot::Sampled), &self.buffers.readback);
        let start = (number % RING) as u64 * 4;
        encoder.copy_buffer_to_buffer(&ring.raw, start, &readback.raw, 0, batch as u64 * 4);
        gpu.submit(encoder);
        gpu.map_words(readback, batch).await
    }

    /// Tells the sampler which tokens there were.
    fn mark_seen(&self) {
        let mut seen = vec![0u32; self.model.config.vocab_size as usize];
        for (&token, &sampled) in self.tokens.iter().zip(&self.sampled) {
            let times = &mut seen[token as usize];
            *times = if sampled {
                *times + 1
            } else {
                *times | IN_PROMPT
            };
        }
        let buffer = &self.buffers.slot(Slot::Seen).raw;
        self.model
            .gpu
            .queue
            .write_buffer(buffer, 0, bytemuck::cast_slice(&seen));
    }
}
