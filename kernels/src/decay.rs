//! Decay of each channel of a recurrent state (Kimi Linear, Kimi Team 2025, section 3): exp(a softplus(x + dt_bias)).

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::{activations, words},
    kernel::{LANES_64, lane_grid},
    padded,
    parts::EXPONENTIALS,
    pointwise::softplus,
    random::Random,
    tolerance,
};

/// The kernel; units are columns.
pub static DECAY: Kernel = Kernel {
    name: "decay",
    source: include_str!("decay.wgsl"),
    uses: &[&EXPONENTIALS],
    sockets: &[],
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
        /// Neighbouring columns that have one factor.
        share: u32,
        /// From a token's row of x to the next, in f32.
        x_stride: u32,
        /// Where in it the first column is.
        x_start: u32,
        /// From a token's row of y to the next, in f32.
        y_stride: u32,
    }
}

/// `y` (tokens, y_stride) from `x` (tokens, x_stride), `a` (cols / share) and `dt_bias` (cols).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (a, dt_bias, x) = (call.floats("a"), call.floats("dt_bias"), call.floats("x"));
    for token in 0..call.tokens {
        let own = &x[(token * p.x_stride + p.x_start) as usize..];
        let y = &mut call.floats_mut("y")[(token * p.y_stride) as usize..];
        for col in 0..p.cols as usize {
            let v = f64::from(own[col]) + f64::from(dt_bias[col]);
            y[col] = (f64::from(a[col / p.share as usize]) * softplus(v)).exp() as f32;
        }
    }
}

/// Factors near and far, logits far from zero, few columns and many.
fn cases() -> Vec<Case> {
    let mut random = Random::new(37);
    let mut cases = Vec::new();
    for (heads, share, x_start, tokens) in [(3, 4, 5, 3), (4, 16, 0, 2), (32, 128, 0, 2)] {
        let cols = heads * share;
        let mut x = activations(&mut random, tokens, x_start + cols);
        let far = words(&[60.0, -60.0, 1e4, -1e4]);
        x[x_start as usize..][..4].copy_from_slice(&far);
        let a: Vec<f32> = (0..heads)
            .map(|head| -0.01 - 16.0 * (head as f32 / heads as f32).powi(4))
            .collect();
        cases.push(Case {
            name: format!("{heads} heads of {share}"),
            parts: vec![],
            consts: vec![],
            params: bytes_of_params(&Params {
                cols,
                share,
                x_stride: padded(x_start + cols),
                x_start,
                y_stride: padded(cols),
            }),
            units: cols,
            tokens,
            buffers: vec![
                ("a", words(&a)),
                ("dt_bias", words(&random.floats(cols as usize))),
                ("x", x),
                ("y", activations(&mut random, tokens, cols)),
            ],
            weights: None,
        });
    }
    cases
}
