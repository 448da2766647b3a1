//! Rotary position embedding (Su et al. 2021), with the write into the cache. Angles come from a table made on the CPU in
//! f64, for WGSL's sine is too coarse. With no pairs nothing is rotated, and only the cache is written.

use half::f16;

use crate::{
    Call, Case, Kernel, Part, Tolerance, Variant, bytes_of_params,
    call::{CellIndex, activations, consecutive, interleaved, words},
    kernel::{LANES_64, lane_grid},
    padded,
    parts::{Cache, Cells, ROWS, RopeStyle},
    random::Random,
    tolerance::F32_NMSE,
};

/// The kernel; units are fours of (heads + 2 kv heads) × head_dim values.
pub static ROPE: Kernel = Kernel {
    name: "rope",
    source: include_str!("rope.wgsl"),
    uses: &[&ROWS],
    sockets: &[Cache::STORE, RopeStyle::SOCKET, Cells::SOCKET],
    variants: &LANES_64,
    params: Params::FIELDS,
    outputs: &["qkv", "keys", "values"],
    grid: lane_grid,
    reference,
    tolerance,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Query heads.
        heads: u32,
        /// Key and value heads.
        kv_heads: u32,
        /// Pairs of a head that rotate; the rest of it stays.
        pairs: u32,
        /// From a token's row of qkv to the next, in f32.
        stride: u32,
        /// Cells of a sequence in a head's cache; the length of its ring, where it has one.
        cells: u32,
        /// Cells from a head to the next: sequences × cells.
        head_cells: u32,
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

/// `qkv` (tokens, stride), `keys` and `values` (kv_heads, head_cells, head_dim), `angles` (context, pairs, 2).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let head = call.constant("HEAD_DIM") as usize;
    let as_f16 = writes_f16(&call.parts);
    let neox = RopeStyle::of(&call.parts) == Some(RopeStyle::NeoX);
    let cells = CellIndex::new(call, p.cells, p.head_cells);
    let angles = call.floats("angles");
    let (heads, kv_heads, pairs) = (p.heads as usize, p.kv_heads as usize, p.pairs as usize);
    for (token, row) in call.rows().into_iter().enumerate() {
        let (sequence, position) = (row.sequence, row.position as usize);
        let rotate = |values: &mut [f32]| {
            for pair in 0..pairs {
                let at = (position * pairs + pair) * 2;
                let (cos, sin) = (f64::from(angles[at]), f64::from(angles[at + 1]));
                let (i, j) = if neox {
                    (pair, pair + pairs)
                } else {
                    (2 * pair, 2 * pair + 1)
                };
                let (a, b) = (f64::from(values[i]), f64::from(values[j]));
                values[i] = (a * cos - b * sin) as f32;
                values[j] = (a * sin + b * cos) as f32;
            }
        };
        let row = &mut call.floats_mut("qkv")[token * p.stride as usize..];
        row[..heads * head].chunks_exact_mut(head).for_each(rotate);
        let mut keys = row[heads * head..][..kv_heads * head].to_vec();
        let values = row[(heads + kv_heads) * head..][..kv_heads * head].to_vec();
        keys.chunks_exact_mut(head).for_each(rotate);
        for kv in 0..kv_heads {
            let at = cells.at(kv, sequence, position) * head;
            let own = kv * head..(kv + 1) * head;
            write_cache(call.words("keys"), at, &keys[own.clone()], as_f16);
            write_cache(call.words("values"), at, &values[own], as_f16);
        }
    }
}

/// Head sizes odd in some way, whole, partial and no rotation, both styles, both caches, a ring, rows of one sequence
/// and of two.
fn cases() -> Vec<Case> {
    let mut random = Random::new(5);
    let mut cases = Vec::new();
    let shapes: [(u32, u32, u32, u32, RopeStyle); 9] = [
        (64, 9, 3, 32, RopeStyle::Interleaved),
        (40, 2, 2, 20, RopeStyle::Interleaved),
        (16, 4, 2, 8, RopeStyle::Interleaved),
        (12, 3, 1, 3, RopeStyle::Interleaved),
        (32, 4, 2, 0, RopeStyle::Interleaved),
        (64, 4, 2, 32, RopeStyle::NeoX),
        (96, 2, 1, 32, RopeStyle::NeoX),
        (24, 4, 2, 12, RopeStyle::NeoX),
        (32, 2, 2, 0, RopeStyle::NeoX),
    ];
    for cache in [Cache::F32, Cache::F16] {
        for (number, (head, heads, kv_heads, pairs, style)) in shapes.into_iter().enumerate() {
            let stride = padded((heads + 2 * kv_heads) * head);
            let angles: Vec<f32> = (0..16 * pairs.max(1))
                .flat_map(|i| [(i as f32).cos(), (i as f32).sin()])
                .collect();
            let (place, cells) = if number % 2 == 1 {
                (Cells::Ring, 7)
            } else {
                (Cells::All, 16)
            };
            let (sequences, rows) = if number % 3 == 2 {
                (2, interleaved(5, 3))
            } else {
                (1, consecutive(5, 3))
            };
            let size = (sequences * cells * kv_heads * head) as usize;
            cases.push(Case {
                name: format!(
                    "{heads}/{kv_heads} heads of {head}, {pairs} pairs, {sequences} sequences"
                ),
                parts: vec![cache.store(), style.part(), place.part()],
                consts: vec![("HEAD_DIM", head)],
                params: bytes_of_params(&Params {
                    heads,
                    kv_heads,
                    pairs,
                    stride,
                    cells,
                    head_cells: sequences * cells,
                }),
                units: (heads + 2 * kv_heads) * head / 4,
                tokens: 4,
                buffers: vec![
                    ("angles", words(&angles)),
                    ("qkv", activations(&mut random, 4, stride)),
                    ("keys", vec![0; size]),
                    ("values", vec![0; size]),
                    ("rows", rows),
                ],
                weights: None,
            });
        }
    }
    cases
}
