//! Sessions outside of the GPU: what a saved one says of itself, and its cache piece by piece, so that no copy of all of
//! it is ever needed. Where the bytes are kept is the caller's business.

use serde::{Deserialize, Serialize};

use super::Session;
use super::states::{Piece, Size};
use crate::{CacheType, Error, Precision, Result, Unsupported, graph::StateKind};

/// The form of [`Saved`] and of the pieces.
const VERSION: u32 = 4;

/// Description of a saved session, beside its pieces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    version: u32,
    /// Fingerprint of the model's weights: a cache means nothing to any other model.
    fingerprint: String,
    precision: Precision,
    #[serde(default = "before")]
    cache: CacheType,
    /// Fingerprints of its LoRAs, and the factor on each.
    #[serde(rename = "adapters", default)] // as kept sessions have it
    loras: Vec<(String, f32)>,
    tokens: Vec<u32>,
    /// Positions of the tokens that were sampled.
    sampled: Vec<usize>,
    /// Positions of the tokens that the plan for one row computes.
    #[serde(default)]
    decoded: Vec<usize>,
    /// Whether the logits after the last token are kept as the last piece.
    #[serde(default)]
    logits: bool,
    cached: usize,
    #[serde(default)]
    written: usize,
    /// Cells of each layer's cache, where they differ from the context.
    #[serde(default)]
    rings: Vec<(u32, usize)>,
}

/// Cache type of sessions of an earlier version, which do not tell it; they are refused by their version.
fn before() -> CacheType {
    CacheType::F16
}

fn damaged() -> Error {
    Error::bad_file("the saved session is damaged")
}

impl Saved {
    /// Tokens that the session holds.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }
}

impl Session {
    /// Describes the session, to be kept beside the pieces.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where rows were given in the place of tokens: they are not kept.
    pub fn save(&self) -> Result<Saved> {
        if !self.embedded.is_empty() {
            return Err(Error::unsupported(
                Unsupported::Session,
                "a session with embedded rows cannot be saved",
            ));
        }
        let cached = self.memory.states.reachable(self.cached);
        Ok(Saved {
            version: VERSION,
            fingerprint: self.model.fingerprint(),
            precision: self.model.precision,
            cache: self.model.cache,
            loras: self.lora_fingerprints(),
            tokens: self.tokens.clone(),
            sampled: positions(&self.sampled),
            decoded: positions(&self.decoded),
            logits: self.saves_logits(),
            cached,
            written: self.written,
            rings: self.rings(),
        })
    }

    /// Whether the logits are kept: where the last token cannot be computed again by itself.
    fn saves_logits(&self) -> bool {
        self.memory.states.is_recurrent() && self.fresh && self.cached == self.tokens.len()
    }

    /// Its LoRAs, as hashes of their weights, and the factor on each.
    pub(crate) fn lora_fingerprints(&self) -> Vec<(String, f32)> {
        let loras = self.loras.iter();
        loras
            .map(|(lora, factor)| (lora.fingerprint(), *factor))
            .collect()
    }

    /// Layers whose cells are a ring, and how many those are.
    fn rings(&self) -> Vec<(u32, usize)> {
        let specs = self.memory.states.specs().iter();
        let ring = specs.filter_map(|spec| match spec.kind {
            StateKind::PerPosition {
                cells,
                window: Some(_),
                ..
            } => Some((spec.layer, cells as usize)),
            _ => None,
        });
        ring.collect()
    }

    /// Pieces of a saved session: of every state that grows by positions, each head by itself; every recurrent state;
    /// logits where they are kept.
    pub fn pieces(&self) -> usize {
        self.memory.states.pieces().len() + usize::from(self.saves_logits())
    }

    /// Bytes of piece `index` of what is cached now.
    pub fn piece_bytes(&self, index: usize) -> usize {
        match self.memory.states.pieces().get(index) {
            Some(piece) => self.size_of(piece),
            None => self.model.config.vocab_size as usize * 4,
        }
    }

