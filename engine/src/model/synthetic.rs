//! A model of the same shapes with fewer layers and random weights, for measuring before a download.

use super::config::Config;
use crate::{
    ModelFile, Result,
    file::{Metadata, TensorInfo, Value, with_random_weights},
};

impl ModelFile {
    /// Makes a model of this shape with only its first `layers` layers, and random weights. Where layers read the keys of
    /// others, two stay that have their own.
    ///
    /// # Errors
    /// [`Error`](crate::Error) of what [`Config::of`] finds wrong with the file.
    pub fn synthetic_layers(&self, layers: u32) -> Result<ModelFile> {
        let config = Config::of(self)?;
        let mut metadata = self.metadata().clone();
        let prefix = self.metadata().text("general.architecture")?;
        let prefix = prefix.unwrap_or(&config.family).to_owned();
        let key = |name: &str| format!("{prefix}.{name}");
        let layers = layers.min(config.layers).max(1);
        let put = |metadata: &mut Metadata, name: &str, number: u32| {
            metadata
                .0
                .insert(key(name), Value::Unsigned(u64::from(number)));
        };
        put(&mut metadata, "block_count", layers);
        metadata.0.remove(&key("nextn_predict_layers"));
        let shared = key("attention.shared_kv_layers");
        if let Some(all) = self.metadata().u32(&shared)?.filter(|&all| all > 0) {
            let left = layers.saturating_sub(config.layers - all);
            put(&mut metadata, "attention.shared_kv_layers", left);
        }
        let kept = |tensor: &&TensorInfo| {
            let layer = layer_of(&tensor.name);
            layer.is_none_or(|layer| layer < u64::from(layers))
        };
        let fewer = |tensor: &TensorInfo| match of_all_layers(&tensor.name) {
            Some(side) => cut(tensor, side, layers, config.layers),
            None => tensor.clone(),
        };
        let tensors = self.tensors().iter().filter(kept).map(fewer).collect();
        Ok(with_random_weights(metadata, tensors))
    }
}

/// The layer that a tensor is of: `blk.3.attn_q.weight` is of 3.
fn layer_of(name: &str) -> Option<u64> {
    name.strip_prefix("blk.")?.split_once('.')?.0.parse().ok()
}

/// Side of a tensor along which all layers have a share of their own.
fn of_all_layers(name: &str) -> Option<usize> {
    match name {
        "per_layer_token_embd.weight" => Some(0),
        "per_layer_model_proj.weight" => Some(1),
        _ => None,
    }
}

/// The tensor with the shares of `layers` of `all` layers.
fn cut(tensor: &TensorInfo, side: usize, layers: u32, all: u32) -> TensorInfo {
    let mut tensor = tensor.clone();
    tensor.shape[side] = tensor.shape[side] / u64::from(all) * u64::from(layers);
    let blocks = tensor.shape.iter().product::<u64>() / tensor.kind.block_weights();
    tensor.bytes = blocks * tensor.kind.block_bytes();
    tensor
}
