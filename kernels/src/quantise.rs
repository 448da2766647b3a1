//! Activations as pairs of signed bytes, 32 of which share a scale, for the kernels that multiply integers. With the input part
//! `norm` the RMSNorm before a layer is computed on the way.

use crate::{
    Call, Case, GROUP, Kernel, Socket, Tolerance, Variant,
    call::{activations, consecutive, words},
    padded,
    parts::{Input, PACKED, REDUCE_SUBGROUP, REDUCE_WORKGROUP, ROWS},
    random::Random,
};

/// Words of a group: 8 of high bytes, 8 of low, the scale, the sum, and 2 to fill it up.
pub const PACKED_WORDS: u32 = 20;

/// The kernel; its grid is a workgroup for each token.
pub static QUANTISE: Kernel = Kernel {
    name: "quantise",
    source: include_str!("quantise.wgsl"),
    uses: &[&PACKED, &ROWS],
    sockets: &[Socket {
        name: "input",
        parts: &[Input::Plain.part(), Input::Norm.part()],
    }],
    variants: &[
        Variant {
            name: "workgroup8",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("WORKGROUP_SIZE", 8)],
            software: true,
        },
        Variant {
            name: "subgroup32",
            parts: &[&REDUCE_SUBGROUP],
            consts: &[("WORKGROUP_SIZE", 32)],
            software: false,
        },
        Variant {
            name: "workgroup32",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("WORKGROUP_SIZE", 32)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["packed"],
    grid: |_, _, tokens| [1, tokens, 1],
    reference,
    tolerance: |_, _, _| Tolerance::Packed,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Columns: the width of x.
        cols: u32,
        /// RMSNorm's epsilon, for the input part `norm`.
        eps: f32,
        /// 1: the last token of the pass alone, as the first of the result; 0: all.
        last: u32,
    }
}

/// A group's words from its activations, of which `scale` is still to be multiplied in.
fn pack(x: &[f32], scale: f32) -> [u32; PACKED_WORDS as usize] {
    let amax = x.iter().fold(0.0f32, |amax, v| amax.max(v.abs()));
    let up = if amax > 1e-30 { 32512.0 / amax } else { 0.0 };
    let whole = |v: &f32| (v * up).round_ties_even() as i32;
    let whole: Vec<i32> = x.iter().map(whole).collect();
    let step = amax * (1.0 / 32512.0) * scale;
    let total: i32 = whole.iter().sum();
    let mut all = [0; PACKED_WORDS as usize];
    for (i, four) in whole.chunks_exact(4).enumerate() {
        let word = |byte: fn(i32) -> u8| u32::from_le_bytes([0, 1, 2, 3].map(|k| byte(four[k])));
        all[i] = word(|v| ((v + 128) >> 8) as u8);
        all[8 + i] = word(|v| v as u8);
    }
    all[16] = step.to_bits();
    all[17] = (step * total as f32).to_bits();
    all
}

/// A group's integers.
pub fn integers(group: &[u32]) -> Vec<i32> {
    let bytes = |words: &[u32]| -> Vec<i32> {
        let all = words.iter().flat_map(|word| word.to_le_bytes());
        all.map(|b| i32::from(b.cast_signed())).collect()
    };
    let (high, low) = (bytes(&group[..8]), bytes(&group[8..16]));
    high.iter().zip(low).map(|(h, l)| 256 * h + l).collect()
}

/// A group's scale and the sum of what it stands for.
pub fn scale_and_total(group: &[u32]) -> (f64, f64) {
    let float = |i: usize| f64::from(f32::from_bits(group[i]));
    (float(16), float(17))
}

/// Rows of activations, padded, as words of packed groups.
pub(crate) fn packed(x: &[f32]) -> Vec<u32> {
    let groups = x.chunks_exact(GROUP as usize);
    groups.flat_map(|group| pack(group, 1.0)).collect()
}

/// The activations that packed groups stand for.
pub(crate) fn unpacked(groups: &[u32]) -> Vec<f64> {
    let group = |words| {
        let (scale, _) = scale_and_total(words);
        let values = integers(words).into_iter();
        values.map(move |v| f64::from(v) * scale)
    };
    let groups = groups.chunks_exact(PACKED_WORDS as usize);
    groups.flat_map(group).collect()
}

/// `packed` (tokens, groups) from `x` (tokens, padded cols).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (cols, stride) = (p.cols as usize, padded(p.cols) as usize);
    let (x, norm) = (
        call.floats("x"),
        Input::of(&call.parts) == Some(Input::Norm),
    );
    let weight = if norm {
        call.floats("norm_weight")
    } else {
        vec![1.0; stride]
    };
    let count = call.words("rows")[0] as usize;
    let first = if p.last == 1 { count - 1 } else { 0 };
    let rows = x.chunks_exact(stride).take(count).skip(first);
    let mut all = Vec::new();
    for row in rows {
        let squares: f64 = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        let scale = 1.0 / (squares / cols as f64 + f64::from(p.eps)).sqrt();
        let scale = if norm { scale as f32 } else { 1.0 };
        let weighed: Vec<f32> = row.iter().zip(&weight).map(|(&x, &g)| x * g).collect();
        let groups = weighed.chunks_exact(GROUP as usize);
        all.extend(groups.flat_map(|group| pack(group, scale)));
    }
    call.words("packed")[..all.len()].copy_from_slice(&all);
}

/// Widths as of norms; all tokens and the last; a row of zeros, one of the largest and one of the smallest values.
fn cases() -> Vec<Case> {
    let mut random = Random::new(12);
    let mut cases = Vec::new();
    for input in [Input::Plain.part(), Input::Norm.part()] {
        for cols in [1, 40, 576, 1536, 8191] {
            for (tokens, last) in [(1, 1), (5, 0), (3, 1)] {
                let mut x = random.floats((tokens * padded(cols)) as usize);
                for (row, x) in x.chunks_exact_mut(padded(cols) as usize).enumerate() {
                    x[cols as usize..].fill(0.0);
                    let size = [1.0, 0.0, 1e15, 1e-20, 1e-42][row];
                    for v in x {
                        *v *= size;
                    }
                }
                let name = if last == 1 { "the last" } else { "all" };
                let params = Params {
                    cols,
                    eps: 1e-5,
                    last,
                };
                cases.push(Case {
                    name: format!("{name} of {tokens} of {cols} {}", input.name),
                    parts: vec![input],
                    consts: vec![("X_LENGTH", padded(cols) / 4)],
                    params: crate::bytes_of_params(&params),
                    units: 1,
                    tokens: if last == 1 { 1 } else { tokens },
                    buffers: vec![
                        ("x", words(&x)),
                        (
                            "packed",
                            vec![0; (tokens * padded(cols) / GROUP * PACKED_WORDS) as usize],
                        ),
                        ("norm_weight", activations(&mut random, 1, cols)),
                        ("rows", consecutive(3, tokens)),
                    ],
                    weights: None,
                });
            }
        }
    }
    cases
}
