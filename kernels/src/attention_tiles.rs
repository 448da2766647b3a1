//! Attention while prefilling: tiles of queries, which share the keys and values that they read.

use crate::{
    Kernel, Variant,
    attention::{Params, reference},
    attention_cases::{HEAD_DIMS, cases_in_tiles},
    parts::{Cache, Cells, SEEN, Scores},
    tolerance,
};

/// The kernel; units are key heads. Constants: `HEAD_DIM`, `VALUE_DIM`, `GROUP`.
pub static ATTENTION_TILES: Kernel = Kernel {
    name: "attention_tiles",
    source: include_str!("attention_tiles.wgsl"),
    uses: &[&SEEN],
    sockets: &[Cache::SOCKET, Scores::SOCKET, Cells::SOCKET],
    variants: &[
        Variant {
            name: "rows32",
            parts: &[],
            consts: &[("WORKGROUP_SIZE", 128), ("ROWS", 32), ("KEYS", 32)],
            software: false,
        },
        Variant {
            name: "rows16",
            parts: &[],
            consts: &[("WORKGROUP_SIZE", 64), ("ROWS", 16), ("KEYS", 32)],
            software: false,
        },
    ],
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |shader, kv_heads, tokens| {
        let rows = tokens * shader.constant("GROUP");
        [kv_heads, rows.div_ceil(shader.constant("ROWS")), 1]
    },
    reference,
    tolerance: tolerance::f32,
    cases: || cases_in_tiles(HEAD_DIMS),
};
