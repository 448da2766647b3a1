//! Counters of a GPU: submissions, compilations, bytes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use serde::Serialize;

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

impl Counting {
    /// The counts so far.
    pub fn counters(&self) -> Counters {
        Counters {
            dispatches: self.dispatches.load(Relaxed),
            passes: self.passes.load(Relaxed),
            submissions: self.submissions.load(Relaxed),
            readbacks: self.readbacks.load(Relaxed),
            buffers_created: self.buffers_created.load(Relaxed),
            bind_groups_created: self.bind_groups_created.load(Relaxed),
            pipelines_compiled: self.pipelines_compiled.load(Relaxed),
            gpu_bytes: self.gpu_bytes.load(Relaxed),
        }
    }
}
