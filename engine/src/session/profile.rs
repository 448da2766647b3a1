//! Where the time of a pass goes: each dispatch in a pass of its own, between two timestamps of the GPU.

use serde::{Deserialize, Serialize};

use super::Session;
use crate::{Error, Result, Unsupported, plan::run::Segment};

/// The dispatches of a pass that are the same shader.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "bench", derive(schemars::JsonSchema))]
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

impl Session {
    /// Times the dispatches that bring one more token, the last one again; `rounds` times, of which the median counts.
    /// Rows of the same shader are one, the dearest first.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the adapter has no timestamps, or the GPU was opened without.
    pub async fn profile_decode(&mut self, rounds: usize) -> Result<Vec<ProfileRow>> {
        self.compute_pending().await?;
        let position = self.cached - 1;
        self.write_rows(position, 1).await?;
        let segments = [Segment::whole(self.decode_at(position), 1)];
        self.profile(&segments, position, rounds).await
    }

    /// Times each kernel of a pass of as many of the last tokens as fit one, with the logits of the last.
    ///
    /// # Errors
    /// As [`Session::profile_decode`].
    pub async fn profile_prefill(&mut self, rounds: usize) -> Result<Vec<ProfileRow>> {
        self.compute_pending().await?;
        let count = self.cached.min(self.model.prefill_batch);
        let position = self.cached - count;
        self.write_rows(position, count).await?;
        let segments = self.prefill_segments(count as u32, false, true);
        self.profile(&segments, position, rounds).await
    }

    async fn profile(
        &self,
        segments: &[Segment<'_>],
        position: usize,
        rounds: usize,
    ) -> Result<Vec<ProfileRow>> {
        if self.model.stream.is_some() {
            return Err(Error::unsupported(
                Unsupported::Streaming,
                "layers of this model stream: there is no telling how long a kernel took; give it more GPU memory",
            ));
        }
        let gpu = &self.model.gpu;
        let mut rows: Vec<ProfileRow> = Vec::new();
        for segment in segments {
            let plan = &segment.compiled.plan;
            let loads = segment.dispatches.clone().filter_map(|index| {
                let load = plan.dispatches[index].load(segment.rows, position as u32);
                (load.dispatches > 0).then_some((index, load))
            });
            let loads: Vec<_> = loads.collect();
            let bound = |&(index, _): &(usize, _)| segment.compiled.bound(index, segment.rows);
            let dispatches: Vec<_> = loads.iter().map(bound).collect();
            let mut all = Vec::new();
            for _ in 0..rounds {
                all.push(gpu.dispatch_seconds(&dispatches).await?);
            }
            for (number, (index, load)) in loads.into_iter().enumerate() {
                let mut seconds: Vec<f64> = all.iter().map(|round| round[number]).collect();
                seconds.sort_by(f64::total_cmp);
                let row = row_of(&mut rows, plan.dispatches[index].shader.label());
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

/// The row of a shader, added where there is none yet.
fn row_of(rows: &mut Vec<ProfileRow>, label: String) -> &mut ProfileRow {
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
    &mut rows[at]
}
