//! Textures that hold planes of weights, or a cache, for adapters that read those faster than storage.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use lantern_kernels::{Format, Target, formats::TEXTURE_WIDTH};

use super::{
    buffer::Buffer,
    device::{Gpu, TARGET},
    pipeline::BindingResource,
};
use crate::Result;

const CACHE_TEXEL: u32 = 16;
const CACHE_ROW: u64 = (TEXTURE_WIDTH * CACHE_TEXEL) as u64;

/// Memory that kernels see as one or the other.
pub(crate) enum Memory {
    Buffer(Buffer),
    Texture(Texture),
}

impl<'m> From<&'m Memory> for BindingResource<'m> {
    fn from(memory: &'m Memory) -> BindingResource<'m> {
        match memory {
            Memory::Buffer(buffer) => buffer.into(),
            Memory::Texture(texture) => BindingResource::Texture(&texture.view),
        }
    }
}

/// A texture of words, rows of 4096 texels; counts itself off when it goes.
pub(crate) struct Texture {
    raw: wgpu::Texture,
    pub view: wgpu::TextureView,
    texel: u64,
    height: u32,
    size: u64,
    alive: Arc<AtomicU64>,
}

impl Drop for Texture {
    fn drop(&mut self) {
        self.raw.destroy();
        self.alive.fetch_sub(self.size, Relaxed);
    }
}

impl Gpu {
    /// Whether weights and caches go into textures where they can: adapters on the CPU gather from those far faster.
    pub(crate) fn textures(&self) -> bool {
        self.software() && self.options.textures
    }

    /// A texture for plane `plane` of `format`, `bytes` of it.
    pub(crate) async fn plane_texture(
        &self,
        label: &str,
        format: &Format,
        plane: usize,
        bytes: u64,
    ) -> Result<Texture> {
        let (_, height, texel) = format.texture(plane, bytes);
        let format = match (TARGET, texel) {
            (Target::Native, 16) => wgpu::TextureFormat::Rgba32Uint,
            (Target::Native, 8) => wgpu::TextureFormat::Rg32Uint,
            (Target::Native, _) => wgpu::TextureFormat::R32Uint,
            (Target::Browser, 16) => wgpu::TextureFormat::Rgba32Float,
            (Target::Browser, 8) => wgpu::TextureFormat::Rg32Float,
            (Target::Browser, _) => wgpu::TextureFormat::R32Float,
        };
        self.texture(label, height, format, wgpu::TextureUsages::empty())
            .await
    }

    /// A texture for `bytes` of keys, or of values, in f16: eight a texel.
    pub(crate) async fn cache_texture(&self, label: &str, bytes: u64) -> Result<Texture> {
        let height = bytes.div_ceil(CACHE_ROW) as u32;
        let usage = wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_SRC;
        let format = wgpu::TextureFormat::Rgba32Uint;
        self.texture(label, height, format, usage).await
    }

    /// Whether a texture has room for so many bytes of keys, or of values.
    pub(crate) fn cache_texture_holds(&self, bytes: u64) -> bool {
        bytes.div_ceil(CACHE_ROW) <= u64::from(self.device.limits().max_texture_dimension_2d)
    }

