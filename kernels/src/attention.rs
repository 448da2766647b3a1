//! Causal attention (Vaswani et al. 2017) over the cache, with grouped heads (Ainslie et al. 2023) of any size that is
//! a multiple of 4; prefill and decode alike.

use half::f16;

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    call::{activations, state, words},
    padded,
    parts::{
        CACHE, CACHE_F16, CACHE_F32, Q, Q_STORAGE, Q_UNIFORM, REDUCE_SUBGROUP, REDUCE_WORKGROUP,
        STATE,
    },
    random::Random,
};

/// The kernel; units are key and value heads. Constants: `HEAD`, `GROUP` and, for uniform queries, `Q_LENGTH`.
pub static ATTENTION: Kernel = Kernel {
    name: "attention",
    source: include_str!("attention.wgsl"),
    uses: &[&STATE],
    sockets: &[CACHE, Q],
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
            name: "subgroup32",
            parts: &[&REDUCE_SUBGROUP],
            consts: &[("LANES", 32)],
            software: false,
        },
        Variant {
            name: "workgroup32",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("LANES", 32)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |_, heads, tokens| [heads, tokens, 1],
    twin,
    cases,
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Key and value heads.
        kv_heads: u32,
        /// From a token's queries to the next's, in f32.
        q_stride: u32,
        /// From a token's result to the next's, in f32.
        y_stride: u32,
        /// The token of the pass that is the first of `qkv`.
        token_start: u32,
        /// Factor on every score, 1 / sqrt(head size) as a rule.
        scale: f32,
    }
}

fn cache(call: &mut Call, name: &str) -> Vec<f32> {
    if !call.has(&CACHE_F16) {
        return call.floats(name);
    }
    let halves = call
        .words(name)
        .iter()
        .flat_map(|&w| [w as u16, (w >> 16) as u16]);
    halves.map(|bits| f16::from_bits(bits).to_f32()).collect()
}

/// `y` (tokens, heads, head size) from queries in `qkv` (tokens, q_stride) and `keys`, `values` (context, kv heads, head size).
fn twin(call: &mut Call) {
    let p: Params = call.params();
    let head = call.constant("HEAD") as usize;
    let (position, count) = (
        call.words("state")[0] as usize,
        call.words("state")[1] as usize,
    );
    let (keys, values, qkv) = (
        cache(call, "keys"),
        cache(call, "values"),
        call.floats("qkv"),
    );
    let group = call.constant("GROUP");
    let heads = (group * p.kv_heads) as usize;
    let first = p.token_start as usize;
    let rows = qkv.len() / p.q_stride as usize;
    for token in first..count.min(first + rows) {
        for h in 0..heads {
            let q = &qkv[(token - first) * p.q_stride as usize + h * head..][..head];
            let at = |position: usize| (position * p.kv_heads as usize + h / group as usize) * head;
            let dot = |k: &[f32]| {
                q.iter()
                    .zip(k)
                    .map(|(&q, &k)| f64::from(q) * f64::from(k))
                    .sum::<f64>()
            };
            let scores: Vec<f64> = (0..=position + token)
                .map(|i| dot(&keys[at(i)..][..head]) * f64::from(p.scale))
                .collect();
            let most = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
            let total: f64 = weights.iter().sum();
            for d in 0..head {
                let sum: f64 = weights
                    .iter()
                    .enumerate()
                    .map(|(i, w)| w * f64::from(values[at(i) + d]))
                    .sum();
                call.floats_mut("y")[token * p.y_stride as usize + h * head + d] =
                    (sum / total) as f32;
            }
        }
    }
}

/// Head sizes odd in some way, one head a group and many, the first position, full tiles and not, large scores.
fn cases() -> Vec<Case> {
    let mut random = Random::new(6);
    let mut cases = Vec::new();
    let shapes = [
        (64, 3, 3, 0, 1),
        (64, 3, 3, 40, 5),
        (40, 1, 2, 7, 3),
        (16, 2, 2, 63, 1),
        (128, 4, 1, 100, 2),
        (12, 1, 3, 9, 2),
    ];
    for part in [&CACHE_F32, &CACHE_F16] {
        for (head, group, kv_heads, position, tokens) in shapes {
            for scale in [1.0 / (head as f32).sqrt(), 20.0] {
                let (q_stride, y_stride) = (
                    padded((group + 2) * kv_heads * head),
                    padded(group * kv_heads * head),
                );
                let mut cached = || -> Vec<u32> {
                    let all = random.floats(((position + tokens) * kv_heads * head) as usize);
                    let pair = |v: &[f32]| {
                        u32::from(f16::from_f32(v[0]).to_bits())
                            | u32::from(f16::from_f32(v[1]).to_bits()) << 16
                    };
                    if std::ptr::eq(part, &raw const CACHE_F16) {
                        all.chunks(2).map(pair).collect()
                    } else {
                        words(&all)
                    }
                };
                let (keys, values) = (cached(), cached());
                // Large scores go with queries in a uniform buffer, the later half of them.
                let uniform = scale > 1.0;
                let token_start = if uniform { tokens / 2 } else { 0 };
                let q_length = (tokens - token_start) * q_stride / 4;
                cases.push(Case {
                    name: format!(
                        "{kv_heads}×{group} heads of {head}, {tokens} at {position}, scale {scale}"
                    ),
                    parts: vec![part, if uniform { &Q_UNIFORM } else { &Q_STORAGE }],
                    consts: vec![("HEAD", head), ("GROUP", group), ("Q_LENGTH", q_length)],
                    params: bytes_of_params(&Params {
                        kv_heads,
                        q_stride,
                        y_stride,
                        token_start,
                        scale,
                    }),
                    units: kv_heads,
                    tokens: tokens + 1,
                    buffers: vec![
                        (
                            "qkv",
                            activations(&mut random, tokens - token_start, q_stride),
                        ),
                        ("keys", keys),
                        ("values", values),
                        ("y", vec![0; (tokens * y_stride) as usize]),
                        ("state", state(position, tokens)),
                    ],
                    weights: None,
                });
            }
        }
    }
    cases
}
