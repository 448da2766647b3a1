// combine: x += sum over a token's experts of share * y.
// A lane takes one column of one token. Bound: reads y once. Sockets: none.

struct Params { cols: u32, used: u32, stride: u32 }

@group(0) @binding(3) var<storage, read> y: array<f32>;         // (tokens, used, stride)
@group(0) @binding(4) var<storage, read_write> x: array<f32>;   // (tokens, stride)
@group(0) @binding(5) var<storage, read> shares: array<f32>;    // (tokens, used)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    if at.x >= params.cols { return; }
    var sum = x[at.y * params.stride + at.x];
    for (var i = 0u; i < params.used; i++) {
        let pair = at.y * params.used + i;
        sum += shares[pair] * y[pair * params.stride + at.x];
    }
    x[at.y * params.stride + at.x] = sum;
}
