//! Feeding: many tokens through the model in chunks, with the logits of the last or of all.

use std::ops::ControlFlow;

use lantern_kernels::padded;
use web_time::Instant;

use super::{Bound, Session};
use crate::{
    Error, Result,
    gpu::{buffer::Buffer, pipeline::BindingResource},
    model::{load::admit, lora::Lora},
    plan::{
        build::{Rows, Width},
        dispatch::{Binding, Slot},
        run::{CompiledPlan, Lookup},
    },
};

/// Tokens whose logits are computed at once where all are wanted; every session has room for them from its start.
const EVERY_ROWS: usize = 16;

/// Seconds that a submission takes at about most: drivers take a GPU that is busy for seconds for hung, and a screen that
/// it also samples stands still meanwhile.
const SUBMISSION_SECONDS: f64 = 0.1;

/// What it takes to have the logits of every token.
pub(super) struct Every {
    head: CompiledPlan,
    logits: Buffer,
    readback: Buffer,
}

/// A session's buffers, but with room for the logits of many tokens.
struct WithLogits<'s>(Bound<'s>, &'s Buffer);

impl Lookup for WithLogits<'_> {
    fn find(&self, binding: Binding, name: &str) -> BindingResource<'_> {
        if binding == Binding::Slot(Slot::Logits) {
            self.1.into()
        } else {
            self.0.find(binding, name)
        }
    }
}

