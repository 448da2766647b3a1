//! RMSNorm (Zhang & Sennrich 2019, eq. 4) and LayerNorm (Ba et al. 2016) of rows, or of groups of a row, such as the
//! heads of queries and keys.

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    call::{activations, words},
    padded,
    parts::{NormResult, REDUCE_SUBGROUP, REDUCE_WORKGROUP, Statistics},
    random::Random,
    tolerance,
};

/// The kernel; units are groups of a row.
pub static NORM: Kernel = Kernel {
    name: "norm",
    source: include_str!("norm.wgsl"),
    uses: &[],
    sockets: &[Statistics::SOCKET, NormResult::SOCKET],
    variants: &VARIANTS,
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |_, groups, tokens| [groups, tokens, 1],
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

/// A workgroup for each group of columns, by subgroups and without.
pub(crate) static VARIANTS: [Variant; 4] = [
    Variant {
        name: "subgroup8",
        parts: &[&REDUCE_SUBGROUP],
        consts: &[("WORKGROUP_SIZE", 8)],
        software: true,
    },
    Variant {
        name: "workgroup8",
        parts: &[&REDUCE_WORKGROUP],
        consts: &[("WORKGROUP_SIZE", 8)],
        software: true,
    },
    Variant {
        name: "subgroup64",
        parts: &[&REDUCE_SUBGROUP],
        consts: &[("WORKGROUP_SIZE", 64)],
        software: false,
    },
    Variant {
        name: "workgroup64",
        parts: &[&REDUCE_WORKGROUP],
        consts: &[("WORKGROUP_SIZE", 64)],
        software: false,
    },
];

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Width of a group.
        cols: u32,
        /// Added to the mean of squares.
        eps: f32,
        /// From a token's x to the next's, in f32.
        x_stride: u32,
        /// From a token's y to the next's, in f32.
        y_stride: u32,
        /// Where in a row of x the first group is.
        start: u32,
        /// Where in a row of y its result goes.
        y_start: u32,
        /// The first group that has the second half of the weight; 0: each group has its own.
        split: u32,
    }
}

impl Params {
    /// Parameters for whole rows of `cols`.
    pub fn rows(cols: u32, eps: f32) -> Params {
        let stride = padded(cols);
        let (x_stride, y_stride) = (stride, stride);
        Params {
            cols,
            eps,
            x_stride,
            y_stride,
            start: 0,
            y_start: 0,
            split: 1,
        }
    }
}

/// RMSNorm of one row, summed in f64.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f64> {
    let squares: f64 = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    let scale = 1.0 / (squares / x.len() as f64 + f64::from(eps)).sqrt();
    x.iter()
        .zip(weight)
        .map(|(&x, &w)| f64::from(x) * scale * f64::from(w))
        .collect()
}

/// `y` (tokens, y_stride) from `x` (tokens, x_stride), or y itself, and `norm_weight` (cols), or (2, cols).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let cols = p.cols as usize;
    let (tokens, groups) = (call.tokens as usize, call.units as usize);
    let statistics = Statistics::of(&call.parts);
    let layer = statistics != Some(Statistics::Rms);
    let result = NormResult::of(&call.parts);
    let weight = call.floats("norm_weight");
    let bias = if statistics == Some(Statistics::Layer) {
        call.floats("norm_bias")
    } else {
        vec![]
    };
    for token in 0..tokens {
        for group in 0..groups {
            let from_x = token * p.x_stride as usize + p.start as usize + group * cols;
            let to_y = token * p.y_stride as usize + p.y_start as usize + group * cols;
            let x = if result == Some(NormResult::InPlace) {
                call.floats("y")[to_y..][..cols].to_vec()
            } else {
                call.floats("x")[from_x..][..cols].to_vec()
            };
            let weight = &weight[match p.split as usize {
                0 => group * cols,
                split => usize::from(group >= split) * cols,
            }..];
            let mut normed = if layer {
                layer_norm(&x, weight, p.eps)
            } else {
                rms_norm(&x, weight, p.eps)
            };
            normed
                .iter_mut()
                .zip(&bias)
                .for_each(|(v, &b)| *v += f64::from(b));
            let add = result == Some(NormResult::Add);
            for (y, v) in call.floats_mut("y")[to_y..].iter_mut().zip(normed) {
                *y = if add {
                    (f64::from(*y) + v) as f32
                } else {
                    v as f32
                };
            }
        }
    }
}

/// LayerNorm of one row without its bias, summed in f64.
fn layer_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f64> {
    let count = x.len() as f64;
    let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let around: Vec<f64> = x.iter().map(|&v| f64::from(v) - mean).collect();
    let variance = around.iter().map(|v| v * v).sum::<f64>() / count;
    let scale = 1.0 / (variance + f64::from(eps)).sqrt();
    around
        .iter()
        .zip(weight)
        .map(|(v, &w)| v * scale * f64::from(w))
        .collect()
}

fn case(
    (statistics, result): (Statistics, NormResult),
    p: Params,
    (groups, tokens): (u32, u32),
    random: &mut Random,
) -> Case {
    let (statistics, result) = (statistics.part(), result.part());
    let (cols, width) = (p.cols, p.start.max(p.y_start) + groups * p.cols);
    Case {
        name: format!(
            "{groups} of {cols} from {} in {tokens} {} {}",
            p.start, statistics.name, result.name
        ),
        parts: vec![statistics, result],
        consts: vec![],
        params: bytes_of_params(&p),
        units: groups,
        tokens,
        buffers: vec![
            (
                "norm_weight",
                words(&random.floats((groups.max(2) * cols) as usize)),
            ),
            ("norm_bias", words(&random.floats(cols as usize))),
            ("x", activations(random, tokens, width)),
            ("y", activations(random, tokens, width)),
        ],
        weights: None,
    }
}

/// Widths that break things: one lane's worth, odd, no multiple of a subgroup, real models; heads within rows.
fn cases() -> Vec<Case> {
    let mut random = Random::new(2);
    let mut cases = Vec::new();
    let mut add = |statistics, result, p, count| {
        cases.push(case((statistics, result), p, count, &mut random));
    };
    for cols in [1, 7, 40, 576, 2048, 8191] {
        let rows = Params::rows(cols, 1e-5);
        add(Statistics::Rms, NormResult::Store, rows, (1, 1));
        add(Statistics::Rms, NormResult::Add, rows, (1, 3));
        let rows = Params::rows(cols.max(2), 1e-5);
        add(Statistics::Layer, NormResult::Store, rows, (1, 3));
    }
    for (heads, kv_heads, head) in [(4, 2, 32), (9, 3, 64), (2, 1, 12)] {
        let stride = padded((heads + 2 * kv_heads) * head);
        let p = Params {
            cols: head,
            eps: 1e-6,
            x_stride: stride,
            y_stride: stride,
            start: 0,
            y_start: 0,
            split: heads,
        };
        let groups = heads + 2 * kv_heads; // as wide as the row, so that the case has all of it
        add(Statistics::Rms, NormResult::InPlace, p, (groups, 3));
    }
    let k = Params {
        start: 64,
        y_start: 64,
        x_stride: 160,
        y_stride: 160,
        ..Params::rows(96, 1e-6)
    };
    add(Statistics::Rms, NormResult::InPlace, k, (1, 2));
    let alone = Params {
        cols: 32,
        y_start: 0,
        y_stride: 96,
        split: 1,
        ..k
    };
    add(Statistics::Rms, NormResult::Store, alone, (3, 2));
    let each = Params { split: 0, ..alone };
    add(Statistics::LayerPlain, NormResult::Store, each, (3, 2));
    cases
}
