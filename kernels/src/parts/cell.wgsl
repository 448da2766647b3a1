// Where a position of a sequence lies in a head's cache, and which positions a row sees. With RING = 1 a sequence's cells are
// a ring, of which a row sees the last `window` positions; else each position has a cell of its own, and all are seen.
fn cell(sequence: u32, position: u32) -> u32 {
    if RING == 1u { return sequence * params.cells + position % params.cells; }
    return sequence * params.cells + position;
}

// The first position that is seen from the last of `count`.
fn window_start(count: u32) -> u32 {
    if RING == 1u { return count - min(count, params.window); }
    return 0u;
}
