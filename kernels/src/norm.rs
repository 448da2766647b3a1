//! RMSNorm (Zhang & Sennrich 2019, eq. 4): scales each row to unit root mean square, then by a learned weight.

use crate::{
    Call, Case, Kernel, Variant,
    call::{activations, words},
    padded,
    parts::{REDUCE_SUBGROUP, REDUCE_WORKGROUP},
    random::Random,
};

/// The kernel; its grid is a workgroup for each token.
pub static NORM: Kernel = Kernel {
    name: "norm",
    source: include_str!("norm.wgsl"),
    uses: &[],
    sockets: &[],
    variants: &[
        Variant {
            name: "subgroup8",
            parts: &[&REDUCE_SUBGROUP],
            consts: &[("LANES", 8)],
            software: true,
        },
        Variant {
            name: "workgroup8",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("LANES", 8)],
            software: true,
        },
        Variant {
            name: "subgroup64",
            parts: &[&REDUCE_SUBGROUP],
            consts: &[("LANES", 64)],
            software: false,
        },
        Variant {
            name: "workgroup64",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("LANES", 64)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |_, _, tokens| [1, tokens, 1],
    twin,
    cases,
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Width of a row.
        cols: u32,
        /// Added to the mean of squares.
        eps: f32,
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

/// `y` (tokens, padded cols) from `x` (tokens, padded cols) and `norm_weight` (cols).
fn twin(call: &mut Call) {
    let p: Params = call.params();
    let (cols, stride) = (p.cols as usize, padded(p.cols) as usize);
    let (weight, x) = (call.floats("norm_weight"), call.floats("x"));
    let y = call.floats_mut("y");
    for (x, y) in x.chunks_exact(stride).zip(y.chunks_exact_mut(stride)) {
        let normed = rms_norm(&x[..cols], &weight, p.eps);
        y.iter_mut().zip(normed).for_each(|(y, v)| *y = v as f32);
    }
}

/// Widths that break things: one lane's worth, odd, no multiple of a subgroup, real models.
fn cases() -> Vec<Case> {
    let mut random = Random::new(2);
    let shapes = [1, 7, 40, 576, 2048, 8191]
        .into_iter()
        .flat_map(|cols| [(cols, 1), (cols, 3)]);
    let case = |(cols, tokens)| Case {
        name: format!("{tokens} of {cols}"),
        parts: vec![],
        consts: vec![],
        params: bytemuck::bytes_of(&Params { cols, eps: 1e-5 }).to_vec(),
        units: 1,
        tokens,
        buffers: vec![
            ("norm_weight", words(&random.floats(cols as usize))),
            ("x", activations(&mut random, tokens, cols)),
            ("y", vec![0; (tokens * padded(cols)) as usize]),
        ],
        weights: None,
    };
    shapes.map(case).collect()
}
