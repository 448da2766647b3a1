//! Commands on their way to the GPU: copies and compute passes, recorded and then submitted at once.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{
    buffer::{Buffer, Submission},
    compiled::Pipeline,
    device::Gpu,
    pipeline::BindingResource,
};
use crate::{Error, Result, Unsupported};
use lantern_kernels::{Binding, Shader};

/// A compiled shader with its buffers.
pub(crate) struct BoundShader {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
}

/// Commands that are being recorded.
pub(crate) struct Commands<'g> {
    gpu: &'g Gpu,
    encoder: wgpu::CommandEncoder,
}

/// A compute pass that is being recorded.
pub(crate) struct Pass<'c> {
    gpu: &'c Gpu,
    raw: wgpu::ComputePass<'c>,
}

impl Gpu {
    /// Begins to record.
    pub(crate) fn commands(&self) -> Commands<'_> {
        Commands {
            gpu: self,
            encoder: self.encoder(),
        }
    }

    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// Writes bytes, a multiple of 4 of them, before what is submitted next.
    pub(crate) fn write(&self, buffer: &Buffer, offset: u64, bytes: &[u8]) {
        self.guarded(|| self.queue.write_buffer(&buffer.raw, offset, bytes));
    }

    /// A buffer for parameters, which shaders bind as uniform.
    pub(crate) async fn uniform(&self, label: &str, size: u64) -> Result<Buffer> {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        self.buffer(label, size, usage).await
    }

    /// Shaders, compiled where they are not yet, each with what `find` has for its bindings: by the shader's number and
    /// the binding.
    pub(crate) async fn bind<'b>(
        &self,
        shaders: &[&Shader],
        find: impl Fn(usize, &Binding) -> BindingResource<'b>,
    ) -> Result<Vec<BoundShader>> {
        let pipelines = self.pipelines(shaders).await?;
        let bound = |(index, pipeline): (usize, Arc<Pipeline>)| {
            let label = shaders[index].label();
            let group = self.bind_group(&label, &pipeline, |binding| find(index, binding));
            BoundShader { pipeline, group }
        };
        Ok(pipelines.into_iter().enumerate().map(bound).collect())
    }
}

impl Commands<'_> {
    /// Copies bytes between buffers.
    pub fn copy(&mut self, (from, start): (&Buffer, u64), (to, at): (&Buffer, u64), size: u64) {
        self.encoder
            .copy_buffer_to_buffer(&from.raw, start, &to.raw, at, size);
    }

    /// Copies all of one buffer to another of the same size.
    pub fn copy_all(&mut self, from: &Buffer, to: &Buffer) {
        self.copy((from, 0), (to, 0), from.size);
    }

    /// Begins a compute pass; it ends when it is dropped.
    pub fn pass(&mut self) -> Pass<'_> {
        self.gpu.counting.passes.fetch_add(1, Relaxed);
        Pass {
            gpu: self.gpu,
            raw: self
                .encoder
                .begin_compute_pass(&wgpu::ComputePassDescriptor::default()),
        }
    }

    /// Submits all that was recorded.
    pub fn submit(self) -> Submission {
        Submission(self.gpu.submit(self.encoder))
    }
}

impl Pass<'_> {
    /// Records a dispatch of so many workgroups.
    pub fn dispatch(&mut self, shader: &BoundShader, [x, y, z]: [u32; 3]) {
        self.raw.set_pipeline(&shader.pipeline.compiled);
        self.raw.set_bind_group(0, &shader.group, &[]);
        self.raw.dispatch_workgroups(x, y, z);
        self.gpu.counting.dispatches.fetch_add(1, Relaxed);
    }
}

/// Dispatches between two readings of timestamps: a set of queries holds 4,096.
const TIMED: usize = 1024;

impl Gpu {
    /// Seconds of each dispatch, in a compute pass of its own between two timestamps of the GPU.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the adapter has no timestamps, or was opened without.
    pub(crate) async fn dispatch_seconds(
        &self,
        dispatches: &[(&BoundShader, [u32; 3])],
    ) -> Result<Vec<f64>> {
        if !self
            .device
            .features()
            .contains(wgpu::Features::TIMESTAMP_QUERY)
        {
            let name = &self.adapter().name;
            return Err(Error::unsupported(
                Unsupported::Device,
                format!(
                    "{name} has no timestamp queries: there is no telling how long a kernel took"
                ),
            ));
        }
        let period = f64::from(self.queue.get_timestamp_period()) * 1e-9;
        let mut seconds = Vec::new();
        for batch in dispatches.chunks(TIMED) {
            let ticks = self.timestamps(batch).await?;
            let pairs = ticks.chunks_exact(2);
            seconds.extend(pairs.map(|pair| pair[1].saturating_sub(pair[0]) as f64 * period));
        }
        Ok(seconds)
    }

    /// Ticks before and after each dispatch.
    async fn timestamps(&self, dispatches: &[(&BoundShader, [u32; 3])]) -> Result<Vec<u64>> {
        let count = 2 * dispatches.len() as u32;
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
        for (number, (shader, grid)) in (0..).zip(dispatches) {
            let raw = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &queries,
                    beginning_of_pass_write_index: Some(2 * number),
                    end_of_pass_write_index: Some(2 * number + 1),
                }),
            });
            Pass { gpu: self, raw }.dispatch(shader, *grid);
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
