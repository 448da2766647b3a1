//! Passes of a model of which layers stream: each is brought to the GPU before what computes with it, while that before
//! is still computed.

use std::ops::Range;

use super::Session;
use crate::{
    Result,
    model::{load::Loaded, stream::Stream},
    plan::{
        dispatch::{Binding, Plan},
        run::{CompiledPlan, Part},
    },
};

impl Session {
    /// Submits plans, each with its tokens, in submissions of about `max` operations. The operations of all of them.
    pub(super) async fn run(
        &self,
        plans: &[(&CompiledPlan, u32)],
        position: usize,
        max: u64,
    ) -> Result<u64> {
        let (gpu, position) = (&self.model.gpu, position as u32);
        let Some(stream) = &self.model.stream else {
            let whole: Vec<Part> = plans.iter().map(Part::whole).collect();
            return Ok(gpu.submit_parts(&whole, position, max).0);
        };
        let running = stream.start_pass()?;
        let mut all = 0;
        for &(compiled, tokens) in plans {
            for (unit, dispatches) in segments(&compiled.plan, stream) {
                if let Some(unit) = unit {
                    let matrices = &self.model.layout.matrices;
                    running.upload_unit(gpu, matrices, unit).await?;
                }
                let part = Part {
                    compiled,
                    dispatches,
                    tokens,
                };
                let (operations, last) = gpu.submit_parts(&[part], position, max);
                if let Some(unit) = unit {
                    running.set_computed(unit, gpu.fence(last));
                }
                all += operations;
            }
        }
        Ok(all)
    }

    /// Uploads the rows of the next pass, `tokens` from `position` on: with the tokens themselves, or the rows of the
    /// embedding that were read for them. `sampled` tokens of this generation were sampled before.
    pub(super) async fn upload_rows(
        &self,
        tokens: &[u32],
        position: usize,
        sampled: usize,
    ) -> Result<()> {
        let model: &Loaded = &self.model;
        let Some(stream) = &model.stream else {
            self.write_rows(tokens.iter().copied(), position, sampled);
            return Ok(());
        };
        let (rows, buffer) = model.looked_up();
        stream.look_up(&model.gpu, rows, tokens, buffer).await?;
        self.write_rows(0..tokens.len() as u32, position, sampled);
        Ok(())
    }
}

/// Dispatches of a plan that compute with one unit, in order; those that compute with none belong to what is before.
fn segments(plan: &Plan, stream: &Stream) -> Vec<(Option<usize>, Range<usize>)> {
    let mut all: Vec<(Option<usize>, Range<usize>)> = vec![];
    for (index, dispatch) in plan.dispatches.iter().enumerate() {
        let unit = dispatch
            .binds
            .iter()
            .find_map(|&(_, binding)| match binding {
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
