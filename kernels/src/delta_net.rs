//! Gated delta rule (Gated Delta Networks, Yang et al. 2024, arXiv 2412.06464, eq. 10): a matrix a value head that decays,
//! forgets what a key had and learns what it has now.

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    call::{ROWS_HEADER, Row, activations, consecutive, interleaved, words},
    padded,
    parts::{DELTA_ALONE, DELTA_KEYS, DELTA_SHARED, DELTA_STATE, Decay, NEXT_ROW},
    pointwise::{sigmoid, softplus},
    random::Random,
    tolerance,
};

/// The kernel; units are the value heads of all sequences. The constants `KEY_DIM` (a multiple of 4) and `VALUE_DIM` are
/// the size of a head's state.
pub static DELTA_NET: Kernel = Kernel {
    name: "delta_net",
    source: include_str!("delta_net.wgsl"),
    uses: &[&NEXT_ROW, &DELTA_KEYS, &DELTA_STATE],
    sockets: &[Decay::SOCKET],
    variants: &[
        Variant::new(
            "values8",
            &[&DELTA_ALONE],
            &[("WORKGROUP_SIZE", 8), ("VALUES", 8)],
            true,
        ),
        Variant::new(
            "values32",
            &[&DELTA_SHARED],
            &[("WORKGROUP_SIZE", 256), ("VALUES", 32)],
            false,
        ),
        Variant::new(
            "values16",
            &[&DELTA_SHARED],
            &[("WORKGROUP_SIZE", 128), ("VALUES", 16)],
            false,
        ),
    ],
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
        /// Neighbouring value heads with one key head: value head h has key head `h / repeat % key_heads`. 1 in Qwen 3.5,
        /// `value_heads / key_heads` in Qwen 3 Next.
        repeat: u32,
        /// Added to the sum of squares that q and k are divided by the root of.
        eps: f32,
        /// From a row of qkv to the next, in f32.
        qkv_stride: u32,
        /// Column of qkv with the first query; a multiple of 4.
        q_start: u32,
        /// Column of qkv with the first key; a multiple of 4.
        k_start: u32,
        /// Column of qkv with the first value.
        v_start: u32,
        /// From a row of gates to the next, in f32.
        gates_stride: u32,
        /// Column of gates with the first head's alpha.
        alpha_start: u32,
        /// Column of gates with the first head's beta.
        beta_start: u32,
        /// From a row of decays to the next, in f32, where each key has its own.
        decays_stride: u32,
        /// From a row of y to the next, in f32.
        y_stride: u32,
    }
}

/// `x` divided by the root of its sum of squares and `eps`.
fn unit_length(x: &[f32], eps: f32) -> Vec<f64> {
    let scale = unit_scale(x, eps);
    x.iter().map(|&v| f64::from(v) * scale).collect()
}

/// The factor that gives `x` length 1.
pub(crate) fn unit_scale(x: &[f32], eps: f32) -> f64 {
    let squares: f64 = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    1.0 / (squares + f64::from(eps)).sqrt()
}

/// The state of one value head, (KEY_DIM, VALUE_DIM), over one row: `S *= decays; S += k ⊗ (v - Sᵀ k) beta`; returns `Sᵀ q`.
fn step(state: &mut [f64], [q, k, decays]: [&[f64]; 3], v: &[f32], beta: f64) -> Vec<f64> {
    let times = |state: &[f64], x: &[f64]| {
        let mut sums = vec![0.0; v.len()];
        for (row, x) in state.chunks_exact(v.len()).zip(x) {
            sums.iter_mut().zip(row).for_each(|(sum, s)| *sum += s * x);
        }
        sums
    };
    for (row, decay) in state.chunks_exact_mut(v.len()).zip(decays) {
        for s in row.iter_mut() {
            *s *= decay;
        }
    }
    let known = times(state, k).into_iter();
    let delta: Vec<f64> = known
        .zip(v)
        .map(|(known, &v)| (f64::from(v) - known) * beta)
        .collect();
    for (row, k) in state.chunks_exact_mut(v.len()).zip(k) {
        row.iter_mut().zip(&delta).for_each(|(s, d)| *s += k * d);
    }
    times(state, q)
}

