//! Sessions outside of the GPU: what a saved one says of itself, and its cache piece by piece, so that no copy of all of
//! it is ever needed. Where the bytes are kept is the caller's business.

use serde::{Deserialize, Serialize};

use super::Session;
use crate::{CacheType, Error, Precision, Result, gpu::texture::Memory};

/// The form of [`Saved`] and of the pieces.
const VERSION: u32 = 3;

/// What a saved session says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    version: u32,
    /// Of the model's weights: a cache means nothing to any other model.
    fingerprint: String,
    precision: Precision,
    #[serde(default = "before")]
    cache: CacheType,
    /// Of its LoRAs, and the factor on each.
    #[serde(rename = "adapters", default)] // as kept sessions have it
    loras: Vec<(String, f32)>,
    tokens: Vec<u32>,
    /// Positions of the tokens that were sampled.
    #[serde(rename = "drawn")] // as kept sessions have it
    sampled: Vec<usize>,
    cached: usize,
    #[serde(default)]
    written: usize,
    /// Cells of each layer's cache, where they differ from the context.
    #[serde(default)]
    rings: Vec<(u32, usize)>,
}

/// What sessions of an earlier version say nothing of; they are refused by that.
fn before() -> CacheType {
    CacheType::F16
}

fn damaged() -> Error {
    Error::BadFile("the saved session is damaged".into())
}

impl Saved {
    /// Tokens that the session holds.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }
}

impl Session {
    /// What is to be kept beside the pieces.
    pub fn save(&self) -> Saved {
        let marked = self
            .sampled
            .iter()
            .enumerate()
            .filter(|(_, sampled)| **sampled);
        Saved {
            version: VERSION,
            fingerprint: self.model.fingerprint(),
            precision: self.model.precision,
            cache: self.model.cache,
            loras: self.lora_fingerprints(),
            tokens: self.tokens.clone(),
            sampled: marked.map(|(position, _)| position).collect(),
            cached: self.cached,
            written: self.written,
            rings: self.rings(),
        }
    }

    /// Its LoRAs, as hashes of their weights, and the factor on each.
    pub(crate) fn lora_fingerprints(&self) -> Vec<(String, f32)> {
        let loras = self.loras.iter();
        loras
            .map(|(lora, factor)| (lora.fingerprint(), *factor))
            .collect()
    }

    fn rings(&self) -> Vec<(u32, usize)> {
        let layers = 0..self.model.config.layers;
        let ring = |layer| {
            self.model
                .config
                .window_of(layer)
                .map(|_| (layer, self.model.cells(layer)))
        };
        layers.filter_map(ring).collect()
    }

    /// Pieces of the cache: the keys and the values of every layer, each head by itself.
    pub fn pieces(&self) -> usize {
        2 * (self.model.config.layers * self.model.config.kv_heads) as usize
    }

    /// The layer of a piece.
    fn layer_of(&self, index: usize) -> u32 {
        index as u32 / self.model.config.kv_heads / 2
    }

    /// Bytes of a position's keys, or values, in a head.
    fn head_bytes(&self) -> u64 {
        self.model.cache_position_bytes() / u64::from(self.model.config.kv_heads)
    }

    /// The memory that piece `index` is in, and where it starts there.
    fn place_of(&self, index: usize) -> (&Memory, u64) {
        let heads = self.model.config.kv_heads as usize;
        let cells = self.model.cells(self.layer_of(index));
        let start = (index % heads * cells) as u64 * self.head_bytes();
        (self.buffers.cache.piece(index / heads), start)
    }

    /// Bytes of piece `index` of what is cached now.
    pub fn piece_bytes(&self, index: usize) -> usize {
        let layer = self.layer_of(index);
        let ring = self.model.config.window_of(layer).is_some();
        let cells = if ring {
            self.written.min(self.model.cells(layer))
        } else {
            self.cached
        };
        self.head_bytes() as usize * cells
    }

    /// Piece `index`, [`Session::piece_bytes`] of it.
    pub async fn read_piece(&self, index: usize) -> Result<Vec<u8>> {
        let (memory, start) = self.place_of(index);
        let bytes = self.piece_bytes(index);
        let gpu = &self.model.gpu;
        let words = gpu.read_memory(memory, start, bytes.div_ceil(4)).await?;
        Ok(bytemuck::cast_slice(&words)[..bytes].to_vec())
    }

    /// Makes this the session that was saved; the pieces follow by [`Session::write_piece`], all of them.
    ///
    /// # Errors
    /// [`Error::BadInput`] where it is of another model, of another precision or longer than the context,
    /// [`Error::BadFile`] where it is damaged; then nothing is changed.
    pub fn restore(&mut self, saved: &Saved) -> Result<()> {
        let model = &self.model;
        let refused = |why: &str| {
            Err(Error::BadInput(format!(
                "the saved session cannot go on here: {why}"
            )))
        };
        if saved.version != VERSION {
            return refused("another version of Lantern wrote it");
        }
        if saved.fingerprint != model.fingerprint() {
            return refused("it is of another model");
        }
        if saved.precision != model.precision {
            return refused("it was computed at another precision");
        }
        if saved.cache != model.cache {
            return refused("its cache is of another type");
        }
        let held = saved.tokens.len();
        if held > model.context {
            return refused(&format!(
                "it holds {held} tokens, and the context {}",
                model.context
            ));
        }
        if saved.loras != self.lora_fingerprints() {
            return refused("it was computed with other adapters");
        }
        if saved.rings != self.rings() {
            return refused("its windows were kept in another size");
        }
        let unknown = |&token: &u32| token >= model.config.vocab_size;
        if saved.cached > held || saved.written < saved.cached || saved.tokens.iter().any(unknown) {
            return Err(damaged());
        }
        self.tokens.clone_from(&saved.tokens);
        self.sampled = vec![false; held];
        for &position in &saved.sampled {
            if let Some(sampled) = self.sampled.get_mut(position) {
                *sampled = true;
            }
        }
        (self.cached, self.written) = (saved.cached, saved.written);
        self.fresh = false;
        Ok(())
    }

    /// Writes piece `index` of a session that is being restored.
    pub fn write_piece(&mut self, index: usize, bytes: &[u8]) -> Result<()> {
        if index >= self.pieces() || bytes.len() != self.piece_bytes(index) {
            return Err(damaged());
        }
        let mut whole = bytes.to_vec();
        whole.resize(bytes.len().next_multiple_of(4), 0);
        let (memory, start) = self.place_of(index);
        self.model.gpu.write_memory(memory, start, &whole);
        Ok(())
    }
}
