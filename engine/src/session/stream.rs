//! Passes of a model of which layers stream: each is brought to the GPU before what computes with it, while that before
//! is still computed.

use std::ops::Range;

use super::Session;
use crate::{
    Result,
    plan::{
        dispatch::{Binding, Plan},
        run::Segment,
    },
    resident::stream::Stream,
};

impl Session {
    /// Submits segments in submissions of about `max` operations. The operations of all of them.
    pub(super) async fn run(
        &self,
        segments: &[Segment<'_>],
        position: usize,
        max: u64,
    ) -> Result<u64> {
        let (gpu, position) = (&self.model.gpu, position as u32);
        let Some(stream) = &self.model.stream else {
            return Ok(gpu.submit_segments(segments, position, max).0);
        };
        let running = stream.start_pass()?;
        let mut all = 0;
        for segment in segments {
            let plan = &segment.compiled.plan;
            for (unit, dispatches) in by_unit(plan, segment.dispatches.clone(), stream) {
                if let Some(unit) = unit {
                    let matrices = &self.model.layout.matrices;
                    running.upload_unit(gpu, matrices, unit).await?;
                }
                let part = Segment {
                    dispatches,
                    ..segment.clone()
                };
                let (operations, last) = gpu.submit_segments(&[part], position, max);
                if let Some(unit) = unit {
                    running.set_computed(unit, gpu.fence(last));
                }
                all += operations;
            }
        }
        Ok(all)
    }

    /// Numbers that tables are looked up by for these tokens: the tokens, or, where tables stay in the file, those of their
    /// rows, which are read for this pass.
    pub(super) async fn table_rows(&self, tokens: &[u32]) -> Result<Vec<u32>> {
        let looked_up = self.model.look_up(tokens, &self.memory.looked_up).await?;
        Ok(if looked_up {
            (0..tokens.len() as u32).collect()
        } else {
            tokens.to_vec()
        })
    }
}

/// Dispatches of a range that compute with one unit, in order; those that compute with none belong to what is before.
fn by_unit(
    plan: &Plan,
    range: Range<usize>,
    stream: &Stream,
) -> Vec<(Option<usize>, Range<usize>)> {
    let mut all: Vec<(Option<usize>, Range<usize>)> = vec![];
    for index in range {
        let binds = &plan.dispatches[index].binds;
        let unit = binds.iter().find_map(|&(_, binding)| match binding {
            Binding::Weights(matrix, piece) => stream.unit_of((matrix, piece)),
            _ => None,
        });
        match all.last_mut() {
            Some((before, range)) if unit.is_none() || unit == *before => range.end = index + 1,
            _ => all.push((unit, index..index + 1)),
        }
    }
    all
}
