//! Some columns of rows as rows of their own, for kernels that find a row right behind the row before.

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::activations,
    kernel::{LANES_64, lane_grid},
    padded,
    random::Random,
    tolerance,
};

/// The kernel; units are columns.
pub static COPY: Kernel = Kernel {
    name: "copy",
    source: include_str!("copy.wgsl"),
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
        /// Columns that are copied.
        cols: u32,
        /// From a row's x to the next's, in f32.
        x_stride: u32,
        /// The first of them in x.
        x_start: u32,
        /// From a row's y to the next's, in f32.
        y_stride: u32,
    }
}

/// `y` (tokens, y_stride) from the columns of `x` (tokens, x_stride).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let x = call.floats("x");
    for row in 0..call.tokens as usize {
        let x = &x[row * p.x_stride as usize + p.x_start as usize..][..p.cols as usize];
        call.floats_mut("y")[row * p.y_stride as usize..][..x.len()].copy_from_slice(x);
    }
}

/// Columns at the beginning and in the middle; one row, and several.
fn cases() -> Vec<Case> {
    let mut random = Random::new(44);
    let mut case = |(cols, x_start, behind): (u32, u32, u32), tokens| {
        let x_stride = padded(x_start + cols + behind);
        Case {
            name: format!("{cols} from {x_start} of {x_stride} in {tokens}"),
            parts: vec![],
            consts: vec![],
            params: bytes_of_params(&Params {
                cols,
                x_stride,
                x_start,
                y_stride: padded(cols),
            }),
            units: cols,
            tokens,
            buffers: vec![
                ("x", activations(&mut random, tokens, x_stride)),
                ("y", activations(&mut random, tokens, cols)),
            ],
            weights: None,
        }
    };
    vec![
        case((6, 0, 58), 3),
        case((48, 0, 48), 1),
        case((37, 33, 5), 2),
        case((160, 32, 0), 9),
    ]
}
