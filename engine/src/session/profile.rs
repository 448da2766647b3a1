//! Where the time of a pass goes: each dispatch in a pass of its own, between two timestamps of the GPU.

use std::sync::atomic::Ordering::Relaxed;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Session;
use crate::{Error, Result, gpu::device::Gpu, plan::run::CompiledPlan};

/// The dispatches of a pass that are the same shader.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProfileRow {
    /// The shader: kernel, parts and variant.
    pub label: String,
    /// How many there are.
    pub dispatches: u64,
    /// Seconds that they took together.
    pub seconds: f64,
    /// Bytes of weights and cache that they read at least.
    pub bytes: u64,
    /// Multiplications and additions.
    pub operations: u64,
}

/// Dispatches between two readings of timestamps: a set of queries holds 4,096.
const BATCH: usize = 1024;

impl Session {
    /// Times the dispatches that bring one more token, the last one again; `rounds` times, of which the median counts.
    /// Rows of the same shader are one, the dearest first.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the adapter has no timestamps, or the GPU was opened without.
    pub async fn profile_decode(&mut self, rounds: usize) -> Result<Vec<ProfileRow>> {
        self.compute_pending().await?;
        let position = self.cached - 1;
        self.write_rows(self.tokens[position..].iter().copied(), position, 0);
        let plans = [(self.decode_at(position), 1)];
        self.profile(&plans, position, rounds).await
    }

    /// The same for a pass of as many of the last tokens as fit one, with the logits of the last.
    ///
    /// # Errors
    /// As [`Session::profile_decode`].
    pub async fn profile_prefill(&mut self, rounds: usize) -> Result<Vec<ProfileRow>> {
        self.compute_pending().await?;
        let count = self.cached.min(self.model.prefill_batch);
        let position = self.cached - count;
        self.upload_pass(position, count).await?;
        let plans = [(&self.plans.prefill, count as u32), (&self.plans.head, 1)];
        self.profile(&plans, position, rounds).await
    }

    async fn profile(
        &self,
        plans: &[(&CompiledPlan, u32)],
        position: usize,
        rounds: usize,
    ) -> Result<Vec<ProfileRow>> {
        if self.model.stream.is_some() {
            return Err(Error::Unsupported(
                "layers of this model stream: there is no telling how long a kernel took; give it more GPU memory".into(),
            ));
        }
        let gpu = &self.model.gpu;
        let mut rows: Vec<ProfileRow> = Vec::new();
        for (compiled, tokens) in plans {
            let mut all = Vec::new();
            for _ in 0..rounds {
                all.push(gpu.times(compiled, *tokens).await?);
            }
            for (index, dispatch) in compiled.plan.dispatches.iter().enumerate() {
                let load = dispatch.load(*tokens, position as u32);
                if load.dispatches == 0 {
                    continue;
                }
                let mut seconds: Vec<f64> = all.iter().map(|round| round[index]).collect();
                seconds.sort_by(f64::total_cmp);
                let label = dispatch.shader.label();
                let known = rows.iter().position(|row| row.label == label);
                let at = known.unwrap_or_else(|| {
                    rows.push(ProfileRow {
                        label,
                        dispatches: 0,
                        seconds: 0.0,
                        bytes: 0,
                        operations: 0,
                    });
                    rows.len() - 1
                });
                let row = &mut rows[at];
                row.dispatches += 1;
                row.seconds += seconds[rounds / 2];
                row.bytes += load.bytes;
                row.operations += load.operations;
            }
        }
        rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        Ok(rows)
    }
}

impl Gpu {
    /// Seconds of each dispatch of a pass; 0 for those that it leaves out.
    async fn times(&self, compiled: &CompiledPlan, tokens: u32) -> Result<Vec<f64>> {
        if !self
            .device
            .features()
            .contains(wgpu::Features::TIMESTAMP_QUERY)
        {
            let name = &self.adapter().name;
            return Err(Error::Unsupported(format!(
                "{name} has no timestamp queries: there is no telling how long a kernel took"
            )));
        }
        let dispatches = &compiled.plan.dispatches;
        let runs = |&index: &usize| dispatches[index].token_start < tokens;
        let wanted: Vec<usize> = (0..dispatches.len()).filter(runs).collect();
        let mut seconds = vec![0.0; dispatches.len()];
        for batch in wanted.chunks(BATCH) {
            let ticks = self.timestamps(compiled, tokens, batch).await?;
            let period = f64::from(self.queue.get_timestamp_period()) * 1e-9;
            for (&index, pair) in batch.iter().zip(ticks.chunks_exact(2)) {
                seconds[index] = pair[1].saturating_sub(pair[0]) as f64 * period;
            }
        }
        Ok(seconds)
    }

    /// Before and after each dispatch of `batch`.
    async fn timestamps(
        &self,
        compiled: &CompiledPlan,
        tokens: u32,
        batch: &[usize],
    ) -> Result<Vec<u64>> {
        let count = 2 * batch.len() as u32;
        let queries = self.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("timestamps"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let size = u64::from(count) * 8;
        let resolved = self.buffer("timestamps", size, usage).await?;
        let readback = self.readback("timestamps", size).await?;
        let mut encoder = self.encoder();
        for (number, &index) in batch.iter().enumerate() {
            let number = number as u32;
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &queries,
                    beginning_of_pass_write_index: Some(2 * number),
                    end_of_pass_write_index: Some(2 * number + 1),
                }),
            });
            compiled.record_one(self, &mut pass, index, tokens);
            self.counting.passes.fetch_add(1, Relaxed);
        }
        encoder.resolve_query_set(&queries, 0..count, &resolved.raw, 0);
        encoder.copy_buffer_to_buffer(&resolved.raw, 0, &readback.raw, 0, size);
        self.submit(encoder);
        let words = self.map_words(&readback, 2 * count as usize).await?;
        let tick = |pair: &[u32]| u64::from(pair[1]) << 32 | u64::from(pair[0]);
        Ok(words.chunks_exact(2).map(tick).collect())
    }
}
