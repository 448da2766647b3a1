// y = norm(x)
@group(0) @binding(3) var<storage, read> x: array<f32>; // (tokens, x_stride)

fn norm_input(from_x: u32, to_y: u32) -> f32 { return x[from_x]; }
fn norm_put(to_y: u32, v: f32) { y[to_y] = v; }
