//! Keys and values into a cache of quantised blocks, for contexts that f16 has no memory for. Blocks are those of ggml's
//! Q8_0 and Q4_0, but with a scale of f32, so that they are whole words.

use crate::{
    Call, Case, Kernel, Part, Tolerance, Variant, bytes_of_params,
    call::{CellIndex, activations, case_cells, consecutive, interleaved},
    kernel::{LANES_32, lane_grid},
    padded,
    parts::{Cache, Cells, ROWS},
    random::Random,
};

/// The kernel; units are blocks of keys and values.
pub static STORE: Kernel = Kernel {
    name: "store",
    source: include_str!("store.wgsl"),
    uses: &[&ROWS],
    sockets: &[Cache::BLOCKS, Cells::SOCKET],
    variants: &LANES_32,
    params: Params::FIELDS,
    outputs: &["keys", "values"],
    grid: lane_grid,
    reference,
    tolerance,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Where in a row of k the keys begin.
        k_start: u32,
        /// From a token's row of k to the next, in f32.
        k_stride: u32,
        /// Where in a row of v the values begin.
        v_start: u32,
        /// From a token's row of v to the next, in f32.
        v_stride: u32,
        /// Key and value heads.
        kv_heads: u32,
        /// Blocks of a key head.
        head_blocks: u32,
        /// Blocks of a value head; 0 where there are none.
        value_blocks: u32,
        /// Cells of a sequence in a head's cache; the length of its ring, or the number of its blocks, where it has such.
        cells: u32,
        /// Cells from a head to the next: sequences × cells, or those of a block.
        head_cells: u32,
    }
}

/// Now and then a value rounds to the other neighbour.
fn tolerance(case: &Case, _: &Variant, _: &str) -> Tolerance {
    let words = words_of(&case.parts).expect("a part with blocks");
    Tolerance::Blocks { words, nmse: 1e-5 }
}

/// Values of a block.
pub const BLOCK: usize = 32;

/// Words of a block of keys or values that one of these parts reads or writes; none where it has no blocks.
pub fn words_of(parts: &[&Part]) -> Option<usize> {
    Cache::touched_by(parts)?.block_words()
}

/// The values of blocks of so many words.
pub fn decode(blocks: &[u32], words: usize) -> Vec<f32> {
    let mut all = Vec::new();
    for block in blocks.chunks_exact(words) {
        let scale = f32::from_bits(block[0]);
        let values = (0..BLOCK).map(|i| {
            let bits = if words == 9 { 8 } else { 4 };
            let word = block[1 + i * bits / 32] >> (i * bits % 32);
            let q = if words == 9 {
                i32::from(word as u8 as i8)
            } else {
                (word & 15) as i32 - 8
            };
            q as f32 * scale
        });
        all.extend(values);
    }
    all
}

/// A block of values, in so many words.
pub fn encode(values: &[f32], words: usize) -> Vec<u32> {
    let furthest = values.iter().fold(0.0f32, |furthest, v| {
        if v.abs() > furthest.abs() {
            *v
        } else {
            furthest
        }
    });
    let scale = if words == 9 {
        furthest.abs() / 127.0
    } else {
        furthest / -8.0
    };
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut block = vec![0; words];
    block[0] = scale.to_bits();
    for (i, v) in values.iter().enumerate() {
        let (bits, q) = if words == 9 {
            (8, (v * inverse).round_ties_even() as i32 as u8)
        } else {
            (4, (v * inverse + 8.5).floor().clamp(0.0, 15.0) as u8)
        };
        block[1 + i * bits / 32] |= u32::from(q) << (i * bits % 32);
    }
    block
}

/// `keys` and `values` (kv_heads, head_cells, blocks of a head, words) from `k` (tokens, k_stride) and `v` (tokens,
/// v_stride).
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let words = words_of(&call.parts).expect("a part with blocks");
    let cells = CellIndex::new(call, p.kv_heads, p.cells, p.head_cells);
    let inputs = [
        (
            "keys",
            call.floats("k"),
            p.k_stride,
            p.k_start,
            p.head_blocks,
        ),
        (
            "values",
            call.floats("v"),
            p.v_stride,
            p.v_start,
            p.value_blocks,
        ),
    ];
    for (token, at) in call.rows().into_iter().enumerate() {
        for (name, x, stride, start, of_head) in &inputs {
            let row = &x[token * *stride as usize + *start as usize..];
            let (own, blocks) = (*of_head as usize, (p.kv_heads * of_head) as usize);
            for (number, values) in row.chunks_exact(BLOCK).take(blocks).enumerate() {
                let (head, block) = (number / own, number % own);
                let cell = cells.at(head, at.sequence, at.position as usize);
                let place = cell * own + block;
                call.words(name)[place * words..][..words].copy_from_slice(&encode(values, words));
            }
        }
    }
}

/// Both kinds, a ring and none, zeros, one sequence and two.
fn cases() -> Vec<Case> {
    let mut random = Random::new(15);
    let mut cases = Vec::new();
    for cache in [Cache::Q8_0, Cache::Q4_0] {
        for (kv_heads, head_blocks, value_blocks, place, sequences) in [
            (3, 2, 2, Cells::All, 1),
            (1, 1, 0, Cells::Ring, 1),
            (2, 2, 1, Cells::Ring, 2),
            (2, 1, 2, Cells::Paged, 2),
            (3, 2, 2, Cells::PagedWindow, 2),
        ] {
            let mut rows = if sequences == 2 {
                interleaved(5, 3)
            } else {
                consecutive(5, 3)
            };
            let [cells, head_cells] = case_cells(place, sequences, &mut rows);
            let start = kv_heads * 64;
            let k_stride = padded(start + kv_heads * head_blocks * 32);
            let v_stride = padded(64 + kv_heads * value_blocks * 32);
            let mut k = activations(&mut random, 4, k_stride);
            k[start as usize..][..32].fill(0);
            let words = cache.block_words().expect("a cache of blocks") as u32;
            let consts = vec![("BLOCK_CELLS", head_cells); usize::from(place.paged())];
            let (part, place) = (cache.store(), place.part());
            let size = |blocks| vec![0; (sequences * 16 * kv_heads * blocks * words) as usize];
            cases.push(Case {
                name: format!(
                    "{kv_heads} of {head_blocks} and {value_blocks} blocks {} {} {sequences}",
                    part.name, place.name
                ),
                parts: vec![part, place],
                consts,
                params: bytes_of_params(&Params {
                    k_start: start,
                    k_stride,
                    v_start: 64,
                    v_stride,
                    kv_heads,
                    head_blocks,
                    value_blocks,
                    cells,
                    head_cells,
                }),
                units: kv_heads * (head_blocks + value_blocks),
                tokens: 4,
                buffers: vec![
                    ("keys", size(head_blocks)),
                    ("values", size(value_blocks.max(1))),
                    ("k", k),
                    ("v", activations(&mut random, 4, v_stride)),
                    ("rows", rows),
                ],
                weights: None,
            });
        }
    }
    cases
}
