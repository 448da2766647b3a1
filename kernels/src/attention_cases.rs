//! Cases of the attention kernels: the shapes that break things, with every cache, mask and ending.

use half::f16;

use crate::{
    Case, Cases,
    attention::{ATTENTION, Mask, Params, heads_together, reference},
    attention_combine::SPLITS_SOFTWARE,
    bytes_of_params,
    call::{ROW_WORDS, ROWS_HEADER, Row, activations, consecutive, interleaved, rows, words},
    padded,
    parts::{Cache, Cells, Ending, Scores},
    random::Random,
    store::{BLOCK, encode},
};

/// A subgroup of eight lanes turns too often for llvmpipe where large heads meet long contexts; such adapters have
/// `attention_positions`.
pub(crate) const HEAD_DIMS: HeadDims = HeadDims {
    max: 512,
    max_long: 128,
    multiple_of: 4,
};

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

/// Positions of windows and of chunks.
const WINDOW: u32 = 6;

/// Head sizes that are tried with the cache of f16 alone, for each takes shaders of its own.
const F16_ONLY: [u32; 3] = [80, 96, 512];

/// The largest score of cases that have large ones: above 89, so that exponentials overflow unless the largest is taken away
/// first. Not larger: f32 rounds scores near 100 by 4e-6, which alone makes an NMSE of some 1e-12.
const LARGE: f32 = 95.0;

/// Random keys, or values, as the cache has them.
fn random_cache(random: &mut Random, cache: Cache, count: u32) -> Vec<u32> {
    let all = random.floats(count as usize);
    let bits = |v: f32| u32::from(f16::from_f32(v).to_bits());
    let pair = |v: &[f32]| bits(v[0]) | bits(v[1]) << 16;
    if let Some(words) = cache.block_words() {
        all.chunks_exact(BLOCK)
            .flat_map(|block| encode(block, words))
            .collect()
    } else if cache == Cache::F16 {
        all.chunks(2).map(pair).collect()
    } else {
        words(&all)
    }
}

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

/// Cases of a kernel whose units are key heads, and which takes all query heads of one together: every shape with the cache
/// of f16, one with each other.
pub(crate) fn cases_in_tiles(heads: HeadDims) -> Cases {
    const SPECIAL: [u32; 2] = [40, 64]; // head sizes that rings and caps are tried with: drivers take seconds for a shader
    let plain =
        |case: &Case| case.parts[1] == Scores::Plain.part() && case.parts[2] == Cells::All.part();
    let all = cases_with(heads).filter(move |case| match cache_of(case) {
        Cache::F16 => plain(case) || SPECIAL.contains(&case.consts[0].1),
        _ => plain(case) && case.tokens == 6,
    });
    Box::new(all.map(|mut case| {
        let group = case.consts[1].1;
        case.units = case.units * case.consts[2].1 / group;
        case.consts.truncate(2);
        case
    }))
}

fn cache_of(case: &Case) -> Cache {
    Cache::of(&case.parts).expect("a part that reads the cache")
}

/// Cases of a kernel that reads the cache: made as they are asked for, since long ones take megabytes.
pub(crate) fn cases_with(heads: HeadDims) -> Cases {
    let suits = move |cache: Cache, head: u32, position: u32| {
        let max = if position > 100 {
            heads.max_long
        } else {
            heads.max
        };
        let whole = head <= max && head.is_multiple_of(heads.multiple_of);
        let wanted = cache == Cache::F16 || !F16_ONLY.contains(&head);
        let blocks = cache.block_words().is_none() || head.is_multiple_of(32) && position <= 100;
        whole && wanted && blocks
    };
    let shapes = Cache::ALL.iter().flat_map(move |&cache| {
        let numbered = SHAPES.into_iter().enumerate();
        let suiting = numbered.filter(move |(_, s)| suits(cache, s.0, s.3));
        suiting.map(move |(number, shape)| (cache, number, shape))
    });
    let (mut random, mut of_special) = (Random::new(6), Random::new(17));
    Box::new(shapes.flat_map(move |(cache, number, shape)| {
        let blocks = cache.block_words().is_some();
        let mut cases = Vec::new();
        let scale = 1.0 / (shape.0 as f32).sqrt();
        let (case, params) = case_of(cache, shape, scale, &mut random);
        // All but the long ones in a ring too, and with positions after a row's own: masks and scores by turns.
        if shape.3 <= 100 {
            if !blocks {
                let mut ring = in_ring(&case, params, shape, &mut of_special);
                if number / 2 % 2 == 1 && shape.3 < 100 {
                    mask(&mut ring, Mask::chunked(WINDOW), "chunks");
                }
                let scores = [Scores::Sinks, Scores::Capped][number % 2];
                score(&mut ring, scores, &mut of_special);
                cases.push(ring);
            }
            let mut all = case.clone();
            match number % 2 {
                0 => mask(&mut all, Mask::NONE, "unmasked"),
                _ => mask(&mut all, Mask::symmetric(WINDOW), "symmetric"),
            }
            let scores = [Scores::Plain, Scores::Sinks][number % 2];
            score(&mut all, scores, &mut of_special);
            cases.push(all);
        }
        // Scores of blocks are as large as they are, however keys are kept.
        let large = (shape.3 >= 100 && !blocks).then(|| with_large_scores(&case, params));
        cases.push(case);
        cases.extend(large);
        cases
    }))
}

/// Head size, query heads a key's, key's heads, position, tokens.
type Shape = (u32, u32, u32, u32, u32);

