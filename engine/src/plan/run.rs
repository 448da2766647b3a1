//! A plan made ready for one session's buffers: pipelines, bind groups, one uniform buffer. Running it makes nothing.

use std::{
    ops::Range,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use lantern_kernels::Shader;

use super::dispatch::{Binding, Dispatch, Plan};
use crate::{
    Gpu, Result,
    gpu::{
        buffer::Buffer,
        pipeline::{BindingResource, Pipeline, Range as BufferRange},
    },
    model::weights::ALIGNMENT,
};

/// Where a session has what dispatches bind: `name` tells the planes of weights apart.
pub(crate) trait Lookup {
    fn find(&self, binding: Binding, name: &str) -> BindingResource<'_>;
}

/// Plan with its pipelines and bind groups, ready to be recorded.
pub(crate) struct CompiledPlan {
    pub plan: Plan,
    steps: Vec<(Arc<Pipeline>, wgpu::BindGroup)>,
    params: Buffer,
}

impl CompiledPlan {
    pub async fn new(gpu: &Gpu, plan: Plan, lookup: &impl Lookup) -> Result<CompiledPlan> {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = gpu
            .buffer("params", plan.dispatches.len() as u64 * ALIGNMENT, usage)
            .await?;
        let mut all = vec![0u8; params.size as usize];
        for (dispatch, place) in plan
            .dispatches
            .iter()
            .zip(all.chunks_mut(ALIGNMENT as usize))
        {
            place[..dispatch.params.len()].copy_from_slice(&dispatch.params);
        }
        gpu.queue.write_buffer(&params.raw, 0, &all);
        let shaders: Vec<&Shader> = plan.dispatches.iter().map(|d| &d.shader).collect();
        let pipelines = gpu.pipelines(&shaders).await?;
        let mut steps = Vec::new();
        for ((index, dispatch), pipeline) in plan.dispatches.iter().enumerate().zip(pipelines) {
            let start = index as u64 * ALIGNMENT;
            let own = BufferRange {
                buffer: &params,
                start,
                size: Some(dispatch.params.len() as u64),
            };
            let group = bind_group(gpu, dispatch, &pipeline, own, lookup);
            steps.push((pipeline, group));
        }
        Ok(CompiledPlan {
            plan,
            steps,
            params,
        })
    }

    /// Changes the parameters of dispatch `index`.
    pub fn set_params(&self, gpu: &Gpu, index: usize, bytes: &[u8]) {
        gpu.queue
            .write_buffer(&self.params.raw, index as u64 * ALIGNMENT, bytes);
    }

    /// Records every dispatch for a pass of `tokens`.
    pub fn record(&self, gpu: &Gpu, pass: &mut wgpu::ComputePass<'_>, tokens: u32) {
        for (index, dispatch) in self.plan.dispatches.iter().enumerate() {
            if dispatch.token_start < tokens {
                self.record_one(gpu, pass, index, tokens);
            }
        }
    }

    /// Records dispatch `index`.
    pub fn record_one(
        &self,
        gpu: &Gpu,
        pass: &mut wgpu::ComputePass<'_>,
        index: usize,
        tokens: u32,
    ) {
        assert!(
            tokens <= self.plan.tokens,
            "a pass of {tokens} tokens in a plan for {}",
            self.plan.tokens
        );
        let (pipeline, group) = &self.steps[index];
        pass.set_pipeline(&pipeline.compiled);
        pass.set_bind_group(0, group, &[]);
        let [x, y, z] = self.plan.dispatches[index].grid(tokens);
        pass.dispatch_workgroups(x, y, z);
        gpu.counting.dispatches.fetch_add(1, Relaxed);
    }
}

/// Some dispatches of a plan, for a pass of `tokens`.
pub(crate) struct Part<'p> {
    pub compiled: &'p CompiledPlan,
    pub dispatches: Range<usize>,
    pub tokens: u32,
}

impl<'p> Part<'p> {
    /// All of a plan.
    pub fn whole(&(compiled, tokens): &(&'p CompiledPlan, u32)) -> Part<'p> {
        Part {
            compiled,
            dispatches: 0..compiled.plan.dispatches.len(),
            tokens,
        }
    }
}

fn bind_group(
    gpu: &Gpu,
    dispatch: &Dispatch,
    pipeline: &Pipeline,
    params: BufferRange<'_>,
    lookup: &impl Lookup,
) -> wgpu::BindGroup {
    let label = dispatch.shader.label();
    let found = |binding: &lantern_kernels::Binding| {
        let name = binding.name.as_str();
        if name == "params" {
            return BindingResource::Range(params);
        }
        let wanted = if name.starts_with("w_") {
            "weights"
        } else {
            name
        };
        let binding = dispatch.binds.iter().find(|(n, _)| *n == wanted);
        let binding = binding
            .unwrap_or_else(|| panic!("{label}: nothing is bound to {name}"))
            .1;
        match (lookup.find(binding, name), dispatch.x_range) {
            (BindingResource::Range(range), Some((start, size))) if name == "x" => {
                BindingResource::Range(BufferRange {
                    start,
                    size: Some(size),
                    ..range
                })
            }
            (found, _) => found,
        }
    };
    gpu.bind_group(&label, pipeline, found)
}

impl Gpu {
    /// Records one compute pass of several plans, each with its number of tokens.
    pub(crate) fn pass(&self, encoder: &mut wgpu::CommandEncoder, plans: &[(&CompiledPlan, u32)]) {
        let mut pass = self.begin_pass(encoder);
        for (plan, tokens) in plans {
            plan.record(self, &mut pass, *tokens);
        }
    }

    /// Submits parts of plans from position `position` on: a submission of its own for about every `max` operations, so
    /// that none keeps the GPU for so long that a driver's watchdog takes it for hung. The operations of all of them, and
    /// the last submission.
    pub(crate) fn submit_parts(
        &self,
        parts: &[Part<'_>],
        position: u32,
        max: u64,
    ) -> (u64, wgpu::SubmissionIndex) {
        let (mut together, mut all) = (0, 0);
        let mut encoder = self.encoder();
        let mut pass = self.begin_pass(&mut encoder);
        for part in parts {
            let (compiled, tokens) = (part.compiled, part.tokens);
            for index in part.dispatches.clone() {
                let load = compiled.plan.dispatches[index].load(tokens, position);
                if load.dispatches == 0 {
                    continue; // left out of a pass of so few tokens
                }
                if together > 0 && together + load.operations > max {
                    drop(pass);
                    self.submit(std::mem::replace(&mut encoder, self.encoder()));
                    pass = self.begin_pass(&mut encoder);
                    together = 0;
                }
                compiled.record_one(self, &mut pass, index, tokens);
                together += load.operations;
                all += load.operations;
            }
        }
        drop(pass);
        (all, self.submit(encoder))
    }

    fn begin_pass<'e>(&self, encoder: &'e mut wgpu::CommandEncoder) -> wgpu::ComputePass<'e> {
        self.counting.passes.fetch_add(1, Relaxed);
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default())
    }

    pub(crate) fn encoder(&self) -> wgpu::CommandEncoder {
        self.device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }
}