impl Session {
    /// Adds tokens to the cache. `progress(done, total)` counts tokens after every batch; breaking it ends in
    /// [`Error::Aborted`], with the batches done so far kept.
    ///
    /// # Errors
    /// [`Error::ContextFull`] and [`Error::BadInput`] before any work.
    pub async fn prefill(
        &mut self,
        tokens: &[u32],
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<()> {
        self.admit(tokens)?;
        self.push_tokens(tokens);
        let (total, first) = (self.tokens.len() - self.cached, self.cached);
        let single = total == 1;
        while self.cached < self.tokens.len() {
            let count = (self.tokens.len() - self.cached).min(self.model.prefill_batch);
            let last = self.cached + count == self.tokens.len();
            self.prefill_batch(count, single, last).await?;
            if progress(self.cached - first, total).is_break() && !last {
                self.rewind(self.cached)?;
                return Err(Error::Aborted);
            }
        }
        Ok(())
    }

    /// As [`Session::prefill`], and hands out the logits, (vocab_size), after every token: `sink(position, logits)`.
    pub async fn prefill_all(
        &mut self,
        tokens: &[u32],
        sink: &mut dyn FnMut(usize, &[f32]) -> ControlFlow<()>,
    ) -> Result<()> {
        self.admit(tokens)?;
        if !self.tokens.is_empty() {
            self.compute_pending().await?;
        }
        self.push_tokens(tokens);
        let every = self.every.take().expect("made with the session");
        let result = self.prefill_every(&every, sink).await;
        self.every = Some(every);
        result
    }

    /// Logits, (vocab_size), after the last token.
    pub async fn logits(&mut self) -> Result<Vec<f32>> {
        self.compute_pending().await?;
        let gpu = &self.model.gpu;
        let count = self.model.config.vocab_size as usize;
        let mut encoder = gpu.encoder();
        let logits = self.buffers.slot(Slot::Logits);
        encoder.copy_buffer_to_buffer(
            &logits.raw,
            0,
            &self.buffers.readback.raw,
            0,
            count as u64 * 4,
        );
        gpu.submit(encoder);
        let words = gpu.map_words(&self.buffers.readback, count).await?;
        Ok(bytemuck::cast_vec(words))
    }

    /// Computes what is pending, up to the logits after the last token: one that was sampled is prefilled, one before a rewind again.
    pub(super) async fn compute_pending(&mut self) -> Result<()> {
        if self.tokens.is_empty() {
            return Err(Error::BadInput(
                "the session is empty: prefill a token first".into(),
            ));
        }
        if self.fresh && self.cached == self.tokens.len() {
            return Ok(());
        }
        let sampled = self.cached < self.tokens.len();
        self.cached = self.cached.min(self.tokens.len() - 1);
        while self.cached < self.tokens.len() {
            let left = self.tokens.len() - self.cached;
            let count = left.min(self.model.prefill_batch);
            self.prefill_batch(count, sampled && left == 1, count == left)
                .await?;
        }
        Ok(())
    }

    /// Refuses tokens that there are none of, or no room for.
    fn admit(&self, tokens: &[u32]) -> Result<()> {
        let held = self.tokens.len() + tokens.len();
        admit(
            tokens,
            held,
            self.model.config.vocab_size,
            self.model.context,
        )
    }

    fn push_tokens(&mut self, tokens: &[u32]) {
        self.tokens.extend_from_slice(tokens);
        self.sampled.resize(self.tokens.len(), false);
    }

    /// Computes the next `count` tokens; as a decoded token where `single`, with their last logits where `last`.
    async fn prefill_batch(&mut self, count: usize, single: bool, last: bool) -> Result<()> {
        self.upload_pass(self.cached, count).await?;
        let many = [(&self.plans.prefill, count as u32), (&self.plans.head, 1)];
        let plans = if single {
            &[(self.decode_at(self.cached), 1)]
        } else {
            &many[..if last { 2 } else { 1 }]
        };
        let start = Instant::now();
        let max = (self.operations_per_second * SUBMISSION_SECONDS) as u64;
        let operations = self.run(plans, self.cached, max).await?;
        self.fresh = last;
        self.cached += count;
        self.written = self.written.max(self.cached);
        self.model.gpu.wait().await?;
        if !single {
            self.operations_per_second =
                operations as f64 / start.elapsed().as_secs_f64().max(1e-6);
        }
        Ok(())
    }

    /// Uploads the rows of a pass over `count` tokens from `position` on.
    pub(super) async fn upload_pass(&self, position: usize, count: usize) -> Result<()> {
        let tokens = &self.tokens[position..][..count];
        self.upload_rows(tokens, position, 0).await
    }

    pub(super) async fn make_every(&self, loras: &[(Lora, f32)]) -> Result<Every> {
        let rows = self.model.prefill_batch.min(EVERY_ROWS);
        let size = rows as u64 * u64::from(padded(self.model.config.vocab_size)) * 4;
        let gpu = &self.model.gpu;
        let (logits, readback) = (
            gpu.storage("all logits", size).await?,
            gpu.readback("all logits", size).await?,
        );
        let plan = self
            .model
            .builder_with(loras)
            .head(Width::Prefill(rows as u32), Rows::All);
        let bound = WithLogits(
            Bound {
                model: &self.model,
                buffers: &self.buffers,
                loras,
            },
            &logits,
        );
        let head = CompiledPlan::new(gpu, plan, &bound).await?;
        Ok(Every {
            head,
            logits,
            readback,
        })
    }

    async fn prefill_every(
        &mut self,
        every: &Every,
        sink: &mut dyn FnMut(usize, &[f32]) -> ControlFlow<()>,
    ) -> Result<()> {
        let vocab_size = self.model.config.vocab_size;
        let stride = padded(vocab_size) as usize;
        let rows = every.head.plan.tokens as usize;
        while self.cached < self.tokens.len() {
            let count = (self.tokens.len() - self.cached).min(rows);
            self.upload_pass(self.cached, count).await?;
            let gpu = &self.model.gpu;
            let tokens = count as u32;
            let plans = [
                (&self.plans.prefill, tokens),
                (&every.head, tokens),
                (&self.plans.head, 1),
            ];
            let max = (self.operations_per_second * SUBMISSION_SECONDS) as u64;
            self.run(&plans, self.cached, max).await?;
            let mut encoder = gpu.encoder();
            let size = (count * stride * 4) as u64;
            encoder.copy_buffer_to_buffer(&every.logits.raw, 0, &every.readback.raw, 0, size);
            gpu.submit(encoder);
            let words = gpu.map_words(&every.readback, count * stride).await?;
            let first = self.cached;
            self.cached += count;
            self.written = self.written.max(self.cached);
            self.fresh = true;
            let all: &[f32] = bytemuck::cast_slice(&words);
            for (row, logits) in all.chunks_exact(stride).enumerate() {
                if sink(first + row, &logits[..vocab_size as usize]).is_break() {
                    self.rewind(self.cached)?;
                    return Err(Error::Aborted);
                }
            }
        }
        Ok(())
    }
}
