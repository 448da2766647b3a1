// SwiGLU (Shazeer 2020): rows alternate gate and up, y = silu(gate) * up. Half as many results as rows.
fn finish(start: u32, row: u32, v: vec2f) {
    y[start + row / 2u] = v.x / (1.0 + exp(-v.x)) * v.y;
}
