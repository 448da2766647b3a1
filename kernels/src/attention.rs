//! Causal attention (Vaswani et al. 2017) over the cache, with grouped heads (Ainslie et al. 2023) of any size that is
//! a multiple of 4; prefill and decode alike.

use half::f16;

use std::ops::Range;

use crate::{
    Call, Kernel, Shader, Variant,
    attention_cases::{HEAD_DIMS, cases_of},
    call::{CellIndex, Row},
    parts::{Cache, Cells, Ending, REDUCE_SUBGROUP, REDUCE_WORKGROUP, SEEN, SUBGROUP, Scores},
    store::decode,
    tolerance,
};

/// The kernel; units are query heads / `HEADS`. Constants: `HEAD_DIM` of queries and keys, `VALUE_DIM` of values, `GROUP`, and
/// `HEADS`, which divides it; `KV_SPLITS` for `Ending::Split`.
pub static ATTENTION: Kernel = Kernel {
    name: "attention",
    source: include_str!("attention.wgsl"),
    uses: &[&SEEN],
    sockets: &[Cache::SOCKET, Scores::SOCKET, Cells::SOCKET, Ending::SOCKET],
    variants: &[
        Variant {
            name: "subgroup8",
            parts: &[&REDUCE_SUBGROUP],
            consts: &[("WORKGROUP_SIZE", 8)],
            software: true,
        },
        Variant {
            name: "workgroup8",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("WORKGROUP_SIZE", 8)],
            software: true,
        },
        Variant {
            name: "subgroup32",
            parts: &[&REDUCE_SUBGROUP],
            consts: &[("WORKGROUP_SIZE", 32)],
            software: false,
        },
        Variant {
            name: "workgroup32",
            parts: &[&REDUCE_WORKGROUP],
            consts: &[("WORKGROUP_SIZE", 32)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: splits_grid,
    reference,
    tolerance: tolerance::f32,
    cases: || cases_of(HEAD_DIMS),
};

/// For the kernels beside this one: a workgroup is a subgroup, as lavapipe and SwiftShader have them.
pub(crate) static ONE_SUBGROUP: [Variant; 2] = [
    Variant {
        name: "lanes8",
        parts: &[&SUBGROUP],
        consts: &[("WORKGROUP_SIZE", 8)],
        software: true,
    },
    Variant {
        name: "lanes4",
        parts: &[&SUBGROUP],
        consts: &[("WORKGROUP_SIZE", 4)],
        software: true,
    },
];

crate::params! {
    /// Parameters, as the shader has them.
    Params {
        /// Key and value heads.
        kv_heads: u32,
        /// From a token's queries to the next's, in f32.
        q_stride: u32,
        /// From a token's result to the next's, in f32.
        y_stride: u32,
        /// Factor on every score, 1 / sqrt(head_dim) as a rule.
        scale: f32,
        /// Cap on the scores, for `Scores::Capped`.
        cap: f32,
        /// For `Scores::Alibi`: the last slope is two to the power of minus this.
        max_bias: f32,
        /// Positions before its own that a token attends to; see [`Mask`].
        behind: u32,
        /// Positions after its own that it attends to, as far as the pass has them.
        ahead: u32,
        /// None is before the last multiple of this.
        chunk: u32,
        /// Cells of a sequence in a head's cache; the length of its ring, or the number of its blocks, where it has such.
        cells: u32,
        /// Cells from a head to the next: sequences × cells, or those of a block.
        head_cells: u32,
        /// From a cell of values to the next, in values: a head's, or those of a key where the first of a key are the values.
        value_cell: u32,
    }
}

/// Positions that a token attends to: `behind` before its own and `ahead` after it, but none before the last multiple of
/// `chunk`, and none after the last that the pass has of its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask {
    /// See [`Mask`].
    pub behind: u32,
    /// See [`Mask`].
    pub ahead: u32,
    /// See [`Mask`].
    pub chunk: u32,
}

impl Default for Mask {
    fn default() -> Mask {
        Mask::CAUSAL
    }
}

impl Mask {
    /// All positions up to its own.
    pub const CAUSAL: Mask = Mask {
        behind: u32::MAX,
        ahead: 0,
        chunk: u32::MAX,
    };

    /// All positions.
    pub const NONE: Mask = Mask {
        ahead: u32::MAX,
        ..Mask::CAUSAL
    };

    /// The last `window` positions up to its own.
    pub const fn window(window: u32) -> Mask {
        Mask {
            behind: window.saturating_sub(1),
            ..Mask::CAUSAL
        }
    }

    /// Positions from the last multiple of `chunk` up to its own.
    pub const fn chunked(chunk: u32) -> Mask {
        Mask {
            chunk,
            ..Mask::CAUSAL
        }
    }

    /// Positions that are at most half of `window` away.
    pub const fn symmetric(window: u32) -> Mask {
        Mask {
            behind: window / 2,
            ahead: window / 2,
            ..Mask::CAUSAL
        }
    }

    /// How many positions a token attends to at most.
    pub fn positions_max(self) -> u32 {
        let behind = self.behind.min(self.chunk - 1);
        behind.saturating_add(self.ahead).saturating_add(1)
    }

    /// Positions that a token at `position` attends to of a sequence that has `end`.
    pub fn seen(self, position: u32, end: u32) -> Range<u32> {
        let begin = position - self.behind.min(position % self.chunk);
        begin..position + self.ahead.min(end - 1 - position) + 1
    }
}

impl Params {
    /// The parameters with another mask.
    #[must_use]
    pub fn masked(self, mask: Mask) -> Params {
        let Mask {
            behind,
            ahead,
            chunk,
        } = mask;
        Params {
            behind,
            ahead,
            chunk,
            ..self
        }
    }

    /// Positions that a token attends to.
    pub fn mask(&self) -> Mask {
        Mask {
            behind: self.behind,
            ahead: self.ahead,
            chunk: self.chunk,
        }
    }
}

/// Heads, tokens, splits of the positions.
pub(crate) fn splits_grid(shader: &Shader, heads: u32, tokens: u32) -> [u32; 3] {
    let splits = match Ending::of(&shader.parts) {
        Some(Ending::Split) => shader.constant("KV_SPLITS"),
        _ => 1,
    };
    [heads, tokens, splits]
}

/// How many heads of a group a workgroup takes together, the larger of keys and values being `head`: they share what it reads,
/// and their accumulators live in registers.
pub fn heads_together(head: u32, group: u32) -> u32 {
    const VALUES: u32 = 192;
    let fits = |&heads: &u32| group.is_multiple_of(heads) && heads * head <= VALUES;
    (1..=group).rev().find(fits).unwrap_or(1)
}

fn cache(call: &mut Call, name: &str) -> Vec<f32> {
    let cache = Cache::of(&call.parts).expect("a part that reads the cache");
    if let Some(words) = cache.block_words() {
        return decode(call.words(name), words);
    }
    if cache != Cache::F16 {
        return call.floats(name);
    }
    let halves = call
        .words(name)
        .iter()
        .flat_map(|&w| [w as u16, (w >> 16) as u16]);
    halves.map(|bits| f16::from_bits(bits).to_f32()).collect()
}

/// Heads that `attention_positions` takes, which reads eight values at a time, are multiples of this.
pub const EIGHT: u32 = 8;

/// Slope of a head of `heads`, as Press et al. 2022 have them: a series of powers for the largest power of two, and for heads
/// past that every other one of the series for twice as many.
fn slope(head: usize, heads: usize, max_bias: f32) -> f64 {
    let even = 1 << heads.ilog2();
    let (first, count) = if head < even {
        (head + 1, even)
    } else {
        (2 * (head - even) + 1, 2 * even)
    };
    (-f64::from(max_bias) / count as f64)
        .exp2()
        .powi(first as i32)
}

/// Partial attention of a head to some positions: `acc` (value_dim) sums values times exp(score - m), `l` those exponentials,
/// and `m` is the largest score; a sink is one of the scores.
pub(crate) struct PartialAttention {
    pub acc: Vec<f64>,
    pub m: f64,
    pub l: f64,
}

/// Attention of row `row` to `positions` of its sequence, for every query head, from queries in `qkv` (tokens, q_stride) and
/// `keys` (kv_heads, head_cells, head_dim), `values` (kv_heads, head_cells, value_cell). `first`: whether these are its first positions, with which a sink counts.
pub(crate) fn partial_attention(
    call: &mut Call,
    row: usize,
    positions: Range<usize>,
    first: bool,
) -> Vec<PartialAttention> {
    let p: Params = call.params();
    let head = call.constant("HEAD_DIM") as usize;
    let (keys, values, qkv) = (
        cache(call, "keys"),
        cache(call, "values"),
        call.floats("qkv"),
    );
    let (group, value_dim) = (
        call.constant("GROUP") as usize,
        call.constant("VALUE_DIM") as usize,
    );
    let value_cell = p.value_cell as usize;
    let kv_heads = p.kv_heads as usize;
    let scoring = Scores::of(&call.parts).expect("a part for scores");
    let sinks = (scoring == Scores::Sinks && first).then(|| call.floats("sinks"));
    let cells = CellIndex::new(call, p.kv_heads, p.cells, p.head_cells);
    let Row {
        position, sequence, ..
    } = call.rows()[row];
    let own = position as usize;
    let of_head = |h: usize| {
        let q = &qkv[row * p.q_stride as usize + h * head..][..head];
        let at = |position: usize| cells.at(h / group, sequence, position);
        let slope = slope(h, group * kv_heads, p.max_bias);
        let scored = |position: usize| {
            let k = &keys[at(position) * head..][..head];
            let products = q.iter().zip(k).map(|(&q, &k)| f64::from(q) * f64::from(k));
            let score = products.sum::<f64>() * f64::from(p.scale);
            let cap = f64::from(p.cap);
            match scoring {
                Scores::Capped => cap * (score / cap).tanh(),
                Scores::Alibi => score - slope * position.abs_diff(own) as f64,
                Scores::Plain | Scores::Sinks => score,
            }
        };
        let scores: Vec<f64> = positions.clone().map(scored).collect();
        let sink = sinks.as_ref().map(|sinks| f64::from(sinks[h]));
        let m = scores.iter().copied().chain(sink).fold(f64::MIN, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - m).exp()).collect();
        let sum = |d: usize| {
            let pairs = positions.clone().zip(&weights);
            let value = |i| f64::from(values[at(i) * value_cell + d]);
            pairs.map(|(i, w)| w * value(i)).sum()
        };
        PartialAttention {
            acc: (0..value_dim).map(sum).collect(),
            m,
            l: weights.iter().sum::<f64>() + sink.map_or(0.0, |sink| (sink - m).exp()),
        }
    };
    (0..group * kv_heads).map(of_head).collect()
}

