//! Sum of two activations, where no kernel that makes the second can add it to the first.

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::activations,
    kernel::{LANES_64, lane_grid},
    padded,
    random::Random,
    tolerance,
};

/// The kernel; units are columns.
pub static ADD: Kernel = Kernel {
    name: "add",
    source: include_str!("add.wgsl"),
    uses: &[],
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
        /// From a row's x to the next's, in f32.
        x_stride: u32,
        /// From a row's y to the next's, in f32.
        y_stride: u32,
    }
}

/// `y` (tokens, y_stride) plus `x` (tokens, x_stride).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let x = call.floats("x");
    for row in 0..call.tokens as usize {
        let x = &x[row * p.x_stride as usize..][..p.cols as usize];
        let y = &mut call.floats_mut("y")[row * p.y_stride as usize..];
        y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
    }
}

/// Widths odd and even.
fn cases() -> Vec<Case> {
    let mut random = Random::new(23);
    let case = |(cols, tokens): (u32, u32)| {
        let stride = padded(cols);
        Case {
            name: format!("{cols} in {tokens}"),
            parts: vec![],
            consts: vec![],
            params: bytes_of_params(&Params {
                cols,
                x_stride: stride,
                y_stride: stride,
            }),
            units: cols,
            tokens,
            buffers: vec![
                ("x", activations(&mut random, tokens, cols)),
                ("y", activations(&mut random, tokens, cols)),
            ],
            weights: None,
        }
    };
    [(7, 1), (576, 3)].map(case).into()
}
