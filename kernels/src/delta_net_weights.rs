//! Dependence of a chunk's rows on each other in the gated delta rule, by which chunks are computed at once (Gated Delta
//! Networks, Yang et al. 2024, arXiv 2412.06464, section 3.3).

use crate::{
    Call, Case, Kernel, Variant, bytes_of_params,
    call::{consecutive, words},
    delta_net::{self, unit_scale},
    parts::{DECAY_HEAD, DELTA_FOURS, Decay, ROWS},
    pointwise::{sigmoid, softplus},
    random::Random,
    tolerance,
};

/// Rows of a chunk.
pub const CHUNK: u32 = 64;

/// Weights of a chunk and a value head, in f32: X and P, (CHUNK, CHUNK) each; for each row a factor of its key on the state
/// before the chunk, of its query on that, of its key on what the state learns; the decay of the whole chunk, four times.
pub const WEIGHTS: u32 = 2 * CHUNK * CHUNK + 3 * CHUNK + 4;

/// The kernel; units are value heads. The constant `KEY_DIM` is a multiple of 4.
pub static DELTA_NET_WEIGHTS: Kernel = Kernel {
    name: "delta_net_weights",
    source: include_str!("delta_net_weights.wgsl"),
    uses: &[&ROWS, &DELTA_FOURS, &DECAY_HEAD],
    sockets: &[],
    variants: &[Variant::new(
        "chunks64",
        &[],
        &[
            ("WORKGROUP_SIZE", CHUNK),
            ("CHUNK", CHUNK),
            ("WEIGHTS", WEIGHTS),
        ],
        false,
    )],
    params: Params::FIELDS,
    outputs: &["chunk_weights"],
    grid: |_, heads, tokens| [tokens.div_ceil(CHUNK), heads, 1],
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
        /// Added to the sum of squares that q and k are divided by the root of.
        eps: f32,
        /// From a row of qkv to the next, in f32.
        qkv_stride: u32,
        /// Column of qkv with the first query; a multiple of 4.
        q_start: u32,
        /// Column of qkv with the first key; a multiple of 4.
        k_start: u32,
        /// From a row of gates to the next, in f32.
        gates_stride: u32,
        /// Column of gates with the first head's alpha.
        alpha_start: u32,
        /// Column of gates with the first head's beta.
        beta_start: u32,
    }
}

/// A chunk's rows of one value head: unit queries, the root of the key's size taken, and keys; logarithms of decays summed
/// from the chunk's begin; betas.
struct Rows {
    q: Vec<Vec<f64>>,
    k: Vec<Vec<f64>>,
    q_scale: Vec<f64>,
    k_scale: Vec<f64>,
    g: Vec<f64>,
    beta: Vec<f64>,
}

impl Rows {
    fn of(call: &mut Call, first: usize, count: usize, head: usize) -> Rows {
        let p: Params = call.params();
        let key_dim = call.constant("KEY_DIM") as usize;
        let (qkv, gates) = (call.floats("qkv"), call.floats("gates"));
        let (a, dt_bias) = (call.floats("a"), call.floats("dt_bias"));
        let key = head / p.repeat as usize % p.key_heads as usize * key_dim;
        let mut sum = 0.0;
        let mut all = Rows {
            q: vec![],
            k: vec![],
            q_scale: vec![],
            k_scale: vec![],
            g: vec![],
            beta: vec![],
        };
        for row in first..first + count {
            let qkv = &qkv[row * p.qkv_stride as usize + key..];
            let gates = &gates[row * p.gates_stride as usize + head..];
            let root = (key_dim as f64).sqrt();
            let q = &qkv[p.q_start as usize..][..key_dim];
            let k = &qkv[p.k_start as usize..][..key_dim];
            let (q_scale, k_scale) = (unit_scale(q, p.eps) / root, unit_scale(k, p.eps));
            let scaled = |x: &[f32], by: f64| x.iter().map(|&v| f64::from(v) * by).collect();
            all.q.push(scaled(q, q_scale));
            all.k.push(scaled(k, k_scale));
            all.q_scale.push(q_scale);
            all.k_scale.push(k_scale);
            let alpha = f64::from(gates[p.alpha_start as usize]) + f64::from(dt_bias[head]);
            sum += f64::from(a[head]) * softplus(alpha);
            all.g.push(sum);
            all.beta
                .push(sigmoid(f64::from(gates[p.beta_start as usize])));
        }
        all
    }

    /// exp(g_i − g_j)
    fn decay(&self, i: usize, j: usize) -> f64 {
        (self.g[i] - self.g[j]).exp()
    }

