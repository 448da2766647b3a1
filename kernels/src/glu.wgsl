// glu: y = activated(gate) * up, from rows that alternate gate and up, and what adapters add to both.
// A lane takes one result of each row of one token. Bound: reads both once. Sockets: activation of gates.

struct Params { cols: u32, each: u32, x_stride: u32, y_stride: u32 }

@group(0) @binding(3) var<storage, read> x: array<f32>;        // (tokens, each, x_stride): gate, up, gate, up, …
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // (tokens, each, y_stride)
@group(0) @binding(5) var<storage, read> delta: array<f32>;    // (tokens, each, x_stride): of all gates, of all ups
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    if at.x >= params.cols { return; }
    for (var row = at.y * params.each; row < (at.y + 1u) * params.each; row++) {
        let from_x = row * params.x_stride;
        let gate = x[from_x + 2u * at.x] + delta[from_x + at.x];
        let up = x[from_x + 2u * at.x + 1u] + delta[from_x + params.cols + at.x];
        y[row * params.y_stride + at.x] = activated(gate) * up;
    }
}
