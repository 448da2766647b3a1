// lerp: y = x + (to - x) weight, value by value.
// A lane takes one column of one row. Bound: reads x and to, writes y once. Sockets: weight.

struct Params { cols: u32, stride: u32, weight_start: u32 }

@group(0) @binding(1) var<storage, read> to: array<f32>;      // (tokens, stride)
@group(0) @binding(3) var<storage, read> x: array<f32>;       // (tokens, stride)
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // (tokens, stride)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) at: vec3u) {
    if at.x >= params.cols { return; }
    let place = at.y * params.stride + at.x;
    y[place] = fma(to[place] - x[place], weight_of(at.x, place), x[place]);
}
