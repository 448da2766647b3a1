//! A dispatch and a plan, as plain data with a text form.

use std::fmt;

use lantern_kernels::Shader;

use super::cost::Cost;
use crate::model::block::{MatrixId, VectorId};

/// A buffer that is sized once and kept for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Rows of the pass: how many, how many tokens were sampled, and (token, position, sequence) of each.
    Rows,
    /// The tokens sampled last, a ring.
    Sampled,
    /// Cosines and sines, (context, pairs, 2).
    Angles,
    /// Those of layers with a window.
    LocalAngles,
    /// The residual stream, (tokens, width).
    X,
    /// Normed input of a layer, or what is normed before it is added to the stream, (tokens, width).
    H,
    /// What a linear layer reads, as bytes, (tokens, groups); only where products of integers were asked for.
    Packed,
    /// Queries, keys and values, (tokens, heads + 2 kv heads, head_dim).
    Qkv,
    /// What attention found, (tokens, heads, head_dim).
    Attention,
    /// What it found in parts of the positions, (heads, parts, head_dim + 2).
    Parts,
    /// The gated product, (tokens, ffn_dim).
    Gated,
    /// Output of a LoRA's A, (tokens, rank).
    Rank,
    /// Gate and up by turns, where LoRAs add to them, (tokens, 2 ffn_dim).
    GateUp,
    /// What LoRAs add to gates, and to ups, (tokens, 2 ffn_dim).
    Delta,
    /// How much each expert suits, (tokens, experts).
    Router,
    /// The experts of each token, (tokens, top_k).
    Chosen,
    /// How much each of them counts, (tokens, top_k).
    Shares,
    /// Their gated products, (tokens, top_k, ffn_dim).
    ExpertsUp,
    /// What they found, (tokens, top_k, dim).
    ExpertsOut,
    /// (rows, vocab_size): of the last token, or of every one of a pass.
    Logits,
    /// Logits after penalties, (vocab_size).
    Scores,
    /// How often each token was seen, (vocab_size).
    Seen,
}

impl Slot {
    /// Its word in a plan.
    pub fn name(self) -> &'static str {
        match self {
            Slot::Rows => "rows",
            Slot::Sampled => "sampled",
            Slot::Angles => "angles",
            Slot::LocalAngles => "local angles",
            Slot::X => "x",
            Slot::H => "h",
            Slot::Packed => "bytes",
            Slot::Qkv => "qkv",
            Slot::Attention => "att",
            Slot::Parts => "parts",
            Slot::Gated => "up",
            Slot::Rank => "rank",
            Slot::GateUp => "gate up",
            Slot::Delta => "delta",
            Slot::Router => "router",
            Slot::Chosen => "chosen",
            Slot::Shares => "shares",
            Slot::ExpertsUp => "experts up",
            Slot::ExpertsOut => "experts",
            Slot::Logits => "logits",
            Slot::Scores => "scores",
            Slot::Seen => "seen",
        }
    }
}

/// Tensor, vector or cache that a dispatch binds to a name of its kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// A slot.
    Slot(Slot),
    /// All planes of a piece of a matrix, each under its own name.
    Weights(MatrixId, usize),
    /// A vector.
    Vector(VectorId),
    /// The keys of a layer's cache.
    Keys(u32),
    /// The values of a layer's cache.
    Values(u32),
}

/// One dispatch.
#[derive(Clone)]
pub struct Dispatch {
    /// The block it belongs to.
    pub layer: Option<u32>,
    /// The kernel with its choices.
    pub shader: Shader,
    /// The weights' name and shape, or what it does.
    pub what: String,
    /// From which slots to which.
    pub flow: String,
    /// Names of the kernel and what is bound to them.
    pub binds: Vec<(&'static str, Binding)>,
    /// The parameter struct's bytes.
    pub params: Vec<u8>,
    /// Units, for the grid.
    pub units: u32,
    /// The first token of the pass that it works on.
    pub token_start: u32,
    /// The part of slot x that it binds, in bytes: start and size; all of it where none is given.
    pub x_range: Option<(u64, u64)>,
    /// What it takes at least.
    pub cost: Cost,
}

impl Dispatch {
    /// Workgroups for a pass of `tokens`.
    pub fn grid(&self, tokens: u32) -> [u32; 3] {
        (self.shader.kernel.grid)(&self.shader, self.units, tokens)
    }
}

/// Dispatches in order, for passes of up to `tokens` tokens.
#[derive(Clone)]
pub struct Plan {
    /// The dispatches.
    pub dispatches: Vec<Dispatch>,
    /// Most tokens of a pass.
    pub tokens: u32,
}

/// One line a dispatch: block, label, weights, flow, workgroups, bytes of weights.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for d in &self.dispatches {
            let layer = d
                .layer
                .map_or_else(|| "-".to_string(), |l| format!("blk.{l}"));
            let grid: Vec<String> = d
                .grid(self.tokens)
                .iter()
                .map(ToString::to_string)
                .collect();
            let grid = grid.join("×").trim_end_matches("×1").to_string();
            write!(
                f,
                "{layer:<7} {:<32} {:<40} {:<18} [{grid}]",
                d.shader.label(),
                d.what,
                d.flow
            )?;
            if d.cost.bytes > 0 {
                write!(f, " {:.2} MB", d.cost.bytes as f64 / 1e6)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