/// Decays of the keys of a head in a row: `exp(a softplus(alpha + dt_bias))` of the head, or `decays` (tokens, decays_stride).
fn decays_of(call: &mut Call, p: &Params, row: usize, head: usize) -> Vec<f64> {
    let key_dim = call.constant("KEY_DIM") as usize;
    if Decay::of(&call.parts) == Some(Decay::Channel) {
        let start = row * p.decays_stride as usize + head * key_dim;
        let own = &call.floats("decays")[start..][..key_dim];
        return own.iter().map(|&decay| f64::from(decay)).collect();
    }
    let (a, dt_bias) = (call.floats("a")[head], call.floats("dt_bias")[head]);
    let alpha = call.floats("gates")[row * p.gates_stride as usize + p.alpha_start as usize + head];
    let decay = f64::from(a) * softplus(f64::from(alpha) + f64::from(dt_bias));
    vec![decay.exp(); key_dim]
}

/// `y` (tokens, y_stride) from `qkv` (tokens, qkv_stride) and `gates` (tokens, gates_stride), `beta = sigmoid(beta)`. `delta_state` (sequences, value_heads, KEY_DIM, VALUE_DIM)
/// goes on from row to row; a row at position 0 starts from zeros.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let (key_dim, value_dim) = (
        call.constant("KEY_DIM") as usize,
        call.constant("VALUE_DIM") as usize,
    );
    let rows = call.rows();
    let (qkv, gates) = (call.floats("qkv"), call.floats("gates"));
    for unit in 0..call.units {
        let (sequence, head) = (unit / p.value_heads, (unit % p.value_heads) as usize);
        let key = head / p.repeat as usize % p.key_heads as usize * key_dim;
        let place = unit as usize * key_dim * value_dim;
        let state = &call.floats("delta_state")[place..][..key_dim * value_dim];
        let mut state: Vec<f64> = state.iter().map(|&s| f64::from(s)).collect();
        let own = |(_, row): &(usize, &Row)| row.sequence == sequence;
        for (i, row) in rows.iter().enumerate().filter(own) {
            if row.position == 0 {
                state.fill(0.0);
            }
            let gates = &gates[i * p.gates_stride as usize + head..];
            let decays = decays_of(call, &p, i, head);
            let beta = sigmoid(f64::from(gates[p.beta_start as usize]));
            let qkv = &qkv[i * p.qkv_stride as usize..];
            let k = unit_length(&qkv[p.k_start as usize + key..][..key_dim], p.eps);
            let mut q = unit_length(&qkv[p.q_start as usize + key..][..key_dim], p.eps);
            for q in &mut q {
                *q /= (key_dim as f64).sqrt();
            }
            let v = &qkv[p.v_start as usize + head * value_dim..][..value_dim];
            let result = step(&mut state, [&q, &k, &decays], v, beta);
            let y = &mut call.floats_mut("y")[i * p.y_stride as usize + head * value_dim..];
            y.iter_mut().zip(result).for_each(|(y, v)| *y = v as f32);
        }
        let after = &mut call.floats_mut("delta_state")[place..];
        after
            .iter_mut()
            .zip(state)
            .for_each(|(to, s)| *to = s as f32);
    }
}

