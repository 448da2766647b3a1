// gate: y *= activated(x), a gate for each of so many neighbours.
// A lane takes one column of one row. Bound: reads x, reads and writes y once. Sockets: activation.

struct Params { cols: u32, share: u32, x_stride: u32, x_start: u32, y_stride: u32 }

@group(0) @binding(3) var<storage, read> x: array<f32>;       // (tokens, x_stride)
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    if at.x >= params.cols { return; }
    y[at.y * params.y_stride + at.x] *= activated(x[at.y * params.x_stride + params.x_start + at.x / params.share]);
}
