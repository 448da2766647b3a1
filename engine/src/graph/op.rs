//! Ops: one struct for each, with the fields of its formula. Weights are named by their numbers in the model's layout.

use serde::Serialize;

use super::{
    Columns, MatrixId, Tensor, VectorId,
    attend::{Attend, Rope, StoreKv},
    head_linear::HeadLinear,
    moe::{Combine, Experts, Route},
    pool::Pool,
    recurrent::{Conv, DeltaNet, Scan, TokenShift, Wkv7},
};

/// A step of the forward pass.
#[derive(Debug, Clone)]
pub enum Op {
    /// Rows of an embedding matrix.
    Embed(Embed),
    /// RMSNorm or LayerNorm.
    Norm(Norm),
    /// y = W x + b.
    Linear(Linear),
    /// y = W\[head\] x, head by head.
    HeadLinear(HeadLinear),
    /// y = f(x), value by value.
    Activate(Activate),
    /// y = factor · x, column by column.
    Scale(Scale),
    /// y = x + shift, column by column.
    Shift(Shift),
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
    /// Causal depthwise convolution.
    Conv(Conv),
    /// The gated delta rule.
    DeltaNet(DeltaNet),
    /// A row on its way to the row before.
    TokenShift(TokenShift),
    /// The state of RWKV-7.
    Wkv7(Wkv7),
    /// The selective state space model.
    Scan(Scan),
    /// The experts that each row uses, and their weights.
    Route(Route),
    /// A linear layer of those experts.
    Experts(Experts),
    /// Their results, weighed and summed.
    Combine(Combine),
    /// A row for each sequence.
    Pool(Pool),
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

/// Groups of a row that are normed each by itself, such as heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups {
    /// Whether they alone are the result; else the rest of the row stays as it is.
    pub alone: bool,
    /// The first column of the first group.
    pub start: u32,
    /// How many groups there are, one after the other.
    pub count: u32,
    /// Columns of a group.
    pub cols: u32,
    /// The first group that has the second half of the weight; 0: each group has its own.
    pub split: u32,
}

/// y = norm(x) · weight + bias, times an activated gate where there is one.
#[derive(Debug, Clone)]
pub struct Norm {
    /// The input.
    pub x: Tensor,
    /// The divisor.
    pub kind: NormKind,
    /// The weight, (cols), or (2, cols) or (groups, cols) for groups that do not share one.
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

impl Norm {
    /// RMSNorm of whole rows.
    pub fn rms(x: Tensor, weight: VectorId, eps: f32) -> Norm {
        Norm {
            x,
            kind: NormKind::Rms,
            weight,
            bias: None,
            eps,
            groups: None,
            gate: None,
        }
    }

    /// Whether the rest of a row stays beside its groups.
    pub fn in_place(&self) -> bool {
        self.groups.is_some_and(|groups| !groups.alone)
    }
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
    /// The input, as many columns as the matrices have; behind them lie zeros up to a whole group.
    pub x: Columns,
    /// Each matrix with the column of y at which its result starts.
    pub weights: Vec<(MatrixId, u32)>,
    /// The bias on all of y.
    pub bias: Option<VectorId>,
    /// Which rows are computed.
    pub which: Which,
    /// A tensor with other columns that the results go beside; none: they have one of their own.
    pub into: Option<Tensor>,
}

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x itself.
    Identity,
    /// x · sigmoid(x).
    Silu,
    /// GELU by its tanh form (Hendrycks & Gimpel 2016).
    Gelu,
    /// GELU by the error function.
    GeluErf,
    /// gpt-oss's gated unit (OpenAI 2025): gate and up within ±7, x · sigmoid(1.702 x), the up and 1.
    ClampedSwiglu,
    /// 1 / (1 + exp(−x)).
    Sigmoid,
    /// ln(1 + exp(x)).
    Softplus,
    /// The square of what is above 0 (So et al. 2021).
    Relu2,
    /// xIELU (Huang et al. 2024).
    Xielu(Xielu),
    /// cap · tanh(x / cap).
    Softcap(f32),
}

impl Eq for Activation {}

impl Activation {
    /// tanh(x).
    pub const TANH: Activation = Activation::Softcap(1.0);
}

/// Numbers of xIELU: α₊ x² + β x above 0, α₋ (exp(min(x, ε)) − 1 − x) + β x below.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Xielu {
    /// α₊.
    pub alpha_p: f32,
    /// α₋.
    pub alpha_n: f32,
    /// β, the slope at 0.
    pub beta: f32,
    /// ε, a little below 0.
    pub eps: f32,
}

impl Xielu {
    /// The unit of a family whose files have numbers for each layer.
    pub const PER_LAYER: Xielu = Xielu {
        alpha_p: 0.0,
        alpha_n: 0.0,
        beta: 0.0,
        eps: 0.0,
    };
}

/// y = f(x).
#[derive(Debug, Clone)]
pub struct Activate {
    /// The input.
    pub x: Tensor,
    /// The function.
    pub activation: Activation,
}

