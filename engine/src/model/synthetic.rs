//! A model of the same shapes with fewer layers and random weights, for measuring before a download.

use super::config::Config;
use crate::{
    ModelFile, Result,
    file::{TensorInfo, Value, with_random_weights},
};

impl ModelFile {
    /// Makes a model of this shape with only its first `layers` layers, and random weights.
    ///
    /// # Errors
    /// [`Error`](crate::Error) of what [`Config::of`] finds wrong with the file.
    pub fn synthetic_layers(&self, layers: u32) -> Result<ModelFile> {
        let config = Config::of(self)?;
        let mut metadata = self.metadata().clone();
        let key = format!("{}.block_count", config.family);
        let layers = u64::from(layers.min(config.layers).max(1));
        metadata.0.insert(key, Value::Unsigned(layers));
        let drafts = format!("{}.nextn_predict_layers", config.family);
        metadata.0.remove(&drafts);
        let kept = |tensor: &&TensorInfo| layer_of(&tensor.name).is_none_or(|layer| layer < layers);
        let tensors = self.tensors().iter().filter(kept).cloned().collect();
        Ok(with_random_weights(metadata, tensors))
    }
}

/// The layer that a tensor is of: `blk.3.attn_q.weight` is of 3.
fn layer_of(name: &str) -> Option<u64> {
    name.strip_prefix("blk.")?.split_once('.')?.0.parse().ok()
}
