//! How a model is loaded.

use lantern_kernels::store::BLOCK;
use serde::{Deserialize, Serialize};

use super::config::Config;
use crate::Gpu;

/// How exactly to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "bench", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "bench", schemars(transform = allow_default))]
pub enum Precision {
    /// A cache of f16, and f16 tiles where the adapter gains by them; sums in f32.
    #[default]
    #[serde(alias = "default")]
    // as older results of lantern-bench/1 and older callers name it
    Mixed,
    /// f32 throughout.
    Exact,
}

/// Has the schema of results allow the alias of [`Precision::Mixed`].
#[cfg(feature = "bench")]
fn allow_default(schema: &mut schemars::Schema) {
    let names = schema.get_mut("oneOf").and_then(|all| all.as_array_mut());
    if let Some(names) = names {
        names.push(serde_json::json!({
            "type": "string",
            "const": "default",
            "description": "`mixed`, as older results name it.",
        }));
    }
}

/// How keys and values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bench", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CacheType {
    /// 4 bytes a value.
    F32,
    /// 2 bytes a value.
    F16,
    /// Bytes with a scale of f32 for each 32: 9 bits a value.
    Q8_0,
    /// Nibbles with a scale of f32 for each 32: 5 bits a value.
    Q4_0,
}

impl CacheType {
    /// Every type, with its name.
    pub const ALL: [(&'static str, CacheType); 4] = [
        ("f32", CacheType::F32),
        ("f16", CacheType::F16),
        ("q8_0", CacheType::Q8_0),
        ("q4_0", CacheType::Q4_0),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let mut all = CacheType::ALL.into_iter();
        let found = all.find(|(_, cache)| *cache == self);
        found.map_or("", |(name, _)| name)
    }

    /// The words of a block of 32 values; none where each value stands by itself.
    pub fn block_words(self) -> Option<usize> {
        match self {
            CacheType::F32 | CacheType::F16 => None,
            CacheType::Q8_0 => Some(9),
            CacheType::Q4_0 => Some(5),
        }
    }

    /// Bytes of `values`.
    pub(crate) fn bytes(self, values: u64) -> u64 {
        match self.block_words() {
            Some(words) => values / BLOCK as u64 * words as u64 * 4,
            None if self == CacheType::F32 => values * 4,
            None => values * 2,
        }
    }
}

/// How to load a model.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// How exactly to compute.
    pub precision: Precision,
    /// How keys and values are kept; none: as f32 where computing is exact, else as f16.
    pub cache: Option<CacheType>,
    /// Positions of a session; none: the model's own, at most [`CONTEXT_DEFAULT_MAX`].
    pub context: Option<usize>,
    /// Tokens of a prefill pass; none: what suits the adapter.
    pub prefill_batch: Option<usize>,
    /// Bytes on the GPU that the model and one session may take; layers that do not fit come from the file whenever a pass
    /// needs them. None: what the adapter has; see [`Model::load`](crate::Model::load).
    pub gpu_memory: Option<u64>,
    /// Whether the block that drafts further tokens is loaded, too; see [`Model::drafts`](crate::Model::drafts).
    pub draft: bool,
}

impl LoadOptions {
    /// Computes this exactly.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Keeps keys and values in this type; with none as the precision has it.
    #[must_use]
    pub fn cache(mut self, cache: impl Into<Option<CacheType>>) -> Self {
        self.cache = cache.into();
        self
    }

    /// Gives sessions room for so many tokens; with none as many as the model has, at most [`CONTEXT_DEFAULT_MAX`].
    #[must_use]
    pub fn context(mut self, context: impl Into<Option<usize>>) -> Self {
        self.context = context.into();
        self
    }

    /// Prefills so many tokens in a pass; with none as many as suit the adapter.
    #[must_use]
    pub fn prefill_batch(mut self, prefill_batch: impl Into<Option<usize>>) -> Self {
        self.prefill_batch = prefill_batch.into();
        self
    }

    /// Takes at most so many bytes on the GPU; with none what the adapter has.
    #[must_use]
    pub fn gpu_memory(mut self, gpu_memory: impl Into<Option<u64>>) -> Self {
        self.gpu_memory = gpu_memory.into();
        self
    }

    /// Loads the block that drafts further tokens, too.
    #[must_use]
    pub fn draft(mut self, draft: bool) -> Self {
        self.draft = draft;
        self
    }

    /// Tokens of a prefill pass; an encoder's is as long as a text can be.
    pub(crate) fn prefill_batch_on(&self, gpu: &Gpu, config: &Config) -> usize {
        let context = self.context_of(config).max(1);
        let suiting = match (config.causal, gpu.software()) {
            (false, _) => context,
            (true, true) => 32,
            (true, false) => 256,
        };
        self.prefill_batch.unwrap_or(suiting).clamp(1, context)
    }

    /// How keys and values are kept.
    pub fn cache_type(&self) -> CacheType {
        let usual = match self.precision {
            Precision::Exact => CacheType::F32,
            Precision::Mixed => CacheType::F16,
        };
        self.cache.unwrap_or(usual)
    }

    /// Positions of a session of this model.
    pub(crate) fn context_of(&self, config: &Config) -> usize {
        let own = config.context as usize;
        self.context.unwrap_or(own.min(CONTEXT_DEFAULT_MAX))
    }
}

/// The context where none is asked for and the model has more.
pub const CONTEXT_DEFAULT_MAX: usize = 4096;
