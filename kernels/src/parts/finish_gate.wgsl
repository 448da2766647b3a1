// SwiGLU where gate and up are stored differently: y holds the gate, the result is up; y = silu(y) * up.
fn finish(start: u32, row: u32, v: vec2f) {
    let a = y[start + row];
    y[start + row] = a / (1.0 + exp(-a)) * v.x;
    if row + 1u < params.rows {
        let b = y[start + row + 1u];
        y[start + row + 1u] = b / (1.0 + exp(-b)) * v.y;
    }
}