    /// (1 + A)⁻¹ diag(beta), row by row.
    fn learning(&self) -> Vec<Vec<f64>> {
        let count = self.g.len();
        let mut x = vec![vec![0.0; count]; count];
        for i in 0..count {
            let (before, own) = x.split_at_mut(i);
            own[0][i] = self.beta[i];
            for (j, row) in before.iter().enumerate() {
                let a = self.beta[i] * self.decay(i, j) * dot(&self.k[i], &self.k[j]);
                own[0].iter_mut().zip(row).for_each(|(x, r)| *x -= a * r);
            }
        }
        x
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `chunk_weights` (chunks, value_heads, WEIGHTS) from `qkv` (tokens, qkv_stride) and `gates` (tokens, gates_stride), with `a`
/// and `dt_bias` (value_heads), as the kernel's source says; 0 above diagonals and behind a chunk's rows.
fn reference(call: &mut Call) {
    let p: Params = call.params();
    let chunk = CHUNK as usize;
    let tokens = call.words("rows")[0] as usize;
    for first in (0..tokens).step_by(chunk) {
        let count = chunk.min(tokens - first);
        for head in 0..p.value_heads as usize {
            let rows = Rows::of(call, first, count, head);
            let x = rows.learning();
            let place = (first / chunk * p.value_heads as usize + head) * WEIGHTS as usize;
            let to = &mut call.floats_mut("chunk_weights")[place..][..WEIGHTS as usize];
            to.fill(0.0);
            let (to_x, rest) = to.split_at_mut(chunk * chunk);
            let (to_p, factors) = rest.split_at_mut(chunk * chunk);
            for i in 0..count {
                for j in 0..=i {
                    to_x[i * chunk + j] = x[i][j] as f32;
                    to_p[i * chunk + j] = (rows.decay(i, j) * dot(&rows.q[i], &rows.k[j])) as f32;
                }
                let since = rows.g[i].exp();
                factors[i] = (since * rows.k_scale[i]) as f32;
                factors[chunk + i] = (since * rows.q_scale[i]) as f32;
                factors[2 * chunk + i] = (rows.decay(count - 1, i) * rows.k_scale[i]) as f32;
            }
            factors[3 * chunk..].fill(rows.g[count - 1].exp() as f32);
        }
    }
}

/// The case of `delta_net` with the same inputs, its weights in the place of its results.
pub(crate) fn case(random: &mut Random, heads: [u32; 5], rows: Vec<u32>) -> Case {
    let whole = delta_net::case(random, (heads, Decay::Head), 1, rows, 0);
    let all: delta_net::Params = bytemuck::pod_read_unaligned(&whole.params);
    let chunks = whole.tokens.div_ceil(CHUNK);
    let inputs = ["qkv", "gates", "a", "dt_bias", "rows"];
    let mut buffers = whole.buffers;
    buffers.retain(|(name, _)| inputs.contains(name));
    let weights = random.floats((chunks * all.value_heads * WEIGHTS) as usize);
    buffers.push(("chunk_weights", words(&weights)));
    Case {
        parts: vec![],
        consts: vec![("KEY_DIM", heads[2])],
        params: bytes_of_params(&Params {
            value_heads: all.value_heads,
            key_heads: all.key_heads,
            repeat: all.repeat,
            eps: all.eps,
            qkv_stride: all.qkv_stride,
            q_start: all.q_start,
            k_start: all.k_start,
            gates_stride: all.gates_stride,
            alpha_start: all.alpha_start,
            beta_start: all.beta_start,
        }),
        units: all.value_heads,
        buffers,
        ..whole
    }
}

/// Shapes that both kernels of chunks are tried with, `[key_heads, value_heads, key_dim, value_dim, repeat]`, position and
/// rows: heads small, odd and real, both ways from value head to key head; one row, whole chunks and not. Small keys have few
/// rows: many that are hardly apart make a system that f32 solves badly.
pub(crate) const SHAPES: [([u32; 5], u32, u32); 7] = [
    ([2, 6, 16, 16, 1], 0, 24),
    ([2, 6, 16, 16, 3], 5, 13),
    ([1, 3, 4, 1, 1], 1, 1),
    ([3, 3, 12, 37, 1], 0, 9),
    ([1, 2, 64, 40, 1], 3, 300),
    ([2, 4, 128, 128, 1], 70, 130),
    ([2, 4, 128, 128, 2], 0, 64),
];

fn cases() -> Vec<Case> {
    let mut random = Random::new(23);
    let of = |(heads, position, rows)| case(&mut random, heads, consecutive(position, rows));
    SHAPES.into_iter().map(of).collect()
}
