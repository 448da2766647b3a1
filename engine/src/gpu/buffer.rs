//! Buffers on the GPU: made, filled, read back.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Poll, Waker},
};

use super::{device::Engine, texture::Texture};
use crate::{Error, Result};

/// A buffer that counts itself off when it goes.
pub(crate) struct Buffer {
    pub raw: wgpu::Buffer,
    pub size: u64,
    alive: Arc<AtomicU64>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.alive.fetch_sub(self.size, Relaxed);
    }
}

/// Bytes that go to the GPU before it must have taken them: what the upload of weights costs on the host.
const STAGING_BYTES: u64 = 16 << 20;

impl Engine {
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
        let most = self.device.limits().max_buffer_size;
        let name = &self.adapter().name;
        if size > most {
            return Err(Error::DoesNotFit(format!(
                "{label} takes {size} bytes; {name} allows {most} a buffer"
            )));
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        });
        if scope.pop().await.is_some() {
            return Err(Error::DoesNotFit(format!(
                "{name} has no memory left for {label}, {size} bytes"
            )));
        }
        self.counting.buffers_created.fetch_add(1, Relaxed);
        self.counting.gpu_bytes.fetch_add(size, Relaxed);
        Ok(Buffer {
            raw,
            size,
            alive: self.counting.gpu_bytes.clone(),
        })
    }

    /// A storage buffer that can be written and read back.
    pub(crate) async fn storage(&self, label: &str, size: u64) -> Result<Buffer> {
        use wgpu::BufferUsages as U;
        self.buffer(label, size, U::STORAGE | U::COPY_DST | U::COPY_SRC)
            .await
    }

    /// The same, which shaders may also bind as uniform.
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
    pub(crate) fn wait(&self) -> Result<()> {
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        polled.map_err(|e| Error::Device(format!("{}: {e}", self.adapter().name)))?;
        self.check()
    }

    /// Submits recorded commands.
    pub(crate) fn submit(&self, encoder: wgpu::CommandEncoder) {
        self.queue.submit([encoder.finish()]);
        self.counting.submissions.fetch_add(1, Relaxed);
    }

    /// Reads `count` words of a buffer made by [`Engine::readback`], after all that was submitted.
    pub(crate) async fn map_words(&self, buffer: &Buffer, count: usize) -> Result<Vec<u32>> {
        let state: Arc<Mutex<(Option<bool>, Option<Waker>)>> = Arc::default();
        let shared = state.clone();
        let range = 0..(count * 4) as u64;
        buffer
            .raw
            .map_async(wgpu::MapMode::Read, range.clone(), move |result| {
                let mut state = shared.lock().expect("not poisoned");
                state.0 = Some(result.is_ok());
                if let Some(waker) = state.1.take() {
                    waker.wake();
                }
            });
        self.wait()?;
        let mapped = poll_fn(|context| {
            let mut state = state.lock().expect("not poisoned");
            state.1 = Some(context.waker().clone());
            state.0.map_or(Poll::Pending, Poll::Ready)
        });
        let lost = || {
            Error::Device(format!(
                "{}: reading from the device failed",
                self.adapter().name
            ))
        };
        if !mapped.await {
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

/// Writes to buffers through a bounded amount of staging.
pub(crate) struct Upload<'e> {
    engine: &'e Engine,
    pending: u64,
}

impl<'e> Upload<'e> {
    pub fn new(engine: &'e Engine) -> Upload<'e> {
        Upload { engine, pending: 0 }
    }

    /// Writes bytes, a multiple of 4 of them, and waits where too many are under way.
    pub fn write(&mut self, buffer: &Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        self.engine.queue.write_buffer(&buffer.raw, offset, bytes);
        self.pending += bytes.len() as u64;
        if self.pending > STAGING_BYTES {
            self.finish()
        } else {
            Ok(())
        }
    }

    /// The same for a plane in a texture.
    pub fn write_plane(&mut self, texture: &Texture, offset: u64, bytes: &[u8]) -> Result<()> {
        self.engine.write_plane(texture, offset, bytes);
        self.pending += bytes.len() as u64;
        if self.pending > STAGING_BYTES {
            self.finish()
        } else {
            Ok(())
        }
    }

    /// Waits until all is written.
    pub fn finish(&mut self) -> Result<()> {
        self.pending = 0;
        self.engine.queue.submit([]);
        self.engine.wait()
    }
}
