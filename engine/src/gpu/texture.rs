//! Textures that hold planes of weights, for adapters that read those faster than storage.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use lantern_kernels::{Format, formats::TEXTURE_WIDTH};

use super::{buffer::Buffer, device::Engine};
use crate::{Error, Result};

/// A plane of weights in a texture; counts itself off when it goes.
pub(crate) struct Texture {
    raw: wgpu::Texture,
    pub view: wgpu::TextureView,
    texel: u64,
    size: u64,
    alive: Arc<AtomicU64>,
}

impl Drop for Texture {
    fn drop(&mut self) {
        self.raw.destroy();
        self.alive.fetch_sub(self.size, Relaxed);
    }
}

impl Engine {
    /// A texture for plane `plane` of `format`, `bytes` of it.
    pub(crate) async fn plane_texture(
        &self,
        label: &str,
        format: &Format,
        plane: usize,
        bytes: u64,
    ) -> Result<Texture> {
        let (width, height, texel) = format.texture(plane, bytes);
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d {
                width,
                height,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: match texel {
                16 => wgpu::TextureFormat::Rgba32Uint,
                8 => wgpu::TextureFormat::Rg32Uint,
                _ => wgpu::TextureFormat::R32Uint,
            },
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let (name, size) = (
            &self.adapter().name,
            u64::from(width * texel) * u64::from(height),
        );
        if scope.pop().await.is_some() || self.full(size) {
            return Err(Error::DoesNotFit(format!(
                "{name} has no memory left for {label}, {size} bytes"
            )));
        }
        self.counting.gpu_bytes.fetch_add(size, Relaxed);
        let view = raw.create_view(&wgpu::TextureViewDescriptor::default());
        Ok(Texture {
            raw,
            view,
            texel: u64::from(texel),
            size,
            alive: self.counting.gpu_bytes.clone(),
        })
    }

    /// Writes bytes of a plane from byte `offset` on, both whole texels: the rest of a row, whole rows, a start of one.
    pub(crate) fn write_plane(&self, texture: &Texture, offset: u64, bytes: &[u8]) {
        let row = u64::from(TEXTURE_WIDTH) * texture.texel;
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
            self.queue.write_texture(
                wgpu::TexelCopyTextureInfo {
                    texture: &texture.raw,
                    mip_level: 0,
                    origin: wgpu::Origin3d {
                        x: (x / texture.texel) as u32,
                        y: (at / row) as u32,
                        z: 0,
                    },
                    aspect: wgpu::TextureAspect::All,
                },
                now,
                wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(row as u32),
                    rows_per_image: None,
                },
                wgpu::Extent3d {
                    width,
                    height: whole.max(1) as u32,
                    depth_or_array_layers: 1,
                },
            );
            at += size;
            rest = later;
        }
    }

    /// Copies `bytes` from a buffer's start into a plane from byte `offset` on, both whole rows; what the plane has no
    /// room for in its last row is of no use, and there all the same.
    pub(crate) fn copy_plane(&self, from: &Buffer, texture: &Texture, offset: u64, bytes: u64) {
        let row = u64::from(TEXTURE_WIDTH) * texture.texel;
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_texture(
            wgpu::TexelCopyBufferInfo {
                buffer: &from.raw,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(row as u32),
                    rows_per_image: None,
                },
            },
            wgpu::TexelCopyTextureInfo {
                texture: &texture.raw,
                mip_level: 0,
                origin: wgpu::Origin3d {
                    x: 0,
                    y: (offset / row) as u32,
                    z: 0,
                },
                aspect: wgpu::TextureAspect::All,
            },
            wgpu::Extent3d {
                width: TEXTURE_WIDTH,
                height: bytes.div_ceil(row) as u32,
                depth_or_array_layers: 1,
            },
        );
        self.submit(encoder);
    }
}
