//! How long every case of the kernels takes: the same cases that tests run.

use std::ops::ControlFlow;

use serde::Serialize;

use super::{device::Gpu, selftest::kernels};
use crate::{Error, Result};

/// How long a case takes in one variant of its kernel.
#[derive(Debug, Clone, Serialize)]
pub struct KernelTime {
    /// The kernel.
    pub kernel: &'static str,
    /// Its variant.
    pub variant: &'static str,
    /// The case.
    pub case: String,
    /// Seconds of one dispatch among others in one pass, the least of three rounds.
    pub seconds: f64,
    /// Bytes of weights that it reads; of all its buffers, where the kernel has no weights.
    pub bytes: u64,
}

/// Dispatches of a round.
const TIMES: u32 = 8;

impl Gpu {
    /// Times the cases of the kernels named in `only`, or of all, in every variant that this adapter can run.
    /// `each(time, total)` sees them as they come, and how many there will be; breaking it ends in [`Error::Aborted`].
    ///
    /// # Errors
    /// As [`Gpu::selftest`], and whatever the device reports.
    pub async fn kernel_times(
        &self,
        only: &[String],
        each: &mut dyn FnMut(KernelTime, usize) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut wanted = Vec::new();
        for kernel in kernels(only)? {
            let cases: Vec<_> = self.cases(kernel).collect();
            let variants: Vec<_> = self.verified(kernel).collect();
            wanted.push((kernel, variants, cases));
        }
        let total = wanted.iter().map(|(_, v, c)| v.len() * c.len()).sum();
        for (kernel, variants, cases) in wanted {
            for variant in variants {
                for case in &cases {
                    let seconds = self.time_case(kernel, variant, case, TIMES).await?;
                    let weights = case.weights.as_ref().map(|w| w.bytes.len());
                    let buffers = || case.buffers.iter().map(|(_, words)| words.len() * 4).sum();
                    let time = KernelTime {
                        kernel: kernel.name,
                        variant: variant.name,
                        case: case.name.clone(),
                        seconds,
                        bytes: weights.unwrap_or_else(buffers) as u64,
                    };
                    if each(time, total).is_break() {
                        return Err(Error::Aborted);
                    }
                }
            }
        }
        Ok(())
    }
}
