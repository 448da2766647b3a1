//! Benchmarks: how fast prefill and decode are, how near that is to what the adapter can do at all, and what a decoded
//! token costs in counts that no adapter can be blamed for. The command line and browsers run this same code.

pub mod estimate;
mod measure;
mod options;
pub mod report;

use std::ops::ControlFlow;

use measure::Bench;
pub use options::BenchOptions;
use report::Measured;

use crate::{Result, Session};

impl Session {
    /// Measures with this session, which is empty afterwards. `each(done, total)` counts tokens, and stops by breaking.
    ///
    /// # Errors
    /// [`Error::BadInput`](crate::Error::BadInput) where there is nothing to measure, or no room for it; [`Error::Aborted`](crate::Error::Aborted).
    pub async fn bench(
        &mut self,
        options: &BenchOptions,
        each: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Measured> {
        options.check(self)?;
        self.rewind(0)?;
        let measured = Bench::new(self, options, each).run().await?;
        self.rewind(0)?;
        Ok(measured)
    }
}
