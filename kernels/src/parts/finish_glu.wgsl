// A gated unit (Shazeer 2020): rows alternate gate and up, y = activated(gate) * up. Half as many results as rows.
fn finish(start: u32, row: u32, v: vec2f) {
    y[start + row / 2u] = activated(v.x) * v.y;
}
