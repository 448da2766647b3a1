//! Parts of kernels that work row by row: summands, sums, statistics and results of norms.

use super::{Act, Activation, socket};
use crate::{Part, Socket};

/// Summand of a value before its activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// Nothing.
    None,
    /// A bias for each column.
    Bias,
    /// A factor for each column in the place of a summand.
    Factor,
}

socket! { Shift, "shift":
    None => SHIFT_NONE,
    Bias => SHIFT_BIAS,
    Factor => SHIFT_FACTOR,
}

impl Shift {
    /// The socket of a kernel that has no factors.
    pub const SUMMAND: Socket = Socket {
        name: "shift",
        parts: &[&SHIFT_NONE, &SHIFT_BIAS],
    };
}

static SHIFT_NONE: Part = Part::new(
    "",
    "
fn shifted(v: f32, col: u32) -> f32 { return v; }
",
);
static SHIFT_BIAS: Part = Part::new(
    "bias",
    "
@group(0) @binding(0) var<storage, read> bias: array<f32>; // (cols)
fn shifted(v: f32, col: u32) -> f32 { return v + bias[col]; }
",
);
static SHIFT_FACTOR: Part = Part::new(
    "factor",
    "
@group(0) @binding(0) var<storage, read> bias: array<f32>; // (cols)
fn shifted(v: f32, col: u32) -> f32 { return v * bias[col]; }
",
);

/// Where a sum goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumInto {
    /// x = v
    Store,
    /// x += v
    Add,
}

socket! { SumInto, "into":
    Store => SUM_STORE,
    Add => SUM_ADD,
}

static SUM_STORE: Part = Part {
    consts: &[("ADD", 0)],
    ..Part::new("", "\n")
};
static SUM_ADD: Part = Part {
    consts: &[("ADD", 1)],
    ..Part::new("add", "\n")
};

/// Summand of the results of a token's experts: each expert has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpertBias {
    /// Nothing.
    None,
    /// A bias for each expert and column, of `params.cols` columns.
    Each,
}

socket! { ExpertBias, "expert bias":
    None => EXPERT_BIAS_NONE,
    Each => EXPERT_BIAS_EACH,
}

static EXPERT_BIAS_NONE: Part = Part::new(
    "",
    "
fn expert_shifted(v: f32, pair: u32, col: u32) -> f32 { return v; }
",
);
static EXPERT_BIAS_EACH: Part = Part::new(
    "bias",
    "
@group(0) @binding(0) var<storage, read> expert_bias: array<f32>; // (experts, cols)
@group(0) @binding(1) var<storage, read> expert_ids: array<u32>;  // (tokens, top_k)
fn expert_shifted(v: f32, pair: u32, col: u32) -> f32 { return v + expert_bias[expert_ids[pair] * params.cols + col]; }
",
);

/// One row that is made of a sequence's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first.
    First,
    /// The last.
    Last,
}

socket! { Pooling, "pooling":
    Mean => POOL_MEAN,
    First => POOL_FIRST,
    Last => POOL_LAST,
}

static POOL_MEAN: Part = Part::new(
    "mean",
    "
fn pool_add(sum: f32, v: f32, position: u32) -> f32 { return sum + v; }
fn pool_end(sum: f32, count: u32) -> f32 { return sum / f32(count); }
",
);
static POOL_FIRST: Part = Part::new(
    "first",
    "
fn pool_add(sum: f32, v: f32, position: u32) -> f32 { return select(sum, v, position == 0u); }
fn pool_end(sum: f32, count: u32) -> f32 { return sum; }
",
);
static POOL_LAST: Part = Part::new(
    "last",
    "
fn pool_add(sum: f32, v: f32, position: u32) -> f32 { return v; }
fn pool_end(sum: f32, count: u32) -> f32 { return sum; }
",
);

/// Statistics that rows are normed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// The root of the mean square: RMSNorm (Zhang & Sennrich 2019), without mean and bias.
    Rms,
    /// Mean and variance: LayerNorm (Ba et al. 2016), with a bias.
    Layer,
    /// LayerNorm without a bias.
    LayerPlain,
}

socket! { Statistics, "statistics":
    Rms => NORM_RMS,
    Layer => NORM_LAYER,
    LayerPlain => NORM_LAYER_PLAIN,
}

