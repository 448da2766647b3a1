//! Ops: one struct for each, with the fields of its formula. Weights are named by their numbers in the model's layout.

use serde::Serialize;

use super::{Columns, StateId, Tensor};

/// Index of a matrix in the model's layout.
pub type MatrixId = usize;
/// Index of a vector in the model's layout.
pub type VectorId = usize;

/// A step of the forward pass.
#[derive(Debug, Clone)]
pub enum Op {
    /// Rows of an embedding matrix.
    Embed(Embed),
    /// RMSNorm or LayerNorm.
    Norm(Norm),
    /// y = W x + b.
    Linear(Linear),
    /// y = f(x), value by value.
    Activate(Activate),
    /// y = f(gate) · up.
    Glu(Glu),
    /// y = a + b.
    Add(Add),
    /// Rotary position embedding of queries and keys.
    Rope(Rope),
    /// Keys and values into a layer's cells.
    StoreKv(StoreKv),
    /// softmax(q Kᵀ) V.
    Attend(Attend),
    /// y = x · f(gate).
    Gate(Gate),
    /// Causal depthwise convolution, then SiLU.
    Conv(Conv),
    /// The gated delta rule.
    DeltaNet(DeltaNet),
    /// The experts that each row uses, and their weights.
    Route(Route),
    /// A linear layer of those experts.
    Experts(Experts),
    /// Their results, weighed and summed.
    Combine(Combine),
}

/// Which row of an embedding a row of the pass takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// The row of its token.
    Token,
    /// The row of its position.
    Position,
}

/// y = `scale` · table\[token or position\].
#[derive(Debug, Clone)]
pub struct Embed {
    /// The matrix, (vocab_size or positions, dim).
    pub table: MatrixId,
    /// Which of its rows.
    pub lookup: Lookup,
    /// A factor on them.
    pub scale: f32,
}

/// Divisor of a norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// The root of the mean square (Zhang & Sennrich 2019).
    Rms,
    /// The standard deviation, after the mean is taken off (Ba et al. 2016).
    Layer,
}

/// Groups of a row that are normed each by itself, such as heads; the rest of the row stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups {
    /// The first column of the first group.
    pub start: u32,
    /// How many groups there are, one after the other.
    pub count: u32,
    /// Columns of a group.
    pub cols: u32,
    /// The first group that has the second half of the weight.
    pub split: u32,
}

/// y = norm(x) · weight + bias, times an activated gate where there is one.
#[derive(Debug, Clone)]
pub struct Norm {
    /// The input.
    pub x: Tensor,
    /// The divisor.
    pub kind: NormKind,
    /// The weight, (cols), or (2, cols) for groups that are split.
    pub weight: VectorId,
    /// LayerNorm's bias, (cols).
    pub bias: Option<VectorId>,
    /// Is added to the mean square, or the variance.
    pub eps: f32,
    /// Groups of a row; none: all of the row is one.
    pub groups: Option<Groups>,
    /// The factor on the result, after its activation.
    pub gate: Option<NormedGate>,
}

/// A gate on what a norm makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NormedGate {
    /// Its columns, as many as the norm's.
    pub z: Columns,
    /// The function that they go through first.
    pub activation: Activation,
}

/// Which rows of the pass an op computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Every row.
    All,
    /// The last row alone.
    Last,
}

/// y = W x + b, of one matrix, or of several whose results lie side by side.
#[derive(Debug, Clone)]
pub struct Linear {
    /// The input, (rows, cols of the matrices).
    pub x: Tensor,
    /// Each matrix with the column of y at which its result starts.
    pub weights: Vec<(MatrixId, u32)>,
    /// The bias on all of y.
    pub bias: Option<VectorId>,
    /// Which rows are computed.
    pub which: Which,
}

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x · sigmoid(x).
    Silu,
    /// GELU by its tanh form (Hendrycks & Gimpel 2016).
    Gelu,
    /// 1 / (1 + exp(−x)).
    Sigmoid,
    /// cap · tanh(x / cap).
    Softcap(f32),
}

impl Eq for Activation {}

/// y = f(x).
#[derive(Debug, Clone)]
pub struct Activate {
    /// The input.
    pub x: Tensor,
    /// The function.
    pub activation: Activation,
}

/// y = f(gate) · up.
#[derive(Debug, Clone)]
pub struct Glu {
    /// Gate and up: of one tensor whose columns alternate, or of two.
    pub gate_up: GateUp,
    /// The function of the gate.
    pub activation: Activation,
    /// Columns of the result, of each of its groups.
    pub cols: u32,
    /// Groups of a row, such as a row's experts, one after the other.
    pub groups: u32,
}

/// Where gate and up lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateUp {
    /// Columns of one tensor, gate first, alternating.
    Alternating(Tensor),
    /// A tensor each.
    Apart(Tensor, Tensor),
}

/// y = a + b.
#[derive(Debug, Clone)]
pub struct Add {
    /// The first, such as the residual stream.
    pub a: Tensor,
    /// The second.
    pub b: Tensor,
}

/// Which values of a head rotate together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RopeStyle {
    /// Neighbours, as Su et al. 2021 have them.
    Interleaved,
    /// One of the first half with one of the second, as GPT-NeoX has them.
    NeoX,
}

/// Heads of a row, rotated by their row's position.
#[derive(Debug, Clone)]
pub struct Rope {
    /// Queries, then keys, then the rest: (rows, (heads + kv_heads) · head_dim + …).
    pub x: Tensor,
    /// Query heads.
    pub heads: u32,
    /// Key heads.
    pub kv_heads: u32,
    /// Values of a head.
    pub head_dim: u32,
    /// Pairs of a head that rotate; the rest of it stays.
    pub pairs: u32,
    /// Which values make a pair.
    pub style: RopeStyle,
    /// The table of angles, by its number in the model.
    pub table: usize,
}

