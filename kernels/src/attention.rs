//! Causal attention (Vaswani et al. 2017) over the cache, with grouped heads (Ainslie et al. 2023) of any size that is
//! a multiple of 4; prefill and decode alike.

use half::f16;

use std::ops::Range;

use crate::{
    Call, Case, Cases, Kernel, Part, Shader, Variant,
    attention_combine::KV_SPLITS,
    bytes_of_params,
    call::{
        Cells, ROW_WORDS, ROWS_HEADER, Row, activations, consecutive, interleaved, rows, words,
    },
    padded,
    parts::{
        CACHE, CACHE_F16, CACHE_F16_TEXTURE, END_SPLIT, END_WHOLE, ENDING, MASK, MASK_CAUSAL,
        MASK_NONE, MASK_WINDOW, REDUCE_SUBGROUP, REDUCE_WORKGROUP, ROWS, SCORES, SCORES_CAPPED,
        SCORES_PLAIN, SUBGROUP,
    },
    random::Random,
    store::{BLOCK, decode, encode, words_of},
    tolerance,
};

/// The kernel; units are query heads / `HEADS`. Constants: `HEAD_DIM`, `GROUP`, and `HEADS`, which divides it; `KV_SPLITS` for
/// the ending `END_SPLIT`.
pub static ATTENTION: Kernel = Kernel {
    name: "attention",
    source: include_str!("attention.wgsl"),
    uses: &[&ROWS],
    sockets: &[CACHE, SCORES, MASK, ENDING],
    variants: &[
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
    outputs: &["y"],
    grid: splits_grid,
    reference,
    tolerance: tolerance::f32,
    cases: || cases_of(CACHE.parts, HEAD_DIMS),
};

/// A subgroup of eight lanes turns too often for llvmpipe where large heads meet long contexts; such adapters have
/// `attention_positions`.
const HEAD_DIMS: HeadDims = HeadDims {
    max: 512,
    max_long: 128,
    multiple_of: 4,
};

/// For the kernels beside this one: a workgroup is a subgroup, as lavapipe and SwiftShader have them.
pub(crate) static ONE_SUBGROUP: [Variant; 2] = [
    Variant {
        name: "lanes8",
        parts: &[&SUBGROUP],
        consts: &[("WORKGROUP_SIZE", 8)],
        software: true,
    },
    Variant {
        name: "lanes4",
        parts: &[&SUBGROUP],
        consts: &[("WORKGROUP_SIZE", 4)],
        software: true,
    },
];

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Key and value heads.
        kv_heads: u32,
        /// From a token's queries to the next's, in f32.
        q_stride: u32,
        /// From a token's result to the next's, in f32.
        y_stride: u32,
        /// Factor on every score, 1 / sqrt(head_dim) as a rule.
        scale: f32,
        /// What scores are capped to, for `SCORES_CAPPED`.
        cap: f32,
        /// Positions that a token attends to, for `MASK_WINDOW`.
        window: u32,
        /// Cells of a sequence in a head's cache; the length of its ring, where it has one.
        cells: u32,
        /// Cells from a head to the next: sequences × cells.
        head_cells: u32,
    }
}

/// Heads, tokens, splits of the positions.
pub(crate) fn splits_grid(shader: &Shader, heads: u32, tokens: u32) -> [u32; 3] {
    let mut parts = shader.parts.iter();
    let split = parts.any(|p| std::ptr::eq(*p, &raw const END_SPLIT));
    let splits = if split {
        shader.constant("KV_SPLITS")
    } else {
        1
    };
    [heads, tokens, splits]
}

/// How many heads of a group a workgroup takes together: they share what it reads, and their accumulators live in registers.
pub fn heads_together(head: u32, group: u32) -> u32 {
    const VALUES: u32 = 192;
    let fits = |&heads: &u32| group.is_multiple_of(heads) && heads * head <= VALUES;
    (1..=group).rev().find(fits).unwrap_or(1)
}

