// multiply_matrices: how fast the matrix instructions of subgroups are: CHAINS sums of products of the same two matrices.
// Bound: 16 SIDE SIDE SIDE CHAINS TURNS operations a workgroup, which is a subgroup, and no memory.
// Sockets: none; the matrices come with the variant.
// Loops with constant ends are unrolled.

struct Params { lanes: u32, factor: f32 }

const AREA = SIDE * SIDE; // of a matrix

@group(0) @binding(4) var<storage, read_write> y: array<f32>; // (lanes)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> factors: array<tile, AREA>;
var<workgroup> results: array<f32, AREA>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) lane: u32) {
    for (var e = lane; e < AREA; e += WORKGROUP_SIZE) { factors[e] = tile(params.factor); }
    workgroupBarrier();
    let a = coopLoadT<Weights>(&factors[0], SIDE);
    let b = coopLoad<Tokens>(&factors[0], SIDE);
    var sums = array<Results, CHAINS>();
    for (var turn = 0u; turn < TURNS; turn += 1u) {
        for (var i = 0u; i < 8u; i++) {
            for (var c = 0u; c < CHAINS; c++) { sums[c] = coopMultiplyAdd(a, b, sums[c]); }
        }
    }
    for (var c = 0u; c < CHAINS - 1u; c++) { sums[CHAINS - 1u] = sums[CHAINS - 1u] + sums[c]; }
    coopStore(sums[CHAINS - 1u], &results[0], SIDE);
    workgroupBarrier();
    let own = wg.x * WORKGROUP_SIZE + lane;
    if own < params.lanes { y[own] = results[lane] / f32(SIDE); } // so that it is the same for matrices of any size
}
