//! Linear interpolation of two rows: a row and the one before it, by weights of columns (token shift, RWKV, Peng et al. 2023),
//! or the values of a layer and of the first, by weights of their own (RWKV-7, Peng et al. 2025).

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::{activations, words},
    kernel::{LANES_64, lane_grid},
    padded,
    parts::LerpWeight,
    random::Random,
    tolerance,
};

/// The kernel; units are columns.
pub static LERP: Kernel = Kernel {
    name: "lerp",
    source: include_str!("lerp.wgsl"),
    uses: &[],
    sockets: &[LerpWeight::SOCKET],
    variants: &LANES_64,
    params: Params::FIELDS,
    outputs: &["y"],
    grid: lane_grid,
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Columns.
        cols: u32,
        /// From a row to the next, in f32.
        stride: u32,
        /// Where the weights of columns begin.
        weight_start: u32,
    }
}

/// `y` (tokens, stride) from `x` and `to` (tokens, stride) and `lerp_weight`, of the columns from `weight_start` on or
/// (tokens, stride).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (x, to, weight) = (
        call.floats("x"),
        call.floats("to"),
        call.floats("lerp_weight"),
    );
    let of_columns = LerpWeight::of(&call.parts) == Some(LerpWeight::Columns);
    for row in 0..call.tokens as usize {
        for col in 0..p.cols as usize {
            let place = row * p.stride as usize + col;
            let weight = if of_columns {
                weight[p.weight_start as usize + col]
            } else {
                weight[place]
            };
            let (from, to) = (f64::from(x[place]), f64::from(to[place]));
            let y = from + (to - from) * f64::from(weight);
            call.floats_mut("y")[place] = y as f32;
        }
    }
}

/// Both kinds of weights, widths odd, even and real, columns that begin within a vector.
fn cases() -> Vec<Case> {
    let mut random = Random::new(31);
    let mut cases = Vec::new();
    for &kind in LerpWeight::ALL {
        for (cols, tokens, weight_start) in [(7, 1, 0), (80, 3, 160), (2048, 2, 6144)] {
            let stride = padded(cols);
            let count = match kind {
                LerpWeight::Columns => weight_start + cols,
                LerpWeight::Each => tokens * stride,
            };
            let mut rows = || activations(&mut random, tokens, cols);
            let (x, to, y) = (rows(), rows(), rows());
            cases.push(Case {
                name: format!("{tokens} rows of {cols} by {kind:?}"),
                parts: vec![kind.part()],
                consts: vec![],
                params: bytes_of_params(&Params {
                    cols,
                    stride,
                    weight_start,
                }),
                units: cols,
                tokens,
                buffers: vec![
                    ("x", x),
                    ("to", to),
                    ("y", y),
                    ("lerp_weight", words(&random.floats(count as usize))),
                ],
                weights: None,
            });
        }
    }
    cases
}