/// Keys and values of each row into the cells of its position.
#[derive(Debug, Clone)]
pub struct StoreKv {
    /// Queries, keys and values, (rows, (heads + 2 kv_heads) · head_dim + …).
    pub x: Tensor,
    /// The first column of the keys; values follow them.
    pub start: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Values of a head.
    pub head_dim: u32,
    /// The layer's keys.
    pub keys: StateId,
    /// The layer's values.
    pub values: StateId,
}

/// Which positions a row attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// Up to its own.
    Causal,
    /// So many, up to its own.
    Window(u32),
    /// All of its sequence, as encoders do.
    None,
}

/// y = softmax(softcap(scale · q Kᵀ)) V, head by head.
#[derive(Debug, Clone)]
pub struct Attend {
    /// Queries in its first heads · head_dim columns.
    pub q: Tensor,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Values of a head.
    pub head_dim: u32,
    /// The layer's keys.
    pub keys: StateId,
    /// The layer's values.
    pub values: StateId,
    /// A factor on scores.
    pub scale: f32,
    /// Softcap of scores; none: they are not capped.
    pub softcap: Option<f32>,
    /// Which positions are read.
    pub mask: Mask,
}

/// y = x · f(gate).
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_field_names,
    reason = "a gate has one, and what it gates"
)]
pub struct Gate {
    /// The input.
    pub x: Tensor,
    /// The gate, as many columns as x.
    pub gate: Columns,
    /// The function of the gate.
    pub activation: Activation,
}

/// Causal depthwise convolution over the rows of a sequence, then SiLU.
#[derive(Debug, Clone)]
pub struct Conv {
    /// The input, `channels` columns.
    pub x: Columns,
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
    /// The input of the decay, a column for each value head.
    pub alpha: Columns,
    /// Is added to alpha before softplus, (value_heads).
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

/// The `top_k` experts of each row, and the softmax over their logits.
#[derive(Debug, Clone)]
pub struct Route {
    /// A logit for each expert, (rows, n_experts).
    pub logits: Tensor,
    /// How many experts there are.
    pub n_experts: u32,
    /// How many a row uses.
    pub top_k: u32,
    /// How much each counts, (rows, top_k); the op's own output is which they are.
    pub weights: Tensor,
}

/// y = W\[expert\] x for each expert of each row.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "as the literature names it")]
pub struct Experts {
    /// A row for each row of the pass, or one for each of its experts.
    pub x: Tensor,
    /// Whether each of a row's experts has a row of its own in x.
    pub per_expert: bool,
    /// Which experts, (rows, top_k).
    pub ids: Tensor,
    /// The rows of all experts, (n_experts · rows, cols).
    pub matrix: MatrixId,
    /// How many experts there are.
    pub n_experts: u32,
    /// How many a row uses.
    pub top_k: u32,
    /// Columns of a result of one expert.
    pub cols: u32,
}

/// y = Σ weight · result over a row's experts.
#[derive(Debug, Clone)]
pub struct Combine {
    /// The results, (rows, top_k, cols).
    pub results: Tensor,
    /// How much each counts, (rows, top_k).
    pub weights: Tensor,
    /// How many experts a row uses.
    pub top_k: u32,
}

impl Op {
    /// The tensors that it reads.
    pub fn reads(&self) -> Vec<Tensor> {
        match self {
            Op::Embed(_) => vec![],
            Op::Norm(op) => {
                let gate = op.gate.map(|gate| gate.z.tensor);
                [op.x].into_iter().chain(gate).collect()
            }
            Op::Linear(op) => vec![op.x],
            Op::Activate(op) => vec![op.x],
            Op::Glu(op) => match op.gate_up {
                GateUp::Alternating(both) => vec![both],
                GateUp::Apart(gate, up) => vec![gate, up],
            },
            Op::Add(op) => vec![op.a, op.b],
            Op::Rope(op) => vec![op.x],
            Op::StoreKv(op) => vec![op.x],
            Op::Attend(op) => vec![op.q],
            Op::Gate(op) => vec![op.x, op.gate.tensor],
            Op::Conv(op) => vec![op.x.tensor],
            Op::DeltaNet(op) => vec![op.qkv, op.beta.tensor, op.alpha.tensor],
            Op::Route(op) => vec![op.logits],
            Op::Experts(op) => vec![op.x, op.ids],
            Op::Combine(op) => vec![op.results, op.weights],
        }
    }

    /// Its name in printed graphs.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Embed(_) => "embed",
            Op::Norm(_) => "norm",
            Op::Linear(_) => "linear",
            Op::Activate(_) => "activate",
            Op::Glu(_) => "glu",
            Op::Add(_) => "add",
            Op::Rope(_) => "rope",
            Op::StoreKv(_) => "store_kv",
            Op::Attend(_) => "attend",
            Op::Gate(_) => "gate",
            Op::Conv(_) => "conv",
            Op::DeltaNet(_) => "delta_net",
            Op::Route(_) => "moe_route",
            Op::Experts(_) => "experts",
            Op::Combine(_) => "moe_combine",
        }
    }
}

macro_rules! from_structs {
    ($($op:ident),*) => { $(impl From<$op> for Op { fn from(op: $op) -> Op { Op::$op(op) } })* };
}
from_structs!(
    Embed, Norm, Linear, Activate, Glu, Add, Rope, StoreKv, Attend, Gate, Conv, DeltaNet, Route,
    Experts, Combine
);
