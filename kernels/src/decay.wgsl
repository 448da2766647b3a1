// decay: y = exp(a softplus(x + dt_bias)), value by value: how much of each channel of a recurrent state stays.
// A lane takes one column of one token. Bound: reads x and writes y once.

// Neighbouring columns, `share` of them, have one factor.
struct Params { cols: u32, share: u32, x_stride: u32, x_start: u32, y_stride: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;       // (heads): -exp(A_log)
@group(0) @binding(1) var<storage, read> dt_bias: array<f32>; // (cols)
@group(0) @binding(3) var<storage, read> x: array<f32>;       // (tokens, x_stride)
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // (tokens, y_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    let col = at.x;
    if col >= params.cols { return; }
    let v = x[at.y * params.x_stride + params.x_start + col] + dt_bias[col];
    y[at.y * params.y_stride + col] = exp_of(a[col / params.share] * softplus(v));
}