    async fn texture(
        &self,
        label: &str,
        height: u32,
        format: wgpu::TextureFormat,
        usage: wgpu::TextureUsages,
    ) -> Result<Texture> {
        let texel = format.block_copy_size(None).expect("not a depth format");
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: extent(TEXTURE_WIDTH, height),
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST | usage,
            view_formats: &[],
        });
        let size = u64::from(TEXTURE_WIDTH * texel) * u64::from(height);
        if scope.pop().await.is_some() || self.full(size) {
            return Err(self.no_memory(label, size));
        }
        self.counting.gpu_bytes.fetch_add(size, Relaxed);
        let view = raw.create_view(&wgpu::TextureViewDescriptor::default());
        Ok(Texture {
            raw,
            view,
            texel: u64::from(texel),
            height,
            size,
            alive: self.counting.gpu_bytes.clone(),
        })
    }

    /// Writes bytes of a plane from byte `offset` on, both whole texels: the rest of a row, whole rows, a start of one.
    pub(crate) fn write_plane(&self, texture: &Texture, offset: u64, bytes: &[u8]) {
        let row = texture.row();
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (x, left) = (at % row, row - at % row);
            let whole = if x == 0 { rest.len() as u64 / row } else { 0 };
            let size = if whole > 0 {
                whole * row
            } else {
                left.min(rest.len() as u64)
            };
            let (now, later) = rest.split_at(size as usize);
            let width = if whole > 0 {
                TEXTURE_WIDTH
            } else {
                (size / texture.texel) as u32
            };
            self.guarded(|| {
                self.queue.write_texture(
                    texture.copied((x / texture.texel) as u32, (at / row) as u32),
                    now,
                    layout(row),
                    extent(width, whole.max(1) as u32),
                );
            });
            at += size;
            rest = later;
        }
    }

    /// Copies `bytes` from a buffer's start into a plane from byte `offset` on, both whole rows; what the plane has no
    /// room for in its last row is of no use, and there all the same.
    pub(crate) fn copy_plane(&self, from: &Buffer, texture: &Texture, offset: u64, bytes: u64) {
        let row = texture.row();
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_texture(
            wgpu::TexelCopyBufferInfo {
                buffer: &from.raw,
                layout: layout(row),
            },
            texture.copied(0, (offset / row) as u32),
            extent(TEXTURE_WIDTH, bytes.div_ceil(row) as u32),
        );
        self.submit(encoder);
    }

    /// Reads `count` words from byte `start` on, a multiple of 4.
    async fn read_texture(&self, texture: &Texture, start: u64, count: usize) -> Result<Vec<u32>> {
        let row = texture.row();
        let end = start + count as u64 * 4;
        let rows = start / row..end.div_ceil(row);
        let bytes = (rows.end - rows.start) * row;
        let staging = self.readback("read back", bytes).await?;
        let mut encoder = self.encoder();
        encoder.copy_texture_to_buffer(
            texture.copied(0, rows.start as u32),
            wgpu::TexelCopyBufferInfo {
                buffer: &staging.raw,
                layout: layout(row),
            },
            extent(TEXTURE_WIDTH, (rows.end - rows.start) as u32),
        );
        self.submit(encoder);
        let words = self.map_words(&staging, bytes as usize / 4).await?;
        let first = ((start - rows.start * row) / 4) as usize;
        Ok(words[first..][..count].to_vec())
    }

    /// Reads `count` words of memory from byte `start` on.
    pub(crate) async fn read_memory(
        &self,
        memory: &Memory,
        start: u64,
        count: usize,
    ) -> Result<Vec<u32>> {
        match memory {
            Memory::Buffer(buffer) => self.read_words(buffer, start, count).await,
            Memory::Texture(texture) => self.read_texture(texture, start, count).await,
        }
    }

    /// Writes bytes into memory from byte `start` on, both whole texels of it, or words.
    pub(crate) fn write_memory(&self, memory: &Memory, start: u64, bytes: &[u8]) {
        match memory {
            Memory::Buffer(buffer) => self.write(buffer, start, bytes),
            Memory::Texture(texture) => self.write_plane(texture, start, bytes),
        }
    }
}

impl Texture {
    /// Bytes of a row.
    fn row(&self) -> u64 {
        u64::from(TEXTURE_WIDTH) * self.texel
    }

    /// All of it, to another of the same size.
    pub fn copy_to(&self, other: &Texture, encoder: &mut wgpu::CommandEncoder) {
        let size = extent(TEXTURE_WIDTH, self.height);
        encoder.copy_texture_to_texture(self.copied(0, 0), other.copied(0, 0), size);
    }

    /// From this texel on.
    fn copied(&self, x: u32, y: u32) -> wgpu::TexelCopyTextureInfo<'_> {
        wgpu::TexelCopyTextureInfo {
            texture: &self.raw,
            mip_level: 0,
            origin: wgpu::Origin3d { x, y, z: 0 },
            aspect: wgpu::TextureAspect::All,
        }
    }
}

fn extent(width: u32, height: u32) -> wgpu::Extent3d {
    wgpu::Extent3d {
        width,
        height,
        depth_or_array_layers: 1,
    }
}

/// Bytes in rows of so many.
fn layout(row: u64) -> wgpu::TexelCopyBufferLayout {
    wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some(row as u32),
        rows_per_image: None,
    }
}
