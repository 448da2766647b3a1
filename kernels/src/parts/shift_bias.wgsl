// A bias for each column.
@group(0) @binding(0) var<storage, read> bias: array<f32>; // (cols)

fn shifted(v: f32, col: u32) -> f32 { return v + bias[col]; }