/// y = factor · x, column by column.
#[derive(Debug, Clone)]
pub struct Scale {
    /// The input.
    pub x: Tensor,
    /// A factor for each column.
    pub factor: VectorId,
}

/// y = x + shift, column by column.
#[derive(Debug, Clone)]
pub struct Shift {
    /// The input.
    pub x: Tensor,
    /// A summand for each column.
    pub shift: VectorId,
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
    /// Is added to gates and ups before, by each group's expert.
    pub bias: Option<GluBias>,
}

/// Biases of the gates and ups of experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GluBias {
    /// The biases, (2, n_experts, cols): of gates, then of ups.
    pub vector: VectorId,
    /// How many experts there are.
    pub n_experts: u32,
    /// Which a row's groups are of, (rows, groups).
    pub ids: Tensor,
}

/// Where gate and up lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateUp {
    /// Columns of one tensor, gate first, alternating.
    Alternating(Tensor),
    /// A tensor each.
    Apart(Tensor, Tensor),
    /// Columns of one tensor, in each group all gates and then all ups.
    Halves(Tensor),
    /// Columns of tensors that others made.
    Beside(Columns, Columns),
}

/// y = a + b.
#[derive(Debug, Clone)]
pub struct Add {
    /// The first, such as the residual stream.
    pub a: Tensor,
    /// The second.
    pub b: Tensor,
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
    /// The gates.
    pub gate: Columns,
    /// Whether rows of gates follow each other without padding, as a router's weights do.
    pub dense: bool,
    /// Neighbouring columns of x that share a gate.
    pub share: u32,
    /// The function of the gate.
    pub activation: Activation,
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
            Op::Linear(op) => {
                let into = op.into;
                [op.x.tensor].into_iter().chain(into).collect()
            }
            Op::HeadLinear(op) => vec![op.x.tensor],
            Op::Activate(op) => vec![op.x],
            Op::Scale(op) => vec![op.x],
            Op::Shift(op) => vec![op.x],
            Op::Glu(op) => match op.gate_up {
                GateUp::Alternating(both) | GateUp::Halves(both) => vec![both],
                GateUp::Apart(gate, up) => vec![gate, up],
                GateUp::Beside(gate, up) => vec![gate.tensor, up.tensor],
            }
            .into_iter()
            .chain(op.bias.map(|bias| bias.ids))
            .collect(),
            Op::Add(op) => vec![op.a, op.b],
            Op::TokenShift(op) => vec![op.x],
            Op::Wkv7(op) => {
                let first = op.first_values.map(|first| first.tensor);
                [op.rkv, op.made].into_iter().chain(first).collect()
            }
            Op::Rope(op) => vec![op.x.tensor],
            Op::StoreKv(op) => vec![op.k.tensor, op.v.tensor],
            Op::Attend(op) => vec![op.q],
            Op::Gate(op) => vec![op.x, op.gate.tensor],
            Op::Conv(op) => vec![op.x.tensor],
            Op::DeltaNet(op) => vec![op.qkv, op.beta.tensor, op.alpha.tensor],
            Op::Scan(op) => {
                let into = op.into.map(|into| into.tensor);
                let reads = [op.x, op.b.tensor, op.dt.tensor, op.gates.tensor];
                reads.into_iter().chain(into).collect()
            }
            Op::Route(op) => vec![op.logits],
            Op::Experts(op) => vec![op.x, op.ids],
            Op::Pool(op) => vec![op.x],
            Op::Combine(op) => {
                let ids = op.bias.map(|(_, ids)| ids);
                [op.results, op.weights].into_iter().chain(ids).collect()
            }
        }
    }

    /// Its name in printed graphs.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Embed(_) => "embed",
            Op::Norm(_) => "norm",
            Op::Linear(_) => "linear",
            Op::HeadLinear(_) => "head_linear",
            Op::Activate(_) => "activate",
            Op::Scale(_) => "scale",
            Op::Shift(_) => "shift",
            Op::Glu(_) => "glu",
            Op::Add(_) => "add",
            Op::TokenShift(_) => "token_shift",
            Op::Wkv7(_) => "wkv7",
            Op::Rope(_) => "rope",
            Op::StoreKv(_) => "store_kv",
            Op::Attend(_) => "attend",
            Op::Gate(_) => "gate",
            Op::Conv(_) => "conv",
            Op::DeltaNet(_) => "delta_net",
            Op::Scan(_) => "scan",
            Op::Route(_) => "moe_route",
            Op::Experts(_) => "experts",
            Op::Combine(_) => "moe_combine",
            Op::Pool(_) => "pool",
        }
    }
}

macro_rules! from_structs {
    ($($op:ident),*) => { $(impl From<$op> for Op { fn from(op: $op) -> Op { Op::$op(op) } })* };
}
from_structs!(
    Embed, Norm, Linear, HeadLinear, Activate, Scale, Shift, Glu, Add, Rope, StoreKv, Attend, Gate,
    Conv, DeltaNet, Scan, Route, Experts, Combine, TokenShift, Wkv7, Pool
);
