// A gated unit where gate and up are stored differently: y holds the gate, the result is up; y = activated(y) * up.
fn finish(start: u32, row: u32, v: vec2f) {
    y[start + row] = activated(y[start + row]) * v.x;
    if row + 1u < params.rows { y[start + row + 1u] = activated(y[start + row + 1u]) * v.y; }
}
