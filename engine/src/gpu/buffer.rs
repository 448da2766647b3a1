//! Buffers on the GPU: made, filled, read back.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    device::Gpu,
    oneshot::{Receiver, oneshot},
};
use crate::{Error, Limit, Result};

/// A buffer that counts itself off, and frees its memory, when it goes; a browser would leave that to its garbage collector.
pub(crate) struct Buffer {
    pub raw: wgpu::Buffer,
    pub size: u64,
    alive: Arc<AtomicU64>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.raw.destroy();
        self.alive.fetch_sub(self.size, Relaxed);
    }
}

/// A submission that can be waited for.
pub(crate) struct Submission(pub(super) wgpu::SubmissionIndex);

/// Point in the order of submissions that can be waited for.
pub(crate) struct Fence {
    last: wgpu::SubmissionIndex,
    receiver: Receiver<()>,
}

impl Gpu {
    /// A buffer of zeros, `size` bytes rounded up to 4.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] past the adapter's limits or memory.
    pub(crate) async fn buffer(
        &self,
        label: &str,
        size: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<Buffer> {
        let size = size.max(16).next_multiple_of(4);
        let max = self.device.limits().max_buffer_size;
        let name = &self.adapter().name;
        if size > max {
            return Err(Error::DoesNotFit {
                limit: Limit::Buffer,
                needed: size,
                available: Some(max),
                message: format!("{label} takes {size} bytes; {name} allows {max} a buffer"),
            });
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        });
        if scope.pop().await.is_some() || self.full(size) {
            return Err(self.no_memory(label, size));
        }
        self.counting.buffers_created.fetch_add(1, Relaxed);
        self.counting.gpu_bytes.fetch_add(size, Relaxed);
        Ok(Buffer {
            raw,
            size,
            alive: self.counting.gpu_bytes.clone(),
        })
    }

    /// The error of an allocation that failed.
    pub(super) fn no_memory(&self, label: &str, size: u64) -> Error {
        let name = &self.adapter().name;
        Error::DoesNotFit {
            limit: Limit::Memory,
            needed: size,
            available: None,
            message: format!("{name} has no memory left for {label}, {size} bytes"),
        }
    }

    /// Whether a test has it that there is no memory for `size` bytes more.
    pub(super) fn full(&self, size: u64) -> bool {
        let taken = self.counting.gpu_bytes.load(Relaxed);
        let max = self.options.memory_max;
        max.is_some_and(|max| taken + size > max)
    }

    /// A storage buffer that can be written and read back.
    pub(crate) async fn storage(&self, label: &str, size: u64) -> Result<Buffer> {
        use wgpu::BufferUsages as U;
        self.buffer(label, size, U::STORAGE | U::COPY_DST | U::COPY_SRC)
            .await
    }

    /// A storage buffer that can be written and read back, and that shaders may also bind as uniform.
    pub(crate) async fn storage_or_uniform(&self, label: &str, size: u64) -> Result<Buffer> {
        use wgpu::BufferUsages as U;
        self.buffer(
            label,
            size,
            U::STORAGE | U::UNIFORM | U::COPY_DST | U::COPY_SRC,
        )
        .await
    }

    /// A buffer that the CPU reads.
    pub(crate) async fn readback(&self, label: &str, size: u64) -> Result<Buffer> {
        self.buffer(
            label,
            size,
            wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        )
        .await
    }

    /// Waits until the GPU has done all it was given.
    pub(crate) async fn wait(&self) -> Result<()> {
        let (sender, receiver) = oneshot();
        self.queue.on_submitted_work_done(move || sender.send(()));
        self.drive()?;
        receiver.await;
        self.check()
    }

    /// Natively nobody calls back unless asked to; a browser does by itself, and this does nothing.
    fn drive(&self) -> Result<()> {
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        polled.map_err(|e| Error::Device(format!("{}: {e}", self.adapter().name)))?;
        self.check()
    }

    /// Submits recorded commands.
    pub(crate) fn submit(&self, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        self.counting.submissions.fetch_add(1, Relaxed);
        self.guarded(|| self.queue.submit([encoder.finish()]))
    }

    /// Fence after `last`, which was submitted last.
    pub(crate) fn fence(&self, Submission(last): Submission) -> Fence {
        let (sender, receiver) = oneshot();
        self.queue.on_submitted_work_done(move || sender.send(()));
        Fence { last, receiver }
    }

    /// Waits until all is done that was submitted before the fence, and for nothing after it.
    pub(crate) async fn wait_for(&self, fence: Fence) -> Result<()> {
        // Natively nobody calls back unless asked to.
        let polled = self.device.poll(wgpu::PollType::Wait {
            submission_index: Some(fence.last),
            timeout: None,
        });
        polled.map_err(|e| Error::Device(format!("{}: {e}", self.adapter().name)))?;
        fence.receiver.await;
        self.check()
    }

    /// Reads `count` words of a buffer made by [`Gpu::readback`], after all that was submitted.
    pub(crate) async fn map_words(&self, buffer: &Buffer, count: usize) -> Result<Vec<u32>> {
        let range = 0..(count * 4) as u64;
        let (sender, receiver) = oneshot();
        buffer
            .raw
            .map_async(wgpu::MapMode::Read, range.clone(), move |result| {
                sender.send(result.is_ok());
            });
        self.drive()?;
        let lost = || {
            Error::DeviceLost(format!(
                "{}: reading from the device failed",
                self.adapter().name
            ))
        };
        if !receiver.await {
            self.check()?; // the reason, where the device gave one
            return Err(lost());
        }
        let view = buffer.raw.get_mapped_range(range).map_err(|_| lost())?;
        let words = bytemuck::pod_collect_to_vec(&view[..]);
        drop(view);
        buffer.raw.unmap();
        self.counting.readbacks.fetch_add(1, Relaxed);
        self.check()?;
        Ok(words)
    }

    /// Reads `count` words of any storage buffer; makes a buffer for it, so not for use while decoding.
    pub(crate) async fn read_words(
        &self,
        buffer: &Buffer,
        start: u64,
        count: usize,
    ) -> Result<Vec<u32>> {
        let staging = self.readback("read back", (count * 4) as u64).await?;
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&buffer.raw, start, &staging.raw, 0, (count * 4) as u64);
        self.submit(encoder);
        self.map_words(&staging, count).await
    }
}