fn case_of(
    cache: Cache,
    (head, group, kv_heads, position, tokens): Shape,
    scale: f32,
    random: &mut Random,
) -> (Case, Params) {
    let q_stride = padded((group + 2) * kv_heads * head);
    let y_stride = padded(group * kv_heads * head);
    let count = (position + tokens) * kv_heads * head;
    let heads = heads_together(head, group);
    let params = Params {
        kv_heads,
        q_stride,
        y_stride,
        scale,
        cap: 2.0,
        cells: position + tokens,
        head_cells: position + tokens,
        ..Params::default()
    };
    let params = params.masked(Mask::CAUSAL);
    let case = Case {
        name: format!(
            "{} {kv_heads}×{group} heads of {head}, {tokens} at {position}, scale {scale}",
            cache.part().name
        ),
        parts: vec![cache.part(), Scores::Plain.part(), Cells::All.part()],
        consts: vec![("HEAD_DIM", head), ("GROUP", group), ("HEADS", heads)],
        params: bytes_of_params(&params),
        units: group * kv_heads / heads,
        tokens: tokens + 1,
        buffers: vec![
            (
                "qkv",
                activations(random, tokens.next_multiple_of(8), q_stride),
            ),
            ("keys", random_cache(random, cache, count)),
            ("values", random_cache(random, cache, count)),
            ("y", vec![0; (tokens * y_stride) as usize]),
            ("rows", consecutive(position, tokens)),
        ],
        weights: None,
    };
    (case, params)
}

/// The case with a scale that makes its largest score [`LARGE`].
fn with_large_scores(case: &Case, params: Params) -> Case {
    let largest = largest_score(&in_splits(case));
    let scale = params.scale * LARGE / largest;
    let mut case = case.clone();
    case.name.push_str(", large scores");
    case.params = bytes_of_params(&Params { scale, ..params });
    case
}

/// The largest score of any share of a case in splits, which its results hold as m, by the reference.
fn largest_score(case: &Case) -> f32 {
    let mut call = case.call(&ATTENTION.variants[0]);
    reference(&mut call);
    let head_dim = case.consts[0].1 as usize;
    let y = call.floats("y");
    let m = y.chunks_exact(head_dim + 2).map(|part| part[head_dim]);
    m.fold(f32::MIN, f32::max)
}

/// The case with a window and, as where there is one, keys and values in a ring.
fn in_ring(
    case: &Case,
    params: Params,
    (head, _, kv_heads, position, tokens): Shape,
    random: &mut Random,
) -> Case {
    let window = if position < 100 { WINDOW } else { 98 }; // so many that no share is empty
    let cells = window + tokens + 3;
    let params = &Params {
        cells,
        head_cells: cells,
        ..params.masked(Mask::window(window))
    };
    let count = cells * kv_heads * head;
    let mut case = case.clone();
    case.name.push_str(", ring");
    case.parts[2] = Cells::Ring.part();
    case.params = bytes_of_params(params);
    for i in [1, 2] {
        case.buffers[i].1 = random_cache(random, cache_of(&case), count);
    }
    case
}

/// Makes the scores of a case these, with sinks below and above all others.
fn score(case: &mut Case, scores: Scores, random: &mut Random) {
    case.parts[1] = scores.part();
    case.name = format!("{} {}", case.name, scores.part().name);
    if scores == Scores::Sinks {
        let heads = case.units * case.consts[2].1;
        let sinks = (0..heads).map(|_| 8.0 * random.float()).collect::<Vec<_>>();
        case.buffers.push(("sinks", words(&sinks)));
    }
}

/// Makes the mask of a case this one.
fn mask(case: &mut Case, mask: Mask, word: &str) {
    let params: Params = bytemuck::pod_read_unaligned(&case.params);
    case.params = bytes_of_params(&params.masked(mask));
    case.name = format!("{}, {word}", case.name);
}

/// Cases of [`cases_with`], those that are not long with rows of two sequences too, and positions in shares.
pub(crate) fn cases_of(heads: HeadDims) -> Cases {
    let mut random = Random::new(18);
    Box::new(cases_with(heads).flat_map(move |case| {
        let position = first_row(&case).position;
        let mut all = vec![case];
        if position <= 100 {
            all.push(two_sequences(&all[0], &mut random));
        }
        // Nearer to the start some share would be empty.
        let far = (position >= 100).then(|| all.iter().map(in_splits).collect());
        for case in &mut all {
            case.parts.push(Ending::Whole.part());
        }
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
        case.buffers[i].1 = random_cache(random, cache_of(&case), count);
    }
    case.buffers[4].1 = interleaved(first_row(&case).position, case.buffers[4].1[0]);
    case
}

/// The case with one row, each head's positions in shares.
fn in_splits(case: &Case) -> Case {
    let mut case = case.clone();
    let heads = case.units * case.consts[2].1;
    case.name.push_str(", in splits");
    case.parts.push(Ending::Split.part());
    case.consts.push(("KV_SPLITS", SPLITS_SOFTWARE));
    case.tokens = 1;
    let Row {
        position, sequence, ..
    } = first_row(&case);
    case.buffers[4].1 = rows(&[(0, position.max(100), sequence)]);
    case.buffers[3].1 = vec![0; (heads * SPLITS_SOFTWARE * (case.consts[0].1 + 2)) as usize];
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_scores_are_beyond_what_exp_holds() {
        let large = |case: &Case| {
            cache_of(case) == Cache::F32 && case.name.ends_with(", large scores, in splits")
        };
        let found: Vec<_> = cases_of(HEAD_DIMS).filter(large).collect();
        assert!(found.len() >= 4, "{}", found.len());
        for case in found {
            let m = largest_score(&case);
            assert!(m > f32::MAX.ln() && m < 100.0, "{}: {m}", case.name);
        }
    }
}
