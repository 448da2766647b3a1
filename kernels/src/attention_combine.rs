//! The second half of attention while decoding far into a context: makes one result of those of shares of the positions.

use crate::{
    Call, Case, Kernel, Variant, call::words, parts::REDUCE_NONE, random::Random, tolerance,
};

/// Workgroups that attention far into a context is split into on a GPU at least: four for each of the many cores that large
/// ones have.
const WORKGROUPS: u32 = 512;
/// Shares at most: each is read once more when they are joined.
const SPLITS_MAX: u32 = 64;
/// Shares on an adapter that runs on the CPU, which has few workers: enough that all are busy until the end.
pub const SPLITS_SOFTWARE: u32 = 4;

/// Shares that the positions are split into, where attention would have so many workgroups without.
pub fn kv_splits(software: bool, workgroups: u32) -> u32 {
    if software {
        return SPLITS_SOFTWARE;
    }
    let wanted = WORKGROUPS.div_ceil(workgroups.max(1));
    wanted.clamp(SPLITS_SOFTWARE, SPLITS_MAX)
}

/// The kernel; units are query heads. Constants: `VALUE_DIM`, `KV_SPLITS`.
pub static ATTENTION_COMBINE: Kernel = Kernel {
    name: "attention_combine",
    source: include_str!("attention_combine.wgsl"),
    uses: &[&REDUCE_NONE],
    sockets: &[],
    variants: &[
        Variant {
            name: "lanes8",
            parts: &[],
            consts: &[("WORKGROUP_SIZE", 8)],
            software: true,
        },
        Variant {
            name: "lanes32",
            parts: &[],
            consts: &[("WORKGROUP_SIZE", 32)],
            software: false,
        },
    ],
    params: &[],
    outputs: &["y"],
    grid: |_, heads, _| [heads, 1, 1],
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

/// `y` (heads, value_dim) from `partial` (heads, splits, value_dim of acc, m, l).
fn reference(call: &mut Call) {
    let (head, splits) = (
        call.constant("VALUE_DIM") as usize,
        call.constant("KV_SPLITS") as usize,
    );
    let partial = call.floats("partial");
    let y = call.floats_mut("y");
    for (all, y) in partial
        .chunks_exact(splits * (head + 2))
        .zip(y.chunks_exact_mut(head))
    {
        let each = || all.chunks_exact(head + 2);
        let m = each().map(|split| split[head]).fold(f32::MIN, f32::max);
        let worth = |split: &[f32]| (f64::from(split[head]) - f64::from(m)).exp();
        let l: f64 = each()
            .map(|split| worth(split) * f64::from(split[head + 1]))
            .sum();
        for (d, y) in y.iter_mut().enumerate() {
            let sum: f64 = each().map(|split| worth(split) * f64::from(split[d])).sum();
            *y = (sum / l) as f32;
        }
    }
}

/// Head sizes that fill no workgroup, and more than one; shares that are worth next to nothing beside others.
fn cases() -> Vec<Case> {
    let mut random = Random::new(13);
    let case = |(head, heads, splits): (u32, u32, u32)| {
        let count = (heads * splits) as usize;
        let mut partial = random.floats(count * (head + 2) as usize);
        for (i, split) in partial.chunks_exact_mut(head as usize + 2).enumerate() {
            split[head as usize] = [3.0, -2.5, 90.0, 0.0, 1.0][i % 5];
            split[head as usize + 1] = 1.0 + i as f32;
        }
        Case {
            name: format!("{heads} heads of {head}, {splits} shares"),
            parts: vec![],
            consts: vec![("VALUE_DIM", head), ("KV_SPLITS", splits)],
            params: vec![],
            units: heads,
            tokens: 1,
            buffers: vec![
                ("partial", words(&partial)),
                ("y", vec![0; (heads * head) as usize]),
            ],
            weights: None,
        }
    };
    let shapes = [
        (64, 9, SPLITS_SOFTWARE),
        (12, 3, SPLITS_SOFTWARE),
        (256, 2, SPLITS_SOFTWARE),
        (128, 2, SPLITS_MAX),
    ];
    shapes.into_iter().map(case).collect()
}
