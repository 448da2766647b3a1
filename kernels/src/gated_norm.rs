//! RMSNorm (Zhang & Sennrich 2019, eq. 4) of each head, times the activation of a gate: the output of a gated delta net
//! (Gated Delta Networks, Yang et al. 2024, section 3.4).

use crate::{
    Call, Case, Kernel, bytes_of_params,
    call::{activations, words},
    gate::activated,
    norm::{VARIANTS, rms_norm},
    padded,
    parts::{NormResult, OutputGate},
    random::Random,
    tolerance,
};

/// The kernel; units are heads of a row.
pub static GATED_NORM: Kernel = Kernel {
    name: "gated_norm",
    source: include_str!("gated_norm.wgsl"),
    uses: &[],
    sockets: &[NormResult::OVERWRITE, OutputGate::SOCKET],
    variants: &VARIANTS,
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |_, heads, tokens| [heads, tokens, 1],
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Columns of a head.
        head_dim: u32,
        /// Added to the mean of squares.
        eps: f32,
        /// From a row's x to the next's, in f32.
        x_stride: u32,
        /// From a row's y to the next's, in f32.
        y_stride: u32,
        /// From a row's gates to the next's, in f32.
        gate_stride: u32,
        /// Column of a row of gates with the first head's.
        gate_start: u32,
    }
}

/// `y` (tokens, y_stride) from `x` (tokens, x_stride), or y itself, `norm_weight` (head_dim) and `gate` (tokens, gate_stride).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let head_dim = p.head_dim as usize;
    let (weight, gate) = (call.floats("norm_weight"), call.floats("gate"));
    let activated = activated(&call.parts);
    for row in 0..call.tokens as usize {
        for head in 0..call.units as usize {
            let start = head * head_dim;
            let to_y = row * p.y_stride as usize + start;
            let x = if NormResult::of(&call.parts) == Some(NormResult::InPlace) {
                call.floats("y")[to_y..][..head_dim].to_vec()
            } else {
                call.floats("x")[row * p.x_stride as usize + start..][..head_dim].to_vec()
            };
            let gate = &gate[row * p.gate_stride as usize + p.gate_start as usize + start..];
            let y = &mut call.floats_mut("y")[to_y..];
            for ((y, v), &gate) in y.iter_mut().zip(rms_norm(&x, &weight, p.eps)).zip(gate) {
                *y = (v * activated(f64::from(gate))) as f32;
            }
        }
    }
}

/// Heads odd, small and real; gates from a column on; both results, both activations.
fn cases() -> Vec<Case> {
    let mut random = Random::new(21);
    let mut cases = Vec::new();
    let mut add = |result: NormResult, gate: OutputGate, shape: [u32; 4]| {
        let (result, activation) = (result.part(), gate.part());
        let [head_dim, heads, gate_start, tokens] = shape;
        let width = head_dim * heads;
        let (stride, gate_stride) = (padded(width), padded(gate_start + width));
        let mut gate = random.floats((tokens * gate_stride) as usize);
        gate.iter_mut()
            .skip(1)
            .step_by(5)
            .for_each(|gate| *gate *= 300.0);
        cases.push(Case {
            name: format!(
                "{heads} of {head_dim}, gates from {gate_start}, in {tokens} {} {}",
                result.name, activation.name
            ),
            parts: vec![result, activation],
            consts: vec![],
            params: bytes_of_params(&Params {
                head_dim,
                eps: 1e-6,
                x_stride: stride,
                y_stride: stride,
                gate_stride,
                gate_start,
            }),
            units: heads,
            tokens,
            buffers: vec![
                ("norm_weight", words(&random.floats(head_dim as usize))),
                ("gate", words(&gate)),
                ("x", activations(&mut random, tokens, width)),
                ("y", activations(&mut random, tokens, width)),
            ],
            weights: None,
        });
    };
    for shape in [[1, 1, 0, 1], [7, 5, 3, 2], [16, 6, 160, 3], [128, 32, 0, 2]] {
        add(NormResult::Store, OutputGate::Silu, shape);
        add(NormResult::InPlace, OutputGate::Silu, shape);
    }
    add(NormResult::Store, OutputGate::Sigmoid, [40, 3, 32, 2]);
    add(NormResult::InPlace, OutputGate::Sigmoid, [128, 4, 512, 1]);
    cases
}