fn cache(call: &mut Call, name: &str) -> Vec<f32> {
    if let Some(words) = call.parts.iter().find_map(|part| words_of(part)) {
        return decode(call.words(name), words);
    }
    if !call.has(&CACHE_F16) && !call.has(&CACHE_F16_TEXTURE) {
        return call.floats(name);
    }
    let halves = call
        .words(name)
        .iter()
        .flat_map(|&w| [w as u16, (w >> 16) as u16]);
    halves.map(|bits| f16::from_bits(bits).to_f32()).collect()
}

/// Partial attention of a head to some positions: `acc` (head_dim) sums values times exp(score - m), `l` those exponentials,
/// and `m` is the largest score.
pub(crate) struct PartialAttention {
    pub acc: Vec<f64>,
    pub m: f64,
    pub l: f64,
}

/// Attention of row `row` to `positions` of its sequence, for every query head, from queries in `qkv` (rows, q_stride) and
/// `keys`, `values` (kv heads, sequences × cells, head_dim).
pub(crate) fn partial_attention(
    call: &mut Call,
    row: usize,
    positions: Range<usize>,
) -> Vec<PartialAttention> {
    let p: Params = call.params();
    let head = call.constant("HEAD_DIM") as usize;
    let (keys, values, qkv) = (
        cache(call, "keys"),
        cache(call, "values"),
        call.floats("qkv"),
    );
    let group = call.constant("GROUP") as usize;
    let kv_heads = p.kv_heads as usize;
    let capped = call.has(&SCORES_CAPPED);
    let cells = Cells::new(call, p.cells, p.head_cells);
    let sequence = call.rows()[row].sequence;
    let of_head = |h: usize| {
        let q = &qkv[row * p.q_stride as usize + h * head..][..head];
        let at = |position: usize| cells.at(h / group, sequence, position) * head;
        let dot = |k: &[f32]| {
            let products = q.iter().zip(k).map(|(&q, &k)| f64::from(q) * f64::from(k));
            let score = products.sum::<f64>() * f64::from(p.scale);
            let cap = f64::from(p.cap);
            if capped {
                cap * (score / cap).tanh()
            } else {
                score
            }
        };
        let scores: Vec<f64> = positions
            .clone()
            .map(|i| dot(&keys[at(i)..][..head]))
            .collect();
        let m = scores.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - m).exp()).collect();
        let sum = |d: usize| {
            let pairs = positions.clone().zip(&weights);
            pairs.map(|(i, w)| w * f64::from(values[at(i) + d])).sum()
        };
        PartialAttention {
            acc: (0..head).map(sum).collect(),
            m,
            l: weights.iter().sum(),
        }
    };
    (0..group * kv_heads).map(of_head).collect()
}

/// The positions of its sequence that row `row` sees.
fn seen(call: &mut Call, row: usize) -> Range<usize> {
    let rows = call.rows();
    let count = rows[row].position as usize + 1;
    if call.has(&MASK_WINDOW) {
        count.saturating_sub(call.params::<Params>().window as usize)..count
    } else if call.has(&MASK_NONE) {
        let own = rows
            .iter()
            .filter(|other| other.sequence == rows[row].sequence);
        0..own
            .map(|other| other.position as usize + 1)
            .max()
            .unwrap_or(0)
    } else {
        0..count
    }
}

/// `y` (tokens, heads, head_dim) of all positions that each token sees; of shares of the positions of one token (heads, splits,
/// head_dim of acc, m, l).
pub(crate) fn reference(call: &mut Call) {
    if call.has(&END_SPLIT) {
        split_reference(call);
        return;
    }
    let p: Params = call.params();
    let head = call.constant("HEAD_DIM") as usize;
    for token in 0..call.rows().len() {
        let positions = seen(call, token);
        let found = partial_attention(call, token, positions);
        let y = &mut call.floats_mut("y")[token * p.y_stride as usize..];
        for (PartialAttention { acc, l, .. }, y) in found.iter().zip(y.chunks_exact_mut(head)) {
            y.iter_mut()
                .zip(acc)
                .for_each(|(y, sum)| *y = (sum / l) as f32);
        }
    }
}

