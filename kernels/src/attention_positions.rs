//! Attention while decoding, for adapters whose subgroups have one known size: positions lie across the lanes.

use crate::{
    Kernel,
    attention::{ONE_SUBGROUP, Params, cases_with, twin},
    parts::{PAIRS, PAIRS_F16, PAIRS_F32, STATE},
};

/// The kernel; units are query heads / `HEADS`. Constants: `HEAD`, `GROUP`, and `HEADS`, which divides it.
pub static ATTENTION_POSITIONS: Kernel = Kernel {
    name: "attention_positions",
    source: include_str!("attention_positions.wgsl"),
    uses: &[&STATE],
    sockets: &[PAIRS],
    variants: &ONE_SUBGROUP,
    params: Params::FIELDS,
    outputs: &["y"],
    grid: |_, heads, tokens| [heads, tokens, 1],
    twin,
    cases: || cases_with([&PAIRS_F32, &PAIRS_F16], 256),
};
