//! Ops of attention: rotation, the cache, scores.

use serde::Serialize;

use super::{Columns, StateId, Tensor, VectorId};

/// Pairs of a head that rotate together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RopeStyle {
    /// Neighbours, as Su et al. 2021 have them.
    Interleaved,
    /// One of the first half with one of the second, as GPT-NeoX has them.
    NeoX,
}

/// Heads of a row, rotated by their row's position: (rows, (heads + kv_heads) · head_dim).
#[derive(Debug, Clone)]
pub struct Rope {
    /// Queries, then keys.
    pub x: Columns,
    /// Query heads.
    pub heads: u32,
    /// Key heads.
    pub kv_heads: u32,
    /// Values of a head.
    pub head_dim: u32,
    /// Pairs of a head that rotate; the rest of it stays.
    pub pairs: u32,
    /// Values of a head before those pairs.
    pub skipped: u32,
    /// Values that make a pair.
    pub style: RopeStyle,
    /// The table of angles, by its number in the model.
    pub table: usize,
}

/// Keys and values of each row into the cells of its position.
#[derive(Debug, Clone)]
pub struct StoreKv {
    /// The keys, `kv_heads` · `head_dim` columns.
    pub k: Columns,
    /// The values, `kv_heads` · `value_dim` columns.
    pub v: Columns,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Values of a key head.
    pub head_dim: u32,
    /// Values of a value head.
    pub value_dim: u32,
    /// The layer's keys.
    pub keys: StateId,
    /// The layer's values; none: it keeps keys alone.
    pub values: Option<StateId>,
}

/// Positions that a row attends to. Those after its own are read as far as its pass has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// Up to its own.
    Causal,
    /// So many, up to its own.
    Window(u32),
    /// From the last multiple of this up to its own, as Llama 4 does.
    Chunked(u32),
    /// Positions at most half of this away, before and after, as `ModernBERT` does.
    Symmetric(u32),
    /// All of its sequence, as encoders do.
    None,
}

/// Treatment of scores before softmax.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scores {
    /// Nothing.
    Plain,
    /// cap · tanh(score / cap) (Gemma 2 report, section 2).
    Softcap(f32),
    /// A learned score of each head beside those of positions, which has no value (gpt-oss model card, section 2.2): (heads).
    Sinks(VectorId),
    /// Less by the distance times a slope of the head (Press et al. 2022), the last of which is 2^−max_bias.
    Alibi(f32),
}

/// y = softmax(scores(scale · q Kᵀ)) V, head by head.
#[derive(Debug, Clone)]
pub struct Attend {
    /// Queries in its first heads · head_dim columns.
    pub q: Tensor,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Values of a query's head and of a key's.
    pub head_dim: u32,
    /// Values of a value's head.
    pub value_dim: u32,
    /// The layer's keys.
    pub keys: StateId,
    /// The layer's values; none: the first `value_dim` of a key's are those, as where multi-head latent attention is absorbed
    /// (`DeepSeek` V2 report, section 2.1).
    pub values: Option<StateId>,
    /// A factor on scores.
    pub scale: f32,
    /// Treatment of scores.
    pub scores: Scores,
    /// Positions that are read.
    pub mask: Mask,
}
