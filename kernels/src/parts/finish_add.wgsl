// Two rows of a result, added to what is there: the residual stream.
fn finish(start: u32, row: u32, v: vec2f) {
    y[start + row] += v.x;
    if row + 1u < params.rows { y[start + row + 1u] += v.y; }
}
