//! Limits of an adapter's speed: bytes read a second, multiply-adds a second, and what a dispatch costs by itself.
//! Measured with kernels that do nothing else, so that every other speed can be given as a share of it.

use lantern_kernels::{
    Kernel, Part, Shader, Variant, bytes_of_params, multiply_add, multiply_matrices, norm::NORM,
    parts::Scalar, read,
};
use serde::{Deserialize, Serialize};
use web_time::Instant;

use super::{buffer::Buffer, case::Alone, device::Gpu, pipeline::BindingResource};
use crate::Result;

/// Limits of an adapter's speed, by measurement.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "bench", derive(schemars::JsonSchema))]
pub struct Ceilings {
    /// Bytes read a second, by the fastest of several kernels that only read.
    pub read_bytes_per_second: f64,
    /// The label of that kernel.
    pub read_by: String,
    /// Operations a second in f32; a multiply-add is two.
    pub f32_operations_per_second: f64,
    /// Operations a second in f16, where the adapter has it; a multiply-add is two.
    pub f16_operations_per_second: Option<f64>,
    /// Operations a second of matrix instructions with factors of f16, or of f32 where it has no others; none where it has
    /// none. A multiply-add is two.
    #[serde(default)]
    pub matrix_operations_per_second: Option<f64>,
    /// Seconds that a dispatch takes which has next to nothing to do, among others in one pass.
    pub dispatch_seconds: f64,
}

/// Bytes that are read: more than caches hold.
const BYTES: u64 = 128 << 20;
/// Seconds that a measurement takes at least, or its dispatches are too few to trust the clock.
const SECONDS: f64 = 0.02;
/// Measurements, of which the fastest counts.
const ROUNDS: usize = 3;
/// Lanes that compute at once.
const LANES: u32 = 1 << 14;

impl Gpu {
    /// Measures them: about a second on an adapter that runs on the CPU, less on others.
    pub async fn ceilings(&self) -> Result<Ceilings> {
        let (read_bytes_per_second, read_by) = self.read_ceiling().await?;
        let f16_operations_per_second = if self.adapter().features.shader_f16 {
            Some(self.compute_ceiling(Scalar::F16).await?)
        } else {
            None
        };
        Ok(Ceilings {
            read_bytes_per_second,
            read_by,
            f32_operations_per_second: self.compute_ceiling(Scalar::F32).await?,
            f16_operations_per_second,
            matrix_operations_per_second: self.matrix_ceiling().await?,
            dispatch_seconds: self.dispatch_overhead().await?,
        })
    }

    async fn read_ceiling(&self) -> Result<(f64, String)> {
        let lane = u64::from(read::TURNS) * 16;
        let limit = self.adapter().limits.max_storage_buffer_binding_size;
        let size = BYTES.min(limit) / lane * lane;
        let lanes = (size / lane) as u32;
        let sums = self.storage("sums", u64::from(lanes) * 4).await?;
        let memory = self.memory(size).await?;
        let mut best = (0.0, String::new());
        for variant in self.verified(&read::READ) {
            let shader = Shader::new(&read::READ, variant, &[], &[]);
            let params = bytes_of_params(&read::Params { lanes });
            let found = |name: &str| match name {
                "sums" => BindingResource::from(&sums),
                _ => (&memory).into(),
            };
            let ready = self.alone(&shader, &params, lanes, found).await?;
            let speed = size as f64 / self.seconds(&ready).await?;
            if speed > best.0 {
                best = (speed, shader.label());
            }
        }
        Ok(best)
    }

    async fn compute_ceiling(&self, scalar: Scalar) -> Result<f64> {
        let params = bytes_of_params(&multiply_add::Params {
            lanes: LANES,
            m: 0.5,
            b: 0.5,
        });
        let operations =
            |variant: &Variant| f64::from(LANES) * f64::from(multiply_add::operations(variant));
        let kernel = &multiply_add::MULTIPLY_ADD;
        let best = self
            .operations_ceiling(kernel, &[scalar.part()], &params, operations)
            .await?;
        Ok(best.unwrap_or(0.0))
    }

    async fn matrix_ceiling(&self) -> Result<Option<f64>> {
        let params = bytes_of_params(&multiply_matrices::Params {
            lanes: LANES,
            factor: 0.125,
        });
        let operations = |variant: &Variant| {
            let workgroups = LANES / variant.workgroup_size();
            f64::from(workgroups) * f64::from(multiply_matrices::operations(variant))
        };
        let kernel = &multiply_matrices::MULTIPLY_MATRICES;
        self.operations_ceiling(kernel, &[], &params, operations)
            .await
    }

    /// Operations a second of the fastest variant of a kernel that only computes, `LANES` lanes of it; none where none runs.
    async fn operations_ceiling(
        &self,
        kernel: &'static Kernel,
        parts: &[&'static Part],
        params: &[u8],
        operations: impl Fn(&Variant) -> f64,
    ) -> Result<Option<f64>> {
        let y = self.storage("y", u64::from(LANES) * 4).await?;
        let mut best: Option<f64> = None;
        for variant in self.verified(kernel) {
            let shader = Shader::new(kernel, variant, parts, &[]);
            let ready = self.alone(&shader, params, LANES, |_| (&y).into()).await?;
            let speed = operations(variant) / self.seconds(&ready).await?;
            best = Some(best.map_or(speed, |best| best.max(speed)));
        }
        Ok(best)
    }

    /// A norm of one number, many times.
    async fn dispatch_overhead(&self) -> Result<f64> {
        let case = (NORM.cases)().next().expect("norms have cases");
        self.time_case(&NORM, self.variant(&NORM), &case, 512).await
    }

    /// A buffer of `size` bytes that are not all the same.
    async fn memory(&self, size: u64) -> Result<Buffer> {
        let strip: Vec<u8> = (0..1u32 << 18)
            .flat_map(|i| (i | 1).to_le_bytes())
            .collect();
        let buffer = self.storage("w_quants", size).await?;
        for start in (0..size).step_by(strip.len()) {
            let count = (size - start).min(strip.len() as u64) as usize;
            self.write(&buffer, start, &strip[..count]);
        }
        Ok(buffer)
    }

    /// Seconds of a dispatch: as many at once as the clock needs, the fastest of some rounds.
    async fn seconds(&self, ready: &Alone) -> Result<f64> {
        self.timed(ready, 1).await?; // warms up
        let (mut times, mut took) = (1, 0.0);
        while took < SECONDS && times < 4096 {
            times *= if took * 8.0 < SECONDS { 8 } else { 2 };
            took = self.timed(ready, times).await?;
        }
        let mut min = took;
        for _ in 1..ROUNDS {
            min = min.min(self.timed(ready, times).await?);
        }
        Ok(min / f64::from(times))
    }

    /// Seconds of `times` dispatches in one pass.
    async fn timed(&self, ready: &Alone, times: u32) -> Result<f64> {
        let start = Instant::now();
        self.dispatch_times(&ready.single, times);
        self.wait().await?;
        Ok(start.elapsed().as_secs_f64())
    }
}
