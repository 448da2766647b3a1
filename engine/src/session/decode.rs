//! Generating: the GPU draws a token, makes it its own next input and moves on; the CPU only reads what was drawn.

use std::ops::ControlFlow;

use lantern_kernels::{bytes_of_params, sample::IN_PROMPT};
use serde::Serialize;

use super::{RING, Session, sampler::SamplerOptions};
use crate::{
    Result,
    plan::{dispatch::Slot, run::Prepared},
};

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Generated {
    /// As many tokens as asked for were drawn.
    Count,
    /// The callback said so.
    Stopped,
    /// The context has no room for another.
    ContextFull,
}

impl Session {
    /// Draws up to `count` tokens after the last one; `each(token)` sees every one as it comes, and breaking it stops
    /// after it. Each drawn token becomes part of the session.
    pub async fn generate(
        &mut self,
        count: usize,
        sampler: &SamplerOptions,
        each: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Generated> {
        sampler.validate()?;
        if count == 0 {
            return Ok(Generated::Count);
        }
        if self.tokens.len() >= self.model.context {
            return Ok(Generated::ContextFull);
        }
        self.settle()?;
        self.set_state(self.cached - 1, 1);
        let by_chance = !sampler.is_greedy();
        if by_chance {
            let params = sampler.params(self.model.config.vocabulary);
            self.sample
                .set_params(&self.model.engine, 0, &bytes_of_params(&params));
            self.mark_seen();
        }
        for number in 0..count {
            let draw = if by_chance {
                &self.sample
            } else {
                &self.greedy
            };
            let plans = [(&self.decode, 1), (draw, 1)];
            let token = self
                .step(if number == 0 { &plans[1..] } else { &plans }, number)
                .await?;
            self.cached = self.tokens.len();
            self.tokens.push(token);
            self.drawn.push(true);
            self.fresh = false;
            if each(token).is_break() {
                return Ok(Generated::Stopped);
            }
            if self.tokens.len() == self.model.context && number + 1 < count {
                return Ok(Generated::ContextFull);
            }
        }
        Ok(Generated::Count)
    }

    /// One pass and one submission; the token that it drew as its `number`-th.
    async fn step(&self, plans: &[(&Prepared, u32)], number: usize) -> Result<u32> {
        let engine = &self.model.engine;
        let mut encoder = engine.encoder();
        engine.pass(&mut encoder, plans);
        let (ring, readback) = (self.buffers.slot(Slot::Drawn), &self.buffers.readback);
        encoder.copy_buffer_to_buffer(&ring.raw, number as u64 % RING * 4, &readback.raw, 0, 4);
        engine.submit(encoder);
        Ok(engine.map_words(readback, 1).await?[0])
    }

    /// Tells the sampler which tokens there were.
    fn mark_seen(&self) {
        let mut seen = vec![0u32; self.model.config.vocabulary as usize];
        for (&token, &drawn) in self.tokens.iter().zip(&self.drawn) {
            let times = &mut seen[token as usize];
            *times = if drawn {
                *times + 1
            } else {
                *times | IN_PROMPT
            };
        }
        let buffer = &self.buffers.slot(Slot::Seen).raw;
        self.model
            .engine
            .queue
            .write_buffer(buffer, 0, bytemuck::cast_slice(&seen));
    }
}
