//! Output gate: rows times the activation of a gate, such as that of Qwen 3.5's attention (Gated Attention for Large
//! Language Models, Qiu et al. 2025).

use crate::{
    Call, Case, Kernel, Part, bytes_of_params,
    call::{activations, words},
    kernel::{LANES_64, lane_grid},
    padded,
    parts::OutputGate,
    pointwise::{sigmoid, silu, softplus},
    random::Random,
    tolerance,
};

/// The kernel; units are columns.
pub static GATE: Kernel = Kernel {
    name: "gate",
    source: include_str!("gate.wgsl"),
    uses: &[],
    sockets: &[OutputGate::SOCKET],
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
        /// Columns of y.
        cols: u32,
        /// Neighbours in y that share a gate.
        share: u32,
        /// From a row's x to the next's, in f32.
        x_stride: u32,
        /// Column of x with the first gate.
        x_start: u32,
        /// From a row's y to the next's, in f32.
        y_stride: u32,
    }
}

/// The activation that one of these parts is.
pub(crate) fn activated(parts: &[&Part]) -> fn(f64) -> f64 {
    match OutputGate::of(parts).expect("a part that activates gates") {
        OutputGate::None => |gate| gate,
        OutputGate::Silu => silu,
        OutputGate::Sigmoid => sigmoid,
        OutputGate::Softplus => softplus,
    }
}

/// `y` (tokens, y_stride) times the activation of `x` (tokens, x_stride).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let x = call.floats("x");
    let activated = activated(&call.parts);
    for row in 0..call.tokens as usize {
        let x = &x[row * p.x_stride as usize + p.x_start as usize..];
        let y = &mut call.floats_mut("y")[row * p.y_stride as usize..][..p.cols as usize];
        for (col, y) in y.iter_mut().enumerate() {
            let gate = activated(f64::from(x[col / p.share as usize]));
            *y = (f64::from(*y) * gate) as f32;
        }
    }
}

/// Both activations, widths odd, even and real, gates from a column on, gates far from zero.
fn cases() -> Vec<Case> {
    let mut random = Random::new(20);
    let mut cases = Vec::new();
    for activation in OutputGate::SOCKET.parts {
        for (cols, share, x_start, tokens) in [
            (7, 1, 0, 1),
            (80, 1, 80, 3),
            (96, 12, 33, 2),
            (4096, 1, 0, 2),
            (64, 64, 7, 3),
        ] {
            let x_stride = padded(x_start + cols);
            let mut x = activations(&mut random, tokens, x_stride);
            x[x_start as usize..][..7]
                .copy_from_slice(&words(&[1e4, -1e4, 90.0, -90.0, 20.0, -20.0, 0.0]));
            cases.push(Case {
                name: format!(
                    "{cols} by {share} from {x_start} in {tokens} {}",
                    activation.name
                ),
                parts: vec![activation],
                consts: vec![],
                params: bytes_of_params(&Params {
                    cols,
                    share,
                    x_stride,
                    x_start,
                    y_stride: padded(cols),
                }),
                units: cols,
                tokens,
                buffers: vec![("x", x), ("y", activations(&mut random, tokens, cols))],
                weights: None,
            });
        }
    }
    cases
}
