//! The KV cache: keys and values of every layer, (kv heads, places, head size), allocated once: a place for each
//! position, or a ring of them where a layer has a window.

use crate::{Result, gpu::buffer::Buffer, model::load::Loaded};

/// Keys and values of every layer.
pub(super) struct Cache(Vec<(Buffer, Buffer)>);

impl Cache {
    pub async fn new(model: &Loaded) -> Result<Cache> {
        let mut layers = Vec::new();
        for layer in 0..model.config.layers {
            let size = model.cache_bytes(layer);
            let keys = model
                .engine
                .storage(&format!("keys of layer {layer}"), size)
                .await?;
            let values = model
                .engine
                .storage(&format!("values of layer {layer}"), size)
                .await?;
            layers.push((keys, values));
        }
        Ok(Cache(layers))
    }

    pub fn keys(&self, layer: u32) -> &Buffer {
        &self.0[layer as usize].0
    }

    pub fn values(&self, layer: u32) -> &Buffer {
        &self.0[layer as usize].1
    }

    /// Keys of layer 0, values of layer 0, keys of layer 1, …
    pub fn piece(&self, index: usize) -> &Buffer {
        let (keys, values) = &self.0[index / 2];
        if index.is_multiple_of(2) {
            keys
        } else {
            values
        }
    }

    pub fn copy_to(&self, other: &Cache, encoder: &mut wgpu::CommandEncoder) {
        for ((keys, values), (new_keys, new_values)) in self.0.iter().zip(&other.0) {
            encoder.copy_buffer_to_buffer(&keys.raw, 0, &new_keys.raw, 0, keys.size);
            encoder.copy_buffer_to_buffer(&values.raw, 0, &new_values.raw, 0, values.size);
        }
    }
}
