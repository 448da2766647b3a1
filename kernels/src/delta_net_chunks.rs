//! Gated delta rule over chunks of rows at once (Gated Delta Networks, Yang et al. 2024, arXiv 2412.06464, section 3.3).

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    call::{consecutive, words},
    delta_net,
    delta_net_weights::{self, CHUNK, SHAPES, WEIGHTS},
    parts::{DELTA_FOURS, DELTA_STATE, Decay, ROWS},
    random::Random,
    tolerance,
};

/// The largest `KEY_DIM`: the state of 16 columns, and a chunk's rows, have to fit workgroup memory.
pub const KEY_DIM_MAX: u32 = 128;

/// The kernel; units are value heads. The constants `KEY_DIM` (a multiple of 4) and `VALUE_DIM` are the size of a head's
/// state.
pub static DELTA_NET_CHUNKS: Kernel = Kernel {
    name: "delta_net_chunks",
    source: include_str!("delta_net_chunks.wgsl"),
    uses: &[&ROWS, &DELTA_FOURS, &DELTA_STATE],
    sockets: &[],
    variants: &[Variant::new(
        "chunks64",
        &[],
        &[
            ("WORKGROUP_SIZE", 256),
            ("VALUES", 16),
            ("CHUNK", CHUNK),
            ("WEIGHTS", WEIGHTS),
        ],
        false,
    )],
    params: Params::FIELDS,
    outputs: &["y", "delta_state"],
    grid: |shader, heads, _| {
        let columns = shader.constant("VALUE_DIM");
        [columns.div_ceil(shader.constant("VALUES")), heads, 1]
    },
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Value heads.
        value_heads: u32,
        /// Key heads.
        key_heads: u32,
        /// Neighbouring value heads with one key head: value head h has key head `h / repeat % key_heads`.
        repeat: u32,
        /// From a row of qkv to the next, in f32.
        qkv_stride: u32,
        /// Column of qkv with the first query; a multiple of 4.
        q_start: u32,
        /// Column of qkv with the first key; a multiple of 4.
        k_start: u32,
        /// Column of qkv with the first value.
        v_start: u32,
        /// From a row of y to the next, in f32.
        y_stride: u32,
    }
}

/// `y` (tokens, y_stride) from `qkv` (tokens, qkv_stride) and `chunk_weights` (chunks, value_heads, WEIGHTS), a value at a time.
/// `delta_state` (sequences, value_heads, KEY_DIM, VALUE_DIM) goes on from chunk to chunk; rows at position 0 start from zeros.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let value_dim = call.constant("VALUE_DIM") as usize;
    let key_dim = call.constant("KEY_DIM") as usize;
    let rows = call.rows();
    let (qkv, weights) = (call.floats("qkv"), call.floats("chunk_weights"));
    let mut states = call.floats("delta_state");
    if rows[0].position == 0 {
        states[..p.value_heads as usize * key_dim * value_dim].fill(0.0);
    }
    for head in 0..p.value_heads as usize {
        for value in 0..value_dim {
            let column = (head * key_dim * value_dim + value..)
                .step_by(value_dim)
                .take(key_dim);
            let mut state: Vec<f64> = column.clone().map(|i| f64::from(states[i])).collect();
            for first in (0..rows.len()).step_by(CHUNK as usize) {
                let number = first / CHUNK as usize * p.value_heads as usize + head;
                let results = chunk(
                    &p,
                    &qkv[first * p.qkv_stride as usize..],
                    &weights[number * WEIGHTS as usize..],
                    &mut state,
                    (head, head * value_dim + value),
                    (rows.len() - first).min(CHUNK as usize),
                );
                let y = &mut call.floats_mut("y")[first * p.y_stride as usize..];
                let column = y[head * value_dim + value..].iter_mut();
                column
                    .step_by(p.y_stride as usize)
                    .zip(results)
                    .for_each(|(y, result)| *y = result as f32);
            }
            column.zip(state).for_each(|(i, s)| states[i] = s as f32);
        }
    }
    call.floats_mut("delta_state").copy_from_slice(&states);
}

