// Where a position of a sequence lies in a head's cache: in a cell of its own, or with RING = 1 in a ring of `cells`.
fn cell(sequence: u32, position: u32) -> u32 {
    if RING == 1u { return sequence * params.cells + position % params.cells; }
    return sequence * params.cells + position;
}
