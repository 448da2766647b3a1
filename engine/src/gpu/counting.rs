//! Counters of a GPU: submissions, compilations, bytes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use serde::Serialize;

use super::device::Gpu;

/// Counted since the GPU was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Compute dispatches recorded.
    pub dispatches: u64,
    /// Compute passes recorded.
    pub passes: u64,
    /// Command buffers submitted.
    pub submissions: u64,
    /// Times that the CPU read from the GPU.
    pub readbacks: u64,
    /// Buffers made.
    pub buffers_created: u64,
    /// Bind groups made.
    pub bind_groups_created: u64,
    /// Pipelines compiled.
    pub pipelines_compiled: u64,
    /// Bytes of buffers alive.
    pub gpu_bytes: u64,
}

/// [`Counters`] while counting.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub dispatches: AtomicU64,
    pub passes: AtomicU64,
    pub submissions: AtomicU64,
    pub readbacks: AtomicU64,
    pub buffers_created: AtomicU64,
    pub bind_groups_created: AtomicU64,
    pub pipelines_compiled: AtomicU64,
    pub gpu_bytes: Arc<AtomicU64>,
}

impl Gpu {
    /// What was done so far.
    pub fn counters(&self) -> Counters {
        let c = &self.counting;
        Counters {
            dispatches: c.dispatches.load(Relaxed),
            passes: c.passes.load(Relaxed),
            submissions: c.submissions.load(Relaxed),
            readbacks: c.readbacks.load(Relaxed),
            buffers_created: c.buffers_created.load(Relaxed),
            bind_groups_created: c.bind_groups_created.load(Relaxed),
            pipelines_compiled: c.pipelines_compiled.load(Relaxed),
            gpu_bytes: c.gpu_bytes.load(Relaxed),
        }
    }
}