/// A case of `[key_heads, value_heads, key_dim, value_dim, repeat]` with these `rows`, the binding, and room for `unused`
/// more; gates of the first head are far from zero.
pub(crate) fn case(
    random: &mut Random,
    (heads, decay): ([u32; 5], Decay),
    sequences: u32,
    rows: Vec<u32>,
    unused: u32,
) -> Case {
    let [key_heads, value_heads, key_dim, value_dim, repeat] = heads;
    let (position, count) = (rows[ROWS_HEADER + 1], rows[0]);
    let (keys, values) = (key_heads * key_dim, value_heads * value_dim);
    let (qkv_width, gates_width) = (2 * keys + values, 2 * value_heads + 3);
    let (beta_start, alpha_start) = (1, value_heads + 3);
    let mut gates = random.floats(((count + unused) * padded(gates_width)) as usize);
    for gate in &mut gates {
        *gate *= 6.0;
    }
    let each_row = gates.chunks_exact_mut(padded(gates_width) as usize);
    for (row, far) in each_row.zip([60.0, -60.0, 1e4, -1e4]) {
        row[beta_start as usize] = far;
        row[alpha_start as usize] = -far;
    }
    let part = |head: u32| head as f32 / value_heads as f32;
    let a: Vec<f32> = (0..value_heads)
        .map(|head| -0.01 - 16.0 * part(head).powi(4))
        .collect();
    // Between nothing and all.
    let decays = random.floats(((count + unused) * padded(value_heads * key_dim)) as usize);
    let decays = words(&decays.iter().map(|v| v.abs().min(1.0)).collect::<Vec<_>>());
    let state = random.floats((sequences * value_heads * key_dim * value_dim) as usize);
    Case {
        name: format!(
            "{key_heads} key heads of {key_dim}, {value_heads} value heads of {value_dim} by {repeat}, \
             {count} rows of {sequences} sequences from {position}"
        ),
        parts: vec![decay.part()],
        consts: vec![("KEY_DIM", key_dim), ("VALUE_DIM", value_dim)],
        params: bytes_of_params(&Params {
            value_heads,
            key_heads,
            repeat,
            eps: 1e-6,
            qkv_stride: padded(qkv_width),
            q_start: 0,
            k_start: keys,
            v_start: 2 * keys,
            gates_stride: padded(gates_width),
            alpha_start,
            beta_start,
            decays_stride: padded(value_heads * key_dim),
            y_stride: padded(values),
        }),
        units: value_heads * sequences,
        tokens: count + unused,
        buffers: vec![
            ("qkv", activations(random, count + unused, qkv_width)),
            ("gates", words(&gates)),
            ("a", words(&a)),
            ("dt_bias", words(&random.floats(value_heads as usize))),
            ("decays", decays),
            ("y", activations(random, count + unused, values)),
            ("delta_state", words(&state)),
            ("rows", rows),
        ],
        weights: None,
    }
}

/// Heads small, odd and real, both ways from value head to key head; one row, and more rows than lanes; a state that goes
/// on and one that begins; two sequences in turns beside one without rows; rows beyond the count.
fn cases() -> Vec<Case> {
    let mut random = Random::new(19);
    let mut cases = Vec::new();
    let mut add = |heads: [u32; 5], sequences, rows: Vec<u32>, unused| {
        for decay in Decay::ALL {
            let heads = (heads, *decay);
            cases.push(case(&mut random, heads, sequences, rows.clone(), unused));
        }
    };
    add([2, 6, 16, 16, 1], 1, consecutive(0, 24), 0);
    add([2, 6, 16, 16, 3], 1, consecutive(5, 3), 2);
    add([2, 6, 16, 16, 1], 3, interleaved(1, 13), 1);
    add([1, 3, 4, 1, 1], 1, consecutive(1, 1), 0);
    add([3, 3, 12, 37, 1], 1, consecutive(0, 11), 0);
    add([1, 2, 64, 40, 1], 1, consecutive(3, 300), 0);
    add([1, 1, 256, 64, 1], 1, consecutive(0, 3), 0);
    add([16, 32, 128, 128, 1], 1, consecutive(70, 2), 0);
    add([16, 32, 128, 128, 2], 1, consecutive(0, 3), 3);
    add([2, 4, 128, 128, 1], 3, interleaved(9, 5), 0);
    cases
}