/// The positions of its sequence that row `row` sees.
fn seen(call: &mut Call, row: usize) -> Range<usize> {
    let mask = call.params::<Params>().mask();
    let (
        rows,
        Row {
            position, sequence, ..
        },
    ) = (call.rows(), call.rows()[row]);
    let own = rows.iter().filter(|other| other.sequence == sequence);
    let end = own.map(|other| other.position + 1).max();
    let seen = mask.seen(position, end.expect("its own row"));
    seen.start as usize..seen.end as usize
}

/// `y` (tokens, heads, value_dim) of all positions that each token sees; of shares of the positions of one token (heads, splits,
/// value_dim of acc, m, l).
pub(crate) fn reference(call: &mut Call) {
    if Ending::of(&call.parts) == Some(Ending::Split) {
        split_reference(call);
        return;
    }
    let p: Params = call.params();
    let value_dim = call.constant("VALUE_DIM") as usize;
    for token in 0..call.rows().len() {
        let positions = seen(call, token);
        let found = partial_attention(call, token, positions, true);
        let y = &mut call.floats_mut("y")[token * p.y_stride as usize..];
        for (PartialAttention { acc, l, .. }, y) in found.iter().zip(y.chunks_exact_mut(value_dim))
        {
            y.iter_mut()
                .zip(acc)
                .for_each(|(y, sum)| *y = (sum / l) as f32);
        }
    }
}

fn split_reference(call: &mut Call) {
    let (splits, lanes) = (call.constant("KV_SPLITS"), call.constant("WORKGROUP_SIZE"));
    let value_dim = call.constant("VALUE_DIM") as usize;
    let positions = seen(call, 0);
    let (start, count) = (positions.start as u32, positions.end as u32);
    let step = (count - start).div_ceil(splits * lanes) * lanes;
    let all: Vec<_> = (0..splits)
        .map(|split| {
            let range = (start + split * step).min(count)..(start + (split + 1) * step).min(count);
            let range = range.start as usize..range.end as usize;
            partial_attention(call, 0, range, split == 0)
        })
        .collect();
    let y = call.floats_mut("y");
    for (i, place) in y.chunks_exact_mut(value_dim + 2).enumerate() {
        let found = &all[i % splits as usize][i / splits as usize];
        let numbers = found.acc.iter().chain([&found.m, &found.l]);
        place
            .iter_mut()
            .zip(numbers)
            .for_each(|(y, v)| *y = *v as f32);
    }
}