    fn size_of(&self, piece: &Piece) -> usize {
        match piece.size {
            Size::Whole(bytes) => bytes,
            Size::PerCell { bytes, cells, ring } => {
                let filled = if ring {
                    self.written.min(cells)
                } else {
                    self.memory.states.reachable(self.cached)
                };
                bytes * filled
            }
        }
    }

    /// Piece `index`, [`Session::piece_bytes`] of it.
    pub async fn read_piece(&self, index: usize) -> Result<Vec<u8>> {
        let gpu = &self.model.gpu;
        let bytes = self.piece_bytes(index);
        let count = bytes.div_ceil(4);
        let states = &self.memory.states;
        let words = match states.pieces().get(index) {
            Some(piece) => {
                let memory = states.piece_memory(piece, states.reachable(self.cached));
                gpu.read_words(memory, piece.start, count).await?
            }
            None => gpu.read_words(&self.memory.logits, 0, count).await?,
        };
        Ok(bytemuck::cast_slice(&words)[..bytes].to_vec())
    }

    /// Makes this the session that was saved; the pieces follow by [`Session::write_piece`], all of them.
    ///
    /// # Errors
    /// [`Error::BadInput`] where it is of another model, of another precision or longer than the context,
    /// [`Error::BadFile`] where it is damaged; then nothing is changed.
    pub fn restore(&mut self, saved: &Saved) -> Result<()> {
        self.check_saved(saved)?;
        let held = saved.tokens.len();
        self.tokens.clone_from(&saved.tokens);
        self.sampled = flags(&saved.sampled, held);
        self.decoded = flags(&saved.decoded, held);
        self.embedded.clear();
        (self.cached, self.written) = (saved.cached, saved.written);
        self.fresh = saved.logits;
        self.memory.states.forget_beyond(0);
        self.memory.states.set_seen(saved.cached);
        Ok(())
    }

    fn check_saved(&self, saved: &Saved) -> Result<()> {
        let model = &self.model;
        let held = saved.tokens.len();
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
        if held > model.context {
            return refused(&format!(
                "it holds {held} tokens, and the context {}",
                model.context
            ));
        }
        if saved.loras != self.lora_fingerprints() {
            return refused("it was computed with other LoRAs");
        }
        if saved.rings != self.rings() {
            return refused("its windows were kept in another size");
        }
        let unknown = |&token: &u32| token >= model.config.vocab_size;
        let logits_of = saved.cached == held && self.memory.states.is_recurrent();
        if saved.cached > held
            || saved.written < saved.cached
            || saved.tokens.iter().any(unknown)
            || saved.logits && !logits_of
        {
            return Err(damaged());
        }
        Ok(())
    }

    /// Writes piece `index` of a session that is being restored.
    pub fn write_piece(&mut self, index: usize, bytes: &[u8]) -> Result<()> {
        if index >= self.pieces() || bytes.len() != self.piece_bytes(index) {
            return Err(damaged());
        }
        let mut whole = bytes.to_vec();
        whole.resize(bytes.len().next_multiple_of(4), 0);
        let (gpu, states) = (&self.model.gpu, &self.memory.states);
        match states.pieces().get(index) {
            Some(piece) => {
                let memory = states.piece_memory(piece, self.cached);
                gpu.write(memory, piece.start, &whole);
            }
            None => gpu.write(&self.memory.logits, 0, &whole),
        }
        Ok(())
    }
}

/// Positions of the flags that are set.
fn positions(flags: &[bool]) -> Vec<usize> {
    let set = flags.iter().enumerate().filter(|(_, set)| **set);
    set.map(|(position, _)| position).collect()
}

/// Flags for `count` tokens, set at these positions; those beyond the end are left out.
fn flags(positions: &[usize], count: usize) -> Vec<bool> {
    let mut flags = vec![false; count];
    for &position in positions {
        if let Some(flag) = flags.get_mut(position) {
            *flag = true;
        }
    }
    flags
}
