//! Operations value by value: a bias, an activation, soft-capping, a factor.

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::{activations, words},
    kernel::{LANES_64, lane_grid},
    padded,
    parts::{Activation, Shift},
    random::Random,
    tolerance,
};

/// The kernel; units are columns.
pub static POINTWISE: Kernel = Kernel {
    name: "pointwise",
    source: include_str!("pointwise.wgsl"),
    uses: &[],
    sockets: &[Shift::SOCKET, Activation::SOCKET],
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
        /// From a token's row to the next, in f32.
        stride: u32,
        /// The cap, for `Activation::Cap`; what values are multiplied by, for `Activation::Scale`.
        factor: f32,
        /// For `Activation::Xielu`: the factor on squares above 0.
        alpha_p: f32,
        /// For `Activation::Xielu`: the factor on the exponential unit.
        alpha_n: f32,
        /// For `Activation::Xielu`: the slope at 0.
        beta: f32,
        /// For `Activation::Xielu`: what the exponential's argument is at most.
        eps: f32,
    }
}

/// Logistic function.
pub(crate) fn sigmoid(v: f64) -> f64 {
    1.0 / (1.0 + (-v).exp())
}

/// SiLU.
pub(crate) fn silu(v: f64) -> f64 {
    v / (1.0 + (-v).exp())
}

/// ln(1 + exp(v)).
pub(crate) fn softplus(v: f64) -> f64 {
    v.max(0.0) + (-v.abs()).exp().ln_1p()
}

/// xIELU with the parameters' numbers.
fn xielu(v: f64, p: &Params) -> f64 {
    let numbers = [p.alpha_p, p.alpha_n, p.beta, p.eps].map(f64::from);
    let [alpha_p, alpha_n, beta, eps] = numbers;
    if v > 0.0 {
        alpha_p * v * v + beta * v
    } else {
        alpha_n * (v.min(eps).exp_m1() - v) + beta * v
    }
}

/// GELU by its tanh form.
pub(crate) fn gelu(v: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (v + 0.044715 * v * v * v);
    0.5 * v * (1.0 + inner.tanh())
}

/// GELU by the error function: its series, or far out the continued fraction of its complement.
pub(crate) fn gelu_erf(v: f64) -> f64 {
    use std::f64::consts::{FRAC_1_SQRT_2, PI};
    let z = v.abs() * FRAC_1_SQRT_2;
    let complement = if z < 3.0 {
        let mut term = z;
        let mut sum = z;
        for n in 1..80 {
            term *= -z * z / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        1.0 - sum * 2.0 / PI.sqrt()
    } else {
        let rest = (1..60)
            .rev()
            .fold(0.0, |rest, k| f64::from(k) / 2.0 / (z + rest));
        (-z * z).exp() / PI.sqrt() / (z + rest)
    };
    0.5 * v
        * if v < 0.0 {
            complement
        } else {
            2.0 - complement
        }
}

/// `y` (tokens, stride) with `bias` (cols).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let shift = Shift::of(&call.parts);
    let bias = match shift {
        Some(Shift::None) | None => vec![0.0; p.cols as usize],
        Some(Shift::Bias | Shift::Factor) => call.floats("bias"),
    };
    let activation = Activation::of(&call.parts).expect("a part that activates");
    for token in 0..call.tokens {
        let row = &mut call.floats_mut("y")[(token * p.stride) as usize..];
        for (y, &b) in row.iter_mut().zip(&bias) {
            let v = match shift {
                Some(Shift::Factor) => f64::from(*y) * f64::from(b),
                _ => f64::from(*y) + f64::from(b),
            };
            let factor = f64::from(p.factor);
            *y = match activation {
                Activation::None => v,
                Activation::Gelu => gelu(v),
                Activation::GeluErf => gelu_erf(v),
                Activation::Relu2 => v.max(0.0) * v.max(0.0),
                Activation::Sigmoid => sigmoid(v),
                Activation::Xielu => xielu(v, &p),
                Activation::Cap => factor * (v / factor).tanh(),
                Activation::Scale => factor * v,
            } as f32;
        }
    }
}

/// Widths odd and even, values beyond any cap.
fn cases() -> Vec<Case> {
    let mut random = Random::new(11);
    let mut cases = Vec::new();
    for shift in Shift::SOCKET.parts {
        for activation in Activation::SOCKET.parts {
            for (cols, tokens) in [(7, 1), (96, 3), (576, 2)] {
                let stride = padded(cols);
                let mut y = activations(&mut random, tokens, stride);
                y[..5].copy_from_slice(&words(&[1e4, -1e4, 30.0, -30.0, 0.0]));
                cases.push(Case {
                    name: format!("{cols} {} {}", shift.name, activation.name),
                    parts: vec![shift, activation],
                    consts: vec![],
                    params: bytes_of_params(&Params {
                        cols,
                        stride,
                        factor: 5.0,
                        alpha_p: 0.9,
                        alpha_n: 1.3,
                        beta: 0.5,
                        eps: -1e-6,
                    }),
                    units: cols,
                    tokens,
                    buffers: vec![("bias", words(&random.floats(cols as usize))), ("y", y)],
                    weights: None,
                });
            }
        }
    }
    cases
}