/// Head sizes odd in some way and those of real models, one head a group and many, the first position, full tiles and not,
/// large scores.
const SHAPES: [Shape; 13] = [
    (64, 3, 3, 0, 1),
    (64, 3, 3, 40, 5),
    (40, 1, 2, 7, 3),
    (16, 2, 2, 63, 1),
    (128, 4, 1, 100, 2),
    (12, 1, 3, 9, 11),
    (80, 1, 2, 33, 2),
    (96, 3, 1, 50, 3),
    (256, 2, 1, 100, 2),
    (512, 2, 1, 30, 1),
    (64, 3, 1, 4090, 3), // long: llvmpipe ends loops, silently, after 65,535 turns in all
    (128, 4, 1, 4090, 1),
    (256, 2, 1, 4090, 1),
];

/// Head sizes that are tried with the cache of f16 alone, for each takes shaders of its own.
const F16_ONLY: [u32; 3] = [80, 96, 512];

/// A factor that makes scores of long cases so large, above 89, that exponentials overflow unless the largest is taken away
/// first. Not larger: f32 rounds scores near 100 by 4e-6, which alone makes an NMSE of some 1e-12.
const LARGE: f32 = 17.0;

/// Random keys, or values, as the part has them.
fn random_cache(random: &mut Random, part: &'static Part, count: u32) -> Vec<u32> {
    let all = random.floats(count as usize);
    let bits = |v: f32| u32::from(f16::from_f32(v).to_bits());
    let pair = |v: &[f32]| bits(v[0]) | bits(v[1]) << 16;
    if let Some(words) = words_of(part) {
        all.chunks_exact(BLOCK)
            .flat_map(|block| encode(block, words))
            .collect()
    } else if [&CACHE_F16, &CACHE_F16_TEXTURE]
        .iter()
        .any(|f16| std::ptr::eq(*f16, part))
    {
        all.chunks(2).map(pair).collect()
    } else {
        words(&all)
    }
}

/// Heads that `attention_positions` takes, which reads eight values at a time, are multiples of this.
pub const EIGHT: u32 = 8;

/// Head sizes that a kernel has cases of.
#[derive(Clone, Copy)]
pub(crate) struct HeadDims {
    /// The largest.
    pub max: u32,
    /// The largest far into a context, where llvmpipe's loops may end early.
    pub max_long: u32,
    /// All are multiples of this.
    pub multiple_of: u32,
}

/// Cases of a kernel that reads the cache through these parts: made as they are asked for, since long ones take megabytes.
pub(crate) fn cases_with(parts: &'static [&'static Part], heads: HeadDims) -> Cases {
    let is = |part: &'static Part, other: &'static Part| std::ptr::eq(part, other);
    let stored = move || stored_cases(parts, heads);
    let textures = parts.iter().any(|part| is(part, &CACHE_F16_TEXTURE));
    // Those of f16 once more, with the same cache in textures.
    let again = textures.then(stored).into_iter().flatten();
    let again = again.filter(move |case| {
        is(case.parts[0], &CACHE_F16) && case.consts[0].1.is_multiple_of(EIGHT)
    });
    Box::new(stored().chain(again.map(in_texture)))
}

