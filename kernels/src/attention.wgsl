// attention: softmax(q K^T scale) V for one head and one token a workgroup, in one pass over the cache.
// LANES positions at a time: a lane scores one position, then the lanes split the head's values among them. The running
// maximum and sum follow Milakov & Gimelshein 2018. Bound: reads keys and values up to the token once a head.
// Sockets: cache; reduce comes with the variant.

struct Params { group: u32, kv_heads: u32, q_stride: u32, y_stride: u32, scale: f32 }

const QUARTER = HEAD / 4u;                             // of a head: values are read four at a time
const SHARE = (QUARTER + LANES - 1u) / LANES;          // of those, a lane's
const LEAST = -3.0e38;                                 // WGSL promises no infinities

@group(0) @binding(3) var<storage, read> qkv: array<vec4f>;        // (tokens, q_stride / 4)
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;    // (tokens, y_stride / 4)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> shares: array<f32, LANES>; // of the positions in hand

@compute @workgroup_size(LANES)
fn main(at: Invocation) {
    let head = at.group.x;
    let token = at.group.y;
    if token >= state.count { return; }
    let row = params.kv_heads * QUARTER;            // from a position to the next
    let kv = (head / params.group) * QUARTER;       // of this head's group within a position
    let q = token * params.q_stride / 4u + head * QUARTER;
    let count = state.position + token + 1u;

    var most = LEAST;
    var total = 0.0;
    var sums: array<vec4f, SHARE>;
    for (var start = 0u; start < count; start += LANES) {
        let position = start + at.lane;
        var score = LEAST;
        if position < count {
            var products = vec4f(0.0);
            for (var i = 0u; i < QUARTER; i++) { products += qkv[q + i] * key4(position * row + kv + i); }
            score = (products.x + products.y + products.z + products.w) * params.scale;
        }
        let new_most = max(most, reduce_max(score, at));
        let shrink = exp(most - new_most);
        let weight = select(0.0, exp(score - new_most), position < count);
        shares[at.lane] = weight;
        total = total * shrink + reduce_sum(weight, at);
        most = new_most;
        workgroupBarrier();
        let some = min(LANES, count - start);
        for (var s = 0u; s < SHARE; s++) {
            let i = s * LANES + at.lane;
            if i < QUARTER {
                var sum = sums[s] * shrink;
                for (var p = 0u; p < some; p++) { sum += shares[p] * value4((start + p) * row + kv + i); }
                sums[s] = sum;
            }
        }
        workgroupBarrier(); // shares are written anew
    }
    for (var s = 0u; s < SHARE; s++) {
        let i = s * LANES + at.lane;
        if i < QUARTER { y[token * params.y_stride / 4u + head * QUARTER + i] = sums[s] / total; }
    }
}
