//! Rotary position embedding (Su et al. 2021), with the write into the cache. Pairs are neighbours, as GGUF files of
//! the Llama family have them; angles come from a table made on the CPU in f64, for WGSL's sine is too coarse.

use half::f16;

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    call::{activations, state, words},
    padded,
    parts::{STATE, STORE, STORE_F16, STORE_F32},
    random::Random,
};

/// The kernel; units are quarters of heads: (heads + 2 kv heads) × head size / 4.
pub static ROPE: Kernel = Kernel {
    name: "rope",
    source: include_str!("rope.wgsl"),
    uses: &[&STATE],
    sockets: &[STORE],
    variants: &[
        Variant {
            name: "lanes8",
            parts: &[],
            consts: &[("LANES", 8)],
            software: true,
        },
        Variant {
            name: "lanes64",
            parts: &[],
            consts: &[("LANES", 64)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["qkv", "keys", "values"],
    grid: |shader, units, tokens| [units.div_ceil(shader.constant("LANES")), tokens, 1],
    twin,
    cases,
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Query heads.
        heads: u32,
        /// Key and value heads.
        kv_heads: u32,
        /// Pairs of a head that turn; the rest of it stays.
        pairs: u32,
        /// From a token's row of qkv to the next, in f32.
        stride: u32,
    }
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

/// `qkv` (tokens, stride), `keys` and `values` (context, kv heads, head size), `angles` (context, pairs, 2).
fn twin(call: &mut Call) {
    let p: Params = call.params();
    let head = call.constant("HEAD") as usize;
    let (position, count) = (
        call.words("state")[0] as usize,
        call.words("state")[1] as usize,
    );
    let as_f16 = call.has(&STORE_F16);
    let angles = call.floats("angles");
    let (heads, kv_heads, pairs) = (p.heads as usize, p.kv_heads as usize, p.pairs as usize);
    for token in 0..count {
        let turn = |values: &mut [f32]| {
            for (pair, v) in values.chunks_exact_mut(2).take(pairs).enumerate() {
                let at = ((position + token) * pairs + pair) * 2;
                let (cos, sin) = (f64::from(angles[at]), f64::from(angles[at + 1]));
                let (a, b) = (f64::from(v[0]), f64::from(v[1]));
                (v[0], v[1]) = ((a * cos - b * sin) as f32, (a * sin + b * cos) as f32);
            }
        };
        let row = &mut call.floats_mut("qkv")[token * p.stride as usize..];
        row[..heads * head].chunks_exact_mut(head).for_each(turn);
        let mut keys = row[heads * head..][..kv_heads * head].to_vec();
        let values = row[(heads + kv_heads) * head..][..kv_heads * head].to_vec();
        keys.chunks_exact_mut(head).for_each(turn);
        let at = (position + token) * kv_heads * head;
        write_cache(call.words("keys"), at, &keys, as_f16);
        write_cache(call.words("values"), at, &values, as_f16);
    }
}

/// Head sizes odd in some way, whole and partial rotation, both caches, several tokens.
fn cases() -> Vec<Case> {
    let mut random = Random::new(5);
    let mut cases = Vec::new();
    for store in [&STORE_F32, &STORE_F16] {
        for (head, heads, kv_heads, pairs) in
            [(64, 9, 3, 32), (40, 2, 2, 20), (16, 4, 2, 8), (12, 3, 1, 3)]
        {
            let stride = padded((heads + 2 * kv_heads) * head);
            let angles: Vec<f32> = (0..16 * pairs)
                .flat_map(|i| [(i as f32).cos(), (i as f32).sin()])
                .collect();
            let cache = (16 * kv_heads * head) as usize;
            cases.push(Case {
                name: format!("{heads}/{kv_heads} heads of {head}, {pairs} pairs"),
                parts: vec![store],
                consts: vec![("HEAD", head)],
                params: bytes_of_params(&Params {
                    heads,
                    kv_heads,
                    pairs,
                    stride,
                }),
                units: (heads + 2 * kv_heads) * head / 4,
                tokens: 4,
                buffers: vec![
                    ("angles", words(&angles)),
                    ("qkv", activations(&mut random, 4, stride)),
                    ("keys", vec![0; cache]),
                    ("values", vec![0; cache]),
                    ("state", state(5, 3)),
                ],
                weights: None,
            });
        }
    }
    cases
}
