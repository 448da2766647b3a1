// attention_positions: attention for one token and HEADS query heads a workgroup, which is one subgroup of LANES.
// LANES positions at a time: a lane scores one position, queries come from the lane that holds them; then the lanes hold
// two values of each head every 2 LANES, and the shares of positions come from the lanes that scored them. The running
// maximum and sum follow Milakov & Gimelshein 2018. Bound: reads keys and values up to the token once for HEADS heads.
// Workgroups in z have a part of the positions each. Sockets: cache, scores, window, ending; the lanes come with the variant.

struct Params { kv_heads: u32, q_stride: u32, y_stride: u32, scale: f32, cap: f32, window: u32, ring: u32 }

const PAIRS = HEAD / 2u;                          // of a head: values are read two at a time
const STEPS = (PAIRS + LANES - 1u) / LANES;       // of those, a lane's
const LEAST = -3.0e38;                            // WGSL promises no infinities

@group(0) @binding(3) var<storage, read> qkv: array<vec2f>;        // (tokens, q_stride / 2)
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(at: Invocation, wg: Workgroup) {
    let token = wg.id.y;
    if token >= state.count { return; }
    let head = wg.id.x * HEADS;                                // the first of this workgroup
    let row = params.kv_heads * PAIRS;                            // from a position to the next
    let kv = head / GROUP * PAIRS;
    let count = state.position + token + 1u;
    let end = part_start(window_start(count), count, wg.id.z + 1u);
    let begin = part_start(window_start(count), count, wg.id.z);

    var q = array<array<vec2f, STEPS>, HEADS>();
    var sums = array<array<vec2f, STEPS>, HEADS>();
    var most = array<f32, HEADS>();
    var total = array<f32, HEADS>();
    for (var h = 0u; h < HEADS; h++) {
        most[h] = LEAST;
        for (var s = 0u; s < STEPS; s++) {
            let pair = s * LANES + at.lane;
            let v = qkv[token * params.q_stride / 2u + (head + h) * PAIRS + min(pair, PAIRS - 1u)];
            q[h][s] = select(vec2f(0.0), v * params.scale, pair < PAIRS);
        }
    }
    for (var start = begin; start < end; start += LANES) {
        let there = start + at.lane < end;
        let k = place_of(min(start + at.lane, end - 1u)) * row + kv;
        var scores = array<vec2f, HEADS>();
        for (var s = 0u; s < STEPS; s++) {
            for (var i = 0u; i < LANES; i++) {
                let pair = key_pair(k + min(s * LANES + i, PAIRS - 1u)); // past the end q is zero
                for (var h = 0u; h < HEADS; h++) { scores[h] += pair * subgroupShuffle(q[h][s], i); }
            }
        }
        var shares = array<f32, HEADS>();
        for (var h = 0u; h < HEADS; h++) {
            let score = select(LEAST, scored(scores[h].x + scores[h].y), there);
            let new_most = max(most[h], subgroupMax(score));
            let shrink = exp(most[h] - new_most);
            most[h] = new_most;
            shares[h] = select(0.0, exp(score - new_most), there);
            total[h] = total[h] * shrink + shares[h];
            for (var s = 0u; s < STEPS; s++) { sums[h][s] *= shrink; }
        }
        for (var i = 0u; i < LANES; i++) {
            let v = place_of(min(start + i, end - 1u)) * row + kv; // past the end the share is zero
            var share = array<f32, HEADS>();
            for (var h = 0u; h < HEADS; h++) { share[h] = subgroupShuffle(shares[h], i); }
            for (var s = 0u; s < STEPS; s++) {
                let pair = value_pair(v + min(s * LANES + at.lane, PAIRS - 1u));
                for (var h = 0u; h < HEADS; h++) { sums[h][s] += share[h] * pair; }
            }
        }
    }
    for (var h = 0u; h < HEADS; h++) {
        let sum = subgroupAdd(total[h]);
        for (var s = 0u; s < STEPS; s++) {
            let pair = s * LANES + at.lane;
            if pair < PAIRS { put(token, head + h, pair, wg.id.z, sums[h][s], sum); }
        }
        put_share(head + h, wg.id.z, at.lane, vec2f(most[h], sum));
    }
}
