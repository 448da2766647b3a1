//! Cases of the attention kernels: the shapes that break things, with every cache, mask and ending.

use half::f16;

use crate::{
    Case, Cases,
    attention::{ATTENTION, Mask, Params, heads_together, reference},
    attention_combine::SPLITS_SOFTWARE,
    bytes_of_params,
    call::{
        ROW_WORDS, ROWS_HEADER, Row, activations, add_tables, consecutive, interleaved, rows, words,
    },
    padded,
    parts::{Cache, Cells, Ending, Scores},
    random::Random,
    store::{BLOCK, encode},
};

/// A subgroup of eight lanes turns too often for llvmpipe where large heads meet long contexts; such adapters have
/// `attention_positions`.
pub(crate) const HEAD_DIMS: HeadDims = HeadDims {
    max: 576,
    max_long: 128,
    multiple_of: 4,
};

/// Head sizes odd in some way and those of real models, one head a group and many, the first position, full tiles and not,
/// large scores.
const SHAPES: [Shape; 16] = [
    shape(64, 3, 3, 0, 1),
    shape(64, 3, 3, 40, 5),
    shape(40, 1, 2, 7, 3),
    shape(16, 2, 2, 63, 1),
    shape(128, 4, 1, 100, 2),
    shape(12, 1, 3, 9, 11),
    shape(80, 1, 2, 33, 2),
    shape(96, 3, 1, 50, 3),
    shape(256, 2, 1, 100, 2),
    shape(512, 2, 1, 30, 1),
    shape(64, 3, 1, 4090, 3), // long: llvmpipe ends loops, silently, after 65,535 turns in all
    shape(128, 4, 1, 4090, 1),
    shape(256, 2, 1, 4090, 1),
    shape(24, 2, 2, 9, 3).values(16),
    shape(64, 16, 1, 100, 2).latent(32),
    shape(576, 4, 1, 30, 1).latent(512),
];

/// A shape: `heads` of keys, each of which `group` query heads share, and the rows that are computed.
#[derive(Clone, Copy)]
struct Shape {
    head_dim: u32,
    value_dim: u32,
    /// From a cell of values to the next: where it is a key's, the first of a key are the values.
    value_cell: u32,
    group: u32,
    kv_heads: u32,
    position: u32,
    tokens: u32,
}

const fn shape(head_dim: u32, group: u32, kv_heads: u32, position: u32, tokens: u32) -> Shape {
    Shape {
        head_dim,
        value_dim: head_dim,
        value_cell: head_dim,
        group,
        kv_heads,
        position,
        tokens,
    }
}

impl Shape {
    /// Values of another size than keys.
    const fn values(self, value_dim: u32) -> Shape {
        Shape {
            value_dim,
            value_cell: value_dim,
            ..self
        }
    }

    /// Values that are the first of keys.
    const fn latent(self, value_dim: u32) -> Shape {
        Shape { value_dim, ..self }
    }
}

/// Positions of windows and of chunks.
const WINDOW: u32 = 6;

/// Head sizes that are tried with a cache in blocks, and the positions of those.
const PAGED: [u32; 3] = [40, 64, 128];
const BLOCK_CELLS: u32 = 4;

/// Head sizes that are tried with the cache of f16 alone, for each takes shaders of its own.
const F16_ONLY: [u32; 4] = [80, 96, 512, 576];

/// The largest score of cases that have large ones: above 89, so that exponentials overflow unless the largest is taken away
/// first. Not larger: f32 rounds scores near 100 by 4e-6, which alone makes an NMSE of some 1e-12.
const LARGE: f32 = 95.0;

/// The end of such a case's name.
const LARGE_SCORES: &str = ", large scores";

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
        Cache::F16 => plain(case) || SPECIAL.contains(&constant(case, "HEAD_DIM")),
        _ => plain(case) && case.tokens == 6,
    });
    Box::new(all.map(|mut case| {
        case.units = case.units * constant(&case, "HEADS") / constant(&case, "GROUP");
        case.consts.retain(|(name, _)| *name != "HEADS");
        case
    }))
}

fn cache_of(case: &Case) -> Cache {
    Cache::of(&case.parts).expect("a part that reads the cache")
}

fn params_of(case: &Case) -> Params {
    bytemuck::pod_read_unaligned(&case.params)
}

fn constant(case: &Case, name: &str) -> u32 {
    let found = case.consts.iter().find(|(other, _)| *other == name);
    found.expect("a constant of attention").1
}

fn buffer<'c>(case: &'c mut Case, name: &str) -> &'c mut Vec<u32> {
    let found = case.buffers.iter_mut().find(|(other, _)| *other == name);
    &mut found.expect("a buffer of attention").1
}

