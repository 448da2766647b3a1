//! Parts of mixers with a recurrent state: forms of convolutions, values of RWKV-7.

use super::{Act, socket};
use crate::{Part, Socket};

/// Computation before and after a convolution's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvForm {
    /// SiLU of the sum.
    Silu,
    /// SiLU of the sum and a bias.
    SiluBias,
    /// c · the sum over b · x, of a row that has all b, then all c, then all x.
    Gated,
}

socket! { ConvForm, "form":
    Silu => CONV_SILU,
    SiluBias => CONV_SILU_BIAS,
    Gated => CONV_GATED,
}

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

/// Values that the state of RWKV-7 takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Values of the layer itself.
    Own,
    /// Values of the layer on their way back to those of the first, by shares that each row makes.
    Mixed,
}

socket! { Values, "values":
    Own => VALUES_OWN,
    Mixed => VALUES_MIXED,
}

static VALUES_OWN: Part = Part::new(
    "",
    "
fn value_of(own: f32, row: u32, channel: u32) -> f32 { return own; }
",
);
static VALUES_MIXED: Part = Part::new("mixed", include_str!("values_mixed.wgsl"));
