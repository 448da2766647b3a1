//! Attention while decoding, for adapters whose subgroups have one known size: positions lie across the lanes.

use crate::{
    Kernel,
    attention::{EIGHT, ONE_SUBGROUP, Params, reference, splits_grid},
    attention_cases::{HeadDims, cases_of},
    parts::{Cache, Cells, Ending, SEEN, Scores},
    tolerance,
};

/// The kernel; units are query heads / `HEADS`. Constants: `HEAD_DIM`, `VALUE_DIM`, `GROUP`, and `HEADS`, which divides it; `KV_SPLITS` for
/// the ending `END_SPLIT`.
pub static ATTENTION_POSITIONS: Kernel = Kernel {
    name: "attention_positions",
    source: include_str!("attention_positions.wgsl"),
    uses: &[&SEEN],
    sockets: &[Cache::SOCKET, Scores::SOCKET, Cells::SOCKET, Ending::SOCKET],
    variants: &ONE_SUBGROUP,
    params: Params::FIELDS,
    outputs: &["y"],
    grid: splits_grid,
    reference,
    tolerance: tolerance::f32,
    cases: || {
        let heads = HeadDims {
            max: 576,
            max_long: 256,
            multiple_of: EIGHT,
        };
        cases_of(heads)
    },
};
