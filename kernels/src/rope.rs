//! Rotary position embedding (Su et al. 2021) of queries and keys, after a norm of each head where there is one, with the
//! write into the cache. Angles come from a table made on the CPU in f64, for WGSL's sine is too coarse. With no pairs
//! nothing is rotated.

use half::f16;

use crate::{
    Call, Case, Kernel, Part, Tolerance, Variant, bytes_of_params,
    call::{CellIndex, activations, case_cells, consecutive, interleaved, words},
    kernel::{LANES_64, lane_grid},
    norm::rms_norm,
    padded,
    parts::{Cache, Cells, HeadNorm, ROWS, RopeStyle},
    random::Random,
    tolerance::F32_NMSE,
};

/// The kernel; units are fours of values of all heads.
pub static ROPE: Kernel = Kernel {
    name: "rope",
    source: include_str!("rope.wgsl"),
    uses: &[&ROWS],
    sockets: &[
        Cache::STORE,
        RopeStyle::SOCKET,
        Cells::SOCKET,
        HeadNorm::SOCKET,
    ],
    variants: &LANES_64,
    params: Params::FIELDS,
    outputs: &["y", "keys", "values"],
    grid: lane_grid,
    reference,
    tolerance,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Heads that go to y: queries.
        heads: u32,
        /// Key heads that go into the cache, and value heads.
        kv_heads: u32,
        /// Pairs of a head that rotate; the rest of it stays.
        pairs: u32,
        /// Values of a head before those pairs; a multiple of 4.
        skipped: u32,
        /// The first head that has the second half of the norm's weight.
        split: u32,
        /// From a token's row of x to the next, in f32.
        x_stride: u32,
        /// Where in it heads of queries and keys begin.
        x_start: u32,
        /// From a token's row of v to the next, in f32.
        v_stride: u32,
        /// Where in it values begin.
        v_start: u32,
        /// From a token's row of y to the next, in f32.
        y_stride: u32,
        /// Cells of a sequence in a head's cache; the length of its ring, or the number of its blocks, where it has such.
        cells: u32,
        /// Cells from a head to the next: sequences × cells, or those of a block.
        head_cells: u32,
        /// Values of a value head; 0 where none are kept.
        value_cell: u32,
        /// Added to the mean of a head's squares.
        eps: f32,
    }
}

/// Keys and values of f16: one may round to the other neighbour.
fn tolerance(case: &Case, _: &Variant, output: &str) -> Tolerance {
    match output {
        "keys" | "values" if writes_f16(&case.parts) => Tolerance::F16(1e-7),
        _ => Tolerance::F32(F32_NMSE),
    }
}

/// Whether keys and values are written as f16.
fn writes_f16(parts: &[&Part]) -> bool {
    Cache::touched_by(parts) == Some(Cache::F16)
}

/// Writes `values` from value `at` of a cache on.
fn write_cache(cache: &mut [u32], at: usize, values: &[f32], as_f16: bool) {
    for (i, &value) in values.iter().enumerate() {
        if as_f16 {
            let bits = u32::from(f16::from_f32(value.clamp(-65504.0, 65504.0)).to_bits());
            let half = at + i;
            let (word, shift) = (half / 2, half % 2 * 16);
            cache[word] = cache[word] & !(0xffff << shift) | bits << shift;
        } else {
            cache[at + i] = value.to_bits();
        }
    }
}

/// `y` (tokens, y_stride), `keys` (kv_heads, head_cells, head_dim) and `values` (kv_heads, head_cells, value_cell) from `x` (tokens, x_stride), `v`
/// (tokens, v_stride), `angles` (context, pairs, 2) and `norm_weight` (2, head_dim).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let head = call.constant("HEAD_DIM") as usize;
    let as_f16 = writes_f16(&call.parts);
    let neox = RopeStyle::of(&call.parts) == Some(RopeStyle::NeoX);
    let weight =
        (HeadNorm::of(&call.parts) == Some(HeadNorm::Rms)).then(|| call.floats("norm_weight"));
    let cells = CellIndex::new(call, p.kv_heads, p.cells, p.head_cells);
    let (angles, x, v) = (call.floats("angles"), call.floats("x"), call.floats("v"));
    let (heads, kv_heads) = (p.heads as usize, p.kv_heads as usize);
    let (pairs, skipped) = (p.pairs as usize, p.skipped as usize);
    for (token, row) in call.rows().into_iter().enumerate() {
        let (sequence, position) = (row.sequence, row.position as usize);
        let own = &x[token * p.x_stride as usize..];
        let own_v = &v[token * p.v_stride as usize..];
        let rotated = |number: usize| {
            let values = &own[p.x_start as usize + number * head..][..head];
            let half = usize::from(number >= p.split as usize) * head;
            let mut values: Vec<f64> = match &weight {
                Some(weight) => rms_norm(values, &weight[half..][..head], p.eps),
                None => values.iter().map(|&v| f64::from(v)).collect(),
            };
            for pair in 0..pairs {
                let at = (position * pairs + pair) * 2;
                let (cos, sin) = (f64::from(angles[at]), f64::from(angles[at + 1]));
                let (i, j) = if neox {
                    (skipped + pair, skipped + pair + pairs)
                } else {
                    (skipped + 2 * pair, skipped + 2 * pair + 1)
                };
                let (a, b) = (values[i], values[j]);
                values[i] = a * cos - b * sin;
                values[j] = a * sin + b * cos;
            }
            values.into_iter().map(|v| v as f32).collect::<Vec<f32>>()
        };
        for number in 0..heads {
            let y = &mut call.floats_mut("y")[token * p.y_stride as usize + number * head..];
            y[..head].copy_from_slice(&rotated(number));
        }
        for kv in 0..kv_heads {
            let at = cells.at(kv, sequence, position);
            let own = p.value_cell as usize;
            let values = &own_v[p.v_start as usize + kv * own..][..own];
            write_cache(call.words("keys"), at * head, &rotated(heads + kv), as_f16);
            write_cache(call.words("values"), at * own, values, as_f16);
        }
    }
}

