// moe_combine: x = sum over a token's experts of weight * (y + bias), or x += it.
// A lane takes one column of one token. Bound: reads y once. Sockets: into, expert bias.

struct Params { cols: u32, top_k: u32, stride: u32 }

@group(0) @binding(3) var<storage, read> y: array<f32>;              // (tokens, top_k, stride)
@group(0) @binding(4) var<storage, read_write> x: array<f32>;        // (tokens, stride)
@group(0) @binding(5) var<storage, read> expert_weights: array<f32>; // (tokens, top_k)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    if at.x >= params.cols { return; }
    var sum = 0.0;
    if ADD == 1u { sum = x[at.y * params.stride + at.x]; }
    for (var i = 0u; i < params.top_k; i++) {
        let pair = at.y * params.top_k + i;
        sum += expert_weights[pair] * expert_shifted(y[pair * params.stride + at.x], pair, at.x);
    }
    x[at.y * params.stride + at.x] = sum;
}