/// Cases of a kernel that reads the cache: made as they are asked for, since long ones take megabytes.
pub(crate) fn cases_with(heads: HeadDims) -> Cases {
    let suits = move |cache: Cache, shape: Shape| {
        let (head, long) = (shape.head_dim, shape.position > 100);
        let max = if long { heads.max_long } else { heads.max };
        let whole = head <= max && head.is_multiple_of(heads.multiple_of);
        let wanted = cache == Cache::F16 || !F16_ONLY.contains(&head);
        let blocks = cache.block_words().is_none() || head.is_multiple_of(32) && !long;
        whole && wanted && blocks
    };
    let shapes = Cache::ALL.iter().flat_map(move |&cache| {
        let numbered = SHAPES.into_iter().enumerate();
        let suiting = numbered.filter(move |&(_, shape)| suits(cache, shape));
        suiting.map(move |(number, shape)| (cache, number, shape))
    });
    let (mut random, mut of_special) = (Random::new(6), Random::new(17));
    Box::new(shapes.flat_map(move |(cache, number, shape)| {
        let blocks = cache.block_words().is_some();
        let mut cases = Vec::new();
        let scale = 1.0 / (shape.head_dim as f32).sqrt();
        let (case, params) = case_of(cache, shape, scale, &mut random);
        // All but the long, and those whose values are of another size, in a ring too, and with positions after a row's own:
        // masks and scores by turns.
        if shape.position <= 100 && shape.value_dim == shape.head_dim {
            if !blocks {
                let mut ring = in_ring(&case, params, shape, &mut of_special);
                if number / 2 % 2 == 1 && shape.position < 100 {
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
            let scores = [Scores::Plain, Scores::Alibi, Scores::Sinks][number % 3];
            score(&mut all, scores, &mut of_special);
            cases.push(all);
        }
        // Scores of blocks are as large as they are, however keys are kept.
        let large = (shape.position >= 100 && !blocks).then(|| with_large_scores(&case, params));
        cases.push(case);
        cases.extend(large);
        cases
    }))
}

fn case_of(cache: Cache, shape: Shape, scale: f32, random: &mut Random) -> (Case, Params) {
    let Shape {
        head_dim,
        value_dim,
        value_cell,
        group,
        kv_heads,
        position,
        tokens,
    } = shape;
    let q_stride = padded((group + 2) * kv_heads * head_dim);
    let y_stride = padded(group * kv_heads * value_dim);
    let heads = heads_together(head_dim, group);
    let params = Params {
        kv_heads,
        q_stride,
        y_stride,
        scale,
        cap: 2.0,
        max_bias: 8.0,
        cells: position + tokens,
        head_cells: position + tokens,
        value_cell,
        ..Params::default()
    };
    let params = params.masked(Mask::CAUSAL);
    let mut case = Case {
        name: format!(
            "{} {kv_heads}×{group} heads of {head_dim}/{value_dim}, {tokens} at {position}, scale {scale}",
            cache.part().name
        ),
        parts: vec![cache.part(), Scores::Plain.part(), Cells::All.part()],
        consts: vec![
            ("HEAD_DIM", head_dim),
            ("VALUE_DIM", value_dim),
            ("GROUP", group),
            ("HEADS", heads),
        ],
        params: bytes_of_params(&params),
        units: group * kv_heads / heads,
        tokens: tokens + 1,
        buffers: vec![
            (
                "qkv",
                activations(random, tokens.next_multiple_of(8), q_stride),
            ),
            ("keys", vec![]),
            ("values", vec![]),
            ("y", vec![0; (tokens * y_stride) as usize]),
            ("rows", consecutive(position, tokens)),
        ],
        weights: None,
    };
    fill_cache(&mut case, random);
    (case, params)
}

/// Fills keys and values anew, as many as the parameters say.
fn fill_cache(case: &mut Case, random: &mut Random) {
    fill_cells(case, params_of(case).head_cells, random);
}

/// Fills keys and values anew, so many cells for each head.
fn fill_cells(case: &mut Case, of_head: u32, random: &mut Random) {
    let (params, cache) = (params_of(case), cache_of(case));
    let cells = params.kv_heads * of_head;
    let keys = random_cache(random, cache, cells * constant(case, "HEAD_DIM"));
    let values = if params.value_cell == constant(case, "VALUE_DIM") {
        random_cache(random, cache, cells * params.value_cell)
    } else {
        keys.clone()
    };
    *buffer(case, "keys") = keys;
    *buffer(case, "values") = values;
}

/// The case with a scale that makes its largest score [`LARGE`].
fn with_large_scores(case: &Case, params: Params) -> Case {
    let largest = largest_score(&in_splits(case));
    let scale = params.scale * LARGE / largest;
    let mut case = case.clone();
    case.name.push_str(LARGE_SCORES);
    case.params = bytes_of_params(&Params { scale, ..params });
    case
}

/// The largest score of any share of a case in splits, which its results hold as m, by the reference.
fn largest_score(case: &Case) -> f32 {
    let mut call = case.call(&ATTENTION.variants[0]);
    reference(&mut call);
    let value_dim = constant(case, "VALUE_DIM") as usize;
    let y = call.floats("y");
    let m = y.chunks_exact(value_dim + 2).map(|part| part[value_dim]);
    m.fold(f32::MIN, f32::max)
}

/// The case with a window and, as where there is one, keys and values in a ring.
fn in_ring(case: &Case, params: Params, shape: Shape, random: &mut Random) -> Case {
    let far = shape.position >= 100;
    let window = if far { 98 } else { WINDOW }; // so many that no share is empty
    let cells = window + shape.tokens + 3;
    let params = &Params {
        cells,
        head_cells: cells,
        ..params.masked(Mask::window(window))
    };
    let mut case = case.clone();
    case.name.push_str(", ring");
    case.parts[2] = Cells::Ring.part();
    case.params = bytes_of_params(params);
    fill_cache(&mut case, random);
    case
}

/// Makes the scores of a case these, with sinks below and above all others.
fn score(case: &mut Case, scores: Scores, random: &mut Random) {
    case.parts[1] = scores.part();
    case.name = format!("{} {}", case.name, scores.part().name);
    if scores == Scores::Sinks {
        let heads = case.units * constant(case, "HEADS");
        let sinks = (0..heads).map(|_| 8.0 * random.float()).collect::<Vec<_>>();
        case.buffers.push(("sinks", words(&sinks)));
    }
}

/// Makes the mask of a case this one.
fn mask(case: &mut Case, mask: Mask, word: &str) {
    case.params = bytes_of_params(&params_of(case).masked(mask));
    case.name = format!("{}, {word}", case.name);
}

/// Cases of [`cases_with`], those that are not long with rows of two sequences too, and positions in shares. Large scores have
/// one sequence, for whose cache their scale is made.
pub(crate) fn cases_of(heads: HeadDims) -> Cases {
    let mut random = Random::new(18);
    Box::new(cases_with(heads).flat_map(move |mut case| {
        let position = first_row(&mut case).position;
        let large = case.name.ends_with(LARGE_SCORES);
        let mut all = vec![case];
        if position <= 100 && !large {
            all.push(two_sequences(&all[0], &mut random));
        }
        // Nearer to the start some share would be empty.
        let far = (position >= 100).then(|| all.iter().map(in_splits).collect());
        if position <= 100 && !large && PAGED.contains(&constant(&all[0], "HEAD_DIM")) {
            all.extend(all.last().map(|last| in_blocks(last, &mut random)));
        }
        for case in &mut all {
            case.parts.push(Ending::Whole.part());
        }
        all.into_iter().chain(far.unwrap_or_else(Vec::new))
    }))
}

fn first_row(case: &mut Case) -> Row {
    let row = &buffer(case, "rows")[ROWS_HEADER..][..ROW_WORDS];
    *bytemuck::from_bytes(bytemuck::cast_slice(row))
}

/// The case with rows of two sequences by turns.
fn two_sequences(case: &Case, random: &mut Random) -> Case {
    let mut case = case.clone();
    let mut params = params_of(&case);
    params.head_cells = 2 * params.cells;
    case.name.push_str(", two sequences");
    case.params = bytes_of_params(&params);
    fill_cache(&mut case, random);
    let position = first_row(&mut case).position;
    let rows = buffer(&mut case, "rows");
    *rows = interleaved(position, rows[0]);
    case
}

/// The case with rows of two sequences, whose positions lie in blocks, in no order.
fn in_blocks(case: &Case, random: &mut Random) -> Case {
    let mut case = case.clone();
    let mut params = params_of(&case);
    let ring = Cells::of(&case.parts) == Some(Cells::Ring);
    let rows = buffer(&mut case, "rows");
    let mut ends = [0, 0];
    for row in rows[ROWS_HEADER..].chunks_exact(ROW_WORDS) {
        let end = &mut ends[row[2] as usize];
        *end = row[1].max(*end);
    }
    let of_sequence = ends.map(|end| end / BLOCK_CELLS + 1);
    params.cells = of_sequence[0].max(of_sequence[1]);
    params.head_cells = BLOCK_CELLS;
    let count = 2 * params.cells + 1;
    // Sequence by sequence from the last block down, and by threes for windows: where the tables differ, mistakes show.
    let entries = (0..2 * params.cells).map(|entry| [count - 1 - entry, entry * 3 % count]);
    add_tables(rows, rows[0] + 2, &entries.collect::<Vec<_>>());
    let place = if ring {
        Cells::PagedWindow
    } else {
        Cells::Paged
    };
    case.parts[2] = place.part();
    case.consts.push(("BLOCK_CELLS", BLOCK_CELLS));
    case.name.push_str(", in blocks");
    fill_cells(&mut case, count * BLOCK_CELLS, random);
    case.params = bytes_of_params(&params);
    case
}

/// The case with one row, each head's positions in shares.
fn in_splits(case: &Case) -> Case {
    let mut case = case.clone();
    let heads = case.units * constant(&case, "HEADS");
    case.name.push_str(", in splits");
    case.parts.push(Ending::Split.part());
    case.consts.push(("KV_SPLITS", SPLITS_SOFTWARE));
    case.tokens = 1;
    let Row {
        position, sequence, ..
    } = first_row(&mut case);
    *buffer(&mut case, "rows") = rows(&[(0, position.max(100), sequence)]);
    let numbers = heads * SPLITS_SOFTWARE * (constant(&case, "VALUE_DIM") + 2);
    *buffer(&mut case, "y") = vec![0; numbers as usize];
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
