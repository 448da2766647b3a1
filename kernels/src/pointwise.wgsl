// pointwise: y = f(y + b), value by value, or f(b y).
// A lane takes one column of one token. Bound: reads and writes y once. Sockets: shift, activation.

struct Params { cols: u32, stride: u32, factor: f32, alpha_p: f32, alpha_n: f32, beta: f32, eps: f32 }

@group(0) @binding(4) var<storage, read_write> y: array<f32>; // (tokens, stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    if at.x >= params.cols { return; }
    let place = at.y * params.stride + at.x;
    y[place] = activated(shifted(y[place], at.x));
}
