// multiply_add: how fast this adapter computes: eight chains of a = a m + b for each component of a vector.
// Bound: 64 TURNS operations a lane, and no memory.
// Sockets: scalar.

struct Params { lanes: u32, m: f32, b: f32 }

@group(0) @binding(4) var<storage, read_write> y: array<f32>; // (lanes)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(at: Invocation, wg: Workgroup) {
    let lane = (wg.id.y * wg.count.x + wg.id.x) * WORKGROUP_SIZE + at.lane;
    if lane >= params.lanes { return; }
    let m = scalar4(scalar(params.m));
    let b = scalar4(scalar(params.b));
    let start = scalar(f32(lane % 8u));
    var c0 = scalar4(start);
    var c1 = c0 + scalar(1.0);
    var c2 = c0 + scalar(2.0);
    var c3 = c0 + scalar(3.0);
    var c4 = c0 + scalar(4.0);
    var c5 = c0 + scalar(5.0);
    var c6 = c0 + scalar(6.0);
    var c7 = c0 + scalar(7.0);
    for (var turn = 0u; turn < TURNS; turn++) {
        c0 = c0 * m + b;
        c1 = c1 * m + b;
        c2 = c2 * m + b;
        c3 = c3 * m + b;
        c4 = c4 * m + b;
        c5 = c5 * m + b;
        c6 = c6 * m + b;
        c7 = c7 * m + b;
    }
    let sum = vec4f(c0) + vec4f(c1) + vec4f(c2) + vec4f(c3) + vec4f(c4) + vec4f(c5) + vec4f(c6) + vec4f(c7);
    y[lane] = sum.x + sum.y + sum.z + sum.w;
}