/// A chunk of `count` rows: results of one column of y, which is one value of a head, and its column of the state.
fn chunk(
    p: &Params,
    qkv: &[f32],
    weights: &[f32],
    state: &mut [f64],
    (head, column): (usize, usize),
    count: usize,
) -> Vec<f64> {
    let size = CHUNK as usize;
    let (x, rest) = weights.split_at(size * size);
    let (past, factors) = rest.split_at(size * size);
    let row = |i: usize| &qkv[i * p.qkv_stride as usize..];
    let head_of_keys = head / p.repeat as usize % p.key_heads as usize * state.len();
    let at = |i: usize, start: u32| &row(i)[start as usize + head_of_keys..][..state.len()];
    let product = |x: &[f32], y: &[f64]| -> f64 {
        let pairs = x.iter().zip(y);
        pairs.map(|(x, y)| f64::from(*x) * y).sum()
    };
    let brought: Vec<f64> = (0..count)
        .map(|i| {
            let v = f64::from(row(i)[p.v_start as usize + column]);
            v - f64::from(factors[i]) * product(at(i, p.k_start), state)
        })
        .collect();
    let learnt: Vec<f64> = (0..count)
        .map(|i| product(&x[i * size..][..count], &brought))
        .collect();
    let results = (0..count)
        .map(|i| {
            let before = f64::from(factors[size + i]) * product(at(i, p.q_start), state);
            before + product(&past[i * size..][..=i], &learnt)
        })
        .collect();
    for (key, s) in state.iter_mut().enumerate() {
        *s *= f64::from(factors[3 * size]);
        for (i, learnt) in learnt.iter().enumerate() {
            let k = row(i)[p.k_start as usize + head_of_keys + key];
            *s += f64::from(factors[2 * size + i]) * f64::from(k) * learnt;
        }
    }
    results
}

/// The case of `delta_net` with the same inputs, and weights that `delta_net_weights` makes of them.
fn case(random: &mut Random, heads: [u32; 5], rows: Vec<u32>) -> Case {
    let mut same = random.clone();
    let whole = delta_net::case(random, (heads, Decay::Head), 1, rows.clone(), 0);
    let weights = delta_net_weights::case(&mut same, heads, rows);
    let mut call = weights.call(&delta_net_weights::DELTA_NET_WEIGHTS.variants[0]);
    (delta_net_weights::DELTA_NET_WEIGHTS.reference)(&mut call);
    let weights = call.floats("chunk_weights");
    let all: delta_net::Params = bytemuck::pod_read_unaligned(&whole.params);
    let mut buffers = whole.buffers;
    buffers.retain(|(name, _)| !["gates", "a", "dt_bias", "decays"].contains(name));
    buffers.push(("chunk_weights", words(&weights)));
    Case {
        parts: vec![],
        params: bytes_of_params(&Params {
            value_heads: all.value_heads,
            key_heads: all.key_heads,
            repeat: all.repeat,
            qkv_stride: all.qkv_stride,
            q_start: all.q_start,
            k_start: all.k_start,
            v_start: all.v_start,
            y_stride: all.y_stride,
        }),
        buffers,
        ..whole
    }
}

fn cases() -> Vec<Case> {
    let mut random = Random::new(29);
    let of = |(heads, position, rows)| case(&mut random, heads, consecutive(position, rows));
    SHAPES.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_the_rule_row_by_row() {
        let mut random = Random::new(31);
        for (heads, position, rows) in SHAPES {
            let rows = consecutive(position, rows);
            let whole = delta_net::case(
                &mut random.clone(),
                (heads, Decay::Head),
                1,
                rows.clone(),
                0,
            );
            let chunks = case(&mut random, heads, rows);
            let results = [(&delta_net::DELTA_NET, whole), (&DELTA_NET_CHUNKS, chunks)];
            let [(y, state), (by_chunks, state_by_chunks)] = results.map(|(kernel, case)| {
                let mut call = case.call(&kernel.variants[0]);
                (kernel.reference)(&mut call);
                (call.floats("y"), call.floats("delta_state"))
            });
            for (got, wanted) in [(by_chunks, y), (state_by_chunks, state)] {
                let squares = |v: &mut dyn Iterator<Item = f32>| -> f64 {
                    v.map(|v| f64::from(v).powi(2)).sum()
                };
                let error = squares(&mut got.iter().zip(&wanted).map(|(a, b)| a - b));
                let nmse = error / squares(&mut wanted.iter().copied());
                assert!(nmse < 1e-12, "{heads:?}: {nmse:e}");
            }
        }
    }
}
