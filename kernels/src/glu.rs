//! The gated unit (Shazeer 2020) by itself, for sessions whose adapters add to gate and up before it.

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::activations,
    kernel::{LANES_64, lane_grid},
    padded,
    parts::Act,
    pointwise::{gelu, silu},
    random::Random,
    tolerance,
};

/// The kernel; units are results.
pub static GLU: Kernel = Kernel {
    name: "glu",
    source: include_str!("glu.wgsl"),
    uses: &[],
    sockets: &[Act::SOCKET],
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
        /// Results of a row.
        cols: u32,
        /// Rows of a token: one, or one for each expert that it uses.
        each: u32,
        /// From a row's gates and ups to the next's, in f32.
        x_stride: u32,
        /// From a row's results to the next's, in f32.
        y_stride: u32,
    }
}

/// `y` (tokens, each, y_stride) from `x` (tokens, each, x_stride), alternating, and `delta` (tokens, each, x_stride), one
/// after the other.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (cols, x_stride) = (p.cols as usize, p.x_stride as usize);
    let (x, delta) = (call.floats("x"), call.floats("delta"));
    let act = Act::of(&call.parts).expect("a part that activates gates");
    for row in 0..(call.tokens * p.each) as usize {
        let (x, delta) = (&x[row * x_stride..], &delta[row * x_stride..]);
        let y = &mut call.floats_mut("y")[row * p.y_stride as usize..];
        for col in 0..cols {
            let gate = f64::from(x[2 * col]) + f64::from(delta[col]);
            let up = f64::from(x[2 * col + 1]) + f64::from(delta[cols + col]);
            let gate = match act {
                Act::Silu => silu(gate),
                Act::Gelu => gelu(gate),
            };
            y[col] = (gate * up) as f32;
        }
    }
}

/// Both activations, widths odd and even, several rows of a token.
fn cases() -> Vec<Case> {
    let mut random = Random::new(16);
    let mut cases = Vec::new();
    for activation in Act::SOCKET.parts {
        for (cols, each, tokens) in [(7, 1, 2), (96, 1, 3), (20, 3, 2)] {
            let (x_stride, y_stride) = (padded(2 * cols), padded(cols));
            cases.push(Case {
                name: format!("{each} {cols} {}", activation.name),
                parts: vec![activation],
                consts: vec![],
                params: bytes_of_params(&Params {
                    cols,
                    each,
                    x_stride,
                    y_stride,
                }),
                units: cols,
                tokens,
                buffers: vec![
                    ("x", activations(&mut random, tokens * each, 2 * cols)),
                    ("delta", activations(&mut random, tokens * each, 2 * cols)),
                    ("y", vec![0; (tokens * each * y_stride) as usize]),
                ],
                weights: None,
            });
        }
    }
    cases
}
