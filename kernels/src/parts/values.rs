//! Treatment of activations: on their way in, as they meet weights, and on their way out.

use super::{GROUP_TYPES, socket};
use crate::{Part, Socket};

/// Treatment of activations before they meet the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    Plain,
    /// RMSNorm, computed on the way; the shader's constant `X_LENGTH` is the length of the norm's weight / 4.
    Norm,
    /// RMSNorm with its weight in a uniform buffer.
    NormUniform,
}

socket! { Input, "input":
    Plain => INPUT_PLAIN,
    Norm => INPUT_NORM,
    NormUniform => INPUT_NORM_UNIFORM,
}

static INPUT_PLAIN: Part = Part::new(
    "",
    "
fn input_weigh(x: Group, i: u32) -> Group { return x; }
fn input_weigh_four(x: vec4f, four: u32) -> vec4f { return x; }
fn input_weigh_lane(x: OfLane, i: u32, lane: u32) -> OfLane { return x; }
fn input_square(x: vec4f) -> f32 { return 0.0; }
fn input_scale(squares: f32, at: Invocation, wg: Workgroup) -> f32 { return 1.0; }
",
);
static INPUT_NORM: Part = Part {
    uses: &[&NORM_STORAGE],
    ..Part::new("norm", include_str!("input_norm.wgsl"))
};
static INPUT_NORM_UNIFORM: Part = Part {
    uses: &[&NORM_UNIFORM],
    ..Part::new("norm_uniform", include_str!("input_norm.wgsl"))
};
static NORM_STORAGE: Part = Part::new("", "
@group(0) @binding(6) var<storage, read> norm_weight: array<Fours, X_LENGTH / 8u>; // (padded cols / 32)
");
static NORM_UNIFORM: Part = Part::new(
    "",
    "
@group(0) @binding(6) var<uniform> norm_weight: array<Fours, X_LENGTH / 8u>; // (padded cols / 32)
",
);

/// Binding that the activations of one token are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum X {
    /// A storage buffer with those of many tokens, of which the last counts.
    Storage,
    /// A storage buffer with those of one token; the shader's constant `X_LENGTH` is their number / 4. Its size is known,
    /// so that compilers that check every index need not ask for it.
    Single,
    /// A uniform buffer with those of one token.
    Uniform,
}

socket! { X, "x":
    Storage => X_STORAGE,
    Single => X_SINGLE,
    Uniform => X_UNIFORM,
}

// Parts of a group have a place each, and a group is one element of x: compilers that check indices then check one.
static X_STORAGE: Part = Part::new(
    "",
    "
@group(0) @binding(3) var<storage, read> x: array<Fours>; // (tokens, padded cols / 32)
fn x_start(length: u32) -> u32 { return (rows.count - 1u) * length; }
",
);
static X_SINGLE: Part = Part::new(
    "single",
    "
@group(0) @binding(3) var<storage, read> x: array<Fours, X_LENGTH / 8u>; // (padded cols / 32)
fn x_start(length: u32) -> u32 { return 0u; }
",
);
// Activations in a uniform buffer, for one token: llvmpipe reads those many times faster at a shared index.
static X_UNIFORM: Part = Part::new(
    "uniform",
    "
@group(0) @binding(3) var<uniform> x: array<Fours, X_LENGTH / 8u>; // (padded cols / 32)
fn x_start(length: u32) -> u32 { return 0u; }
",
);

/// Binding that the activations of tokens are read from; the shader's constant `X_LENGTH` is the number of those of eight
/// tokens / 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xs {
    /// A storage buffer with those of eight tokens.
    Storage,
    /// A uniform buffer with those of eight tokens.
    Uniform,
    /// A storage buffer with those of any number of tokens.
    All,
}

socket! { Xs, "xs":
    Storage => XS_STORAGE,
    Uniform => XS_UNIFORM,
    All => XS_ALL,
}