static NORM_RMS: Part = Part::new(
    "",
    "
fn norm_mean(from_x: u32, to_y: u32, at: Invocation, wg: Workgroup) -> f32 { return 0.0; }
fn norm_shift(col: u32) -> f32 { return 0.0; }
",
);
static NORM_LAYER: Part = Part {
    uses: &[&NORM_MEAN],
    ..Part::new(
        "layer",
        "
@group(0) @binding(1) var<storage, read> norm_bias: array<f32>; // (cols)
fn norm_shift(col: u32) -> f32 { return norm_bias[col]; }
",
    )
};
static NORM_LAYER_PLAIN: Part = Part {
    uses: &[&NORM_MEAN],
    ..Part::new(
        "layer_plain",
        "
fn norm_shift(col: u32) -> f32 { return 0.0; }
",
    )
};
static NORM_MEAN: Part = Part::new("", include_str!("norm_layer.wgsl"));

/// Operand of a norm, and where the result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormResult {
    /// y = norm(x)
    Store,
    /// y += norm(x)
    Add,
    /// y = norm(y)
    InPlace,
}

socket! { NormResult, "result":
    Store => NORM_STORE,
    Add => NORM_ADD,
    InPlace => NORM_IN_PLACE,
}

impl NormResult {
    /// The socket without a residual stream.
    pub const OVERWRITE: Socket = Socket {
        name: "result",
        parts: &[&NORM_STORE, &NORM_IN_PLACE],
    };
}

static NORM_STORE: Part = Part::new(
    "",
    "
@group(0) @binding(3) var<storage, read> x: array<f32>; // (tokens, x_stride)
fn norm_input(from_x: u32, to_y: u32) -> f32 { return x[from_x]; }
fn norm_put(to_y: u32, v: f32) { y[to_y] = v; }
",
);
static NORM_ADD: Part = Part::new(
    "add",
    "
@group(0) @binding(3) var<storage, read> x: array<f32>; // (tokens, x_stride)
fn norm_input(from_x: u32, to_y: u32) -> f32 { return x[from_x]; }
fn norm_put(to_y: u32, v: f32) { y[to_y] += v; }
",
);
static NORM_IN_PLACE: Part = Part::new(
    "in_place",
    "
fn norm_input(from_x: u32, to_y: u32) -> f32 { return y[to_y]; }
fn norm_put(to_y: u32, v: f32) { y[to_y] = v; }
",
);

/// Which rows of an embedding are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Rows of the tokens, stored.
    Tokens,
    /// Rows of the positions, added.
    Positions,
}

socket! { Lookup, "lookup":
    Tokens => OF_TOKENS,
    Positions => OF_POSITIONS,
}

static OF_TOKENS: Part = Part::new(
    "",
    "
fn looked_up(row: u32) -> u32 { return rows.row[row].token; }
fn put(i: u32, v: vec4f) { x[i] = v; }
",
);
static OF_POSITIONS: Part = Part::new(
    "positions",
    "
fn looked_up(row: u32) -> u32 { return rows.row[row].position; }
fn put(i: u32, v: vec4f) { x[i] += v; }
",
);

/// Gated unit of what lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// SiLU of the gate times the up.
    Silu,
    /// GELU of the gate, by its tanh form, times the up.
    Gelu,
    /// GELU of the gate, by the error function, times the up.
    GeluErf,
    /// gpt-oss's: gate and up are clamped, the sigmoid has a factor, and one is added to the up.
    Clamped,
}

socket! { Unit, "unit":
    Silu => UNIT_SILU,
    Gelu => UNIT_GELU,
    GeluErf => UNIT_GELU_ERF,
    Clamped => UNIT_CLAMPED,
}

static UNIT_SILU: Part = Part {
    uses: &[Act::Silu.part()],
    ..Part::new("silu", UNIT)
};
static UNIT_GELU: Part = Part {
    uses: &[Act::Gelu.part()],
    ..Part::new("gelu", UNIT)
};
static UNIT_GELU_ERF: Part = Part {
    uses: &[Activation::GeluErf.part()],
    ..Part::new("gelu_erf", UNIT)
};
const UNIT: &str = "
fn gated(gate: f32, up: f32) -> f32 { return activated(gate) * up; }
";
static UNIT_CLAMPED: Part = Part::new(
    "clamped",
    "
fn gated(gate: f32, up: f32) -> f32 {
    let x = min(gate, 7.0);
    return x / (1.0 + exp(-max(1.702 * x, -80.0))) * (clamp(up, -7.0, 7.0) + 1.0);
}
",
);

/// Summands of gates and ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GluBias {
    /// Nothing.
    None,
    /// Summands of a row, all gates' and then all ups', such as an adapter's.
    Delta,
    /// Summands of the row's expert.
    Expert,
}

socket! { GluBias, "glu bias":
    None => GLU_BIAS_NONE,
    Delta => GLU_BIAS_DELTA,
    Expert => GLU_BIAS_EXPERT,
}

