//! Weighted sum of the results of a token's experts: the last step of a mixture of experts (Jiang et al. 2024, eq. 1).

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::{activations, words},
    kernel::{LANES_64, lane_grid},
    padded,
    random::Random,
    tolerance,
};

/// The kernel; units are columns.
pub static MOE_COMBINE: Kernel = Kernel {
    name: "moe_combine",
    source: include_str!("moe_combine.wgsl"),
    uses: &[],
    sockets: &[],
    variants: &LANES_64,
    params: Params::FIELDS,
    outputs: &["x"],
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
        /// Experts that a token uses.
        top_k: u32,
        /// From a row to the next, in f32.
        stride: u32,
    }
}

/// `x` (tokens, stride) from `y` (tokens, top_k, stride) and `expert_weights` (tokens, top_k).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (cols, top_k, stride) = (p.cols as usize, p.top_k as usize, p.stride as usize);
    let (y, expert_weights) = (call.floats("y"), call.floats("expert_weights"));
    for token in 0..call.tokens as usize {
        for col in 0..cols {
            let part = |i: usize| {
                let pair = token * top_k + i;
                f64::from(expert_weights[pair]) * f64::from(y[pair * stride + col])
            };
            let sum: f64 = (0..top_k).map(part).sum();
            let x = &mut call.floats_mut("x")[token * stride + col];
            *x = (f64::from(*x) + sum) as f32;
        }
    }
}

/// Widths odd and even, one expert and several.
fn cases() -> Vec<Case> {
    let mut random = Random::new(14);
    let mut cases = Vec::new();
    for (cols, top_k, tokens) in [(64, 2, 3), (7, 1, 1), (576, 8, 2)] {
        cases.push(Case {
            name: format!("{top_k} of {cols} for {tokens}"),
            parts: vec![],
            consts: vec![],
            params: bytes_of_params(&Params {
                cols,
                top_k,
                stride: padded(cols),
            }),
            units: cols,
            tokens,
            buffers: vec![
                ("y", activations(&mut random, tokens * top_k, cols)),
                ("x", activations(&mut random, tokens, cols)),
                (
                    "expert_weights",
                    words(&random.floats((tokens * top_k) as usize)),
                ),
            ],
            weights: None,
        });
    }
    cases
}
