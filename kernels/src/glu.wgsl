// glu: y = f(gate) * up, of what a pass has in memory, and what is added to both before.
// A lane takes one result of each row of one token. Bound: reads both once. Sockets: unit, glu bias.

// Gates begin at gate_start of a row and stand gate_step apart, ups likewise.
struct Params {
    cols: u32, each: u32, gate_stride: u32, gate_start: u32, gate_step: u32, up_stride: u32, up_start: u32, up_step: u32,
    y_stride: u32, experts: u32,
}

@group(0) @binding(3) var<storage, read> gates: array<f32>;    // (tokens, each, gate_stride)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // (tokens, each, y_stride)
@group(0) @binding(5) var<storage, read> ups: array<f32>;      // (tokens, each, up_stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    if at.x < params.cols {
        for (var row = at.y * params.each; row < (at.y + 1u) * params.each; row++) {
            let gate = gates[row * params.gate_stride + params.gate_start + at.x * params.gate_step];
            let up = ups[row * params.up_stride + params.up_start + at.x * params.up_step];
            let more = glu_bias(row, at.x);
            y[row * params.y_stride + at.x] = gated(gate + more.x, up + more.y);
        }
    }
}
