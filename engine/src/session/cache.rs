//! The KV cache: keys and values of every layer, (kv_heads, cells, head_dim), allocated once: a cell for each
//! position, or a ring of them where a layer has a window. In textures where an adapter reads those faster.

use crate::{Result, gpu::texture::Memory, model::load::Loaded};

/// Keys and values of every layer: keys of layer 0, values of layer 0, keys of layer 1, …
pub(super) struct Cache(Vec<Memory>);

impl Cache {
    pub async fn new(model: &Loaded) -> Result<Cache> {
        let mut all = Vec::new();
        for layer in 0..model.config.layers {
            let size = model.cache_bytes(layer);
            let textured = model.builder().cache_textured(layer);
            for what in ["keys", "values"] {
                let label = format!("{what} of layer {layer}");
                all.push(if textured {
                    Memory::Texture(model.gpu.cache_texture(&label, size).await?)
                } else {
                    Memory::Buffer(model.gpu.storage(&label, size).await?)
                });
            }
        }
        Ok(Cache(all))
    }

    pub fn keys(&self, layer: u32) -> &Memory {
        self.piece(2 * layer as usize)
    }

    pub fn values(&self, layer: u32) -> &Memory {
        self.piece(2 * layer as usize + 1)
    }

    /// Keys of layer 0, values of layer 0, keys of layer 1, …
    pub fn piece(&self, index: usize) -> &Memory {
        &self.0[index]
    }

    pub fn copy_to(&self, other: &Cache, encoder: &mut wgpu::CommandEncoder) {
        for pair in self.0.iter().zip(&other.0) {
            match pair {
                (Memory::Buffer(from), Memory::Buffer(to)) => {
                    encoder.copy_buffer_to_buffer(&from.raw, 0, &to.raw, 0, from.size);
                }
                (Memory::Texture(from), Memory::Texture(to)) => from.copy_to(to, encoder),
                _ => panic!("two caches of one model are kept alike"),
            }
        }
    }
}
