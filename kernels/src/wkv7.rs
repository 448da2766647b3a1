//! State of RWKV-7 (Goose, Peng et al. 2025, arXiv 2503.14456): a matrix a head that decays key by key, has taken out what a
//! key finds, and learns what it has now; with the norm of a head's results, and the bonus of the row's own value.

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    call::{ROWS_HEADER, Row, activations, consecutive, interleaved, words},
    kernel::wide_grid,
    padded,
    parts::{EXPONENTIALS, NEXT_ROW, Values},
    pointwise::sigmoid,
    random::Random,
    tolerance,
};

/// Values of a head at most: a lane for each.
pub const HEAD_DIM_MAX: u32 = 64;

/// The kernel; units are the heads of all sequences. The constant `HEAD_DIM` is a multiple of 4, [`HEAD_DIM_MAX`] at most.
pub static WKV7: Kernel = Kernel {
    name: "wkv7",
    source: include_str!("wkv7.wgsl"),
    uses: &[&NEXT_ROW, &EXPONENTIALS],
    sockets: &[Values::SOCKET],
    variants: &[Variant::new(
        "values64",
        &[],
        &[("WORKGROUP_SIZE", HEAD_DIM_MAX)],
        false,
    )],
    params: Params::FIELDS,
    outputs: &["y", "wkv_state"],
    grid: |_, units, _| wide_grid(units),
    reference,
    tolerance: tolerance::f32,
    cases: || Box::new(cases().into_iter()),
};

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Heads.
        heads: u32,
        /// From a row of rkv to the next, in f32; a multiple of 4.
        rkv_stride: u32,
        /// From a row of made to the next, in f32; a multiple of 4.
        made_stride: u32,
        /// From a row with the first layer's values to the next, in f32.
        first_stride: u32,
        /// Column of the first of those.
        first_start: u32,
        /// From a row of y to the next, in f32.
        y_stride: u32,
        /// Is added to the variance of a head's results.
        eps: f32,
    }
}

/// One row of one head: what goes into its state, (keys, values), and comes out.
struct Inputs<'a> {
    r: &'a [f32],
    k: &'a [f32],
    v: Vec<f64>,
    decay: &'a [f32],
    rate: &'a [f32],
    gate: &'a [f32],
    /// k_k, k_a, r_k, the norm's weight, its bias, those of decays and rates.
    vectors: [&'a [f32]; 7],
    eps: f32,
}

impl Inputs<'_> {
    /// `S = diag(w) S - b cᵀ S + k vᵀ`; the normed `Sᵀ r` and the bonus.
    fn step(&self, state: &mut [f64]) -> Vec<f64> {
        let size = self.r.len();
        let of = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let [k_k, k_a, r_k, weight, bias, w0, a0] = self.vectors.map(of);
        let (r, k, v, gate) = (of(self.r), of(self.k), &self.v, of(self.gate));
        let rates = self.rate.iter().zip(a0);
        let rate: Vec<f64> = rates.map(|(&a, a0)| sigmoid(f64::from(a) + a0)).collect();
        let mut c: Vec<f64> = k.iter().zip(&k_k).map(|(k, k_k)| k * k_k).collect();
        let length = c.iter().map(|c| c * c).sum::<f64>().sqrt().max(1e-12);
        for c in &mut c {
            *c /= length;
        }
        let key = |j: usize| k[j] * (1.0 + (rate[j] - 1.0) * k_a[j]);
        let known: Vec<f64> = (0..size)
            .map(|i| (0..size).map(|j| state[j * size + i] * c[j]).sum())
            .collect();
        for j in 0..size {
            let decay = (-(-0.5f64).exp() * sigmoid(f64::from(self.decay[j]) + w0[j])).exp();
            for i in 0..size {
                let s = &mut state[j * size + i];
                *s = *s * decay - known[i] * c[j] * rate[j] + key(j) * v[i];
            }
        }
        let result = |i| (0..size).map(|j| state[j * size + i] * r[j]).sum::<f64>();
        let result: Vec<f64> = (0..size).map(result).collect();
        let mean = result.iter().sum::<f64>() / size as f64;
        let squares = result.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>();
        let scale = 1.0 / (squares / size as f64 + f64::from(self.eps)).sqrt();
        let bonus: f64 = (0..size).map(|j| key(j) * r[j] * r_k[j]).sum();
        let normed = |i: usize| (result[i] - mean) * scale * weight[i] + bias[i];
        (0..size)
            .map(|i| (normed(i) + v[i] * bonus) * gate[i])
            .collect()
    }
}

/// A head's values of a row: its own, on their way back to the first layer's by the shares, where there are such.
fn values(own: &[f32], mix: Option<[&[f32]; 3]>) -> Vec<f64> {
    let Some([first, share, bias]) = mix else {
        return own.iter().map(|&v| f64::from(v)).collect();
    };
    let mixed = |i: usize| {
        let [own, first, share, bias] = [own[i], first[i], share[i], bias[i]].map(f64::from);
        own + (first - own) * sigmoid(share + bias)
    };
    (0..own.len()).map(mixed).collect()
}

