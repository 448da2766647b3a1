//! LoRA adapters on a model's GPU. Sessions take and leave them; the model's weights stay as they are.

use std::{ops::ControlFlow, sync::Arc};

use xxhash_rust::xxh3::Xxh3;

use super::{
    load::{Loaded, Model},
    weights::Stored,
};
use crate::{
    ModelFile, Result,
    gpu::{pipeline::BindingResource, upload::Upload},
    model::{
        lora::{LoraLayout, in_order},
        weights::PieceLimits,
    },
};

/// LoRA adapter on a model's GPU; cheap to clone.
#[derive(Clone)]
pub struct Lora(Arc<LoraWeights>);

struct LoraWeights {
    /// Fingerprint of the model that it was loaded for.
    model: String,
    /// XXH3 of all bytes of its matrices.
    hash: u64,
    layout: LoraLayout,
    stored: Vec<Vec<Stored>>,
}

impl Lora {
    /// Its matrices, and what they change.
    pub(crate) fn layout(&self) -> &LoraLayout {
        &self.0.layout
    }

    /// A plane of a piece of a matrix.
    pub(crate) fn weights(&self, matrix: usize, piece: usize, plane: &str) -> BindingResource<'_> {
        self.0.stored[matrix][piece].plane(&self.0.layout.matrices[matrix], piece, plane)
    }

    /// Tells it from any other.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{:016x}", self.0.hash)
    }

    /// Whether it was loaded for `model`.
    pub(crate) fn is_for(&self, model: &Loaded) -> bool {
        self.0.model == model.fingerprint()
    }
}

impl Model {
    /// Loads a LoRA adapter onto the GPU.
    ///
    /// # Errors
    /// [`Error::BadFile`](crate::Error::BadFile) where the file is none, or is for other shapes;
    /// [`Error::Unsupported`](crate::Error::Unsupported) where it changes what cannot be changed here.
    pub async fn load_lora(&self, file: &ModelFile) -> Result<Lora> {
        let model = &self.0;
        let file = &in_order(file, &model.config)?;
        let layout = LoraLayout::of(
            PieceLimits::of(&model.gpu),
            file,
            &model.config,
            &model.layout,
        )?;
        let mut upload = Upload::new(&model.gpu);
        let mut stored = Vec::new();
        let mut hash = Xxh3::new();
        for matrix in &layout.matrices {
            let mut each = |bytes: &[u8], _: u64| {
                hash.update(bytes);
                ControlFlow::Continue(())
            };
            stored.push(
                matrix
                    .load_all(&model.gpu, file, &mut upload, &mut each)
                    .await?,
            );
        }
        upload.finish().await?;
        Ok(Lora(Arc::new(LoraWeights {
            model: model.fingerprint(),
            hash: hash.digest(),
            layout,
            stored,
        })))
    }
}