static XS_ALL: Part = Part::new("all", "
@group(0) @binding(3) var<storage, read> x: array<Fours>; // (tokens, padded cols / 32): where x_each is 1, (tokens, top_k, …)
");

static XS_STORAGE: Part = Part::new("", "
@group(0) @binding(3) var<storage, read> x: array<Fours, X_LENGTH / 8u>; // (8, padded cols / 32): of eight tokens
");
// Activations of eight tokens in a uniform buffer: llvmpipe reads those many times faster at a shared index.
static XS_UNIFORM: Part = Part::new("uniform", "
@group(0) @binding(3) var<uniform> x: array<Fours, X_LENGTH / 8u>; // (8, padded cols / 32): of eight tokens
");

/// Tokens that meet the same rows of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// Neighbours in a pass.
    InOrder,
    /// Tokens that use the same expert.
    ByExpert,
}

socket! { Tokens, "tokens":
    InOrder => TOKENS_IN_ORDER,
    ByExpert => TOKENS_BY_EXPERT,
}

static TOKENS_IN_ORDER: Part = Part::new("", include_str!("tokens_in_order.wgsl"));
static TOKENS_BY_EXPERT: Part = Part::new("experts", include_str!("tokens_by_expert.wgsl"));

/// Which way round a head's matrix is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// W x: results are its rows.
    Plain,
    /// Wᵀ x: results are its columns.
    Transposed,
}

socket! { Orientation, "orientation":
    Plain => HEAD_PLAIN,
    Transposed => HEAD_TRANSPOSED,
}

static HEAD_PLAIN: Part = Part::new("", include_str!("head_plain.wgsl"));
static HEAD_TRANSPOSED: Part = Part::new("transposed", include_str!("head_transposed.wgsl"));

/// 32 activations as bytes, and their products with 32 weights. Browsers may lack these: WGSL's language extension
/// `packed_4x8_integer_dot_product` says whether they have them.
pub static PACKED: Part = Part {
    uses: &[&GROUP_TYPES],
    ..Part::new("", include_str!("packed.wgsl"))
};

/// Binding that packed activations are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedX {
    /// A storage buffer with those of many tokens.
    Storage,
    /// A uniform buffer with those of one token; the shader's constant `X_LENGTH` is their number / 32.
    Uniform,
}

socket! { PackedX, "x":
    Storage => PACKED_STORAGE,
    Uniform => PACKED_UNIFORM,
}

static PACKED_STORAGE: Part = Part::new(
    "",
    "
@group(0) @binding(3) var<storage, read> x: array<Packed>; // (tokens, groups)
",
);
static PACKED_UNIFORM: Part = Part::new(
    "uniform",
    "
@group(0) @binding(3) var<uniform> x: array<Packed, X_LENGTH>; // (groups)
",
);

/// Treatment of a result on its way to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epilogue {
    /// y = v
    Store,
    /// y += v
    Add,
    /// y = f(gate) * up, for rows that alternate gate and up.
    Glu(Act),
    /// y = f(y) * v, for a gate that was stored before.
    Gate(Act),
}

socket! { Epilogue, "epilogue":
    Store => EPILOGUE_STORE,
    Add => EPILOGUE_ADD,
    Glu(Silu) => EPILOGUE_GLU,
    Gate(Silu) => EPILOGUE_GATE,
    Glu(Gelu) => EPILOGUE_GEGLU,
    Gate(Gelu) => EPILOGUE_GEGATE,
}

impl Epilogue {
    /// The activation of its gate, where it has one.
    pub const fn act(self) -> Option<Act> {
        match self {
            Epilogue::Glu(act) | Epilogue::Gate(act) => Some(act),
            Epilogue::Store | Epilogue::Add => None,
        }
    }

    /// Its number, up to the activation, for a kernel that is told by a parameter.
    pub const fn number(self) -> u32 {
        match self {
            Epilogue::Store => 0,
            Epilogue::Add => 1,
            Epilogue::Glu(_) => 2,
            Epilogue::Gate(_) => 3,
        }
    }

    /// The epilogue of a number, with the activation of its gate where it has one.
    pub fn numbered(number: u32, act: Act) -> Option<Epilogue> {
        let is = |e: &Epilogue| e.number() == number && e.act().is_none_or(|own| own == act);
        Epilogue::ALL.iter().copied().find(is)
    }
}

