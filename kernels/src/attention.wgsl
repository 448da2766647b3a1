// attention: softmax(q K^T scale) V in one pass over the cache; a workgroup takes one token and the GROUP query heads that
// share a key and value head. LANES positions at a time: a lane scores one position for every head, then the lanes split
// the heads' values among them. The running maximum and sum follow Milakov & Gimelshein 2018.
// Bound: reads keys and values up to the token once a key head.
// Sockets: cache, q; reduce comes with the variant.

struct Params { kv_heads: u32, q_stride: u32, y_stride: u32, token_start: u32, scale: f32 }

const QUARTER = HEAD / 4u;                             // of a head: values are read four at a time
const SHARE = (QUARTER + LANES - 1u) / LANES;          // of those, a lane's
const LEAST = -3.0e38;                                 // WGSL promises no infinities

@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;    // (tokens, y_stride / 4)
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> shares: array<f32, LANES * GROUP>; // (positions in hand, heads)

@compute @workgroup_size(LANES)
fn main(at: Invocation) {
    let kv = at.group.x;
    let token = params.token_start + at.group.y;
    if token >= state.count { return; }
    let row = params.kv_heads * QUARTER;            // from a position to the next
    let head = kv * GROUP * QUARTER;                // this group's heads within a token
    let q = at.group.y * params.q_stride / 4u + head;
    let count = state.position + token + 1u;

    var most: array<f32, GROUP>;
    var total: array<f32, GROUP>;
    var sums: array<array<vec4f, SHARE>, GROUP>;
    for (var h = 0u; h < GROUP; h++) { most[h] = LEAST; }
    for (var start = 0u; start < count; start += LANES) {
        let position = min(start + at.lane, count - 1u);
        let there = start + at.lane < count;
        var scores: array<vec4f, GROUP>;
        for (var i = 0u; i < QUARTER; i++) {
            let k = key4(position * row + kv * QUARTER + i);
            for (var h = 0u; h < GROUP; h++) { scores[h] += qkv[q + h * QUARTER + i] * k; }
        }
        var shrink: array<f32, GROUP>;
        for (var h = 0u; h < GROUP; h++) {
            let score = select(LEAST, (scores[h].x + scores[h].y + scores[h].z + scores[h].w) * params.scale, there);
            let new_most = max(most[h], reduce_max(score, at));
            shrink[h] = exp(most[h] - new_most);
            most[h] = new_most;
            let share = select(0.0, exp(score - new_most), there);
            shares[at.lane * GROUP + h] = share;
            total[h] = total[h] * shrink[h] + reduce_sum(share, at);
        }
        workgroupBarrier();
        let some = min(LANES, count - start);
        for (var s = 0u; s < SHARE; s++) {
            let i = min(s * LANES + at.lane, QUARTER - 1u); // lanes past the end repeat the last
            for (var h = 0u; h < GROUP; h++) { sums[h][s] *= shrink[h]; }
            for (var p = 0u; p < some; p++) {
                let v = value4((start + p) * row + kv * QUARTER + i);
                for (var h = 0u; h < GROUP; h++) { sums[h][s] += shares[p * GROUP + h] * v; }
            }
        }
        workgroupBarrier(); // shares are written anew
    }
    for (var s = 0u; s < SHARE; s++) {
        let i = s * LANES + at.lane;
        if i < QUARTER {
            for (var h = 0u; h < GROUP; h++) {
                y[token * params.y_stride / 4u + head + h * QUARTER + i] = sums[h][s] / total[h];
            }
        }
    }
}
