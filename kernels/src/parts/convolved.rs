//! Parts of what looks at the row before: forms of convolutions, weights of token shifts.

use super::{Act, socket};
use crate::{Part, Socket};

/// Computation before and after a convolution's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvForm {
    /// The sum itself.
    Plain,
    /// SiLU of the sum.
    Silu,
    /// SiLU of the sum and a bias.
    SiluBias,
    /// c · the sum over b · x, of a row that has all b, then all c, then all x.
    Gated,
}

socket! { ConvForm, "form":
    Plain => CONV_PLAIN,
    Silu => CONV_SILU,
    SiluBias => CONV_SILU_BIAS,
    Gated => CONV_GATED,
}

static CONV_PLAIN: Part = Part::new(
    "plain",
    "
fn conv_input(place: u32) -> f32 { return x[place]; }
fn conv_output(sum: f32, channel: u32, place: u32) -> f32 { return sum; }
",
);
static CONV_SILU: Part = Part {
    uses: &[Act::Silu.part()],
    ..Part::new(
        "",
        "
fn conv_input(place: u32) -> f32 { return x[place]; }
fn conv_output(sum: f32, channel: u32, place: u32) -> f32 { return activated(sum); }
",
    )
};
static CONV_SILU_BIAS: Part = Part {
    uses: &[Act::Silu.part()],
    ..Part::new(
        "bias",
        "
@group(0) @binding(1) var<storage, read> conv_bias: array<f32>; // (channels)
fn conv_input(place: u32) -> f32 { return x[place]; }
fn conv_output(sum: f32, channel: u32, place: u32) -> f32 { return activated(sum + conv_bias[channel]); }
",
    )
};
static CONV_GATED: Part = Part::new(
    "gated",
    "
fn conv_input(place: u32) -> f32 { return x[place] * x[place + 2u * params.channels]; }
fn conv_output(sum: f32, channel: u32, place: u32) -> f32 { return sum * x[place + params.channels]; }
",
);

/// Weight of an interpolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LerpWeight {
    /// One for each column, in a vector from `params.weight_start` on.
    Columns,
    /// One for each value.
    Each,
}

socket! { LerpWeight, "weight":
    Columns => LERP_COLUMNS,
    Each => LERP_EACH,
}

static LERP_COLUMNS: Part = Part::new(
    "",
    "
@group(0) @binding(0) var<storage, read> lerp_weight: array<f32>; // (cols): and others before them
fn weight_of(col: u32, place: u32) -> f32 { return lerp_weight[params.weight_start + col]; }
",
);
static LERP_EACH: Part = Part::new(
    "each",
    "
@group(0) @binding(0) var<storage, read> lerp_weight: array<f32>; // (tokens, stride)
fn weight_of(col: u32, place: u32) -> f32 { return lerp_weight[place]; }
",
);