/// A shape of heads in the cases.
struct Shape {
    head: u32,
    heads: u32,
    kv_heads: u32,
    pairs: u32,
    skipped: u32,
    style: RopeStyle,
    norm: HeadNorm,
}

/// Head sizes odd in some way, whole, partial and no rotation, of the first values and of the last, both styles, heads normed
/// or not.
#[rustfmt::skip] // a table
fn shapes() -> Vec<Shape> {
    use HeadNorm::{None, Rms};
    use RopeStyle::{Interleaved, NeoX};
    let shape = |(head, heads, kv_heads, pairs, skipped, style, norm)| {
        Shape { head, heads, kv_heads, pairs, skipped, style, norm }
    };
    [
        (64, 9, 3, 32, 0, Interleaved, None), (40, 2, 2, 20, 0, Interleaved, Rms),
        (16, 4, 2, 8, 0, Interleaved, None),  (12, 3, 1, 3, 0, Interleaved, None),
        (32, 4, 2, 0, 0, Interleaved, None),  (64, 4, 2, 32, 0, NeoX, Rms),
        (96, 2, 1, 32, 0, NeoX, None),        (24, 4, 2, 12, 0, NeoX, None),
        (20, 2, 1, 6, 0, NeoX, Rms),          (16, 2, 2, 2, 0, NeoX, None),
        (32, 2, 2, 0, 0, NeoX, None),         (24, 3, 1, 4, 16, Interleaved, None),
        (576, 1, 1, 32, 512, Interleaved, None), (40, 2, 1, 8, 20, NeoX, Rms),
        (20, 2, 2, 3, 8, NeoX, None),
    ]
    .map(shape)
    .into_iter()
    .collect()
}

/// All shapes, both caches, a ring, blocks, rows of one sequence and of two, heads that all go to y, values as large as
/// keys, smaller and none.
fn cases() -> Vec<Case> {
    let mut random = Random::new(5);
    let mut cases = Vec::new();
    for cache in [Cache::F32, Cache::F16] {
        for (number, shape) in shapes().into_iter().enumerate() {
            cases.push(case(&mut random, cache.store(), number, &shape));
        }
    }
    cases
}

/// Where cells of case `number` lie, how many sequences it has, and their rows.
fn rows_of_case(number: usize) -> (Cells, u32, Vec<u32>) {
    let (sequences, rows) = if number % 3 == 2 {
        (2, interleaved(5, 3))
    } else {
        (1, consecutive(5, 3))
    };
    let place = match (sequences, number % 2) {
        (2, 1) if number.is_multiple_of(5) => Cells::PagedWindow,
        (2, 0) => Cells::Paged,
        (_, 1) => Cells::Ring,
        _ => Cells::All,
    };
    (place, sequences, rows)
}

fn case(random: &mut Random, store: &'static Part, number: usize, shape: &Shape) -> Case {
    let &Shape {
        head,
        heads,
        pairs,
        skipped,
        ..
    } = shape;
    let kv_heads = if number == 1 { 0 } else { shape.kv_heads };
    // A gate, or what else, lies before the heads and after the values.
    let (x_start, v_start) = (head * u32::from(number.is_multiple_of(3)), 8);
    let x_stride = padded(x_start + (heads + shape.kv_heads) * head + 4);
    let value_cell = [head, head - 4, 0][number % 3];
    let v_stride = padded(v_start + shape.kv_heads * value_cell + 4);
    let y_stride = padded(heads * head);
    let angles: Vec<f32> = (0..16 * pairs.max(1))
        .flat_map(|i| [(i as f32).cos(), (i as f32).sin()])
        .collect();
    let (place, sequences, mut rows) = rows_of_case(number);
    let [cells, head_cells] = case_cells(place, sequences, &mut rows);
    let size = |cell| vec![0; (sequences * 16 * shape.kv_heads * cell) as usize];
    let mut buffers = vec![
        ("angles", words(&angles)),
        ("x", activations(random, 4, x_stride)),
        ("v", activations(random, 4, v_stride)),
        ("y", vec![0; (4 * y_stride) as usize]),
        ("keys", size(head)),
        ("values", size(value_cell.max(4))),
        ("rows", rows),
    ];
    if shape.norm == HeadNorm::Rms {
        buffers.push(("norm_weight", words(&random.floats(2 * head as usize))));
    }
    let mut consts = vec![("HEAD_DIM", head)];
    consts.extend(place.paged().then_some(("BLOCK_CELLS", head_cells)));
    Case {
        name: format!(
            "{heads}/{kv_heads} heads of {head}, {pairs} pairs from {skipped}, {sequences} sequences {}",
            place.part().name
        ),
        parts: vec![store, shape.style.part(), place.part(), shape.norm.part()],
        consts,
        params: bytes_of_params(&Params {
            heads,
            kv_heads,
            pairs,
            skipped,
            split: heads / 2 + 1,
            x_stride,
            x_start,
            v_stride,
            v_start,
            y_stride,
            cells,
            head_cells,
            value_cell,
            eps: 1e-5,
        }),
        units: ((heads + kv_heads) * head + kv_heads * value_cell) / 4,
        tokens: 4,
        buffers,
        weights: None,
    }
}