/// Those whose cache lies in buffers.
fn stored_cases(parts: &'static [&'static Part], heads: HeadDims) -> impl Iterator<Item = Case> {
    let stored = parts
        .iter()
        .filter(|part| !std::ptr::eq(**part, &raw const CACHE_F16_TEXTURE));
    let suits = move |part: &'static Part, head: u32, position: u32| {
        let max = if position > 100 {
            heads.max_long
        } else {
            heads.max
        };
        let whole = head <= max && head.is_multiple_of(heads.multiple_of);
        let wanted = std::ptr::eq(part, &raw const CACHE_F16) || !F16_ONLY.contains(&head);
        let blocks = words_of(part).is_none() || head.is_multiple_of(32) && position <= 100;
        whole && wanted && blocks
    };
    let shapes = stored.flat_map(move |&part| {
        let suiting = SHAPES.into_iter().filter(move |s| suits(part, s.0, s.3));
        suiting.map(move |shape| (part, shape))
    });
    let (mut random, mut of_special) = (Random::new(6), Random::new(17));
    shapes.flat_map(move |(part, shape)| {
        let blocks = words_of(part).is_some();
        let mut cases = Vec::new();
        for scale in [1.0 / (shape.0 as f32).sqrt(), LARGE] {
            if blocks && scale > 1.0 {
                continue; // scores are as large as they are, however keys are kept
            }
            let (case, params) = case_of(part, shape, scale, &mut random);
            // All but the long ones with a window and soft-capping too, and without a mask.
            if scale < 1.0 && shape.3 <= 100 {
                if !blocks {
                    cases.push(capped_window(&case, params, shape, &mut of_special));
                }
                cases.push(unmasked(&case));
            }
            cases.push(case);
        }
        cases
    })
}

/// Head size, query heads a key's, key's heads, position, tokens.
type Shape = (u32, u32, u32, u32, u32);

fn case_of(
    part: &'static Part,
    (head, group, kv_heads, position, tokens): Shape,
    scale: f32,
    random: &mut Random,
) -> (Case, Params) {
    let q_stride = padded((group + 2) * kv_heads * head);
    let y_stride = padded(group * kv_heads * head);
    let window = if position < 100 { 6 } else { 98 }; // so many that no share is empty
    let count = (position + tokens) * kv_heads * head;
    let heads = heads_together(head, group);
    let params = Params {
        kv_heads,
        q_stride,
        y_stride,
        scale,
        cap: 2.0,
        window,
        cells: position + tokens,
        head_cells: position + tokens,
    };
    let case = Case {
        name: format!(
            "{} {kv_heads}×{group} heads of {head}, {tokens} at {position}, scale {scale}",
            part.name
        ),
        parts: vec![part, &SCORES_PLAIN, &MASK_CAUSAL],
        consts: vec![("HEAD_DIM", head), ("GROUP", group), ("HEADS", heads)],
        params: bytes_of_params(&params),
        units: group * kv_heads / heads,
        tokens: tokens + 1,
        buffers: vec![
            (
                "qkv",
                activations(random, tokens.next_multiple_of(8), q_stride),
            ),
            ("keys", random_cache(random, part, count)),
            ("values", random_cache(random, part, count)),
            ("y", vec![0; (tokens * y_stride) as usize]),
            ("rows", consecutive(position, tokens)),
        ],
        weights: None,
    };
    (case, params)
}

/// The same with soft-capping and a window, and keys and values in a ring.
fn capped_window(
    case: &Case,
    params: Params,
    (head, _, kv_heads, _, tokens): Shape,
    random: &mut Random,
) -> Case {
    let cells = params.window + tokens + 3;
    let params = &Params {
        cells,
        head_cells: cells,
        ..params
    };
    let count = cells * kv_heads * head;
    let mut case = case.clone();
    case.name.push_str(", capped, window");
    (case.parts[1], case.parts[2]) = (&SCORES_CAPPED, &MASK_WINDOW);
    case.params = bytes_of_params(params);
    for i in [1, 2] {
        case.buffers[i].1 = random_cache(random, case.parts[0], count);
    }
    case
}

/// The same with positions after a row's own seen too.
fn unmasked(case: &Case) -> Case {
    let mut case = case.clone();
    case.name.push_str(", unmasked");
    case.parts[2] = &MASK_NONE;
    case
}

/// A case of a cache of f16 with the same cache in textures.
fn in_texture(mut case: Case) -> Case {
    case.parts[0] = &CACHE_F16_TEXTURE;
    case.name = case.name.replacen("f16", CACHE_F16_TEXTURE.name, 1);
    case
}

