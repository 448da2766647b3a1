// copy: some columns of rows as rows of their own.
// A lane takes one column of one row. Bound: reads x, writes y once.

struct Params { cols: u32, x_stride: u32, x_start: u32, y_stride: u32 }

@group(0) @binding(3) var<storage, read> x: array<f32>;       // (tokens, x_stride)
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    if at.x >= params.cols { return; }
    y[at.y * params.y_stride + at.x] = x[at.y * params.x_stride + params.x_start + at.x];
}
