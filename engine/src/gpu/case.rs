//! Runs or times one case of a kernel on the GPU, for tests, self-tests and kernel benchmarks.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use lantern_kernels::{Case, Kernel, Shader, Variant};

use super::{buffer::Buffer, device::Engine, pipeline::Pipeline, texture::Texture};
use crate::Result;

/// A case on the GPU, ready to be dispatched.
struct Ready {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    grid: [u32; 3],
    buffers: Vec<(String, Buffer, usize)>,
    _textures: Vec<Texture>,
}

impl Engine {
    /// Runs `case` of `kernel` in `variant`; the contents of the kernel's outputs afterwards, in its order.
    pub async fn run_case(
        &self,
        kernel: &'static Kernel,
        variant: &'static Variant,
        case: &Case,
    ) -> Result<Vec<(&'static str, Vec<u32>)>> {
        let ready = self.ready(kernel, variant, case).await?;
        self.dispatch_times(&ready, 1);
        let mut outputs = Vec::new();
        for &output in kernel.outputs {
            let found = ready
                .buffers
                .iter()
                .find(|(name, ..)| name == output)
                .expect("checked when binding");
            outputs.push((output, self.read_words(&found.1, 0, found.2).await?));
        }
        Ok(outputs)
    }

    /// Seconds that one dispatch of `case` takes, the least of three rounds of `times` in one pass.
    pub async fn time_case(
        &self,
        kernel: &'static Kernel,
        variant: &'static Variant,
        case: &Case,
        times: u32,
    ) -> Result<f64> {
        let ready = self.ready(kernel, variant, case).await?;
        self.dispatch_times(&ready, 1);
        self.wait()?;
        let mut least = f64::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            self.dispatch_times(&ready, times);
            self.wait()?;
            least = least.min(start.elapsed().as_secs_f64() / f64::from(times));
        }
        Ok(least)
    }

    fn dispatch_times(&self, ready: &Ready, times: u32) {
        let mut encoder = self.encoder();
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&ready.pipeline.pipeline);
            pass.set_bind_group(0, &ready.group, &[]);
            let [x, y, z] = ready.grid;
            (0..times).for_each(|_| pass.dispatch_workgroups(x, y, z));
        }
        self.submit(encoder);
    }

    async fn ready(
        &self,
        kernel: &'static Kernel,
        variant: &'static Variant,
        case: &Case,
    ) -> Result<Ready> {
        let shader = Shader::new(kernel, variant, &case.parts, &case.consts);
        let pipeline = self.pipeline(&shader)?;
        let mut buffers: Vec<(String, Buffer, usize)> = Vec::new();
        let mut textures: Vec<(&str, Texture)> = Vec::new();
        for (name, words) in &case.buffers {
            buffers.push(self.filled(name, bytemuck::cast_slice(words)).await?);
        }
        if let Some(weights) = &case.weights {
            let planes = weights
                .format
                .pack_rows(&weights.bytes, weights.rows, weights.cols);
            let textured = case.parts.iter().any(|p| std::ptr::eq(*p, &raw const weights.format.textured));
            for (i, (plane, halfwords)) in weights.format.planes.iter().zip(planes).enumerate() {
                let bytes = bytemuck::cast_slice(&halfwords);
                if textured {
                    let size = bytes.len() as u64;
                    let texture = self.plane_texture(plane.binding, weights.format, i, size).await?;
                    self.write_plane(&texture, 0, bytes);
                    textures.push((plane.binding, texture));
                } else {
                    buffers.push(self.filled(plane.binding, bytes).await?);
                }
            }
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = self
            .buffer("params", case.params.len() as u64, usage)
            .await?;
        self.queue.write_buffer(&params.raw, 0, &case.params);
        let entry = |binding: &lantern_kernels::Binding| {
            if let Some((_, texture)) = textures.iter().find(|(name, _)| *name == binding.name) {
                let resource = wgpu::BindingResource::TextureView(&texture.view);
                return wgpu::BindGroupEntry { binding: binding.index, resource };
            }
            let buffer = if binding.name == "params" {
                &params
            } else {
                let found = buffers.iter().find(|(name, ..)| *name == binding.name);
                &found
                    .unwrap_or_else(|| panic!("case {}: no data for {}", case.name, binding.name))
                    .1
            };
            wgpu::BindGroupEntry {
                binding: binding.index,
                resource: buffer.raw.as_entire_binding(),
            }
        };
        let entries: Vec<_> = pipeline.bindings.iter().map(entry).collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        });
        self.counting.bind_groups_created.fetch_add(1, Relaxed);
        let grid = (kernel.grid)(&shader, case.units, case.tokens);
        Ok(Ready {
            pipeline,
            group,
            grid,
            buffers,
            _textures: textures.into_iter().map(|(_, texture)| texture).collect(),
        })
    }

    async fn filled(&self, name: &str, bytes: &[u8]) -> Result<(String, Buffer, usize)> {
        let buffer = self
            .storage_or_uniform(name, bytes.len().next_multiple_of(16) as u64)
            .await?;
        self.queue.write_buffer(&buffer.raw, 0, bytes);
        Ok((name.to_string(), buffer, bytes.len() / 4))
    }
}
