//! A plan bound to one session's memory: pipelines, bind groups, one buffer of parameters. Running it makes nothing.

use std::{ops::Range, sync::Arc};

use super::dispatch::{Binding, Plan};
use crate::{
    Gpu, Result,
    gpu::{
        buffer::{Buffer, Submission},
        commands::{BoundShader, Pass},
        pipeline::BindingResource,
    },
    graph::Section,
    model::weights::ALIGNMENT,
};

/// Where a session has what dispatches bind: `name` tells the planes of weights apart.
pub(crate) trait Lookup {
    fn find(&self, binding: Binding, name: &str) -> BindingResource<'_>;
}

/// A plan that can be recorded.
pub(crate) struct CompiledPlan {
    pub plan: Arc<Plan>,
    shaders: Vec<BoundShader>,
    /// Parameters of every dispatch; the shaders bind it.
    _params: Buffer,
}

impl CompiledPlan {
    pub async fn new(gpu: &Gpu, plan: Arc<Plan>, lookup: &impl Lookup) -> Result<CompiledPlan> {
        let size = plan.dispatches.len() as u64 * ALIGNMENT;
        let params = gpu.uniform("params", size).await?;
        let mut all = vec![0u8; params.size as usize];
        let places = all.chunks_mut(ALIGNMENT as usize);
        for (dispatch, place) in plan.dispatches.iter().zip(places) {
            place[..dispatch.params.len()].copy_from_slice(&dispatch.params);
        }
        gpu.write(&params, 0, &all);
        let shaders: Vec<_> = plan.dispatches.iter().map(|d| &d.shader).collect();
        let shaders = gpu
            .bind(&shaders, |index, binding| {
                resource(&plan, index, &binding.name, &params, lookup)
            })
            .await?;
        Ok(CompiledPlan {
            plan,
            shaders,
            _params: params,
        })
    }

    /// Records every dispatch for a pass of `rows` rows.
    pub fn record(&self, pass: &mut Pass<'_>, rows: u32) {
        for index in 0..self.plan.dispatches.len() {
            if self.plan.dispatches[index].token_start < rows {
                self.record_one(pass, index, rows);
            }
        }
    }

    /// Records dispatch `index`.
    pub fn record_one(&self, pass: &mut Pass<'_>, index: usize, rows: u32) {
        let (shader, grid) = self.bound(index, rows);
        pass.dispatch(shader, grid);
    }

    /// Dispatch `index` with its workgroups in a pass of `rows` rows.
    pub fn bound(&self, index: usize, rows: u32) -> (&BoundShader, [u32; 3]) {
        assert!(
            rows <= self.plan.rows,
            "a pass of {rows} rows in a plan for {}",
            self.plan.rows
        );
        let grid = self.plan.dispatches[index].grid(rows);
        (&self.shaders[index], grid)
    }
}

/// Some dispatches of a plan, for a pass of `rows` rows.
#[derive(Clone)]
pub(crate) struct Segment<'p> {
    pub compiled: &'p CompiledPlan,
    pub dispatches: Range<usize>,
    pub rows: u32,
}

impl<'p> Segment<'p> {
    /// All of a plan.
    pub fn whole(compiled: &'p CompiledPlan, rows: u32) -> Segment<'p> {
        Segment {
            compiled,
            dispatches: 0..compiled.plan.dispatches.len(),
            rows,
        }
    }

    /// One section of a plan.
    pub fn section(compiled: &'p CompiledPlan, section: Section, rows: u32) -> Segment<'p> {
        Segment {
            compiled,
            dispatches: compiled.plan.section(section),
            rows,
        }
    }
}

fn resource<'b>(
    plan: &Plan,
    index: usize,
    name: &str,
    params: &'b Buffer,
    lookup: &'b impl Lookup,
) -> BindingResource<'b> {
    let dispatch = &plan.dispatches[index];
    if name == "params" {
        return BindingResource {
            buffer: params,
            start: index as u64 * ALIGNMENT,
            size: Some(dispatch.params.len() as u64),
        };
    }
    let found = lookup.find(dispatch.binding(name), name);
    match dispatch.x_range {
        Some((start, size)) if name == "x" => BindingResource {
            start,
            size: Some(size),
            ..found
        },
        _ => found,
    }
}

impl Gpu {
    /// Submits segments from position `position` on: a submission of its own for about every `max` operations, so that
    /// none keeps the GPU for so long that a driver's watchdog takes it for hung. The operations of all of them, and the
    /// last submission.
    pub(crate) fn submit_segments(
        &self,
        segments: &[Segment<'_>],
        position: u32,
        max: u64,
    ) -> (u64, Submission) {
        let (mut together, mut all) = (0, 0);
        let mut recorded: Vec<(&CompiledPlan, usize, u32)> = vec![];
        for segment in segments {
            let (compiled, rows) = (segment.compiled, segment.rows);
            for index in segment.dispatches.clone() {
                let load = compiled.plan.dispatches[index].load(rows, position);
                if load.dispatches == 0 {
                    continue; // left out of a pass of so few rows
                }
                if together > 0 && together + load.operations > max {
                    self.submit_recorded(&mut recorded);
                    together = 0;
                }
                recorded.push((compiled, index, rows));
                together += load.operations;
                all += load.operations;
            }
        }
        (all, self.submit_recorded(&mut recorded))
    }

    /// Submits one compute pass of these dispatches, and forgets them.
    fn submit_recorded(&self, recorded: &mut Vec<(&CompiledPlan, usize, u32)>) -> Submission {
        let mut commands = self.commands();
        let mut pass = commands.pass();
        for (compiled, index, rows) in recorded.drain(..) {
            compiled.record_one(&mut pass, index, rows);
        }
        drop(pass);
        commands.submit()
    }
}
