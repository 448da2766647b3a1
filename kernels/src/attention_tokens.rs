//! Attention while prefilling, for adapters that run on the CPU: tokens lie across the lanes of a SIMD register, keys and
//! values are read once for all of them. Its private arrays only stay in registers where loops of known length are unrolled.

use crate::{
    Kernel,
    attention::{ONE_SUBGROUP, Params, reference},
    attention_cases::{HeadDims, cases_with},
    parts::{Cache, Cells, SEEN, Scores},
    tolerance,
};

/// Larger heads leave loops that llvmpipe's compiler does not unroll; it ends loops, silently, after 65,535 turns in all.
pub const HEAD_MAX: u32 = 64;
/// For the same reason: nine turns a position.
pub const CONTEXT_MAX: u32 = 7_000;

/// The kernel; units are query heads / `HEADS`. Constants: `HEAD_DIM`, `VALUE_DIM`, `GROUP`, and `HEADS`, which divides it.
pub static ATTENTION_TOKENS: Kernel = Kernel {
    name: "attention_tokens",
    source: include_str!("attention_tokens.wgsl"),
    uses: &[&SEEN],
    sockets: &[Cache::SOCKET, Scores::SOCKET, Cells::SOCKET],
    variants: &ONE_SUBGROUP,
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |shader, heads, tokens| [heads, tokens.div_ceil(shader.constant("WORKGROUP_SIZE")), 1],
    reference,
    tolerance: tolerance::f32,
    cases: || {
        let heads = HeadDims {
            max: HEAD_MAX,
            max_long: HEAD_MAX,
            multiple_of: 4,
        };
        cases_with(heads)
    },
};