/// `y` (tokens, y_stride) from `rkv` (tokens, rkv_stride): r, keys, values; `made` (tokens, made_stride): decays, rates, gates, shares;
/// `first_values` (tokens, first_stride) from `first_start` on, and `wkv_vectors` (7 or 8, channels): k_k, k_a, r_k, the norm's weight, its bias,
/// those of decays, rates and shares. `wkv_state` (sequences, heads, HEAD_DIM, HEAD_DIM) goes on from row to row; a row at position 0
/// starts from zeros.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let size = call.constant("HEAD_DIM") as usize;
    let channels = p.heads as usize * size;
    let rows = call.rows();
    let mixed = Values::of(&call.parts) == Some(Values::Mixed);
    let first = if mixed {
        call.floats("first_values")
    } else {
        vec![]
    };
    let [vectors, rkv, made] = ["wkv_vectors", "rkv", "made"].map(|name| call.floats(name));
    for unit in 0..call.units as usize {
        let (sequence, head) = (unit / p.heads as usize, unit % p.heads as usize);
        let place = unit * size * size;
        let state = &call.floats("wkv_state")[place..][..size * size];
        let mut state: Vec<f64> = state.iter().map(|&s| f64::from(s)).collect();
        let own = |(_, row): &(usize, &Row)| row.sequence as usize == sequence;
        for (number, row) in rows.iter().enumerate().filter(own) {
            if row.position == 0 {
                state.fill(0.0);
            }
            let vector = |n: usize| &vectors[n * channels + head * size..][..size];
            let part = |all: &'_ [f32], stride: u32, n: usize| -> Vec<f32> {
                all[number * stride as usize + n * channels + head * size..][..size].to_vec()
            };
            let [r, k, v] = [0, 1, 2].map(|n| part(&rkv, p.rkv_stride, n));
            let [decay, rate, gate] = [0, 1, 2].map(|n| part(&made, p.made_stride, n));
            let v = if mixed {
                let first = part(&first[p.first_start as usize..], p.first_stride, 0);
                let share = part(&made, p.made_stride, 3);
                values(&v, Some([&first, &share, vector(7)]))
            } else {
                values(&v, None)
            };
            let inputs = Inputs {
                r: &r,
                k: &k,
                v,
                decay: &decay,
                rate: &rate,
                gate: &gate,
                vectors: [0, 1, 2, 3, 4, 5, 6].map(vector),
                eps: p.eps,
            };
            let result = inputs.step(&mut state);
            let y = &mut call.floats_mut("y")[number * p.y_stride as usize + head * size..];
            y.iter_mut().zip(result).for_each(|(y, v)| *y = v as f32);
        }
        let after = &mut call.floats_mut("wkv_state")[place..];
        after
            .iter_mut()
            .zip(state)
            .for_each(|(to, s)| *to = s as f32);
    }
}

/// A case of so many heads of a size with these `rows`, the binding, and room for `unused` more.
fn case(
    random: &mut Random,
    (values, [heads, size]): (Values, [u32; 2]),
    sequences: u32,
    rows: Vec<u32>,
    unused: u32,
) -> Case {
    let (position, count) = (rows[ROWS_HEADER + 1], rows[0]);
    let channels = heads * size;
    let tokens = count + unused;
    let (vectors, parts) = match values {
        Values::Own => (7, 3),
        Values::Mixed => (8, 4),
    };
    let first_start = 5;
    let mut made = random.floats((tokens * padded(parts * channels)) as usize);
    for v in &mut made {
        *v *= 4.0;
    }
    made[..4].copy_from_slice(&[1e4, -1e4, 90.0, -90.0]);
    let state = random.floats((sequences * channels * size) as usize);
    let vectors = random.floats((vectors * channels) as usize);
    let mut activations = |cols| activations(random, tokens, cols);
    Case {
        name: format!(
            "{values:?} {heads} heads of {size}, {count} rows of {sequences} sequences from {position}"
        ),
        parts: vec![values.part()],
        consts: vec![("HEAD_DIM", size)],
        params: bytes_of_params(&Params {
            heads,
            rkv_stride: padded(3 * channels),
            made_stride: padded(parts * channels),
            first_stride: padded(first_start + channels),
            first_start,
            y_stride: padded(channels),
            eps: 64e-5,
        }),
        units: heads * sequences,
        tokens,
        buffers: vec![
            ("wkv_vectors", words(&vectors)),
            ("rkv", activations(3 * channels)),
            ("made", words(&made)),
            ("first_values", activations(first_start + channels)),
            ("y", activations(channels)),
            ("wkv_state", words(&state)),
            ("rows", rows),
        ],
        weights: None,
    }
}

/// Values of the layer alone, and mixed; heads small, odd and real; one row, and more rows than lanes; a state that goes on and one
/// that begins; two sequences in turns beside one without rows; rows beyond the count.
fn cases() -> Vec<Case> {
    let mut random = Random::new(32);
    let mut cases = Vec::new();
    for &values in Values::ALL {
        let mut add = |heads, sequences, rows, unused| {
            cases.push(case(&mut random, (values, heads), sequences, rows, unused));
        };
        add([2, 32], 1, consecutive(0, 24), 0);
        add([3, 12], 1, consecutive(5, 3), 2);
        add([1, 4], 1, consecutive(1, 1), 0);
        add([2, 64], 3, interleaved(1, 13), 1);
        add([1, 64], 1, consecutive(3, 300), 0);
        add([32, 64], 1, consecutive(70, 2), 0);
    }
    cases
}