fn split_reference(call: &mut Call) {
    let (splits, lanes) = (call.constant("KV_SPLITS"), call.constant("WORKGROUP_SIZE"));
    let head = call.constant("HEAD_DIM") as usize;
    let positions = seen(call, 0);
    let (start, count) = (positions.start as u32, positions.end as u32);
    let step = (count - start).div_ceil(splits * lanes) * lanes;
    let all: Vec<_> = (0..splits)
        .map(|split| {
            let range = (start + split * step).min(count)..(start + (split + 1) * step).min(count);
            partial_attention(call, 0, range.start as usize..range.end as usize)
        })
        .collect();
    let y = call.floats_mut("y");
    for (i, place) in y.chunks_exact_mut(head + 2).enumerate() {
        let found = &all[i % splits as usize][i / splits as usize];
        let numbers = found.acc.iter().chain([&found.m, &found.l]);
        place
            .iter_mut()
            .zip(numbers)
            .for_each(|(y, v)| *y = *v as f32);
    }
}

/// Cases of [`cases_with`], those that are not long with rows of two sequences too, and positions in shares.
pub(crate) fn cases_of(caches: &'static [&'static Part], heads: HeadDims) -> Cases {
    let mut random = Random::new(18);
    Box::new(cases_with(caches, heads).flat_map(move |case| {
        let position = first_row(&case).position;
        let mut all = vec![case];
        if position <= 100 {
            all.push(two_sequences(&all[0], &mut random));
        }
        // Nearer to the start some share would be empty.
        let far = (position >= 100).then(|| all.iter().map(in_splits).collect());
        all.iter_mut().for_each(|case| case.parts.push(&END_WHOLE));
        all.into_iter().chain(far.unwrap_or_else(Vec::new))
    }))
}

fn first_row(case: &Case) -> Row {
    *bytemuck::from_bytes(bytemuck::cast_slice(
        &case.buffers[4].1[ROWS_HEADER..][..ROW_WORDS],
    ))
}

/// The case with rows of two sequences by turns.
fn two_sequences(case: &Case, random: &mut Random) -> Case {
    let mut case = case.clone();
    let mut params: Params = bytemuck::pod_read_unaligned(&case.params);
    params.head_cells = 2 * params.cells;
    let count = params.kv_heads * params.head_cells * case.consts[0].1;
    case.name.push_str(", two sequences");
    case.params = bytes_of_params(&params);
    for i in [1, 2] {
        case.buffers[i].1 = random_cache(random, case.parts[0], count);
    }
    case.buffers[4].1 = interleaved(first_row(&case).position, case.buffers[4].1[0]);
    case
}

/// The case with one row, each head's positions in shares.
fn in_splits(case: &Case) -> Case {
    let mut case = case.clone();
    let heads = case.units * case.consts[2].1;
    case.name.push_str(", in splits");
    case.parts.push(&END_SPLIT);
    case.consts.push(("KV_SPLITS", KV_SPLITS));
    case.tokens = 1;
    let Row {
        position, sequence, ..
    } = first_row(&case);
    case.buffers[4].1 = rows(&[(0, position.max(100), sequence)]);
    case.buffers[3].1 = vec![0; (heads * KV_SPLITS * (case.consts[0].1 + 2)) as usize];
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_scores_are_beyond_what_exp_holds() {
        static CACHES: [&Part; 1] = [&crate::parts::CACHE_F32];
        let mut cases = cases_of(&CACHES, HEAD_DIMS);
        let ends = format!("3 at 4090, scale {LARGE}, in splits");
        let case = cases.find(|case| case.name.ends_with(&ends)).unwrap();
        let mut call = case.call(&ATTENTION.variants[0]);
        reference(&mut call);
        let y = call.floats("y");
        let m = y.chunks_exact(64 + 2).map(|part| part[64]);
        let m = m.fold(0.0, f32::max);
        assert!(m > f32::MAX.ln(), "{m}");
    }
}
