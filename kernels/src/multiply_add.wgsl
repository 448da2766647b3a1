// multiply_add: how fast this adapter computes: CHAINS chains of a = a m + b for each component of a vector.
// Bound: 128 CHAINS TURNS operations a lane, and no memory.
// Sockets: scalar.
// Loops with constant ends are unrolled.

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
    var chains = array<scalar4, CHAINS>();
    for (var c = 0u; c < CHAINS; c++) { chains[c] = scalar4(start + scalar(c)); }
    for (var turn = 0u; turn < TURNS; turn += 1u) {
        // Many at once: a turn of a loop costs an adapter on the CPU as much as a hundred of them.
        for (var i = 0u; i < 16u; i++) {
            for (var c = 0u; c < CHAINS; c++) { chains[c] = fma(chains[c], m, b); }
        }
    }
    var sum = vec4f(0.0);
    for (var c = 0u; c < CHAINS; c++) { sum += vec4f(chains[c]); }
    y[lane] = sum.x + sum.y + sum.z + sum.w;
}
