//! Writes to buffers through a bounded amount of staging.

use super::{buffer::Buffer, device::Gpu};
use crate::Result;

/// Bytes of a file that are packed and uploaded at a time.
pub(crate) const STRIP_BYTES: usize = 2 << 20;

/// Bytes that go to the GPU before it must have taken them: what the upload of weights costs on the host.
const STAGING_BYTES: u64 = 8 << 20;

/// Writes to buffers through a bounded amount of staging.
pub(crate) struct Upload<'e> {
    gpu: &'e Gpu,
    pending: u64,
    /// Staging is handed over without waiting for it.
    ahead: bool,
}

impl<'e> Upload<'e> {
    pub fn new(gpu: &'e Gpu) -> Upload<'e> {
        Upload {
            gpu,
            pending: 0,
            ahead: false,
        }
    }

    /// One that does not wait: whoever writes bounds how much is under way.
    pub fn ahead(gpu: &'e Gpu) -> Upload<'e> {
        Upload {
            ahead: true,
            ..Upload::new(gpu)
        }
    }

    /// Writes bytes, a multiple of 4 of them, and waits where too many are under way.
    pub async fn write(&mut self, buffer: &Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        self.gpu.write(buffer, offset, bytes);
        self.pending += bytes.len() as u64;
        if self.pending <= STAGING_BYTES - STRIP_BYTES as u64 {
            return Ok(());
        }
        if self.ahead {
            self.pending = 0;
            self.gpu.queue.submit([]);
        } else {
            self.finish().await?;
        }
        Ok(())
    }

    /// Waits until all is written.
    pub async fn finish(&mut self) -> Result<()> {
        self.pending = 0;
        self.gpu.queue.submit([]);
        self.gpu.wait().await
    }
}
