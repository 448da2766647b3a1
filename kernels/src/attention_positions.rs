//! Attention while decoding, for adapters whose subgroups have one known size: positions lie across the lanes.

use crate::{
    Kernel,
    attention::{EIGHT, ONE_SUBGROUP, Params, cases_of, parts_grid, reference},
    parts::{CACHE, ENDING, MASK, ROWS, SCORES},
};

/// The kernel; units are query heads / `HEADS`. Constants: `HEAD_DIM`, `GROUP`, and `HEADS`, which divides it; `PARTS` for the
/// ending `END_PART`.
pub static ATTENTION_POSITIONS: Kernel = Kernel {
    name: "attention_positions",
    source: include_str!("attention_positions.wgsl"),
    uses: &[&ROWS],
    sockets: &[CACHE, SCORES, MASK, ENDING],
    variants: &ONE_SUBGROUP,
    params: Params::FIELDS,
    outputs: &["y"],
    grid: parts_grid,
    reference,
    cases: || cases_of(CACHE.parts, 256, EIGHT),
};