static EPILOGUE_STORE: Part = epilogue("", &[("EPILOGUE", 0)], &[&ACTIVATE_NONE]);
static EPILOGUE_ADD: Part = epilogue("add", &[("EPILOGUE", 1)], &[&ACTIVATE_NONE]);
static EPILOGUE_GLU: Part = epilogue("glu", &[("EPILOGUE", 2)], &[&SILU]);
static EPILOGUE_GATE: Part = epilogue("gate", &[("EPILOGUE", 3)], &[&SILU]);
static EPILOGUE_GEGLU: Part = epilogue("geglu", &[("EPILOGUE", 2)], &[&GELU]);
static EPILOGUE_GEGATE: Part = epilogue("gegate", &[("EPILOGUE", 3)], &[&GELU]);

const fn epilogue(
    name: &'static str,
    consts: &'static [(&'static str, u32)],
    uses: &'static [&'static Part],
) -> Part {
    Part {
        consts,
        uses,
        ..Part::new(name, include_str!("epilogue.wgsl"))
    }
}

/// Activation of a gated unit's gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// SiLU (Elfwing et al. 2018).
    Silu,
    /// GELU by its tanh form (Hendrycks & Gimpel 2016).
    Gelu,
}

socket! { Act, "gates":
    Silu => SILU,
    Gelu => GELU,
}

/// Activation of an output gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputGate {
    /// Nothing: gates are factors.
    None,
    /// SiLU.
    Silu,
    /// The logistic function.
    Sigmoid,
    /// ln(1 + exp(x)).
    Softplus,
}

socket! { OutputGate, "gates":
    None => ACTIVATE_NONE,
    Silu => SILU,
    Sigmoid => SIGMOID,
    Softplus => SOFTPLUS,
}

/// Function that is applied to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// GELU by its tanh form.
    Gelu,
    /// GELU by the error function.
    GeluErf,
    /// The square of what is above 0 (So et al. 2021).
    Relu2,
    /// The logistic function.
    Sigmoid,
    /// xIELU (Huang et al. 2024); the shader's parameters have α and β.
    Xielu,
    /// Soft-capping; the shader's parameter `factor` is the cap.
    Cap,
    /// The shader's parameter `factor` times the value.
    Scale,
}

socket! { Activation, "activation":
    None => ACTIVATE_NONE,
    Gelu => GELU,
    GeluErf => GELU_ERF,
    Relu2 => RELU2,
    Sigmoid => SIGMOID,
    Xielu => XIELU,
    Cap => ACTIVATE_CAP,
    Scale => ACTIVATE_SCALE,
}

static ACTIVATE_NONE: Part = activation("", &[("ACTIVATION", 0)]);
static SILU: Part = activation("silu", &[("ACTIVATION", 1)]);
static SIGMOID: Part = activation("sigmoid", &[("ACTIVATION", 2)]);
static GELU: Part = activation("gelu", &[("ACTIVATION", 3)]);
static SOFTPLUS: Part = activation("softplus", &[("ACTIVATION", 4)]);
static RELU2: Part = activation("relu2", &[("ACTIVATION", 5)]);
static XIELU: Part = Part::new("xielu", include_str!("xielu.wgsl"));
static GELU_ERF: Part = Part::new("gelu_erf", include_str!("gelu_erf.wgsl"));

const fn activation(name: &'static str, consts: &'static [(&'static str, u32)]) -> Part {
    Part {
        consts,
        ..Part::new(name, include_str!("activation.wgsl"))
    }
}

// Soft-capping (Gemma 2 report, section 2): values stay within +-cap. Past 15 tanh is 1, and some drivers overflow.
static ACTIVATE_CAP: Part = Part::new(
    "cap",
    "
fn activated(v: f32) -> f32 { return params.factor * tanh(clamp(v / params.factor, -15.0, 15.0)); }
",
);
static ACTIVATE_SCALE: Part = Part::new(
    "scale",
    "
fn activated(v: f32) -> f32 { return params.factor * v; }
",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epilogues_have_one_number() {
        for epilogue in Epilogue::ALL {
            assert_eq!(epilogue.part().consts, [("EPILOGUE", epilogue.number())]);
        }
    }
}