static GLU_BIAS_NONE: Part = Part::new(
    "",
    "
fn glu_bias(row: u32, col: u32) -> vec2f { return vec2f(0.0); }
",
);
static GLU_BIAS_DELTA: Part = Part::new(
    "delta",
    "
@group(0) @binding(6) var<storage, read> delta: array<f32>; // (tokens, each, gate_stride): of all gates, of all ups
fn glu_bias(row: u32, col: u32) -> vec2f {
    let start = row * params.gate_stride;
    return vec2f(delta[start + col], delta[start + params.cols + col]);
}
",
);
static GLU_BIAS_EXPERT: Part = Part::new(
    "bias",
    "
@group(0) @binding(0) var<storage, read> glu_biases: array<f32>; // (2, experts, cols)
@group(0) @binding(1) var<storage, read> expert_ids: array<u32>;  // (tokens, each)
fn glu_bias(row: u32, col: u32) -> vec2f {
    let at = expert_ids[row] * params.cols + col;
    return vec2f(glu_biases[at], glu_biases[params.experts * params.cols + at]);
}
",
);

/// Factor on the weight of an expert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpertScale {
    /// None.
    None,
    /// Each expert has its own.
    Each,
}

socket! { ExpertScale, "expert scale":
    None => EXPERT_SCALE_NONE,
    Each => EXPERT_SCALE_EACH,
}

static EXPERT_SCALE_NONE: Part = Part::new(
    "",
    "
fn expert_scaled(v: f32, e: u32) -> f32 { return v; }
",
);
static EXPERT_SCALE_EACH: Part = Part::new(
    "scaled",
    "
@group(0) @binding(1) var<storage, read> expert_scale: array<f32>; // (experts)
fn expert_scaled(v: f32, e: u32) -> f32 { return v * expert_scale[e]; }
",
);

/// Treatment of what a row selects: what goes into a scan's state, and what reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected {
    /// Nothing.
    Plain,
    /// RMSNorm of each of the two; only where each channel has a decay of its own.
    Normed,
}

socket! { Selected, "selected":
    Plain => SELECTED_PLAIN,
    Normed => SELECTED_NORMED,
}

static SELECTED_PLAIN: Part = Part::new(
    "",
    "
fn selected_scales() -> vec2f { return vec2f(1.0); }
fn selected(v: vec4f, which: u32, four: u32, scales: vec2f) -> vec4f { return v; }
",
);
static SELECTED_NORMED: Part = Part::new("normed", include_str!("selected_normed.wgsl"));

/// Numbers that a selective scan decays its state by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanDecay {
    /// One for each head, with a step a head (Mamba 2).
    Head,
    /// One for each value of each channel's state, with a step a channel (Mamba 1).
    Channel,
}

socket! { ScanDecay, "decay":
    Head => SCAN_HEAD,
    Channel => SCAN_CHANNEL,
}

static SCAN_HEAD: Part = Part::new(
    "",
    "
@group(0) @binding(3) var<storage, read> a_d_bias: array<f32>; // (3, heads): -exp(A_log), D, the bias of dt
fn numbers_of(at: Lane) -> Numbers {
    return Numbers(at.head, a_d_bias[at.head], a_d_bias[params.heads + at.head], a_d_bias[2u * params.heads + at.head]);
}
fn rates_of(four: u32, at: Lane) -> vec4f { return vec4f(); }
fn decay_of(numbers: Numbers, dt: f32) -> f32 { return exp_of(numbers.a * dt); }
fn decay4(rates: vec4f, decay: f32) -> vec4f { return vec4f(decay); }
",
);
static SCAN_CHANNEL: Part = Part::new(
    "channel",
    "
@group(0) @binding(3) var<storage, read> a_d_bias: array<f32>; // (STATE_DIM + 2, HEAD_DIM): -exp(A_log) channel by channel, D, the bias of dt
fn numbers_of(at: Lane) -> Numbers {
    let from_d = HEAD_DIM * STATE_DIM + at.channel;
    return Numbers(at.channel, 0.0, a_d_bias[from_d], a_d_bias[from_d + HEAD_DIM]);
}
fn rates_of(four: u32, at: Lane) -> vec4f {
    let from_a = at.channel * STATE_DIM + four * 4u;
    return vec4f(a_d_bias[from_a], a_d_bias[from_a + 1u], a_d_bias[from_a + 2u], a_d_bias[from_a + 3u]);
}
fn decay_of(numbers: Numbers, dt: f32) -> f32 { return dt; }
fn decay4(rates: vec4f, dt: f32) -> vec4f {
    let x = rates * dt;
    return vec4f(exp_of(x.x), exp_of(x.y), exp_of(x.z), exp_of(x.w));
}
",
);
