//! Runs or times one case of a kernel on the GPU, for tests, self-tests and kernel benchmarks.

use std::sync::Arc;
use web_time::Instant;

use lantern_kernels::{Case, CaseWeights, Kernel, Shader, Variant};

use super::{buffer::Buffer, compiled::Pipeline, device::Gpu, pipeline::BindingResource};
use crate::Result;

/// A dispatch by itself.
pub(crate) struct Single {
    pub pipeline: Arc<Pipeline>,
    pub group: wgpu::BindGroup,
    pub grid: [u32; 3],
}

/// A dispatch of one shader, with its parameters.
pub(crate) struct Alone {
    pub single: Single,
    _params: Buffer,
}

/// A case on the GPU, ready to be dispatched.
struct Ready {
    single: Single,
    data: Vec<Named>,
    _params: Buffer,
}

/// Data of a case by name, and how many words it has.
type Named = (String, Buffer, usize);

impl Gpu {
    /// Runs `case` of `kernel` in `variant`; the contents of the kernel's outputs afterwards, in its order.
    pub async fn run_case(
        &self,
        kernel: &'static Kernel,
        variant: &'static Variant,
        case: &Case,
    ) -> Result<Vec<(&'static str, Vec<u32>)>> {
        let ready = self.ready(kernel, variant, case).await?;
        self.dispatch_times(&ready.single, 1);
        let mut outputs = Vec::new();
        for &output in kernel.outputs {
            let found = ready
                .data
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
        self.dispatch_times(&ready.single, 1);
        self.wait().await?;
        let mut min = f64::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            self.dispatch_times(&ready.single, times);
            self.wait().await?;
            min = min.min(start.elapsed().as_secs_f64() / f64::from(times));
        }
        Ok(min)
    }

    /// Submits `times` dispatches in one pass.
    pub(crate) fn dispatch_times(&self, single: &Single, times: u32) {
        let mut encoder = self.encoder();
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&single.pipeline.compiled);
            pass.set_bind_group(0, &single.group, &[]);
            let [x, y, z] = single.grid;
            (0..times).for_each(|_| pass.dispatch_workgroups(x, y, z));
        }
        self.submit(encoder);
    }

    /// Makes a dispatch of `shader` ready, with buffers that are there.
    pub(crate) async fn alone<'b>(
        &self,
        shader: &Shader,
        params: &[u8],
        units: u32,
        found: impl Fn(&str) -> BindingResource<'b>,
    ) -> Result<Alone> {
        let pipeline = self.pipelines(&[shader]).await?.remove(0);
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let own = self.buffer("params", params.len() as u64, usage).await?;
        self.write(&own, 0, params);
        let group = self.bind_group(&shader.label(), &pipeline, |binding| {
            match binding.name.as_str() {
                "params" => (&own).into(),
                name => found(name),
            }
        });
        Ok(Alone {
            single: Single {
                grid: (shader.kernel.grid)(shader, units, 1),
                pipeline,
                group,
            },
            _params: own,
        })
    }

    async fn ready(
        &self,
        kernel: &'static Kernel,
        variant: &'static Variant,
        case: &Case,
    ) -> Result<Ready> {
        let shader = Shader::new(kernel, variant, &case.parts, &case.consts);
        let pipeline = self.pipelines(&[&shader]).await?.remove(0);
        let mut data = Vec::new();
        for (name, words) in &case.buffers {
            data.push(self.filled(name, bytemuck::cast_slice(words)).await?);
        }
        self.planes(case, &mut data).await?;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let size = case.params.len() as u64;
        let params = self.buffer("params", size, usage).await?;
        self.write(&params, 0, &case.params);
        let group = self.bind_group(&case.name, &pipeline, |binding| {
            let name = binding.name.as_str();
            if name == "params" {
                return (&params).into();
            }
            let found = data.iter().find(|(found, ..)| found == name);
            let found = found.unwrap_or_else(|| panic!("case {}: no data for {name}", case.name));
            (&found.1).into()
        });
        let grid = (kernel.grid)(&shader, case.units, case.tokens);
        Ok(Ready {
            single: Single {
                pipeline,
                group,
                grid,
            },
            data,
            _params: params,
        })
    }

    /// The weights' planes, among the buffers.
    async fn planes(&self, case: &Case, data: &mut Vec<Named>) -> Result<()> {
        let Some(CaseWeights {
            format,
            rows,
            cols,
            bytes,
        }) = &case.weights
        else {
            return Ok(());
        };
        let packed = format.pack_rows(bytes, *rows, *cols);
        for (plane, bytes) in format.planes.iter().zip(packed) {
            data.push(self.filled(plane.binding, &bytes).await?);
        }
        Ok(())
    }

    async fn filled(&self, name: &str, bytes: &[u8]) -> Result<Named> {
        let buffer = self
            .storage_or_uniform(name, bytes.len().next_multiple_of(16) as u64)
            .await?;
        self.write(&buffer, 0, bytes);
        Ok((name.to_string(), buffer, bytes.len() / 4))
    }
}
