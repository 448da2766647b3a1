//! What a token's experts found, together: the last step of a mixture of experts (Jiang et al. 2024, eq. 1).

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::{activations, words},
    kernel::{LANES_64, lane_grid},
    padded,
    random::Random,
};

/// The kernel; units are columns.
pub static COMBINE: Kernel = Kernel {
    name: "combine",
    source: include_str!("combine.wgsl"),
    uses: &[],
    sockets: &[],
    variants: &LANES_64,
    params: Params::FIELDS,
    outputs: &["x"],
    grid: lane_grid,
    reference,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Columns.
        cols: u32,
        /// Experts that a token uses.
        used: u32,
        /// From a row to the next, in f32.
        stride: u32,
    }
}

/// `x` (tokens, stride) from `y` (tokens, used, stride) and `shares` (tokens, used).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (cols, used, stride) = (p.cols as usize, p.used as usize, p.stride as usize);
    let (y, shares) = (call.floats("y"), call.floats("shares"));
    for token in 0..call.tokens as usize {
        for col in 0..cols {
            let part = |i: usize| {
                let pair = token * used + i;
                f64::from(shares[pair]) * f64::from(y[pair * stride + col])
            };
            let sum: f64 = (0..used).map(part).sum();
            let x = &mut call.floats_mut("x")[token * stride + col];
            *x = (f64::from(*x) + sum) as f32;
        }
    }
}

/// Widths odd and even, one expert and several.
fn cases() -> Vec<Case> {
    let mut random = Random::new(14);
    let mut cases = Vec::new();
    for (cols, used, tokens) in [(64, 2, 3), (7, 1, 1), (576, 8, 2)] {
        cases.push(Case {
            name: format!("{used} of {cols} for {tokens}"),
            parts: vec![],
            consts: vec![],
            params: bytes_of_params(&Params {
                cols,
                used,
                stride: padded(cols),
            }),
            units: cols,
            tokens,
            buffers: vec![
                ("y", activations(&mut random, tokens * used, cols)),
                ("x", activations(&mut random, tokens, cols)),
                ("shares", words(&random.floats((tokens * used) as usize))),
            ],
            weights: None,
        });
    }
    cases
}
