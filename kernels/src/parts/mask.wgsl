// Which positions of its own sequence a row sees: with MASK = 0 all up to its own (causal), with 1 the last `window` of those,
// with 2 all up to the sequence's last row in the pass, which encoders want.

// The first position that a row at `position` sees.
fn seen_begin(position: u32) -> u32 {
    if MASK == 1u { return position + 1u - min(position + 1u, params.window); }
    return 0u;
}

// The position after the last that row `row` sees.
fn seen_end(row: u32) -> u32 {
    var last = row;
    if MASK == 2u {
        last = rows.count - 1u;
        while rows.row[last].sequence != rows.row[row].sequence { last -= 1u; }
    }
    return rows.row[last].position + 1u;
}
