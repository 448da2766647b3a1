//! Runs one case of a kernel on the GPU, for tests and self-tests.

use std::sync::atomic::Ordering::Relaxed;

use lantern_kernels::{BindingKind, Case, Kernel, Shader, Variant};

use super::{buffer::Buffer, device::Engine};
use crate::Result;

impl Engine {
    /// Runs `case` of `kernel` in `variant`; the contents of the kernel's outputs afterwards, in its order.
    pub async fn run_case(
        &self,
        kernel: &'static Kernel,
        variant: &'static Variant,
        case: &Case,
    ) -> Result<Vec<(&'static str, Vec<u32>)>> {
        let shader = Shader::new(kernel, variant, &case.parts, &case.consts);
        let pipeline = self.pipeline(&shader)?;
        let mut buffers: Vec<(String, Buffer, usize)> = Vec::new();
        for (name, words) in &case.buffers {
            buffers.push(self.filled(name, bytemuck::cast_slice(words)).await?);
        }
        if let Some(weights) = &case.weights {
            let planes = weights.format.pack_rows(&weights.bytes, weights.rows, weights.cols);
            for (plane, halfwords) in weights.format.planes.iter().zip(planes) {
                buffers.push(self.filled(plane.binding, bytemuck::cast_slice(&halfwords)).await?);
            }
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = self.buffer("params", case.params.len() as u64, usage).await?;
        self.queue.write_buffer(&params.raw, 0, &case.params);
        let entry = |binding: &lantern_kernels::Binding| {
            let buffer = if binding.kind == BindingKind::Uniform {
                &params
            } else {
                let found = buffers.iter().find(|(name, ..)| *name == binding.name);
                &found.unwrap_or_else(|| panic!("case {}: no data for {}", case.name, binding.name)).1
            };
            wgpu::BindGroupEntry { binding: binding.index, resource: buffer.raw.as_entire_binding() }
        };
        let entries: Vec<_> = pipeline.bindings.iter().map(entry).collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        });
        self.counting.bind_groups_created.fetch_add(1, Relaxed);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &group, &[]);
            let [x, y, z] = (kernel.grid)(&shader, case.units, case.tokens);
            pass.dispatch_workgroups(x, y, z);
        }
        self.submit(encoder);
        let mut outputs = Vec::new();
        for &output in kernel.outputs {
            let found = buffers.iter().find(|(name, ..)| name == output).expect("checked when binding");
            outputs.push((output, self.read_words(&found.1, 0, found.2).await?));
        }
        Ok(outputs)
    }

    async fn filled(&self, name: &str, bytes: &[u8]) -> Result<(String, Buffer, usize)> {
        let buffer = self.storage(name, bytes.len().next_multiple_of(16) as u64).await?;
        self.queue.write_buffer(&buffer.raw, 0, bytes);
        Ok((name.to_string(), buffer, bytes.len() / 4))
    }
}
