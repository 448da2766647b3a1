//! Ops of mixers with a recurrent state.

use lantern_kernels::padded;
use serde::Serialize;

use super::{Columns, StateId, Tensor, VectorId};

/// Computation before and after a convolution's sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvForm {
    /// SiLU of the sum, and of a bias where there is one, (channels).
    Silu(Option<VectorId>),
    /// c · the sum over b · x, of columns that have all b, then all c, then all x.
    Gated,
}

/// Causal depthwise convolution over the rows of a sequence.
#[derive(Debug, Clone)]
pub struct Conv {
    /// The input, `channels` columns, or three times as many.
    pub x: Columns,
    /// Computation before and after the sum.
    pub form: ConvForm,
    /// Columns that are convolved, each by itself.
    pub channels: u32,
    /// Rows that a result is made of, its own the last.
    pub kernel: u32,
    /// The weight, (channels, kernel).
    pub weight: VectorId,
    /// The last `kernel` − 1 rows of each sequence, (sequences, kernel − 1, channels).
    pub state: StateId,
}

/// Which key head a value head reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyHeads {
    /// Value head h reads key head h mod key_heads.
    Modulo,
    /// Neighbouring value heads share a key head.
    Grouped,
}

/// The gated delta rule (Yang et al. 2024): S ← exp(g) S; S ← S + k (β (v − Sᵀ k))ᵀ; y = Sᵀ q, with normed q and k.
#[derive(Debug, Clone)]
pub struct DeltaNet {
    /// Queries and keys of `key_heads`, then values of `value_heads`.
    pub qkv: Tensor,
    /// Logits of β, a column for each value head.
    pub beta: Columns,
    /// The input of the decay, a column for each value head, or for each key of each.
    pub alpha: Columns,
    /// Whether each key of a head decays by its own (Kimi Linear, Kimi Team 2025).
    pub by_channel: bool,
    /// Is added to alpha before softplus, as many as it has columns.
    pub dt_bias: VectorId,
    /// A factor on softplus(alpha), (value_heads), below 0.
    pub a: VectorId,
    /// Heads of queries and keys.
    pub key_heads: u32,
    /// Heads of values.
    pub value_heads: u32,
    /// Values of a query's or a key's head.
    pub key_dim: u32,
    /// Values of a value's head.
    pub value_dim: u32,
    /// Which key head a value head reads.
    pub sharing: KeyHeads,
    /// Is added to the sum of squares of q and k.
    pub eps: f32,
    /// S, (sequences, value_heads, key_dim, value_dim).
    pub state: StateId,
}

/// y = x + (before − x) · share, with the row before of the sequence: several results side by side.
#[derive(Debug, Clone)]
pub struct TokenShift {
    /// The input.
    pub x: Tensor,
    /// The shares, (results, channels).
    pub shares: VectorId,
    /// Number of results: one for each row of shares.
    pub results: u32,
    /// Columns of the input, and of each result.
    pub channels: u32,
    /// The last row of each sequence, (sequences, channels).
    pub state: StateId,
}

impl TokenShift {
    /// Columns from a result to the next.
    pub fn step(&self) -> u32 {
        padded(self.channels)
    }
}

/// A step of the state of RWKV-7 (Peng et al. 2025, eq. 15 to 21), head by head: S ← diag(w) S − (a c) (Sᵀ c)ᵀ + k vᵀ;
/// y = (norm(Sᵀ r) + v (k r r_k)) gate, with c = k k_k of unit length and k then moved by k_a towards a k.
#[derive(Debug, Clone)]
pub struct Wkv7 {
    /// The receptance, the keys and the values, side by side.
    pub rkv: Tensor,
    /// Side by side, before their biases: the decay before its sigmoid; the rate at which what keys find is taken out, before
    /// its own; gates on the result; shares of the first layer's values, before their sigmoid.
    pub made: Tensor,
    /// Values of the first layer, towards which the values go by the shares; none: they stay.
    pub first_values: Option<Columns>,
    /// k_k, k_a, r_k, the norm's weight and its bias, those of decays and rates, and of shares where there are such, (7 or 8, heads · head_dim).
    pub vectors: VectorId,
    /// Heads.
    pub heads: u32,
    /// Values of a head.
    pub head_dim: u32,
    /// Is added to the variance of a head's results.
    pub eps: f32,
    /// S, (sequences, heads, head_dim, head_dim).
    pub state: StateId,
}

/// Numbers that a selective scan decays its state by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanDecay {
    /// One for each head, whose channels share a step (Mamba 2).
    Head,
    /// One for each value of each channel's state, and a step a channel (Mamba 1).
    Channel,
}

/// The selective state space model (Gu & Dao 2023): Δ = softplus(dt + bias); s ← exp(Δ a) s + Δ x b; y = (s c + d x) SiLU(z),
/// for each channel's x, its z and its s.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The input in its first `heads` · `head_dim` columns.
    pub x: Tensor,
    /// b of each group.
    pub b: Columns,
    /// c of each group, in the same tensor.
    pub c: Columns,
    /// The steps' input, a column for each head or for each channel.
    pub dt: Columns,
    /// The gates z, a column for each channel.
    pub gates: Columns,
    /// Columns of a tensor that the result goes to; none: it has a tensor of its own.
    pub into: Option<Columns>,
    /// Numbers that s decays by.
    pub decay: ScanDecay,
    /// The epsilon of norms of b and of c, where each channel has a decay of its own and they are normed.
    pub normed: Option<f32>,
    /// a, d and the bias of dt, (3, heads); or of a channel each, a (channels, `state_dim`), d (channels), bias (channels), and
    /// the weights of norms of b and c, (2, `state_dim`).
    pub a_d_bias: VectorId,
    /// Heads, whose channels share b and c.
    pub heads: u32,
    /// Channels of a head.
    pub head_dim: u32,
    /// Groups of neighbouring heads that share b and c.
    pub groups: u32,
    /// Values of a channel's s, of b and of c.
    pub state_dim: u32,
    /// s, (sequences, heads, `state_dim`, `head_dim`).
    pub state: StateId,
}
